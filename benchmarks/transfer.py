"""B3: a 256 MB tensor to the Python client, against a bare gRPC stream of the same bytes."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import numpy as np

import hooke
from benchmarks.measure import Row, interleaved
from benchmarks.servers import running

MIB = 1024 * 1024
BATCH = 20
"""conv1_1 of VGG-16 yields 64 x 224 x 224 floats a picture: 20 of them are 245 MiB."""

TENSOR_MIB = BATCH * 64 * 224 * 224 * 4 // MIB


def rows() -> Iterator[Row]:
    """B3: rate and memory.

    The forward pass, which both need, is measured by asking for one number of the
    same layer, and taken off.
    """
    batch = np.random.default_rng(0).random((BATCH, 3, 224, 224), dtype=np.float32)
    with (
        running("hooke_server", "--address", "localhost:0", "--model", "m=torchvision:vgg16") as s,
        running("benchmarks.bare_server") as bare,
        hooke.connect(s.address) as client,
        grpc.insecure_channel(bare.address) as channel,
    ):
        stream = channel.unary_stream("/bare/Stream")

        def bare_stream() -> None:
            target = np.empty(TENSOR_MIB * MIB, np.uint8)
            for index, chunk in enumerate(stream(TENSOR_MIB.to_bytes(8, "little"))):
                target[index * MIB : (index + 1) * MIB] = np.frombuffer(chunk, np.uint8)

        def one_number() -> object:
            return client.activations("m", batch, layers=["features.0"], units=[0], reduce="max")

        one_number()
        before = s.memory_bytes("VmHWM")
        times = interleaved(
            {
                "hooke": lambda: client.activations("m", batch, layers=["features.0"]),
                "forward": one_number,
                "bare": bare_stream,
            },
            rounds=7,
        )
        growth = s.memory_bytes("VmHWM") - before
    transfer = times["hooke"] - times["forward"]
    yield Row(
        id="B3",
        what=f"{TENSOR_MIB} MiB of activations to the client",
        against="a bare gRPC stream of the same bytes",
        value=times["bare"] / transfer,
        unit="x its rate",
        goal=0.85,
        at_most=False,
    )
    yield Row(
        id="B3",
        what="growth of the server's memory while it sends them",
        against="its peak in the same forward pass",
        value=growth / MIB,
        unit="MiB",
        goal=64,
    )
