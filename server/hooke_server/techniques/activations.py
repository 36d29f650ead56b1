"""Activations as frames: what each layer said, in the form that was asked for.

Layers are read one after another, and each is let go when it was read, so a slow
reader holds no more than what is still to be read. A plain read-out of all values
copies nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import torch
from torch import Tensor

from hooke_server.errors import InvalidArgumentError, OutOfRangeError, Reason
from hooke_server.models.layer import Layer, LayerKind, extent_at
from hooke_server.models.model import Model
from hooke_server.techniques.frames import Array, Estimate, Frame, Frames, Picture, Result
from hooke_server.techniques.pictures import feature_map_grid
from hooke_server.techniques.readouts import (
    FeatureMapForm,
    Histogram,
    Quantiles,
    Readout,
    ReadPlan,
    Statistic,
    TensorForm,
    TopK,
    as_slice,
)
from hooke_server.techniques.reductions import reduce, reduced_axes

LEVELS = 255
"""Steps of an 8-bit number."""


def activation_frames(values: MutableMapping[str, Tensor], plan: ReadPlan) -> Frames:
    """The frames of a plan.

    Parameters
    ----------
    values : the layers' tensors by id; each is taken out when it was read.
    """
    for site, read in enumerate(plan.reads):
        value = values.pop(read.layer.id)
        for readout in read.readouts:
            yield from _read(read.layer, value, readout, site)
        del value
    yield Result()


def _read(layer: Layer, value: Tensor, readout: Readout, site: int) -> Iterator[Frame]:
    picked, axes, unit_axis = _pick(layer, value, readout)
    match readout.form:
        case FeatureMapForm() as form:
            yield from _draw(layer, picked.movedim(unit_axis, 1), readout, form, site)
        case TensorForm(None, dtype):
            yield _cast("activations", picked, axes, layer.id, dtype)
        case TensorForm(reduction, dtype) if reduction is not None:
            for name, tensor, names in reduce(picked, axes, unit_axis, reduction):
                exact = name in {"counts", "edges", "indices"}
                yield _cast(name, tensor, names, layer.id, None if exact else dtype)


def _pick(layer: Layer, value: Tensor, readout: Readout) -> tuple[Tensor, tuple[str, ...], int]:
    """Units, then positions or slices; what is left, its axes' names and its unit axis."""
    axes, unit = layer.output.axes, layer.unit_axis % max(value.ndim, 1)
    _check_extents(layer, value, readout)
    if readout.units:
        value = value.index_select(unit, torch.tensor(readout.units, device=value.device))
    if readout.positions:
        where = torch.tensor(readout.positions, device=value.device)
        positions = layer.position_axes
        front = value.permute(0, unit, *positions)
        # After batch and unit, index all position axes together.
        chosen: list[Any] = [slice(None), slice(None), *where.unbind(1)]
        picked = front[tuple(chosen)] if positions else front[..., None]
        return picked, (axes[0], axes[unit], "position"), 1
    if readout.slices:
        ranges = {wanted.axis: as_slice(wanted) for wanted in readout.slices}
        value = value[tuple([ranges.get(axis, slice(None)) for axis in axes])]
    if not value.numel():
        raise InvalidArgumentError(
            Reason.INVALID_FIELD,
            f"nothing is left of layer {layer.id!r} after its slices",
            field="readouts.slices",
            layer=layer.id,
        )
    return value, axes, unit


def _check_extents(layer: Layer, value: Tensor, readout: Readout) -> None:
    """What could not be checked before, where an extent depends on the input."""
    limits = [(unit, value.shape[layer.unit_axis]) for unit in readout.units]
    extents = [value.shape[axis] for axis in layer.position_axes]
    for position in readout.positions:
        limits += zip(position, extents, strict=True)
    if any(index >= extent for index, extent in limits):
        raise OutOfRangeError(
            Reason.UNIT_OUT_OF_RANGE,
            f"layer {layer.id!r} yields {list(value.shape)} here; a unit or position is beyond it",
            field="readouts",
            layer=layer.id,
            shape=list(value.shape),
        )


def _cast(
    name: str, value: Tensor, axes: tuple[str, ...], layer: str, dtype: torch.dtype | None
) -> Array:
    if dtype is not torch.uint8:
        return Array(name=name, value=value.to(dtype or value.dtype), axes=axes, layer=layer)
    finite = value[value.isfinite()].double()
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    scale = (high - low) / LEVELS or 1.0
    stored = ((value.double() - low) / scale).nan_to_num(0.0).round().clamp(0, LEVELS)
    stored = stored.to(torch.uint8)
    return Array(name=name, value=stored, axes=axes, layer=layer, scale=scale, offset=low)


def _draw(
    layer: Layer, maps: Tensor, readout: Readout, form: FeatureMapForm, site: int
) -> Iterator[Picture]:
    """A picture for each sample of maps [batch, unit, height, width]."""
    numbers = readout.units or tuple(range(maps.shape[1]))
    for sample in maps.float().cpu():
        peaks = sample.nan_to_num().amax((1, 2))
        order = peaks.argsort(descending=True, stable=True)[: form.max_units]
        shown = sample[order]
        finite = shown[shown.isfinite()]
        scale = float(finite.abs().max()) if len(finite) else 0.0
        units = ", ".join(str(numbers[int(index)]) for index in order)
        yield Picture(
            name="feature_maps",
            pixels=feature_map_grid(shown.numpy(), form.tile_size, scale),
            site=site,
            format=form.format,
            caption=f"{layer.id}, units {units}: red {scale:.3g}, white 0, blue {-scale:.3g}",
        )


def estimate(model: Model, plan: ReadPlan, batch: int) -> Estimate:
    """What a plan costs at a batch size: captured tensors and the largest work on one."""
    captured = [
        read.layer.output.count(batch) * read.layer.output.item_bytes for read in plan.reads
    ]
    working = max(
        (size * _working_copies(readout) for size, read in zip(captured, plan.reads, strict=True)
         for readout in read.readouts),
        default=0,
    )  # fmt: skip
    order = list(model.layers)
    deepest = max((order.index(layer) for layer in plan.layers), default=-1)
    passed = (model.layers[layer] for layer in order[: deepest + 1])
    return Estimate(
        memory_bytes=sum(captured) + working,
        macs=batch * sum(each.macs for each in passed if each.kind is not LayerKind.BLOCK),
        tensor_bytes=sum(
            _bytes(read.layer, readout, batch) for read in plan.reads for readout in read.readouts
        ),
        layers=plan.layers,
    )


def _working_copies(readout: Readout) -> int:
    """Copies of a layer's tensor that reading it may make, in its own size."""
    match readout.form:
        case TensorForm(None, None):
            return 1 if readout.units or readout.positions or readout.slices else 0
        case TensorForm(None, _) | FeatureMapForm():
            return 4
        case TensorForm(reduction, _) if reduction is not None:
            return 2 if isinstance(reduction.form, Statistic) else 6
    return 0


def _bytes(layer: Layer, readout: Readout, batch: int) -> int:
    """Bytes of tensors that a readout of a layer sends."""
    if not isinstance(readout.form, TensorForm):
        return 0
    meta = torch.empty(
        [extent_at(extent, batch) for extent in layer.output.shape],
        dtype=layer.output.dtype,
        device="meta",
    )
    picked, _, unit_axis = _pick(layer, meta, readout)
    size = (readout.form.dtype or meta.dtype).itemsize
    reduction = readout.form.reduction
    if reduction is None:
        return picked.numel() * size
    reduced = reduced_axes(picked.ndim, unit_axis, reduction.scope)
    rows = 1
    for axis in set(range(picked.ndim)) - set(reduced):
        rows *= picked.shape[axis]
    match reduction.form:
        case Statistic():
            return rows * size
        case TopK(k):
            return rows * k * (size + 8 * max(len(reduced), 1))
        case Quantiles(probabilities):
            return rows * len(probabilities) * size
        case Histogram(bins):
            return rows * bins * 8 + (bins + 1) * 8
