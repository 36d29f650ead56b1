"""A reader that stalls: the server holds what it holds, and makes no more."""

import asyncio
from pathlib import Path

import grpc
import torch
from activation_streams import message
from serving import model_of, serving
from torch import nn

from hooke.v1 import activation_service_pb2 as pb
from hooke.v1 import input_pb2, readout_pb2

MIB = 1 << 20


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


async def test_memory_stays_bounded_while_nobody_reads():
    x = torch.zeros(1, 1, 64, 64)
    model = model_of(Wide(), x)
    readouts = [readout_pb2.Readout(layer_globs=["spread", "relu", "tanh", "sigmoid"])]
    request = pb.StreamActivationsRequest(
        model="models/wide", inputs=[input_pb2.ModelInput(tensor=message(x))], readouts=readouts
    )
    async with serving({"wide": model}) as edge:
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
