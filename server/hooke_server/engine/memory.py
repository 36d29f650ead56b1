"""Memory that work may hold at once, handed out in the order of asking."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hooke_server.errors import Reason, ResourceExhaustedError, memory_exceeded

PATIENCE = 90.0
"""Seconds after which waiting for memory is given up; a reader that stalls gives its own
back before that."""


class Budget:
    """A number of bytes that concurrent work shares.

    First come, first served: a large request is not starved by small ones that
    would fit beside what runs. For one event loop.

    Parameters
    ----------
    total : bytes in all; None: without limit.
    line : requests that may wait at once.
    patience : seconds that one waits.
    """

    def __init__(
        self, total: int | None = None, *, line: int = 256, patience: float = PATIENCE
    ) -> None:
        self._total = total
        self._line = line
        self._patience = patience
        self._held = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def reserve(self, size: int) -> AsyncIterator[None]:
        """Hold `size` bytes inside the block, after waiting until they are free.

        ResourceExhaustedError at once where the whole budget would not do or too many
        wait (QUEUE_FULL), and after a while where nothing was given back (QUEUE_FULL).
        """
        if self._total is not None and size > self._total:
            raise memory_exceeded("this", size, self._total, "less at once")
        await self._take(size)
        try:
            yield
        finally:
            self._held -= size
            self._serve()

    async def _take(self, size: int) -> None:
        self._serve()
        if len(self._waiting) >= self._line:
            raise self._full(f"{self._line} pieces of work wait for memory already")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        self._serve()
        try:
            async with asyncio.timeout(self._patience):
                await self._turn(size, turn)
        except TimeoutError:
            raise self._full(f"no memory came free in {self._patience:g} seconds") from None

    async def _turn(self, size: int, turn: asyncio.Future[None]) -> None:
        try:
            await turn
        except asyncio.CancelledError:
            # The turn may have come in the moment in which the caller left.
            if turn.done() and not turn.cancelled():
                self._held -= size
            self._serve()
            raise

    def _full(self, why: str) -> ResourceExhaustedError:
        return ResourceExhaustedError(
            Reason.QUEUE_FULL, f"{why}; try again later", waiting=len(self._waiting)
        )

    def _serve(self) -> None:
        """Give their turn to those first in line, as far as the memory goes."""
        while self._waiting:
            size, turn = self._waiting[0]
            if not turn.done() and self._total is not None and self._held + size > self._total:
                return
            self._waiting.popleft()
            if not turn.done():
                self._held += size
                turn.set_result(None)
