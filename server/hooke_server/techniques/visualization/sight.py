"""How a model looks at pictures that are being optimized.

    sight = Sight.of(model, sites, size)
    sight(pictures)  ->  Tensor [batch], for each picture the objective of its site

Pictures are in 0..1; a sight brings them to the range, type and size that the
model takes, runs a probe as far as the deepest layer that is read, and measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hooke_server.models.layer import Layer
from hooke_server.models.model import Model
from hooke_server.models.probe import Probe
from hooke_server.techniques.technique import Site
from hooke_server.techniques.visualization.objectives import (
    Objective,
    Values,
    at_site,
    side_by_side,
)
from hooke_server.techniques.visualization.redirection import redirect
from hooke_server.techniques.visualization.transforms import resize

Size = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What is measured of one picture.

    Attributes
    ----------
    size : what the picture is resized to first; None: the model takes it as it comes.
    """

    objective: Objective
    size: Size | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """From pictures [batch, channels, height, width] in 0..1 to a value each, [batch]."""

    model: Model
    looks: tuple[Look, ...]

    @classmethod
    def of(cls, model: Model, sites: Sequence[Site], edge: int) -> Sight:
        """What the sites stand for, seen in square pictures of that edge."""
        objectives = [at_site(model, site) for site in sites]
        declared = _declared_size(model)
        needed = dict.fromkeys(objective.layers for objective in objectives)
        all_layers = tuple(dict.fromkeys(layer for layers in needed for layer in layers))
        everywhere = _takes(model, all_layers, edge)
        fits = {layers: everywhere or _takes(model, layers, edge) for layers in needed}
        looks = []
        for site, objective in zip(sites, objectives, strict=True):
            # A position counts at the size that the model declares.
            as_it_comes = fits[objective.layers] and not site.position
            looks.append(Look(objective=objective, size=None if as_it_comes else declared))
        return cls(model, tuple(looks))

    @property
    def groups(self) -> dict[Size | None, list[int]]:
        """Which pictures are seen at which size; those of one size in one pass."""
        sizes = dict.fromkeys(look.size for look in self.looks)
        return {size: [i for i, x in enumerate(self.looks) if x.size == size] for size in sizes}

    def objective(self, group: Sequence[int]) -> Objective:
        """That of a batch of some of the pictures."""
        return side_by_side([self.looks[i].objective for i in group])

    def __neg__(self) -> Sight:
        """The opposite of each value."""
        looks = (replace(look, objective=-look.objective) for look in self.looks)
        return replace(self, looks=tuple(looks))

    def __call__(self, pictures: Tensor, *, redirected: bool = False) -> Tensor:
        """Measure; with redirected rectifiers, see `redirection`."""
        values: dict[int, Tensor] = {}
        for size, group in self.groups.items():
            objective = self.objective(group)
            probe = self.model.probe(objective.layers, redirect if redirected else None)
            seen = pictures[group] if len(group) < len(pictures) else pictures
            inputs = normalize(self.model, resize(seen, size) if size else seen)
            measured = objective(_run(probe, inputs, self.model.fixed_batch)).float()
            values |= zip(group, measured.unbind(), strict=True)
        return torch.stack([values[i] for i in range(len(self.looks))])


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


def _declared_size(model: Model) -> Size | None:
    height, width = model.inputs[0].shape[2:]
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _takes(model: Model, layers: tuple[str, ...], edge: int) -> bool:
    """Whether the layers can be computed for square pictures of about that edge.

    Transforms change the size by single pixels, which some networks do not take.
    """
    return all(_computes(model, layers, size) for size in (edge, edge + 1))


def _computes(model: Model, layers: tuple[str, ...], edge: int) -> bool:
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
