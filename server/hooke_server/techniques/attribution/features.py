"""How a place is divided into features, which are there or not as a whole.

A division is a frozen value. For a place it gives labels: the number of the feature that each
position, unit or number belongs to, [samples or 1, *the place's other axes], with extent 1 along
axes where it does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from hooke_server.models.layer import Layer, LayerKind, extent_at
from hooke_server.models.model import Model
from hooke_server.techniques.attribution.drawing import shown_picture
from hooke_server.techniques.attribution.method import Effort
from hooke_server.techniques.attribution.question import Place, Question
from hooke_server.techniques.parameters import Range

MAX_FEATURES = 2048
"""Features that a method weighs against each other."""


@dataclass(frozen=True, kw_only=True)
class GridFeatures:
    """Equal cells of positions, all units of a position together."""

    cells: Annotated[int, Range(1, 256), "Along each position axis."] = 7

    def labels(self, question: Question, place: Place) -> Tensor:
        """The feature of each position."""
        shape, labels = place.value.shape, torch.zeros((), dtype=torch.long)
        for axis in place.layer.position_axes:
            cells = min(self.cells, shape[axis])
            along = torch.arange(shape[axis]) * cells // shape[axis]
            labels = labels * cells + _along(along, axis, len(shape))
        return labels

    def count(self, layer: Layer, shape: Sequence[int]) -> int:
        """How many features a layer of a shape has."""
        return math.prod(min(self.cells, shape[axis]) for axis in layer.position_axes)

    def obstacle(self, layer: Layer) -> str:
        """Why a layer cannot be divided so; empty where it can."""
        return "" if layer.position_axes else "it has no positions to lay a grid over"


@dataclass(frozen=True, kw_only=True)
class SuperpixelFeatures:
    """Parts of a picture that are near each other and of one colour, by SLIC."""

    segments: Annotated[int, Range(2, 2048), "About how many."] = 50
    compactness: Annotated[
        float, Range(0.01, 1000), "Nearness against colour: higher gives squarer parts."
    ] = 10.0

    def labels(self, question: Question, place: Place) -> Tensor:
        """The feature of each pixel; a sample with fewer than another leaves numbers unused."""
        from skimage.segmentation import slic  # takes a second to import

        found = [
            slic(
                shown_picture(question.model, sample).permute(1, 2, 0).numpy(),
                n_segments=self.segments,
                compactness=self.compactness,
                start_label=0,
            )
            for sample in place.value
        ]
        return torch.stack([torch.from_numpy(each).long() for each in found]).unsqueeze(1)

    def count(self, layer: Layer, shape: Sequence[int]) -> int:
        """About how many features a picture has."""
        return self.segments

    def obstacle(self, layer: Layer) -> str:
        """Why a layer cannot be divided so; empty where it can."""
        pictures = layer.kind is LayerKind.INPUT and len(layer.position_axes) == 2
        if pictures and layer.unit_axis % 4 == 1:
            return ""
        return "superpixels are parts of an input that is a picture; use grid_features"


@dataclass(frozen=True, kw_only=True)
class UnitFeatures:
    """Each unit with all its positions."""

    def labels(self, question: Question, place: Place) -> Tensor:
        """The number of each unit."""
        axis = place.layer.unit_axis % place.value.ndim
        return _along(torch.arange(place.value.shape[axis]), axis, place.value.ndim)

    def count(self, layer: Layer, shape: Sequence[int]) -> int:
        """How many units there are."""
        return shape[layer.unit_axis % len(shape)]

    def obstacle(self, layer: Layer) -> str:
        """Why a layer cannot be divided so; empty where it can."""
        return ""


@dataclass(frozen=True, kw_only=True)
class ElementFeatures:
    """Each number."""

    def labels(self, question: Question, place: Place) -> Tensor:
        """The number of each number."""
        shape = place.value.shape[1:]
        return torch.arange(math.prod(shape)).reshape(1, *shape)

    def count(self, layer: Layer, shape: Sequence[int]) -> int:
        """How many numbers there are."""
        return math.prod(shape[1:])

    def obstacle(self, layer: Layer) -> str:
        """Why a layer cannot be divided so; empty where it can."""
        return ""


Division = GridFeatures | SuperpixelFeatures | UnitFeatures | ElementFeatures

Features = Annotated[
    Division | None,
    "What is there or not as a whole. Unset: a grid; where there are no positions, units.",
]


def division(features: Division | None, layer: Layer) -> Division:
    """How a layer is divided, where nobody may have said."""
    return features or (GridFeatures() if layer.position_axes else UnitFeatures())


def effort(
    features: Division | None,
    baselines: Sequence[Any],
    rows: Callable[[int], int],
    *,
    held: Callable[[int], int] = lambda _: 0,
    errors: bool = True,
) -> Effort:
    """What a method does that asks `rows` coalitions of so many features, and holds them.

    Parameters
    ----------
    held : numbers of 8 bytes.
    """

    def count(layer: Layer, shape: Sequence[int]) -> int:
        return division(features, layer).count(layer, shape)

    return Effort(
        rows=lambda *place: rows(count(*place)) * max(1, len(baselines)),
        scratch=lambda *place: 8 * held(count(*place)),
        gradients=False,
        keeps_scores=True,
        errors=errors,
    )


def count_of(features: Division | None, layer: Layer) -> int:
    """How many features a layer has, as the layer table has it."""
    shape = [extent_at(extent, 1) for extent in layer.output.shape]
    return division(features, layer).count(layer, shape)


def undivided(model: Model, layer: Layer, *, features: Division | None, **_: Any) -> str:
    """Why a layer cannot be divided as was asked; empty where it can."""
    return division(features, layer).obstacle(layer)


def too_many(model: Model, layer: Layer, *, features: Division | None, **_: Any) -> str:
    """The same, for methods that weigh all features against each other."""
    if reason := division(features, layer).obstacle(layer):
        return reason
    count = count_of(features, layer)
    if count > MAX_FEATURES:
        return f"it has {count} features, more than {MAX_FEATURES}; divide it more coarsely"
    return ""


def _along(values: Tensor, axis: int, axes: int) -> Tensor:
    """Numbers along one axis of several."""
    return values.reshape([-1 if each == axis else 1 for each in range(axes)])
