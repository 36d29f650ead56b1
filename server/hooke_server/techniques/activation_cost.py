"""What reading activations costs, told before anything is read."""

from __future__ import annotations

import math

import torch

from hooke_server.models.layer import Layer, LayerKind, extent_at
from hooke_server.models.model import Model
from hooke_server.techniques.frames import Estimate
from hooke_server.techniques.picking import Axis, picked_axes
from hooke_server.techniques.pictures import grid_layout
from hooke_server.techniques.readouts import (
    FeatureMapForm,
    Histogram,
    Quantiles,
    Readout,
    ReadPlan,
    Reduction,
    Statistic,
    TensorForm,
    TopK,
)
from hooke_server.techniques.reductions import reduced_axes

# Bytes that are held for each value, beside two copies of it, while it is ...
QUANTIZED = 32  # doubles of the finite values, and two steps of the mapping
COLOURED = 128  # doubles for red, green and blue, some steps of them at once
PIXEL = 12  # the picture, Pillow's copy of it, the file
REDUCED = {Statistic: 8, TopK: 16, Quantiles: 8, Histogram: 44}


def estimate(model: Model, plan: ReadPlan, batch: int) -> Estimate:
    """What a plan costs at a batch size: captured tensors and the largest work on one."""
    captured = sum(r.layer.output.count(batch) * r.layer.output.item_bytes for r in plan.reads)
    costs = [_cost(read.layer, each, batch) for read in plan.reads for each in read.readouts]
    wanted, passed, left = set(plan.layers), [], len(plan.reads)
    for layer in model.layers.values():
        if not left:
            break
        passed.append(layer)
        left -= layer.id in wanted
    return Estimate(
        memory_bytes=captured + max((memory for _, memory in costs), default=0),
        macs=batch * sum(each.macs for each in passed if each.kind is not LayerKind.BLOCK),
        tensor_bytes=sum(sent for sent, _ in costs),
        layers=plan.layers,
    )


def _cost(layer: Layer, readout: Readout, batch: int) -> tuple[int, int]:
    """Bytes of tensors that a readout sends, and bytes that it holds meanwhile."""
    shape, item = [extent_at(extent, batch) for extent in layer.output.shape], _item(layer)
    axes = picked_axes(layer, shape, readout)
    count = math.prod(axis.extent for axis in axes)
    copies = count * item * 2
    if readout.units:
        unit = layer.unit_axis % len(shape)
        copies += math.prod(shape) // max(shape[unit], 1) * len(readout.units) * item
    match readout.form:
        case FeatureMapForm() as form:
            return 0, copies + _drawing(layer, axes, form)
        case TensorForm(None, dtype):
            sent = count * (dtype or layer.output.dtype).itemsize
            return sent, copies + sent + (count * QUANTIZED if dtype is torch.uint8 else 0)
        case TensorForm(Reduction() as reduction, dtype):
            unit_axis = 1 if readout.positions else layer.unit_axis
            sent, made = _reduced(axes, unit_axis, reduction, dtype or _reduced_dtype(layer))
            return sent, copies + count * REDUCED[type(reduction.form)] + made
    raise AssertionError(readout.form)


def _item(layer: Layer) -> int:
    return max(layer.output.item_bytes, 4)


def _reduced_dtype(layer: Layer) -> torch.dtype:
    dtype = layer.output.dtype
    return dtype if dtype.is_floating_point else torch.float32


def _reduced(
    axes: tuple[Axis, ...], unit_axis: int, reduction: Reduction, dtype: torch.dtype
) -> tuple[int, int]:
    """Bytes of a reduction's answers, and bytes that making them takes."""
    reduced = reduced_axes(len(axes), unit_axis, reduction.scope)
    rows = math.prod(axis.extent for i, axis in enumerate(axes) if i not in reduced)
    size = dtype.itemsize
    match reduction.form:
        case TopK(k):
            k = min(k, math.prod(axes[axis].extent for axis in reduced))
            columns = max(sum(len(axes[axis].places) for axis in reduced), 1)
            return rows * k * (size + 8 * columns), rows * k * (16 + 24 * columns)
        case Quantiles(probabilities):
            return rows * len(probabilities) * size, rows * len(probabilities) * 40
        case Histogram(bins):
            return rows * bins * 8 + (bins + 1) * 8, rows * bins * 8 + bins * 32
        case _:
            # Quantized answers are few, but each takes as much as any other value.
            return rows * size, rows * (8 + QUANTIZED)


def _drawing(layer: Layer, axes: tuple[Axis, ...], form: FeatureMapForm) -> int:
    """Bytes that one sample's picture takes."""
    unit = layer.unit_axis % len(axes)
    extents = [axis.extent for axis in axes]
    height, width = (extents[axis] for axis in layer.position_axes)
    shown = min(form.max_units, extents[unit])
    layout = grid_layout(shown, height, width, form.tile_size)
    maps = math.prod(extents[1:]) * 16
    return maps + height * width * COLOURED + layout.width * layout.height * PIXEL
