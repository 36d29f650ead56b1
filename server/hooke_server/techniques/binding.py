"""Binding readouts to a model: every check that needs no input.

    bind_readouts(model, [Readout(layers=("blocks.*",))]) -> ReadPlan

Reading (`activations.py`) has no checks left but those that depend on the batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from hooke_server.errors import OutOfRangeError, Reason, invalid
from hooke_server.models.layer import Layer
from hooke_server.models.model import Model
from hooke_server.registry import not_found
from hooke_server.techniques.pictures import grid_layout
from hooke_server.techniques.readouts import (
    FeatureMapForm,
    Histogram,
    LayerReads,
    Quantiles,
    Readout,
    ReadPlan,
    Reduction,
    Slice,
    Statistic,
    TensorForm,
    TopK,
    as_slice,
)

MAX_BINS = 1024
MAX_QUANTILES = 1000

MAX_READS = 10_000
"""Layers read in one request, each counted once for each readout that names it."""

MAX_GRID = 4096
"""Pixels along the edge of a square picture that is as large as any that is drawn."""


def bind_readouts(model: Model, readouts: Sequence[Readout], path: str = "readouts") -> ReadPlan:
    """Check readouts against the model's layers.

    Parameters
    ----------
    path : the request's field that holds them, for messages.
    """
    if not readouts:
        raise invalid("name at least one layer to read", path)
    by_layer: dict[str, list[Readout]] = {}
    count = 0
    for index, readout in enumerate(readouts):
        here = f"{path}[{index}]"
        if not readout.layers:
            raise invalid("name at least one layer", f"{here}.layer_globs")
        _check_form(readout, here)
        numbered, layers = replace(readout, item=index), model.match(readout.layers)
        count += len(layers)
        if count > MAX_READS:
            raise invalid(f"this reads more than {MAX_READS} layers; ask for less at once", here)
        for layer in layers:
            _check_layer(layer, readout, here)
            by_layer.setdefault(layer.id, []).append(numbered)
    order = (layer for layer in model.layers.values() if layer.id in by_layer)
    return ReadPlan(tuple(LayerReads(layer, tuple(by_layer[layer.id])) for layer in order))


def _check_form(readout: Readout, path: str) -> None:
    for name, picks in (("units", readout.units), ("positions", readout.positions)):
        if len(set(picks)) < len(picks):
            raise invalid(f"{name} must differ from each other", f"{path}.{name}")
    if len({wanted.axis for wanted in readout.slices}) < len(readout.slices):
        raise invalid("an axis can have one slice", f"{path}.slices")
    if readout.positions and readout.slices:
        raise invalid("positions and slices cannot be combined; use one", f"{path}.slices")
    match readout.form:
        case FeatureMapForm(max_units, tile_size, _):
            _check_between(max_units, 1, 1024, f"{path}.feature_maps.max_units")
            _check_between(tile_size, 1, 1024, f"{path}.feature_maps.tile_size")
            if readout.positions:
                raise invalid("a picture needs all positions", f"{path}.positions")
        case TensorForm(Reduction(form, _), _):
            _check_reduction(form, f"{path}.tensor.reduction")


def _check_reduction(form: Statistic | TopK | Quantiles | Histogram, path: str) -> None:
    match form:
        case TopK(k):
            _check_between(k, 1, 2**31 - 1, f"{path}.top_k.k")
        case Quantiles(probabilities):
            if not probabilities or not all(0 <= p <= 1 for p in probabilities):
                raise invalid(
                    "name at least one probability, each between 0 and 1",
                    f"{path}.quantiles.probabilities",
                )
            _check_between(len(probabilities), 1, MAX_QUANTILES, f"{path}.quantiles.probabilities")
        case Histogram(bins, low, high):
            _check_between(bins, 1, MAX_BINS, f"{path}.histogram.bins")
            # Written so that NaN is refused too.
            if low is not None and high is not None and not low < high:
                raise invalid("low must be less than high", f"{path}.histogram.low")


def _check_layer(layer: Layer, readout: Readout, path: str) -> None:
    check_units(layer, readout.units, f"{path}.units")
    for index, position in enumerate(readout.positions):
        check_position(layer, position, f"{path}.positions[{index}]")
    for index, wanted in enumerate(readout.slices):
        _check_slice(layer, wanted, f"{path}.slices[{index}]")
    if isinstance(readout.form, FeatureMapForm):
        _check_maps(layer, readout, readout.form, f"{path}.feature_maps")


def check_units(layer: Layer, wanted: tuple[int, ...], path: str) -> None:
    """Refuse units that the layer does not have."""
    units = layer.unit_count
    if wanted and not layer.output.shape:
        raise invalid(f"layer {layer.id!r} yields one number, which has no units", path)
    for unit in wanted:
        if unit < 0 or (units and unit >= units):
            raise _beyond(
                Reason.UNIT_OUT_OF_RANGE,
                f"layer {layer.id!r} has units 0 to {units - 1}; there is no unit {unit}",
                path,
                layer=layer.id,
                unit=unit,
                units=units,
            )


def _check_maps(layer: Layer, readout: Readout, form: FeatureMapForm, path: str) -> None:
    shape = layer.output.shape
    if len(shape) != 4 or not layer.output.dtype.is_floating_point:
        raise invalid(
            f"layer {layer.id!r} yields {_described(layer)}, which is no stack of maps;"
            " ask for numbers instead",
            path,
            layer=layer.id,
        )
    count = min(form.max_units, len(readout.units) or layer.unit_count or form.max_units)
    height, width = (shape[axis] for axis in layer.position_axes)
    if readout.slices or isinstance(height, str) or isinstance(width, str):
        height = width = 1  # not known yet; no tile is larger than a square one
    layout = grid_layout(count, height, width, form.tile_size)
    if (
        layout.width * layout.height > MAX_GRID**2
        or max(layout.width, layout.height) > 2 * MAX_GRID
    ):
        raise invalid(
            f"{count} tiles of {form.tile_size} pixels make a picture of {layout.width} x"
            f" {layout.height}, more than {MAX_GRID} x {MAX_GRID}; ask for fewer or smaller ones",
            f"{path}.tile_size",
            layer=layer.id,
        )


def check_position(layer: Layer, position: tuple[int, ...], path: str) -> None:
    """Refuse a position that the layer does not have."""
    extents = [layer.output.shape[axis] for axis in layer.position_axes]
    if not extents:
        raise invalid(
            f"layer {layer.id!r} yields {_described(layer)}, which has no positions",
            path,
            layer=layer.id,
        )
    if len(position) != len(extents):
        raise invalid(
            f"a position in layer {layer.id!r} has {len(extents)} indices, not {len(position)};"
            f" the layer yields {_described(layer)}",
            path,
            layer=layer.id,
        )
    for index, extent in zip(position, extents, strict=True):
        if index < 0 or (isinstance(extent, int) and index >= extent):
            raise _beyond(
                Reason.POSITION_OUT_OF_RANGE,
                f"position {list(position)} is beyond layer {layer.id!r}, which yields"
                f" {_described(layer)}",
                path,
                layer=layer.id,
                position=list(position),
            )


def _check_slice(layer: Layer, wanted: Slice, path: str) -> None:
    axes = layer.output.axes
    if wanted.axis not in axes:
        raise invalid(
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
        raise invalid("the step must be at least 1", f"{path}.step", step=wanted.step)
    extent = layer.output.shape[axes.index(wanted.axis)]
    if isinstance(extent, int) and not range(*as_slice(wanted).indices(extent)):
        raise invalid(
            f"nothing of axis {wanted.axis!r} is left: layer {layer.id!r} yields"
            f" {_described(layer)}",
            path,
            layer=layer.id,
            axis=wanted.axis,
        )


def _described(layer: Layer) -> str:
    pairs: Iterator[str] = (
        f"{name} {extent}"
        for name, extent in zip(layer.output.axes, layer.output.shape, strict=True)
    )
    return f"[{', '.join(pairs)}]"


def _check_between(value: int, low: int, high: int, path: str) -> None:
    if not low <= value <= high:
        name = path.rpartition(".")[2]
        raise invalid(f"{name} must be between {low} and {high}, not {value}", path, value=value)


def _beyond(reason: Reason, message: str, path: str, **metadata: object) -> OutOfRangeError:
    return OutOfRangeError(reason, message, field=path, **metadata)
