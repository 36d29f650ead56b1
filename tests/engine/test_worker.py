"""The compute thread: turns, fairness, cancellation, errors, closing."""

import asyncio
import threading
from contextlib import aclosing

import pytest
import torch

from hooke_server.engine.worker import Worker
from hooke_server.errors import Reason, ResourceExhaustedError, UnavailableError


@pytest.fixture
async def worker():
    worker = Worker(queue_size=4)
    yield worker
    await worker.close()


class Counter:
    """A generator of numbers that tells where it stands."""

    def __init__(self, stop=1000, allowed=None):
        self.stop = stop
        self.allowed = allowed
        self.made = 0
        self.threads = set()
        self.began = threading.Event()
        self.closed = threading.Event()

    def __call__(self):
        try:
            for number in range(self.stop):
                self.threads.add(threading.current_thread().name)
                self.began.set()
                if self.allowed:
                    self.allowed.wait(10)
                self.made += 1
                yield number
        finally:
            self.threads.add(threading.current_thread().name)
            self.closed.set()


async def test_calls_run_on_one_thread_that_is_not_the_loops(worker):
    names = await asyncio.gather(
        *(worker.call(lambda: threading.current_thread().name) for _ in range(4))
    )
    assert len(set(names)) == 1
    assert names[0] != threading.current_thread().name


async def test_arguments_and_exceptions_pass_through(worker):
    assert await worker.call(pow, 2, 5, mod=7) == 4
    with pytest.raises(ZeroDivisionError):
        await worker.call(divmod, 1, 0)
    assert await worker.call(abs, -1) == 1


async def test_a_stream_gives_every_item_in_order(worker):
    counter = Counter(5)
    assert [item async for item in worker.stream(counter)] == [0, 1, 2, 3, 4]
    assert counter.closed.is_set()
    assert len(counter.threads) == 1
    assert threading.current_thread().name not in counter.threads


async def test_an_iterator_that_is_no_generator_will_do(worker):
    assert [item async for item in worker.stream(lambda: iter([1, None, 2]))] == [1, None, 2]


async def test_nothing_is_made_ahead_of_the_reader(worker):
    counter = Counter()
    async with aclosing(worker.stream(counter)) as items:
        for number in range(3):
            assert await anext(items) == number
            await worker.call(lambda: None)
            assert counter.made == number + 1


async def test_the_last_item_may_be_what_a_generator_returns(worker):
    turns = []

    def numbers():
        turns.append(1)
        yield 1
        turns.append(2)
        return 2

    assert [item async for item in worker.stream(numbers)] == [1, 2]
    assert turns == [1, 2]


async def test_closing_a_stream_closes_its_generator_first(worker):
    counter = Counter()
    async with aclosing(worker.stream(counter)) as items:
        async for item in items:
            if item == 2:
                break
    assert counter.closed.is_set()
    assert counter.made == 3
    assert len(counter.threads) == 1


async def test_a_cancelled_reader_stops_the_work_within_one_item(worker):
    allowed = threading.Event()
    counter = Counter(allowed=allowed)

    async def read():
        async with aclosing(worker.stream(counter)) as items:
            async for _ in items:
                pass

    reader = asyncio.create_task(read())
    await asyncio.to_thread(counter.began.wait, 10)
    reader.cancel()
    await asyncio.sleep(0)
    allowed.set()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert counter.closed.is_set()
    assert counter.made == 1


async def test_a_call_that_is_cancelled_before_its_turn_does_not_run(worker):
    allowed, ran = threading.Event(), []
    first = asyncio.create_task(worker.call(allowed.wait, 10))
    second = asyncio.create_task(worker.call(ran.append, 1))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    allowed.set()
    assert await first
    await worker.call(lambda: None)
    assert not ran


async def test_two_streams_and_a_call_take_turns(worker):
    order = []

    def numbers(name):
        for _ in range(20):
            order.append(name)
            yield

    async def read(name):
        async for _ in worker.stream(lambda: numbers(name)):
            if name == "a" and order.count("a") == 5:
                await worker.call(order.append, "call")

    await asyncio.gather(read("a"), read("b"))
    both = [name for name in order if name != "call"]
    first = both[: 2 * min(both.count("a"), both.count("b"))]
    runs = "".join(first).replace("ab", "|").replace("ba", "|")
    assert max(map(len, runs.split("|"))) <= 2, order
    assert order.index("call") < 15


async def test_an_error_in_mid_stream_comes_after_the_items_before_it(worker):
    def numbers():
        yield 1
        raise LookupError("in mid stream")

    stream = worker.stream(numbers)
    assert await anext(stream) == 1
    with pytest.raises(LookupError, match="in mid stream"):
        await anext(stream)
    assert await worker.call(abs, -1) == 1


async def test_an_error_in_making_the_generator_passes_through(worker):
    with pytest.raises(LookupError):
        await anext(worker.stream(lambda: {}["missing"]))


async def test_new_work_is_refused_where_too_much_waits_and_old_work_goes_on(worker):
    allowed = threading.Event()
    stream = worker.stream(Counter(2))
    assert await anext(stream) == 0
    waiting = [asyncio.create_task(worker.call(allowed.wait, 10)) for _ in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(ResourceExhaustedError, match="4 pieces of work wait") as refused:
        await worker.call(abs, -1)
    assert refused.value.reason is Reason.QUEUE_FULL
    with pytest.raises(ResourceExhaustedError):
        await anext(worker.stream(Counter()))
    rest = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    allowed.set()
    assert await rest == 1
    assert all(await asyncio.gather(*waiting))
    await stream.aclose()
    assert await worker.call(abs, -1) == 1


async def test_close_ends_streams_where_they_stand():
    worker, counter = Worker(), Counter()
    stream = worker.stream(counter)
    await anext(stream)
    await worker.close()
    assert counter.closed.is_set()
    assert len(counter.threads) == 1
    with pytest.raises(UnavailableError):
        await anext(stream)
    with pytest.raises(UnavailableError) as refused:
        await worker.call(abs, -1)
    assert refused.value.reason is Reason.SHUTTING_DOWN
    await worker.close()


async def test_close_lets_queued_calls_end():
    worker = Worker()
    calls = [asyncio.create_task(worker.call(pow, 2, n)) for n in range(4)]
    await asyncio.sleep(0)
    await worker.close()
    assert await asyncio.gather(*calls) == [1, 2, 4, 8]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
async def test_a_generator_must_not_leave_its_modes_to_others(worker, mode):
    def careless():
        with mode():
            yield 1

    first = asyncio.ensure_future(anext(worker.stream(careless)))
    behind = asyncio.create_task(worker.call(lambda: (torch.is_grad_enabled(), torch.ones(1))))
    with pytest.raises(RuntimeError, match="must not yield inside"):
        await first
    grad, tensor = await behind
    assert grad
    assert not tensor.is_inference()


async def test_a_device_without_memory_is_no_defect(worker):
    def fail():
        raise torch.OutOfMemoryError("CUDA out of memory, at 0x7f")

    with pytest.raises(ResourceExhaustedError, match="ask for less at once") as error:
        await worker.call(fail)
    assert error.value.reason is Reason.MEMORY_BUDGET_EXCEEDED
    assert error.value.__context__ is None
    assert await worker.call(abs, -1) == 1
