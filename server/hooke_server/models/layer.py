"""The nouns of a model's structure: tensor specs, layers, receptive fields.

All are frozen values. A `Layer` is a place in the dataflow graph that yields a
tensor; the fields are those of `hooke.v1.Layer`, which explains each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

import torch

Dimension = int | str
"""An extent, or the name of a dynamic one (`"batch"`, `"64*batch"`)."""

POSITION_AXES = {0: (), 1: ("token",), 2: ("height", "width"), 3: ("depth", "height", "width")}
"""Names of the axes that are neither batch nor unit, by their number."""


_OF_BATCH = re.compile(r"(?:(\d+)\*)?batch(?:\+(\d+))?")


def extent_at(dimension: Dimension, batch: int) -> int:
    """The extent at a batch size; a dynamic one of unknown name counts as the batch."""
    if isinstance(dimension, int):
        return dimension
    match = _OF_BATCH.fullmatch(dimension)
    factor, offset = match.groups() if match else (None, None)
    return int(factor or 1) * batch + int(offset or 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorSpec:
    """What a tensor will look like. `axes` names each dimension."""

    name: str = ""
    dtype: torch.dtype
    shape: tuple[Dimension, ...]
    axes: tuple[str, ...] = ()

    @property
    def item_bytes(self) -> int:
        """Size of an element."""
        return self.dtype.itemsize

    def count(self, batch: int = 1) -> int:
        """Number of elements, with `batch` in place of each dynamic dimension."""
        total = 1
        for extent in self.shape:
            total *= extent_at(extent, batch)
        return total


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceptiveField:
    """Along one axis: extent, distance of neighbours' fields and centre of the first, in pixels."""

    size: int
    jump: int
    start: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Weight:
    """A learned tensor: its name within the layer, and its key in the model's weights."""

    name: str
    key: str
    dtype: torch.dtype
    shape: tuple[int, ...]


class LayerKind(StrEnum):
    """Kind of place."""

    INPUT = "input"
    MODULE = "module"
    BLOCK = "block"
    OPERATION = "operation"


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """A place in the graph that yields a tensor."""

    id: str
    kind: LayerKind
    op: str
    module_class: str = ""
    depth: int = 0
    parent: str = ""
    producers: tuple[str, ...] = ()
    consumers: tuple[str, ...] = ()
    inputs: tuple[TensorSpec, ...] = ()
    output: TensorSpec
    parameter_count: int = 0
    macs: int = 0
    receptive_fields: tuple[ReceptiveField, ...] = ()
    unit_axis: int
    weights: tuple[Weight, ...] = ()
    occurrence: int = 0

    @property
    def unit_count(self) -> int:
        """Extent of the unit axis; 0 where it is dynamic or the value has no axes."""
        if not self.output.shape:
            return 0
        extent = self.output.shape[self.unit_axis]
        return extent if isinstance(extent, int) else 0

    @property
    def position_axes(self) -> tuple[int, ...]:
        """The dimensions that are neither batch (0) nor unit."""
        unit = self.unit_axis % max(len(self.output.shape), 1)
        return tuple(axis for axis in range(1, len(self.output.shape)) if axis != unit)
