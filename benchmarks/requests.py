"""B4: what a small request costs beside its forward pass, and what many clients at once get."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import torch

import hooke
from benchmarks.measure import DEVICE, Row, interleaved
from benchmarks.servers import running
from hooke_server.models.loaders import LoadContext, load_model

CLIENTS = 32
SECONDS = 10.0


def rows() -> Iterator[Row]:
    """B4: latency and throughput."""
    picture = np.random.default_rng(0).random((1, 3, 224, 224), dtype=np.float32)
    layer = "blocks.4.2"
    with (
        running("hooke_server", "--address", "localhost:0", "--demo") as server,
        running("benchmarks.bare_server") as bare,
        hooke.connect(server.address) as client,
        grpc.insecure_channel(bare.address) as channel,
    ):
        echo = channel.unary_unary("/bare/Echo")
        model = load_model("demo:", LoadContext(device=DEVICE))
        tensor = torch.from_numpy(picture)

        def forward() -> object:
            return model.forward([layer], [tensor.to(DEVICE)])[layer].mean((2, 3)).cpu()

        payload = picture.tobytes()
        times = interleaved(
            {
                "hooke": lambda: client.activations("demo", picture, layers=[layer], reduce="mean"),
                "bare": lambda: echo(payload),
                "forward": forward,
            },
            rounds=200,
            warmup=10,
        )
        yield Row(
            id="B4",
            what="one mean-pooled layer of Lite0, median of 200",
            against="bare unary gRPC plus the forward pass alone",
            value=1000 * (times["hooke"] - times["bare"] - times["forward"]),
            unit="ms more",
            goal=3.0,
        )
        one = _requests_per_second(server.address, layer, 1)
        many = _requests_per_second(server.address, layer, CLIENTS)
        yield Row(
            id="B4",
            what=f"the same from {CLIENTS} clients at once",
            against="one client",
            value=many / one,
            unit="x its throughput",
            goal=2.0,
            at_most=False,
        )


def _requests_per_second(address: str, layer: str, clients: int) -> float:
    """Each client has a picture of its own."""

    def client(number: int) -> int:
        done = 0
        picture = np.random.default_rng(number).random((1, 3, 224, 224), dtype=np.float32)
        with hooke.connect(address) as connection:
            connection.activations("demo", picture, layers=[layer], reduce="mean")
            end = time.perf_counter() + SECONDS
            while time.perf_counter() < end:
                connection.activations("demo", picture, layers=[layer], reduce="mean")
                done += 1
        return done

    with ThreadPoolExecutor(clients) as pool:
        return sum(pool.map(client, range(clients))) / SECONDS
