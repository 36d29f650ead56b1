"""What takes long is on a thread, which those who do not want its answer any more wait for too."""

import asyncio
import threading
from operator import attrgetter

import pytest
from activation_streams import X, asked, message
from serving import ended
from test_record_activations import configuration, inline

from hooke.v1 import comparison_service_pb2 as pb
from hooke.v1 import input_pb2
from hooke_server.rpc import activation_service
from hooke_server.rpc.threads import on_thread
from hooke_server.techniques.comparison.activations import ActivationPlan
from hooke_server.techniques.comparison.units import UnitPlan
from hooke_server.techniques.comparison.weights import WeightPlan


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


@pytest.fixture
def estimated(monkeypatch):
    """The threads on which costs were estimated."""
    threads = []

    def watched(estimate):
        def watching(*args):
            threads.append(threading.current_thread())
            return estimate(*args)

        return watching

    monkeypatch.setattr(activation_service, "estimate", watched(activation_service.estimate))
    for plan in (ActivationPlan, UnitPlan, WeightPlan):
        monkeypatch.setattr(plan, "estimate", watched(plan.estimate))
    return threads


ONE = [input_pb2.ModelInput(tensor=message(X))]
SIDES = {"reference": "models/net", "candidate": "models/net"}


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("activations.StreamActivations", asked("*")),
        ("activations.StreamActivations", asked("*", validate_only=True)),
        ("comparisons.CompareActivations", pb.CompareActivationsRequest(**SIDES, inputs=ONE)),
        ("comparisons.MatchUnits", pb.MatchUnitsRequest(**SIDES, inputs=ONE, layer_id="stem")),
        ("comparisons.CompareWeights", pb.CompareWeightsRequest(**SIDES)),
    ],
)
async def test_costs_are_not_estimated_where_all_calls_wait(edge, estimated, method, request_):
    await ended(attrgetter(method)(edge)(request_))
    assert estimated
    assert threading.current_thread() not in estimated


async def test_a_recording_estimates_once_for_each_batch_size(edge, estimated):
    runs = [inline(X), inline(X), inline(X[:1]), inline(X), inline(X[:1])]
    calls = edge.activations.RecordActivations(iter([configuration("fc"), *runs]))
    assert sum(frame.HasField("result") for frame in await ended(calls)) == 5
    assert len(estimated) == 2
    assert threading.current_thread() not in estimated
