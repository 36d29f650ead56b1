"""Joined requests: answers as if alone, and joined only where that is right."""

import asyncio
import threading
from dataclasses import replace

import pytest
import torch
from small_models import small_model

from hooke_server.engine.batching import Batcher, largest_value
from hooke_server.engine.worker import Worker
from hooke_server.errors import Reason, ResourceExhaustedError
from hooke_server.models.loaders.live import load_live

LAYERS = ("0", "5")


class Passes:
    """A model's other runtime that notes the batch of each pass, then runs the graph."""

    def __init__(self, model):
        self.model = model
        self.batches = []

    def run(self, layers, inputs):
        self.batches.append(len(inputs[0]))
        if torch.isnan(inputs[0]).any():
            raise FloatingPointError("a pass failed")
        return self.model.forward(layers, inputs)


@pytest.fixture(scope="module")
def model():
    return small_model()


@pytest.fixture
def passes(model):
    return Passes(model)


@pytest.fixture
def counted(model, passes):
    """Its layers were seen to keep samples apart."""
    return replace(model, runtime=passes, mixes_samples=dict.fromkeys(LAYERS, False))


@pytest.fixture
async def worker():
    worker = Worker(queue_size=4)
    yield worker
    await worker.close()


class Busy:
    """Keeps the compute thread busy inside the block."""

    def __init__(self, worker):
        self.worker = worker
        self.end = threading.Event()

    async def __aenter__(self):
        began = threading.Event()
        self.task = asyncio.create_task(self.worker.call(self.run, began))
        await asyncio.to_thread(began.wait, 10)

    def run(self, began):
        began.set()
        assert self.end.wait(10)

    async def __aexit__(self, *_):
        self.end.set()
        await self.task


def start(batcher, model, sizes, layers=LAYERS, shape=(3, 8, 8)):
    torch.manual_seed(len(sizes))
    inputs = [torch.randn(size, *shape) for size in sizes]
    tasks = [asyncio.create_task(batcher.forward(model, layers, (x,))) for x in inputs]
    return inputs, tasks


async def test_joined_answers_equal_those_of_requests_alone(worker, counted, passes, model):
    batcher = Batcher(worker)
    async with Busy(worker):
        inputs, tasks = start(batcher, counted, [1, 3, 2])
        await asyncio.sleep(0.01)
    answers = await asyncio.gather(*tasks)
    assert passes.batches == [6]
    for x, answer in zip(inputs, answers, strict=True):
        alone = model.forward(LAYERS, (x,))
        assert list(answer) == list(LAYERS)
        for layer in LAYERS:
            torch.testing.assert_close(answer[layer], alone[layer], rtol=1e-5, atol=1e-6)
    # All waited for the one pass.
    assert len({answer.seconds for answer in answers}) == 1
    assert answers[0].seconds > 0
    # One member's answer does not keep the others'.
    assert answers[0]["0"].untyped_storage().nbytes() == answers[0]["0"].nbytes


async def test_company_ends_where_values_get_too_large_to_be_kept(worker, counted, passes):
    """Of each sample the first layer's value is the largest: 4 channels of 8 x 8 numbers."""
    assert largest_value(counted, LAYERS) == largest_value(counted, ["0"]) == 4 * 8 * 8 * 4
    batcher = Batcher(worker, max_bytes=2 * 4 * 8 * 8 * 4)
    async with Busy(worker):
        _, tasks = start(batcher, counted, [1, 1, 1, 3])
        await asyncio.sleep(0.01)
    await asyncio.gather(*tasks)
    assert passes.batches == [2, 1, 3]


async def test_an_idle_server_runs_each_alone_bit_for_bit(worker, counted, passes, model):
    batcher = Batcher(worker)
    for size in (1, 2):
        (x,), (task,) = start(batcher, counted, [size])
        answer, alone = await task, model.forward(LAYERS, (x,))
        assert answer.seconds > 0
        assert all(torch.equal(answer[layer], alone[layer]) for layer in LAYERS)
    assert passes.batches == [1, 2]


async def test_a_pass_has_at_most_so_many_samples(worker, counted, passes):
    batcher = Batcher(worker, max_batch=4)
    async with Busy(worker):
        _, tasks = start(batcher, counted, [1, 2, 2, 9, 1])
        await asyncio.sleep(0.01)
    await asyncio.gather(*tasks)
    assert sorted(passes.batches) == [1, 2, 3, 9]


async def test_different_requests_are_not_joined(worker, counted, passes, model):
    batcher = Batcher(worker, max_batch=100)
    other = replace(counted)
    async with Busy(worker):
        await_all = [
            *start(batcher, counted, [1])[1],
            *start(batcher, counted, [2], layers=("5",))[1],
            *start(batcher, counted, [3], shape=(3, 16, 16))[1],
            *start(batcher, other, [4])[1],
        ]
        await asyncio.sleep(0.01)
    await asyncio.gather(*await_all)
    assert sorted(passes.batches) == [1, 2, 3, 4]


async def test_a_model_of_one_batch_size_is_never_joined(worker, counted, passes):
    batcher = Batcher(worker)
    async with Busy(worker):
        _, tasks = start(batcher, replace(counted, fixed_batch=1), [1, 1, 1])
        await asyncio.sleep(0.01)
    await asyncio.gather(*tasks)
    assert passes.batches == [1, 1, 1]


async def test_layers_that_are_not_by_sample_are_never_joined(worker, counted, passes, model):
    first = model.layer("0")
    windows = replace(first, output=replace(first.output, shape=("4*batch", 4, 8, 8)))
    batcher = Batcher(worker)
    async with Busy(worker):
        odd = replace(counted, layers={**counted.layers, "0": windows})
        _, tasks = start(batcher, odd, [1, 1])
        await asyncio.sleep(0.01)
    await asyncio.gather(*tasks)
    assert passes.batches == [1, 1]


async def test_members_that_left_are_not_computed(worker, counted, passes, model):
    batcher = Batcher(worker)
    async with Busy(worker):
        inputs, tasks = start(batcher, counted, [1, 2, 4])
        await asyncio.sleep(0.01)
        tasks[1].cancel()
        await asyncio.sleep(0)
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert passes.batches == [5]
    assert isinstance(answers[1], asyncio.CancelledError)
    alone = model.forward(LAYERS, (inputs[2],))
    torch.testing.assert_close(answers[2]["5"], alone["5"], rtol=1e-5, atol=1e-6)


async def test_a_pass_that_nobody_waits_for_does_not_run(worker, counted, passes):
    batcher = Batcher(worker)
    async with Busy(worker):
        _, tasks = start(batcher, counted, [1, 2])
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.sleep(0)
    await asyncio.gather(*tasks, return_exceptions=True)
    await worker.call(lambda: None)
    assert passes.batches == []


async def test_who_shared_a_failed_pass_gets_its_error(worker, counted):
    batcher = Batcher(worker)
    bad = torch.full((1, 3, 8, 8), torch.nan)
    async with Busy(worker):
        tasks = [asyncio.create_task(batcher.forward(counted, LAYERS, (bad,))) for _ in range(2)]
        await asyncio.sleep(0.01)
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [FloatingPointError] * 2
    _, (task,) = start(batcher, counted, [1])
    assert await task


async def test_the_first_to_meet_are_computed_alone_too(worker, counted, passes, model):
    fresh = replace(counted, mixes_samples={})
    batcher = Batcher(worker)
    for seen in ([3, 1, 2], [3, 1, 2, 3]):
        async with Busy(worker):
            inputs, tasks = start(batcher, fresh, [1, 2])
            await asyncio.sleep(0.01)
        answers = await asyncio.gather(*tasks)
        assert passes.batches == seen
        for x, answer in zip(inputs, answers, strict=True):
            torch.testing.assert_close(answer["5"], model.forward(("5",), (x,))["5"])
    assert fresh.mixes_samples == {"0": False, "5": False}


async def test_equal_samples_prove_nothing(worker, counted):
    fresh = replace(counted, mixes_samples={})
    batcher, x = Batcher(worker), torch.ones(1, 3, 8, 8)
    async with Busy(worker):
        tasks = [asyncio.create_task(batcher.forward(fresh, LAYERS, (x,))) for _ in range(2)]
        await asyncio.sleep(0.01)
    await asyncio.gather(*tasks)
    assert fresh.mixes_samples == {}


class Centred(torch.nn.Module):
    """What it says of a sample depends on the whole batch."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x):
        y = self.linear(x)
        return y - y.mean(0)


async def test_clients_of_a_network_that_mixes_samples_do_not_meet(worker):
    mixing = load_live(Centred(), torch.zeros(1, 4))
    batcher, layers = Batcher(worker), ("linear", mixing.output_layer)
    for _ in range(2):
        async with Busy(worker):
            _, tasks = start(batcher, mixing, [1, 1, 1], layers=layers, shape=(4,))
            await asyncio.sleep(0.01)
        for answer in await asyncio.gather(*tasks):
            assert answer[mixing.output_layer].abs().max() == 0  # alone, each is the mean
    assert mixing.mixes_samples == {"linear": False, mixing.output_layer: True}


async def test_only_the_one_at_fault_fails(worker, counted, model):
    batcher = Batcher(worker)
    good, bad = torch.randn(1, 3, 8, 8), torch.full((1, 3, 8, 8), torch.nan)
    async with Busy(worker):
        tasks = [asyncio.create_task(batcher.forward(counted, LAYERS, (x,))) for x in (good, bad)]
        await asyncio.sleep(0.01)
    mine, theirs = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(theirs, FloatingPointError)
    torch.testing.assert_close(mine["5"], model.forward(("5",), (good,))["5"])


async def test_a_full_queue_refuses(worker, counted):
    batcher = Batcher(worker)
    async with Busy(worker):
        waiting = [asyncio.create_task(worker.call(abs, -1)) for _ in range(4)]
        await asyncio.sleep(0.01)
        _, (task,) = start(batcher, counted, [1])
        with pytest.raises(ResourceExhaustedError) as refused:
            await task
    assert refused.value.reason is Reason.QUEUE_FULL
    await asyncio.gather(*waiting)


async def test_many_clients_get_their_own_answers(worker, model):
    batcher = Batcher(worker)

    async def client(seed):
        x = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
        layers = (LAYERS, ("5",))[seed % 2]
        for _ in range(5):
            answer = await batcher.forward(model, layers, (x,))
            for layer, value in model.forward(layers, (x,)).items():
                torch.testing.assert_close(answer[layer], value, rtol=1e-5, atol=1e-6)

    await asyncio.gather(*map(client, range(4)))
