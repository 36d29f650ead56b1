"""B1 and B2: activations through server and client, against libraries in the process.

The peers run in this process and the server in its own, in turns, with the same
number of threads; the model is resnet50 with the same random weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torchvision
from torchvision.models.feature_extraction import create_feature_extractor

import hooke
from benchmarks.measure import DEVICE, Row, interleaved
from benchmarks.servers import running

LAYERS = ["layer1", "layer2", "layer3", "layer4"]
BATCH = 8
ROUNDS = 11


def rows() -> Iterator[Row]:
    """B1 and B2."""
    torch.manual_seed(0)
    model = torchvision.models.resnet50(weights=None).eval().to(DEVICE)
    batch = torch.rand(BATCH, 3, 224, 224)
    array = batch.numpy()
    with (
        running(
            "hooke_server", "--address", "localhost:0", "--model", "m=torchvision:resnet50"
        ) as s,
        hooke.connect(s.address) as client,
    ):
        calls: dict[str, Callable[[], object]] = {
            "hooke": lambda: client.activations("m", array, layers=LAYERS),
            "torchvision": _torchvision(model, batch),
            "captum": _captum(model, batch),
            "nnsight": _nnsight(model, batch),
        }
        times = interleaved(calls, ROUNDS)
        for peer, goal in (("torchvision", 1.10), ("captum", 1.0), ("nnsight", 1.0)):
            yield Row(
                id="B1",
                what="4 layers of resnet50, batch 8, to the client",
                against=f"{peer} in process",
                value=times["hooke"] / times[peer],
                unit="x its time",
                goal=goal,
            )
        yield _shallow(client, model, batch, array)


def _shallow(client: hooke.Client, model: Any, batch: torch.Tensor, array: np.ndarray) -> Row:
    def full() -> object:
        with torch.inference_mode():
            return model(batch.to(DEVICE))

    times = interleaved(
        {
            "hooke": lambda: client.activations("m", array, layers=["layer1"], reduce="mean"),
            "full": full,
            "alone": _torchvision(model, batch, ["layer1"]),
        },
        ROUNDS,
    )
    alone = times["alone"] / times["full"]
    return Row(
        id="B2",
        what="layer1 of resnet50 alone, batch 8, means to the client",
        against="a full forward pass in process",
        value=times["hooke"] / times["full"],
        unit="x its time",
        goal=0.35,
        note=f"torchvision's extractor stops there too, in process: {alone:.2f}",
    )


def _torchvision(
    model: Any, batch: torch.Tensor, layers: Sequence[str] = LAYERS
) -> Callable[[], object]:
    extractor = create_feature_extractor(model, list(layers))

    def call() -> object:
        with torch.inference_mode():
            return {n: value.cpu().numpy() for n, value in extractor(batch.to(DEVICE)).items()}

    return call


def _captum(model: Any, batch: torch.Tensor) -> Callable[[], object]:
    from captum.attr import LayerActivation

    capture = LayerActivation(model, [getattr(model, name) for name in LAYERS])
    return lambda: [v.detach().cpu().numpy() for v in capture.attribute(batch.to(DEVICE))]


def _nnsight(model: Any, batch: torch.Tensor) -> Callable[[], object]:
    from nnsight import NNsight

    wrapped = NNsight(model)

    def call() -> object:
        with torch.inference_mode(), wrapped.trace(batch.to(DEVICE)):
            one = wrapped.layer1.output.save()
            two = wrapped.layer2.output.save()
            three = wrapped.layer3.output.save()
            four = wrapped.layer4.output.save()
        return [each.cpu().numpy() for each in (one, two, three, four)]

    return call
