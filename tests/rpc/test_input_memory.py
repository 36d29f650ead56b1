"""What the inputs of all calls together may hold."""

import asyncio
import threading

import grpc
import pytest
from activation_streams import X, asked, assembled, by_hooks
from serving import ended, failure, serving
from test_record_activations import configuration, in_parts, sent_before

from hooke_server.errors import Reason, ResourceExhaustedError
from hooke_server.rpc import input_memory, services
from hooke_server.rpc.codec.inputs import read_inputs
from hooke_server.rpc.input_memory import InputMemory
from hooke_server.rpc.limits import Limits

ONE = X[:1]
LIMITS = Limits(input_bytes=ONE.nbytes + 1000)
"""One input for each call; the server takes two."""


async def holding(served):
    """A call that holds an input which it has sent."""
    call = served.activations.RecordActivations()
    await call.write(configuration("fc"))
    for message in in_parts(ONE, 1, size=4096):
        await call.write(message)
    return call


async def finished(call):
    await call.write(sent_before(1))
    while not (await call.read()).HasField("result"):
        pass
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF


@pytest.fixture
def memory(monkeypatch):
    """The memory of the server that is made next."""
    memory = InputMemory(LIMITS)
    monkeypatch.setattr(services, "InputMemory", lambda limits: memory)
    return memory


async def until_held(memory, size):
    async with asyncio.timeout(10):
        while memory.held != size:  # noqa: ASYNC110  # the server tells nobody
            await asyncio.sleep(0.001)


async def test_uploads_of_all_calls_share_the_memory(net, memory):
    async with serving({"net": net}, limits=LIMITS) as served:
        calls = [await holding(served) for _ in range(2)]
        await until_held(memory, 2 * ONE.nbytes)
        late = served.activations.StreamActivations(asked("fc", x=ONE))
        code, info, message = await failure(late)
        assert (code, info.reason) == ("RESOURCE_EXHAUSTED", "QUEUE_FULL")
        assert "try again later" in message
        for call in calls:
            await finished(call)
        await ended(served.activations.StreamActivations(asked("fc", x=ONE)))


async def test_a_call_that_is_left_gives_its_memory_back(net, memory):
    async with serving({"net": net}, limits=LIMITS) as served:
        call = await holding(served)
        await until_held(memory, ONE.nbytes)
        call.cancel()
        await until_held(memory, 0)


async def test_a_call_that_is_left_holds_its_memory_while_its_thread_goes_on(
    net, memory, monkeypatch
):
    begun, told = threading.Event(), threading.Event()

    def read(*args):
        begun.set()
        assert told.wait(20)
        return read_inputs(*args)

    monkeypatch.setattr(input_memory, "read_inputs", read)
    async with serving({"net": net}, limits=LIMITS) as served:
        call = served.activations.StreamActivations(asked("fc", x=ONE))
        waiting = asyncio.create_task(call.read())
        assert await asyncio.to_thread(begun.wait, 20)
        call.cancel()
        await asyncio.wait({waiting})
        await asyncio.sleep(0.2)
        assert memory.held
        told.set()
        await until_held(memory, 0)


async def test_each_run_gives_its_memory_back(net):
    async with serving({"net": net}, limits=LIMITS) as served:
        requests = [configuration("fc")]
        for _ in range(5):
            requests += [*in_parts(ONE, 1), sent_before(1)]
        frames = await ended(served.activations.RecordActivations(iter(requests)))
        assert sum(frame.HasField("result") for frame in frames) == 5
        got = assembled(frames)["fc", "activations"]
        assert got.equal(by_hooks(["fc"], ONE)["fc"])


async def test_inputs_of_one_call_are_bounded(net):
    async with serving({"net": net}, limits=LIMITS) as served:
        call = served.activations.StreamActivations(asked("fc", x=X))
        code, info, message = await failure(call)
        assert (code, info.reason) == ("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED")
        assert "send fewer" in message


async def test_decoding_waits_for_memory(monkeypatch):
    monkeypatch.setattr(input_memory, "DECODING", 100)
    memory, order = InputMemory(Limits()), []

    async def decode(name, size, end):
        async with memory.decoding(size):
            order.append(name)
            await end.wait()

    end = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for name, size in (("a", 60), ("b", 50), ("c", 10**9)):
            group.create_task(decode(name, size, end))
        for _ in range(10):
            await asyncio.sleep(0)
        assert order == ["a"]
        end.set()
    assert order == ["a", "b", "c"]


def test_a_share_ends_with_its_call():
    memory = InputMemory(Limits(input_bytes=10))
    with memory.share() as first, memory.share() as second:
        first.hold(10)
        second.hold(6)
        second.hold(4)
        with pytest.raises(ResourceExhaustedError) as caught:
            second.hold(1)
        assert caught.value.reason is Reason.LIMIT_EXCEEDED
        with memory.share() as third, pytest.raises(ResourceExhaustedError) as caught:
            third.hold(1)
        assert caught.value.reason is Reason.QUEUE_FULL
    with memory.share() as share:
        share.hold(10)
