"""What to read from layers: values of `hooke.v1.Readout`, checked against a model.

    bind_readouts(model, [Readout(layers=("blocks.*",), form=TensorForm(...))]) -> ReadPlan

Every check happens here, so that reading (`activations.py`) has none left but
those that depend on the batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

import torch

from hooke_server.errors import InvalidArgumentError, OutOfRangeError, Reason
from hooke_server.models.layer import Layer
from hooke_server.models.model import Model
from hooke_server.registry import not_found

MAX_BINS = 1024


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
    """What to read from some layers: pick units, then positions or slices, then the form."""

    layers: tuple[str, ...]
    units: tuple[int, ...] = ()
    positions: tuple[tuple[int, ...], ...] = ()
    slices: tuple[Slice, ...] = ()
    form: TensorForm | FeatureMapForm = field(default_factory=TensorForm)


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
        content = repr([(read.layer.id, read.readouts) for read in self.reads])
        return hashlib.sha256(content.encode()).hexdigest()


def bind_readouts(model: Model, readouts: Sequence[Readout], path: str = "readouts") -> ReadPlan:
    """Check readouts against the model's layers.

    Parameters
    ----------
    path : the request's field that holds them, for messages.
    """
    if not readouts:
        raise _invalid("name at least one layer to read", path)
    by_layer: dict[str, list[Readout]] = {}
    for index, readout in enumerate(readouts):
        here = f"{path}[{index}]"
        if not readout.layers:
            raise _invalid("name at least one layer", f"{here}.layers")
        _check_form(readout, here)
        for layer in model.match(readout.layers):
            _check_layer(layer, readout, here)
            by_layer.setdefault(layer.id, []).append(readout)
    order = (layer for layer in model.layers.values() if layer.id in by_layer)
    return ReadPlan(tuple(LayerReads(layer, tuple(by_layer[layer.id])) for layer in order))


def _check_form(readout: Readout, path: str) -> None:
    if readout.positions and readout.slices:
        raise _invalid("positions and slices cannot be combined; use one", f"{path}.slices")
    match readout.form:
        case FeatureMapForm(max_units, tile_size, _):
            _check_between(max_units, 1, 1024, f"{path}.feature_maps.max_units")
            _check_between(tile_size, 1, 1024, f"{path}.feature_maps.tile_size")
            if readout.positions:
                raise _invalid("a picture needs all positions", f"{path}.positions")
        case TensorForm(Reduction(form, _), _):
            _check_reduction(form, f"{path}.tensor.reduction")


def _check_reduction(form: Statistic | TopK | Quantiles | Histogram, path: str) -> None:
    match form:
        case TopK(k):
            _check_between(k, 1, 2**31 - 1, f"{path}.top_k.k")
        case Quantiles(probabilities):
            if not probabilities or not all(0 <= p <= 1 for p in probabilities):
                raise _invalid(
                    "name at least one probability, each between 0 and 1",
                    f"{path}.quantiles.probabilities",
                )
        case Histogram(bins, low, high):
            _check_between(bins, 1, MAX_BINS, f"{path}.histogram.bins")
            # Written so that NaN is refused too.
            if low is not None and high is not None and not low < high:
                raise _invalid("low must be less than high", f"{path}.histogram.low")


def _check_layer(layer: Layer, readout: Readout, path: str) -> None:
    units, shape = layer.unit_count, layer.output.shape
    for unit in readout.units:
        if unit < 0 or (units and unit >= units):
            raise _beyond(
                f"layer {layer.id!r} has units 0 to {units - 1}; there is no unit {unit}",
                f"{path}.units",
                layer=layer.id,
                unit=unit,
                units=units,
            )
    for index, position in enumerate(readout.positions):
        _check_position(layer, position, f"{path}.positions[{index}]")
    for index, wanted in enumerate(readout.slices):
        _check_slice(layer, wanted, f"{path}.slices[{index}]")
    drawn = isinstance(readout.form, FeatureMapForm)
    if drawn and (len(shape) != 4 or not layer.output.dtype.is_floating_point):
        raise _invalid(
            f"layer {layer.id!r} yields {_described(layer)}, which is no stack of maps;"
            " ask for numbers instead",
            f"{path}.feature_maps",
            layer=layer.id,
        )


def _check_position(layer: Layer, position: tuple[int, ...], path: str) -> None:
    extents = [layer.output.shape[axis] for axis in layer.position_axes]
    if len(position) != len(extents):
        raise _invalid(
            f"a position in layer {layer.id!r} has {len(extents)} indices, not {len(position)};"
            f" the layer yields {_described(layer)}",
            path,
            layer=layer.id,
        )
    for index, extent in zip(position, extents, strict=True):
        if index < 0 or (isinstance(extent, int) and index >= extent):
            raise _beyond(
                f"position {list(position)} is beyond layer {layer.id!r}, which yields"
                f" {_described(layer)}",
                path,
                layer=layer.id,
                position=list(position),
            )


def _check_slice(layer: Layer, wanted: Slice, path: str) -> None:
    axes = layer.output.axes
    if wanted.axis not in axes:
        raise _invalid(
            str(
                not_found(
                    "axis",
                    wanted.axis,
                    axes,
                    Reason.INVALID_FIELD,
                    f"layer {layer.id!r} has {', '.join(axes)}",
                )
            ),
            f"{path}.axis",
            layer=layer.id,
            axis=wanted.axis,
        )
    if wanted.step is not None and wanted.step < 1:
        raise _invalid("the step must be at least 1", f"{path}.step", step=wanted.step)
    extent = layer.output.shape[axes.index(wanted.axis)]
    if isinstance(extent, int) and not range(*as_slice(wanted).indices(extent)):
        raise _invalid(
            f"nothing of axis {wanted.axis!r} is left: layer {layer.id!r} yields"
            f" {_described(layer)}",
            path,
            layer=layer.id,
            axis=wanted.axis,
        )


def as_slice(wanted: Slice) -> slice:
    """As Python's own."""
    return slice(wanted.start, wanted.stop, wanted.step)


def _described(layer: Layer) -> str:
    pairs: Iterator[str] = (
        f"{name} {extent}"
        for name, extent in zip(layer.output.axes, layer.output.shape, strict=True)
    )
    return f"[{', '.join(pairs)}]"


def _check_between(value: int, low: int, high: int, path: str) -> None:
    if not low <= value <= high:
        name = path.rpartition(".")[2]
        raise _invalid(f"{name} must be between {low} and {high}, not {value}", path, value=value)


def _invalid(message: str, path: str, **metadata: object) -> InvalidArgumentError:
    return InvalidArgumentError(Reason.INVALID_FIELD, message, field=path, **metadata)


def _beyond(message: str, path: str, **metadata: object) -> OutOfRangeError:
    return OutOfRangeError(Reason.UNIT_OUT_OF_RANGE, message, field=path, **metadata)
