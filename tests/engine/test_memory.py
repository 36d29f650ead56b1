"""The memory budget: admission in order, refusal, and nothing lost by those who leave."""

import asyncio

import pytest

from hooke_server.engine.memory import Budget
from hooke_server.errors import Reason, ResourceExhaustedError


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


class Work:
    """A piece of work that holds memory until it is told to end."""

    def __init__(self, budget, size):
        self.inside = False
        self.end = asyncio.Event()
        self.task = asyncio.create_task(self.run(budget, size))

    async def run(self, budget, size):
        async with budget.reserve(size):
            self.inside = True
            await self.end.wait()
        self.inside = False


async def test_work_waits_until_there_is_room():
    budget = Budget(10)
    first, second, third = Work(budget, 6), Work(budget, 5), Work(budget, 5)
    await settle()
    assert (first.inside, second.inside, third.inside) == (True, False, False)
    first.end.set()
    await settle()
    assert (first.inside, second.inside, third.inside) == (False, True, True)
    second.end.set()
    third.end.set()
    await asyncio.gather(first.task, second.task, third.task)


async def test_the_large_are_not_starved_by_the_small():
    budget = Budget(10)
    first, large, small = Work(budget, 4), Work(budget, 10), Work(budget, 1)
    await settle()
    assert (first.inside, large.inside, small.inside) == (True, False, False)
    first.end.set()
    await settle()
    assert (large.inside, small.inside) == (True, False)
    large.end.set()
    await settle()
    assert small.inside
    small.end.set()
    await small.task


async def test_what_can_never_fit_is_refused_at_once():
    budget = Budget(10)
    with pytest.raises(ResourceExhaustedError, match=r"about 11 bytes .* more than the 10") as no:
        async with budget.reserve(11):
            pass
    assert no.value.reason is Reason.MEMORY_BUDGET_EXCEEDED
    assert no.value.metadata == {"memory_bytes": "11", "budget": "10"}
    async with asyncio.timeout(5), budget.reserve(10):
        pass


async def test_one_who_leaves_the_line_makes_room_for_those_behind():
    budget = Budget(10)
    first, large, small = Work(budget, 4), Work(budget, 10), Work(budget, 6)
    await settle()
    large.task.cancel()
    await settle()
    assert small.inside
    for work in (first, small):
        work.end.set()
        await work.task
    async with asyncio.timeout(5), budget.reserve(10):
        pass


async def test_leaving_in_the_moment_of_ones_turn_loses_nothing():
    budget = Budget(10)
    first, second = Work(budget, 10), Work(budget, 10)
    await settle()
    # The turn is given and the task cancelled before it can run.
    first.task.cancel()
    await asyncio.sleep(0)
    second.task.cancel()
    await settle()
    async with asyncio.timeout(5), budget.reserve(10):
        pass


async def test_memory_comes_back_after_an_error():
    budget = Budget(10)
    with pytest.raises(ZeroDivisionError):
        async with budget.reserve(10):
            raise ZeroDivisionError
    async with asyncio.timeout(5), budget.reserve(10):
        pass


async def test_without_a_limit_nobody_waits():
    budget = Budget()
    async with asyncio.timeout(5), budget.reserve(1 << 60), budget.reserve(1 << 60):
        pass


async def test_the_line_has_an_end():
    budget = Budget(10, line=2)
    works = [Work(budget, 10) for _ in range(3)]
    await settle()
    with pytest.raises(ResourceExhaustedError, match="2 pieces of work wait") as caught:
        async with budget.reserve(1):
            pass
    assert caught.value.reason is Reason.QUEUE_FULL
    for work in works:
        work.end.set()
        await work.task
    async with budget.reserve(10):
        pass


async def test_nobody_waits_forever_for_one_who_stalls():
    budget = Budget(10, patience=0.05)
    stalled = Work(budget, 6)
    await settle()
    with pytest.raises(ResourceExhaustedError, match="no memory came free") as caught:
        async with budget.reserve(5):
            pass
    assert caught.value.reason is Reason.QUEUE_FULL
    async with budget.reserve(4):  # what is free still is
        pass
    stalled.end.set()
    await stalled.task
    async with budget.reserve(10):
        pass
