"""B8: gradient attributions beside Captum's, on resnet50."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator

import captum.attr as captum
import torch
import torchvision
from torch import Tensor, nn

from benchmarks.measure import DEVICE, MEMORY, Row, interleaved
from hooke_server.models.loaders.live import load_live
from hooke_server.models.model import Model
from hooke_server.techniques.attribution.cost import attribution_cost
from hooke_server.techniques.attribution.explaining import explain
from hooke_server.techniques.attribution.plans import Asked, AskedMethod, bind
from hooke_server.techniques.frames import Array
from hooke_server.techniques.plans import Item
from hooke_server.techniques.targets import Site

SIZE, STEPS = 224, 50
LAYER, UNITS = "layer1", 256
SAMPLED = 8
"""Units of which Captum is asked one by one; the rest take as long."""


def rows() -> Iterator[Row]:
    """B8."""
    warnings.filterwarnings("ignore", message="Input Tensor")
    torch.manual_seed(0)
    network = torchvision.models.resnet50(weights=None).eval().requires_grad_(False).to(DEVICE)
    model = load_live(copy.deepcopy(network), torch.zeros(1, 3, SIZE, SIZE, device=DEVICE))
    picture = torch.randn(1, 3, SIZE, SIZE, device=DEVICE)
    yield along_lines(model, network, picture)
    yield of_all_units(model, network, picture)


def along_lines(model: Model, network: nn.Module, picture: Tensor) -> Row:
    """Integrated gradients, both with as many points in a pass."""
    ask = Asking(model, picture, "integrated_gradients", [0], model.output_layer, steps=STEPS)
    theirs = captum.IntegratedGradients(network)
    rows_ = ask.rows
    times = interleaved(
        {
            "ours": ask,
            "theirs": lambda: theirs.attribute(
                picture, target=0, n_steps=STEPS, internal_batch_size=rows_
            ),
        },
        rounds=3,
        warmup=1,
    )
    return Row(
        id="B8",
        what=f"integrated gradients of resnet50, {STEPS} steps",
        against=f"Captum in process, {rows_} points in a pass",
        value=times["ours"] / times["theirs"],
        unit="x",
        goal=1.05,
    )


def of_all_units(model: Model, network: nn.Module, picture: Tensor) -> Row:
    """The gradients of all units of a layer with respect to the picture."""
    ask = Asking(model, picture, "saliency", list(range(UNITS)), LAYER)
    theirs = captum.NeuronGradient(network, getattr(network, LAYER))

    def one_by_one() -> None:
        for unit in range(SAMPLED):
            theirs.attribute(picture, lambda value, unit=unit: value[:, unit].mean((1, 2)))

    times = interleaved({"ours": ask, "theirs": one_by_one}, rounds=2, warmup=1)
    return Row(
        id="B8",
        what=f"gradients of all {UNITS} units of resnet50's {LAYER} in one request",
        against=f"Captum's NeuronGradient, unit by unit (measured on {SAMPLED})",
        value=times["theirs"] * UNITS / SAMPLED / times["ours"],
        unit="x",
        goal=10.0,
        at_most=False,
        note="one pass forward as far as the layer, then a way back for each unit",
    )


class Asking:
    """A request, bound once and run at each call."""

    def __init__(
        self, model: Model, picture: Tensor, name: str, units: list[int], layer: str, **given: int
    ) -> None:
        method = AskedMethod(name=name, globs=(), given=given)
        targets = tuple(Item(site=Site(layer=layer, unit=unit)) for unit in units)
        self._model, self._inputs = model, [picture]
        self._plan = bind(model, Asked(targets=targets, methods=(method,), drawings=()))
        self.rows = attribution_cost(model, self._plan, self._inputs, MEMORY).rows

    def __call__(self) -> None:
        """All frames; there must be an array among them."""
        frames = explain(self._model, self._inputs, self._plan, rows=self.rows)
        if not any(isinstance(frame, Array) for frame in frames):
            raise RuntimeError("no array came")
