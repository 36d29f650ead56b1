"""Objectives: what a picture is optimized for.

    Objective: values of a probe -> Tensor [batch], one number per batch entry

    0.5 * channel(layer, 7) - neuron(layer, 3, (4, 4))
    side_by_side([channel(early, 1), class_logit(model, 281)])

Objectives add, subtract and scale. `side_by_side` gives each batch entry an
objective of its own, so that many pictures are made in one pass; their layers
may differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hooke_server.models.layer import Layer
from hooke_server.models.model import Model
from hooke_server.techniques.technique import Site

Values = Mapping[str, Tensor]
"""What a probe returns: by layer id a tensor whose first axis is the batch."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A number per batch entry, higher is better.

    Attributes
    ----------
    layers : ids of the layers that it reads.
    measure : from their values to a tensor [batch].
    """

    layers: tuple[str, ...]
    measure: Callable[[Values], Tensor]

    def __call__(self, values: Values) -> Tensor:
        """The objective of each batch entry."""
        return self.measure(values)

    def __add__(self, other: Objective) -> Objective:
        """Both at once."""
        layers = tuple(dict.fromkeys(self.layers + other.layers))
        return Objective(layers, lambda values: self(values) + other(values))

    def __mul__(self, factor: float) -> Objective:
        """The same, more or less important."""
        return Objective(self.layers, lambda values: self(values) * factor)

    __rmul__ = __mul__

    def __neg__(self) -> Objective:
        """The opposite."""
        return self * -1.0

    def __sub__(self, other: Objective) -> Objective:
        """The difference."""
        return self + -other


def channel(layer: Layer, unit: int) -> Objective:
    """The mean of a unit over all positions, as `channel` in Lucid."""

    def measure(values: Values) -> Tensor:
        value = values[layer.id].select(layer.unit_axis, unit)
        return value.flatten(1).mean(1) if value.ndim > 1 else value

    return Objective((layer.id,), measure)


def neuron(layer: Layer, unit: int, position: Sequence[int]) -> Objective:
    """A unit at one position, given as an index for each position axis of the layer."""
    places = dict(zip(layer.position_axes, position, strict=True))
    places[layer.unit_axis % len(layer.output.shape)] = unit
    index: tuple[slice | int, ...] = (slice(None), *(places[a] for a in sorted(places)))
    return Objective((layer.id,), lambda values: values[layer.id][index])


def class_logit(model: Model, unit: int) -> Objective:
    """A class of the model's output, before the softmax where the output is one.

    A probability can be raised by lowering every other class, which shows those.
    """
    output = model.layer(model.output_layer)
    if output.op in {"softmax", "log_softmax"} and output.producers:
        output = model.layer(output.producers[0])
    return channel(output, unit)


def at_site(model: Model, site: Site) -> Objective:
    """The objective that a site with a unit stands for: a neuron, a class or a channel."""
    if site.unit is None:
        raise ValueError(f"the site at {site.layer} has no unit")
    layer = model.layer(site.layer)
    if site.position:
        return neuron(layer, site.unit, site.position)
    if site.layer == model.output_layer:
        return class_logit(model, site.unit)
    return channel(layer, site.unit)


def side_by_side(objectives: Sequence[Objective]) -> Objective:
    """The i-th objective for the i-th batch entry."""

    def measure(values: Values) -> Tensor:
        return torch.cat(
            [
                objective({layer: values[layer][i : i + 1] for layer in objective.layers})
                for i, objective in enumerate(objectives)
            ]
        )

    layers = dict.fromkeys(layer for objective in objectives for layer in objective.layers)
    return Objective(tuple(layers), measure)
