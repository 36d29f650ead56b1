"""States of work that was stopped, kept for a while so that it can go on.

    async with states.work(series) as held:        a new id, and a mapping to write to
    async with states.work(series, id) as held:    the same with what that work had written

In memory only: after a restart, work begins anew.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from hooke_server.errors import InvalidArgumentError, NotFoundError, Reason

TIME_TO_LIVE = 3600.0
"""Seconds for which a state is kept after its work stopped."""

MAX_BYTES = 512 << 20
"""Memory of all states of stopped work together."""

PATIENCE = 10.0
"""Seconds to wait for work to stop that shall go on.

A client may leave and come back before its leaving has stopped the step that was being computed.
"""


class Part(Protocol):
    """What knows how far it is, and the memory that it holds."""

    @property
    def step(self) -> int:
        """Steps done."""
        ...

    @property
    def bytes(self) -> int:
        """In bytes."""
        ...


@dataclass(slots=True)
class Held:
    """One state: `parts` by the work's own names."""

    id: str
    series: str
    parts: dict[str, Part] = field(default_factory=dict)
    stopped: float = 0.0

    @property
    def bytes(self) -> int:
        """Memory that it holds."""
        return sum(part.bytes for part in self.parts.values())


class States:
    """The states of one server, for one event loop."""

    def __init__(
        self,
        *,
        time_to_live: float = TIME_TO_LIVE,
        max_bytes: int = MAX_BYTES,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.time_to_live = time_to_live
        self._max_bytes = max_bytes
        self._patience = patience
        self._clock = clock
        self._running: dict[str, asyncio.Event] = {}
        self._stopped: OrderedDict[str, Held] = OrderedDict()

    @asynccontextmanager
    async def work(self, series: str, resume_from: str = "") -> AsyncIterator[Held]:
        """The state of work while it runs; kept when the block ends, in whatever way.

        Parameters
        ----------
        series : what the work is; only the same can go on.
        resume_from : id of the state to begin with.
        """
        found = await self._find(resume_from, series) if resume_from else {}
        held = Held(secrets.token_urlsafe(16), series, dict(found))
        self._running[held.id] = asyncio.Event()
        try:
            yield held
        finally:
            held.stopped = self._clock()
            if held.parts:
                self._stopped[held.id] = held
            self._forget()
            self._running.pop(held.id).set()

    async def _find(self, state_id: str, series: str) -> dict[str, Part]:
        if running := self._running.get(state_id):
            with suppress(TimeoutError):
                await asyncio.wait_for(running.wait(), self._patience)
        self._forget()
        held = self._stopped.get(state_id)
        if held is None:
            why = (
                "its work runs still; stop it first"
                if state_id in self._running
                else f"its work stopped more than {self.time_to_live:g} seconds ago, or before its"
                " first step, or the memory was needed; begin anew"
            )
            raise NotFoundError(
                Reason.CHECKPOINT_NOT_FOUND,
                f"no state of that checkpoint is kept: {why}",
                field="resume_from",
                checkpoint=state_id,
            )
        if held.series != series:
            message = "the checkpoint is of other work: of another request or model"
            raise InvalidArgumentError(Reason.INVALID_FIELD, message, field="resume_from")
        return held.parts

    def _forget(self) -> None:
        """Let go of what is too old, then of the oldest while all together are too large."""
        latest = self._clock() - self.time_to_live
        total = sum(held.bytes for held in self._stopped.values())
        for state_id, held in list(self._stopped.items()):
            if held.stopped > latest and total <= self._max_bytes:
                return
            total -= held.bytes
            del self._stopped[state_id]
