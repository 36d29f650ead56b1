"""Memory that the inputs of calls take: what they hold, and what decoding takes for a while.

with memory.share() as share:
    share.hold(size)              # held until the share is released or ends
    async with memory.decoding(size):
        ...
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from types import MappingProxyType

from torch import Tensor

from hooke_server.engine.memory import Budget
from hooke_server.errors import Reason, ResourceExhaustedError
from hooke_server.models.model import Model
from hooke_server.rpc.codec.inputs import (
    Inputs,
    ModelInput,
    decoding_bytes,
    held_bytes,
    read_inputs,
)
from hooke_server.rpc.limits import Limits
from hooke_server.rpc.threads import on_thread

DECODING = 1 << 30
"""Bytes that decoding pictures may take beside what is held, in all calls together."""


class InputMemory:
    """What the inputs of all calls take; for one event loop.

    Attributes
    ----------
    held : bytes that are held now.
    """

    def __init__(self, limits: Limits) -> None:
        self._limit = limits.input_bytes
        self._total = limits.all_input_bytes
        self.held = 0
        self._decoding = Budget(DECODING)

    @contextmanager
    def share(self) -> Iterator[Share]:
        """The share of one call, given back at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            share.release()

    async def read(
        self,
        model: Model,
        messages: Sequence[ModelInput],
        share: Share,
        uploads: Mapping[int, Tensor] = MappingProxyType({}),
        path: str = "inputs",
    ) -> Inputs:
        """The inputs that messages hold, decoded on a thread, charged to a call's share.

        `path` is the request's field that the messages are in.
        """
        share.hold(held_bytes(model, messages))
        needed = 0
        if any(each.HasField("images") for each in messages):  # they are looked at on a thread
            needed = await on_thread(decoding_bytes, model, messages, path)
        async with self.decoding(needed):
            return await on_thread(read_inputs, model, messages, uploads, path)

    def decoding(self, size: int) -> AbstractAsyncContextManager[None]:
        """Wait until `size` bytes are free for decoding; one who decodes waits for nobody."""
        return self._decoding.reserve(min(size, DECODING))

    def _take(self, size: int, held: int) -> None:
        if held + size > self._limit:
            raise ResourceExhaustedError(
                Reason.LIMIT_EXCEEDED,
                f"the inputs of this call become {held + size} bytes, more than the {self._limit}"
                " that are taken at once; send fewer, or smaller batches with runs in between",
                size=held + size,
                limit=self._limit,
            )
        # Nobody waits here: each would hold what the others wait for.
        if self.held + size > self._total:
            raise ResourceExhaustedError(
                Reason.QUEUE_FULL,
                f"the inputs of all calls hold {self.held} of {self._total} bytes, which leaves"
                f" no room for {size} more; try again later",
                size=size,
                held=self.held,
                total=self._total,
            )
        self.held += size

    def _give_back(self, size: int) -> None:
        self.held -= size


class Share:
    """What the inputs of one call hold."""

    def __init__(self, memory: InputMemory) -> None:
        self._memory = memory
        self._held = 0

    def hold(self, size: int) -> None:
        """Hold `size` bytes more, or ResourceExhaustedError."""
        self._memory._take(size, self._held)
        self._held += size

    def release(self) -> None:
        """Give all of it back."""
        self._memory._give_back(self._held)
        self._held = 0
