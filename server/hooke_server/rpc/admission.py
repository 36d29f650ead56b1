"""How many calls are under way: those that work, and streams that only watch, counted apart.

A full server is still a live one, so health checks always come in. They end at once;
the streams among them (`Health.Watch`, reflection) stay open as long as their clients
like, so they have a bounded room of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from hooke_server.errors import Reason, ResourceExhaustedError
from hooke_server.rpc.limits import Limits

_MONITORS = ("/grpc.health.", "/grpc.reflection.")


def is_monitor(method: str) -> bool:
    """Whether a method watches over the server and does no work."""
    return method.startswith(_MONITORS)


class Room:
    """Places for `size` calls at once."""

    def __init__(self, size: int, what: str) -> None:
        self._size = size
        self._what = what
        self._taken = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take a place inside the block, or ResourceExhaustedError (QUEUE_FULL)."""
        if self._taken >= self._size:
            message = f"{self._size} {self._what} are under way, which is all this server takes"
            raise ResourceExhaustedError(
                Reason.QUEUE_FULL, f"{message}; try again later", max_calls=self._size
            )
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


class Admission:
    """The rooms of one server."""

    def __init__(self, limits: Limits) -> None:
        self._calls = Room(limits.calls, "calls")
        self._watches = Room(limits.watches, "streams that watch over the server")

    def place(self, method: str, *, streaming: bool) -> AbstractContextManager[None]:
        """The block in which a call of that method has its place."""
        if not is_monitor(method):
            return self._calls.place()
        return self._watches.place() if streaming else nullcontext()
