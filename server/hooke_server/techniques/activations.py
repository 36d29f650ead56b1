"""Activations as frames: what each layer said, in the form that was asked for.

Layers are read one after another, and each is let go when it was read, so a slow
reader holds no more than what is still to be read. A plain read-out of all values
copies nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from hooke_server.models.layer import Layer
from hooke_server.techniques.frames import Array, Frame, Frames, Picture, Result, Tile
from hooke_server.techniques.picking import Picked, pick
from hooke_server.techniques.pictures import feature_map_grid, grid_layout
from hooke_server.techniques.readouts import FeatureMapForm, Readout, ReadPlan, TensorForm
from hooke_server.techniques.reductions import reduce
from hooke_server.techniques.targets import Site

LEVELS = 255
"""Steps of an 8-bit number."""


def activation_frames(values: MutableMapping[str, Tensor], plan: ReadPlan) -> Frames:
    """The frames of a plan.

    Parameters
    ----------
    values : the layers' tensors by id; each is taken out when it was read.
    """
    for read in plan.reads:
        value = values.pop(read.layer.id)
        for readout in read.readouts:
            yield from _read(read.layer, value, readout)
        del value
    yield Result()


def _read(layer: Layer, value: Tensor, readout: Readout) -> Iterator[Frame]:
    picked = pick(layer, value, readout)
    match readout.form:
        case FeatureMapForm() as form:
            yield from _draw(layer, picked, readout, form)
        case TensorForm(None, dtype):
            cast = _cast("activations", picked.value, picked.names, layer.id, dtype)
            yield replace(cast, item=readout.item)
        case TensorForm(reduction, dtype) if reduction is not None:
            for name, tensor, names in reduce(picked, reduction):
                exact = name in {"counts", "edges", "indices"}
                cast = _cast(name, tensor, names, layer.id, None if exact else dtype)
                yield replace(cast, item=readout.item)


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
    layer: Layer, picked: Picked, readout: Readout, form: FeatureMapForm
) -> Iterator[Picture]:
    """A picture for each sample."""
    for index, sample in enumerate(picked.value.movedim(picked.unit_axis, 1).float().cpu()):
        peaks = sample.nan_to_num().amax((1, 2))
        order = peaks.argsort(descending=True, stable=True)[: form.max_units]
        shown = sample[order]
        finite = shown[shown.isfinite()]
        scale = float(finite.abs().max()) if len(finite) else 0.0
        units = [int(picked.units[int(rank)]) for rank in order]
        named = ", ".join(map(str, units))
        yield Picture(
            name="feature_maps",
            pixels=feature_map_grid(shown.numpy(), form.tile_size, scale),
            site=Site(layer=layer.id),
            item=readout.item,
            sample=index,
            format=form.format,
            caption=f"{layer.id}, units {named}: red {scale:.3g}, white 0, blue {-scale:.3g}",
            tiles=_index(layer, readout, units, shown, form),
        )


def _index(
    layer: Layer, readout: Readout, units: Sequence[int], maps: Tensor, form: FeatureMapForm
) -> tuple[Tile, ...]:
    """Where in the picture which unit's map is; its caption is its largest value."""
    layout = grid_layout(len(maps), maps.shape[1], maps.shape[2], form.tile_size)
    width, height = layout.tile
    return tuple(
        Tile(
            x=left,
            y=top,
            width=width,
            height=height,
            site=Site(layer=layer.id, unit=unit),
            item=readout.item,
            caption=f"{float(values.max()):.3g}",
        )
        for unit, values, (left, top) in zip(
            units, maps, map(layout.corner, range(len(maps))), strict=True
        )
    )
