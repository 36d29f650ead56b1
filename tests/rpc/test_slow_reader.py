"""A reader that stalls: the server makes no more, and after a while ends the call."""

import asyncio
import contextlib
from pathlib import Path

import grpc
import pytest
import torch
from activation_streams import message
from serving import ended, failure, model_of, serving
from torch import nn
from web_work import WEB
from wire import streaming

from hooke.v1 import activation_service_pb2 as pb
from hooke.v1 import input_pb2, readout_pb2
from hooke.v1.activation_service_pb2_grpc import ActivationServiceStub
from hooke.v1.model_service_pb2 import ListModelsRequest
from hooke_server.rpc.codec.readouts import read_plan
from hooke_server.rpc.limits import Limits
from hooke_server.techniques.activation_cost import estimate

MIB = 1 << 20
X = torch.zeros(1, 1, 64, 64)
ALONE = [("grpc.use_local_subchannel_pool", 1)]
"""A connection of its own."""


class Wide(nn.Module):
    """16 KiB in; four layers of 16 MiB each out."""

    def __init__(self):
        super().__init__()
        self.spread = nn.Conv2d(1, 1024, 1)
        self.relu = nn.ReLU()
        self.tanh = nn.Tanh()
        self.sigmoid = nn.Sigmoid()

    def forward(self, x):
        return self.sigmoid(self.tanh(self.relu(self.spread(x))))


def resident():
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096


@pytest.fixture(scope="module")
def wide():
    return model_of(Wide(), X)


def asked(*layers):
    return pb.StreamActivationsRequest(
        model="models/wide",
        inputs=[input_pb2.ModelInput(tensor=message(X))],
        readouts=[readout_pb2.Readout(layer_globs=layers)],
    )


async def test_memory_stays_bounded_while_nobody_reads(wide):
    request = asked("spread", "relu", "tanh", "sigmoid")
    async with serving({"wide": wide}) as edge:
        call = edge.activations.StreamActivations(request)
        for _ in range(4):
            await call.read()
        before = resident()
        await asyncio.sleep(1)
        stalled = resident() - before
        frames = []
        while (frame := await call.read()) is not grpc.aio.EOF:
            frames.append(frame)
    # What was not taken is large: made ahead, it would have been seen.
    assert sum(frame.ByteSize() for frame in frames) > 60 * MIB
    assert stalled < 16 * MIB


async def test_a_reader_that_stalls_loses_its_call_and_what_it_held(wide, caplog):
    """The next client gets the one place and the memory, while the first still stalls."""
    request = asked("spread", "relu", "tanh", "sigmoid")
    need = estimate(wide, read_plan(wide, request.readouts, "readouts"), 1).memory_bytes
    limits = Limits(calls=1, stall_seconds=0.5)
    caplog.set_level("INFO", "hooke.access")
    async with (
        asyncio.timeout(60),
        serving({"wide": wide}, memory=need, limits=limits) as edge,
        grpc.aio.insecure_channel(f"127.0.0.1:{edge.port}", options=ALONE) as other,
    ):
        stalled = edge.activations.StreamActivations(request)
        assert (await anext(aiter(stalled))).HasField("tensor_header")
        with pytest.raises(grpc.aio.AioRpcError, match="1 calls are under way"):
            await edge.models.ListModels(ListModelsRequest())
        for _ in range(300):
            if any(one.reason == "READER_STALLED" for one in caplog.records):
                break
            await asyncio.sleep(0.1)
        frames = await ended(ActivationServiceStub(other).StreamActivations(request))
        assert frames[-1].HasField("result")
        # The first hears of it when it reads on, behind what was under way.
        code, info, text = await failure(stalled)
    assert (code, info.reason, info.metadata["seconds"]) == ("ABORTED", "READER_STALLED", "0.5")
    assert "took nothing for 0.5 seconds" in text
    assert [(one.code, one.models) for one in caplog.records if "Activ" in one.method] == [
        ("ABORTED", ["wide"]),
        ("OK", ["wide"]),
    ]


async def test_a_slow_reader_that_goes_on_gets_everything(wide):
    async with serving({"wide": wide}, limits=Limits(stall_seconds=1.0)) as edge:
        call = edge.activations.StreamActivations(asked("spread", "relu"))
        chunks = 0
        while (frame := await call.read()) is not grpc.aio.EOF:
            chunks += frame.HasField("tensor_chunk")
            await asyncio.sleep(0.06)
    assert chunks == 32


async def test_a_stalled_reader_on_the_pages_port_loses_its_call_too(wide):
    request = asked("spread", "relu", "tanh", "sigmoid")
    need = estimate(wide, read_plan(wide, request.readouts, "readouts"), 1).memory_bytes
    limits = Limits(calls=1, stall_seconds=0.5)
    async with (
        asyncio.timeout(60),
        serving({"wide": wide}, memory=need, limits=limits, web=WEB) as edge,
        streaming(edge.web, "/hooke.v1.ActivationService/StreamActivations", request) as stalled,
    ):
        assert stalled.status == 200
        for _ in range(300):
            with contextlib.suppress(grpc.aio.AioRpcError):  # while the first has the place
                frames = await ended(edge.activations.StreamActivations(request))
                break
            await asyncio.sleep(0.1)
        assert frames[-1].HasField("result")
