"""What to read from layers: values of `hooke.v1.Readout`, and a plan of them.

Readout(layers=("blocks.*",), form=TensorForm(Reduction(Statistic.MEAN)))
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

import torch

from hooke_server.models.layer import Layer


class Scope(StrEnum):
    """What a reduction runs over; as `hooke.v1.ReductionScope`."""

    POSITIONS = "positions"
    UNITS = "units"
    SAMPLE = "sample"
    BATCH = "batch"


class Statistic(StrEnum):
    """A number that stands for many; as `hooke.v1.Statistic`."""

    MEAN = "mean"
    MAX = "max"
    MIN = "min"
    NORM = "norm"
    ZERO_FRACTION = "zero_fraction"


@dataclass(frozen=True, slots=True)
class TopK:
    """The k largest values."""

    k: int


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Quantiles with linear interpolation, at probabilities in 0..1."""

    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts in equal bins; without bounds from the smallest to the largest value."""

    bins: int = 64
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Reduction:
    """How many numbers become few, and over what."""

    form: Statistic | TopK | Quantiles | Histogram
    scope: Scope = Scope.POSITIONS


@dataclass(frozen=True, slots=True)
class TensorForm:
    """Activations as numbers; without a dtype as the layer yields them."""

    reduction: Reduction | None = None
    dtype: torch.dtype | None = None


@dataclass(frozen=True, slots=True)
class FeatureMapForm:
    """Activations as a picture for each sample, the units with the largest values first."""

    max_units: int = 64
    tile_size: int = 64
    format: Literal["png", "jpeg", "webp"] = "png"


@dataclass(frozen=True, slots=True)
class Slice:
    """A range along a named axis."""

    axis: str
    start: int | None = None
    stop: int | None = None
    step: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Readout:
    """What to read from some layers: pick units, then positions or slices, then the form.

    `item` is its index in the request, which its frames carry.
    """

    layers: tuple[str, ...]
    units: tuple[int, ...] = ()
    positions: tuple[tuple[int, ...], ...] = ()
    slices: tuple[Slice, ...] = ()
    form: TensorForm | FeatureMapForm = field(default_factory=TensorForm)
    item: int = 0


@dataclass(frozen=True, slots=True)
class LayerReads:
    """A layer with everything that is read from it."""

    layer: Layer
    readouts: tuple[Readout, ...]


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """Checked readouts, by layer, in the order in which layers run."""

    reads: tuple[LayerReads, ...]

    @property
    def layers(self) -> tuple[str, ...]:
        """Ids of the layers that are read."""
        return tuple(read.layer.id for read in self.reads)

    @property
    def digest(self) -> str:
        """SHA-256 over what is read."""
        # Each readout once, however many layers it names.
        readouts = {each.item: each for read in self.reads for each in read.readouts}
        layers = [(read.layer.id, [each.item for each in read.readouts]) for read in self.reads]
        return hashlib.sha256(repr((readouts, layers)).encode()).hexdigest()


def as_slice(wanted: Slice) -> slice:
    """As Python's own."""
    return slice(wanted.start, wanted.stop, wanted.step)
