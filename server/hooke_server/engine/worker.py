"""The compute thread: functions and generators go in, values and async iterators come out.

    value = await worker.call(function, argument)
    async with aclosing(worker.stream(make_generator)) as items:
        async for item in items: ...

Work is done in turns, first come, first served: a call is one turn, a stream one
turn for each item, asked for when the last item was taken. So streams share the
thread item by item, a slow reader slows only its own work, and a reader that
leaves ends it within one item. A generator's last item may be what it returns, which
saves the turn to hear that there is no more. Everything that a generator does, its `finally`
included, happens on this one thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, ParamSpec, TypeVar

import torch

from hooke_server.devices import within_memory
from hooke_server.engine.memory import Budget
from hooke_server.errors import Reason, ResourceExhaustedError, UnavailableError

T = TypeVar("T")
P = ParamSpec("P")


class Worker:
    """One compute thread, to be used from one event loop.

    Parameters
    ----------
    queue_size : turns that may wait; work that would begin beyond that is refused.
    memory : bytes that all work together may reserve; None: without limit.
    """

    def __init__(self, *, queue_size: int = 256, memory: int | None = None) -> None:
        self._queue_size = queue_size
        self.memory = memory
        self._budget = Budget(memory, line=queue_size)
        self._turns: set[Future[Any]] = set()
        self._pulls: set[_Pull[Any]] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hooke-compute")
        self._closed = False

    def reserve(self, size: int) -> AbstractAsyncContextManager[None]:
        """Hold `size` bytes of the memory for work, after waiting for them; see `Budget`."""
        return self._budget.reserve(size)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The function's result. If the caller leaves before its turn, it never runs.

        ResourceExhaustedError (QUEUE_FULL) if too much waits already,
        UnavailableError once the worker is closed.
        """
        self._admit()
        return await asyncio.wrap_future(self._turn(lambda: function(*args, **kwargs)))

    async def stream(self, make: Callable[[], Iterator[T]]) -> AsyncGenerator[T, None]:
        """The items of the iterator that `make` returns; errors as for `call`.

        When this is closed the iterator is closed too, on its thread, before that returns.
        """
        self._admit()
        pull = _Pull(make)
        self._pulls.add(pull)
        try:
            while not pull.ended:
                item = await asyncio.wrap_future(self._turn(pull.next))
                if item is not None or not pull.ended:
                    yield item
        finally:
            if not self._closed:  # else `close` does it
                self._pulls.discard(pull)
                if not pull.ended:
                    await asyncio.shield(asyncio.wrap_future(self._turn(pull.close)))

    async def close(self) -> None:
        """Let what is queued end, close all streams, end the thread."""
        if not self._closed:
            for pull in self._pulls:
                self._turn(pull.close)
            self._closed = True
        await asyncio.to_thread(self._thread.shutdown)

    def _admit(self) -> None:
        if len(self._turns) > self._queue_size:  # one of them runs
            raise ResourceExhaustedError(
                Reason.QUEUE_FULL,
                f"{self._queue_size} pieces of work wait already; try again later",
                queue_size=self._queue_size,
            )

    def _turn(self, function: Callable[[], T]) -> Future[T]:
        if self._closed:
            raise UnavailableError(Reason.SHUTTING_DOWN, "the server is shutting down")
        future = self._thread.submit(within_memory, function)
        self._turns.add(future)
        future.add_done_callback(self._turns.discard)
        return future


class _Pull(Generic[T]):
    """An iterator on the compute thread, made at its first turn.

    Attributes
    ----------
    ended : whether it has ended by itself.
    """

    def __init__(self, make: Callable[[], Iterator[T]]) -> None:
        self._make = make
        self._iterator: Iterator[T] | None = None
        self.ended = False

    def next(self) -> T:
        """The next item; at the end what the iterator returns, or None."""
        if self._iterator is None:
            self._iterator = self._make()
        try:
            item = next(self._iterator)
        except StopIteration as end:
            self.ended, item = True, end.value
        if not torch.is_grad_enabled() or torch.is_inference_mode_enabled():
            # Torch keeps these modes for the thread, so the next stream would get them.
            self.close()
            raise RuntimeError("a generator must not yield inside no_grad or inference_mode")
        return item

    def close(self) -> None:
        """End a generator where it stands."""
        if isinstance(self._iterator, Generator):
            self._iterator.close()
