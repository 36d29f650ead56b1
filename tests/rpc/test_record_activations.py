"""Recordings: configured once, then inputs flow in and activations out."""

import asyncio
import threading

import google_crc32c
import grpc
import pytest
import torch
from activation_streams import X, assembled, by_hooks, message
from serving import Net, ended, model_of, serving, told

from hooke.v1 import activation_service_pb2 as pb
from hooke.v1 import activation_service_pb2_grpc, input_pb2, readout_pb2, tensor_pb2
from hooke_server.rpc.limits import Limits

Request = pb.RecordActivationsRequest


def configuration(*layers, model="models/net"):
    return Request(
        configuration=pb.RecordingConfiguration(
            model=model, readouts=[readout_pb2.Readout(layer_globs=layers)]
        )
    )


def inline(x):
    return Request(run=pb.RecordingRun(inputs=[input_pb2.ModelInput(tensor=message(x))]))


def sent_before(tensor_id):
    return Request(run=pb.RecordingRun(inputs=[input_pb2.ModelInput(tensor_id=tensor_id)]))


def in_parts(x, tensor_id, size=1000):
    whole = message(x)
    yield Request(
        tensor_header=tensor_pb2.TensorHeader(
            tensor_id=tensor_id, dtype=whole.dtype, shape=whole.shape, total_bytes=len(whole.data)
        )
    )
    for at in range(0, len(whole.data), size):
        part = whole.data[at : at + size]
        yield Request(
            tensor_chunk=tensor_pb2.TensorChunk(tensor_id=tensor_id, offset=at, data=part)
        )
    yield Request(
        tensor_trailer=tensor_pb2.TensorTrailer(
            tensor_id=tensor_id,
            total_bytes=len(whole.data),
            crc32c=google_crc32c.value(whole.data),
        )
    )


async def failed(edge, requests):
    """How a recording ended, by grpc's other client: the asynchronous one may lose the
    status if it is still writing when that comes."""

    def record():
        with grpc.insecure_channel(f"127.0.0.1:{edge.port}") as channel:
            stub = activation_service_pb2_grpc.ActivationServiceStub(channel)
            return list(stub.RecordActivations(iter(requests)))

    with pytest.raises(grpc.RpcError) as caught:
        await asyncio.to_thread(record)
    return told(caught.value)


def runs_of(frames):
    """Frames of each run, and its result."""
    runs, part = [], []
    for frame in frames:
        part.append(frame)
        if frame.HasField("result"):
            runs.append((part, frame.result))
            part = []
    assert not part
    return runs


async def test_each_run_is_answered_in_its_turn(edge):
    inputs = [X, X + 1, X[:1] * 2]
    requests = [
        configuration("stem", "fc"),
        inline(inputs[0]),
        *in_parts(inputs[1], 7),
        sent_before(7),
        *in_parts(inputs[2], 7),
        sent_before(7),
    ]
    frames = await ended(edge.activations.RecordActivations(iter(requests)))
    assert [frame.sequence for frame in frames] == list(range(1, len(frames) + 1))
    runs = runs_of(frames)
    assert [result.run for _, result in runs] == [0, 1, 2]
    assert [result.tensor_count for _, result in runs] == [2, 2, 2]
    numbers = [f.tensor_header.tensor_id for f in frames if f.HasField("tensor_header")]
    assert numbers == [1, 2, 3, 4, 5, 6]
    for (part, _), x in zip(runs, inputs, strict=True):
        got, expected = assembled(part), by_hooks(["stem", "fc"], x)
        assert torch.equal(got["stem", "activations"], expected["stem"])
        assert torch.equal(got["fc", "activations"], expected["fc"])


async def test_a_run_is_answered_before_the_next_is_sent(edge):
    call = edge.activations.RecordActivations()
    await call.write(configuration("fc"))
    for run in range(3):
        await call.write(inline(X))
        while not (frame := await call.read()).HasField("result"):
            pass
        assert frame.result.run == run
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF


async def answered(call, x):
    await call.write(inline(x))
    while not (frame := await call.read()).HasField("result"):
        pass
    return frame.result


async def test_an_idle_recording_does_not_keep_a_model_from_being_unloaded():
    seeds = iter([1, 1, 2])

    def load(source):
        torch.manual_seed(next(seeds))
        return model_of(Net(), X)

    async with serving({}, load=load) as edge:
        edge.catalog.add("net", "file")
        call = edge.activations.RecordActivations()
        await call.write(configuration("fc"))
        first = await answered(call, X)
        async with asyncio.timeout(10):
            await edge.catalog.unload("net")
        again = await answered(call, X)  # loads it again
        assert again.plan_digest == first.plan_digest
        await edge.catalog.unload("net")
        assert (await answered(call, X)).plan_digest != first.plan_digest  # another by now
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF


async def test_an_equal_run_has_an_equal_plan(edge):
    requests = [configuration("fc"), inline(X), *in_parts(X, 1), sent_before(1), inline(X + 1)]
    runs = runs_of(await ended(edge.activations.RecordActivations(iter(requests))))
    first, second, third = (result.plan_digest for _, result in runs)
    assert first == second != third


def corrupted():
    requests = [configuration("fc"), *in_parts(X, 1), sent_before(1)]
    requests[2].tensor_chunk.data = b"\1" + requests[2].tensor_chunk.data[1:]
    return requests


FAILURES = {
    "nothing": ([], "STREAM_ORDER"),
    "no configuration": ([inline(X)], "STREAM_ORDER"),
    "two configurations": ([configuration("fc"), configuration("fc")], "STREAM_ORDER"),
    "a tensor without its end": ([configuration("fc"), *list(in_parts(X, 1))[:-1]], "STREAM_ORDER"),
    "a run inside a tensor": (
        [configuration("fc"), *list(in_parts(X, 1))[:-1], sent_before(1)],
        "STREAM_ORDER",
    ),
    "a tensor taken twice": (
        [configuration("fc"), *in_parts(X, 1), sent_before(1), sent_before(1)],
        "INVALID_FIELD",
    ),
    "a tensor that was never sent": ([configuration("fc"), sent_before(9)], "INVALID_FIELD"),
    "corrupted": (corrupted(), "TENSOR_CORRUPT"),
    "unknown layer": ([configuration("cf")], "LAYER_NOT_FOUND"),
    "unknown model": ([configuration("fc", model="models/no")], "MODEL_NOT_FOUND"),
    "shape": ([configuration("fc"), inline(X[0])], "INPUT_MISMATCH"),
}


@pytest.mark.parametrize(("requests", "reason"), FAILURES.values(), ids=list(FAILURES))
async def test_failures(edge, requests, reason):
    _, info, _ = await failed(edge, requests)
    assert info.reason == reason


async def test_inputs_beyond_the_limit_are_refused(net):
    limits = Limits(input_bytes=X.nbytes * 2)
    async with serving({"net": net}, limits=limits) as edge:
        good = [configuration("fc"), *in_parts(X, 1), *in_parts(X, 2), sent_before(1)]
        assert await ended(edge.activations.RecordActivations(iter(good)))
        bad = [*good[:-1], *in_parts(X, 3), sent_before(1)]
        _, info, _ = await failed(edge, bad)
        assert info.reason == "LIMIT_EXCEEDED"


async def test_a_client_that_leaves_gives_the_model_back(edge):
    slot, go_on = edge.catalog._slots["net"], threading.Event()
    other = asyncio.create_task(edge.worker.call(go_on.wait, 60))
    call = edge.activations.RecordActivations()
    await call.write(configuration("fc"))
    await call.write(inline(X))
    for _ in range(1000):  # until its pass waits for the thread
        if len(edge.worker._turns) == 2:
            break
        await asyncio.sleep(0.01)
    assert slot.pins == 1
    call.cancel()
    for _ in range(1000):
        if not slot.pins:
            break
        await asyncio.sleep(0.01)
    assert slot.pins == 0
    go_on.set()
    await other
