"""A thread is waited for, also by those who do not want its answer any more."""

import asyncio
import threading

import pytest

from hooke_server.rpc.threads import on_thread


class Busy:
    """A function that goes on until it is told to end."""

    def __init__(self, problem=None):
        self.begun, self.told, self.problem = threading.Event(), threading.Event(), problem

    def __call__(self, answer):
        self.begun.set()
        assert self.told.wait(20)
        if self.problem:
            raise self.problem
        return answer


async def begun(busy):
    task = asyncio.create_task(on_thread(busy, answer=3))
    assert await asyncio.to_thread(busy.begun.wait, 20)
    return task


async def test_the_answer_or_the_error_comes_back():
    busy = Busy()
    task = await begun(busy)
    busy.told.set()
    assert await task == 3
    busy = Busy(ValueError("no"))
    task = await begun(busy)
    busy.told.set()
    with pytest.raises(ValueError, match="no"):
        await task


@pytest.mark.parametrize("problem", [None, ValueError("no")])
async def test_one_who_leaves_waits_for_the_thread(problem):
    problems = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    busy = Busy(problem)
    task = await begun(busy)
    for _ in range(3):  # impatience does not help
        task.cancel()
        await asyncio.wait({task}, timeout=0.05)
        assert not task.done()
    busy.told.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    del task
    await asyncio.sleep(0)
    assert not problems


async def test_a_deadline_is_told_as_one():
    busy = Busy()

    async def late():
        async with asyncio.timeout(0.05):
            await on_thread(busy, 3)

    task = asyncio.create_task(late())
    await asyncio.wait({task}, timeout=0.3)
    assert not task.done()
    busy.told.set()
    with pytest.raises(TimeoutError):
        await task
