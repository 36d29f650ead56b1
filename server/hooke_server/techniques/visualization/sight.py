"""How a model looks at pictures that are being optimized.

    sight = Sight.of(model, objective, size)
    sight(pictures)  ->  Tensor [batch], the objective of each

Pictures are in 0..1; a sight brings them to the range, type and size that the
model takes, runs a probe as far as the objective's deepest layer, and measures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from hooke_server.models.layer import Layer, LayerKind
from hooke_server.models.model import Model
from hooke_server.models.probe import Probe
from hooke_server.techniques.technique import Site
from hooke_server.techniques.visualization.objectives import Objective, Values
from hooke_server.techniques.visualization.redirection import redirect
from hooke_server.techniques.visualization.transforms import resize

Size = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """From pictures [batch, channels, height, width] in 0..1 to an objective's values [batch].

    Attributes
    ----------
    size : what pictures are resized to first; None: the model takes them as they come.
    """

    model: Model
    objective: Objective
    size: Size | None

    def __call__(self, pictures: Tensor, *, redirected: bool = False) -> Tensor:
        """Measure; with redirected rectifiers, see `redirection`."""
        inputs = normalize(self.model, resize(pictures, self.size) if self.size else pictures)
        probe = self.model.probe(self.objective.layers, redirect if redirected else None)
        return self.objective(_run(probe, inputs, self.model.fixed_batch)).float()


def channels(model: Model) -> int:
    """Channels of the picture that the model takes."""
    return int(model.inputs[0].shape[1])


def normalize(model: Model, pictures: Tensor) -> Tensor:
    """From 0..1 to the range and type of the model's input."""
    given, declared = model.inputs[0], model.preprocessing
    if declared:
        mean, std = (
            torch.tensor(numbers, device=pictures.device).reshape(1, -1, 1, 1)
            for numbers in (declared.mean, declared.std)
        )
        pictures = (pictures - mean) / std
    return pictures.to(given.dtype)


def _run(probe: Probe, inputs: Tensor, fixed_batch: int | None) -> Values:
    """The probe's values; entry by entry where the model takes another batch size only."""
    if fixed_batch in {None, len(inputs)}:
        return probe(inputs)
    # Each entry fills a whole batch, of which the first value is taken.
    runs = [probe(entry.expand(fixed_batch, *entry.shape)) for entry in inputs]
    return {layer: torch.cat([run[layer][:1] for run in runs]) for layer in probe.layers}


def entry_size(
    model: Model, sites: tuple[Site, ...], layers: tuple[str, ...], size: int
) -> Size | None:
    """What square pictures of edge `size` are resized to before the model sees them.

    None where the model takes them as they are. A neuron's position counts at the
    size that the model declares, so with one in the request that size is taken.
    """
    height, width = model.inputs[0].shape[2:]
    if not isinstance(height, int) or not isinstance(width, int):
        return None
    located = any(site.position for site in sites)
    # Transforms change the size by single pixels, which some networks do not take.
    if not located and all(_takes(model, layers, edge) for edge in (size, size + 1)):
        return None
    return height, width


def _takes(model: Model, layers: tuple[str, ...], edge: int) -> bool:
    """Whether the layers can be computed for a square picture of that edge."""
    batch, dtype = model.fixed_batch or 1, model.inputs[0].dtype
    blank = torch.zeros(batch, channels(model), edge, edge, dtype=dtype, device=model.device)
    try:
        with torch.no_grad():
            values = model.probe(layers)(blank)
    except Exception:  # whatever an operation raises for shapes that do not fit
        return False
    return all(_is_like(value, model.layer(layer), batch) for layer, value in values.items())


def _is_like(value: Tensor, layer: Layer, batch: int) -> bool:
    """Whether a value has the layer's axes, units and the batch it was computed for."""
    axes, unit = len(layer.output.shape), layer.unit_axis
    return value.ndim == axes and len(value) == batch and value.shape[unit] == layer.unit_count


def upstream(layers: Mapping[str, Layer], wanted: tuple[str, ...]) -> dict[str, Layer]:
    """The layers that the wanted ones are computed from by real numbers, and they themselves."""
    found: dict[str, Layer] = {}
    waiting = list(wanted)
    while waiting:
        layer = layers[waiting.pop()]
        if layer.id not in found and layer.output.dtype.is_floating_point:
            found[layer.id] = layer
            waiting.extend(layer.producers)
    return found


def obstacle(model: Model, site: Site) -> str:
    """Why no picture can be optimized for a unit; empty where one can."""
    if model.graph is None:
        return f"it needs gradients, and this model has none: {model.obstacle}"
    given = model.inputs[0]
    is_picture = len(given.shape) == 4 and isinstance(given.shape[1], int)
    if len(model.inputs) != 1 or not is_picture or not given.dtype.is_floating_point:
        return "it needs a model with one picture as its input, [batch, channels, height, width]"
    layer = model.layer(site.layer)
    if layer.output.shape[:1] != given.shape[:1]:
        return "its first axis is not the batch"
    way = upstream(model.layers, (layer.id,))
    if not any(found.kind is LayerKind.INPUT for found in way.values()):
        return "its value does not depend on the picture, or not by real numbers"
    if layer.unit_count == 0 or layer.unit_axis % len(layer.output.shape) == 0:
        return "it has no units; choose a layer that ListLayers gives a unit_count"
    if site.unit is None:
        return "it shows one unit at a time; name a unit, or a label at the model's output"
    return ""
