"""What a readout picks of a layer's tensor, and where in the layer that lies.

Units come first, then positions or slices:

    axes = picked_axes(layer, value.shape, readout)
    picked = pick(layer, value, readout)     # picked.axes == axes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hooke_server.errors import InvalidArgumentError, OutOfRangeError, Reason
from hooke_server.models.layer import Layer
from hooke_server.techniques.readouts import Readout, as_slice


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of a picked tensor, which remembers where it was in the layer.

    `places` holds, for each axis of the layer that lies in it, the layer's own index
    at each of its places. That is one axis, or all position axes for picked positions.
    """

    name: str
    places: Mapping[int, Sequence[int]]

    @property
    def extent(self) -> int:
        """How many places it has."""
        return len(next(iter(self.places.values())))


@dataclass(frozen=True, slots=True)
class Picked:
    """Values, their axes, and which of these is the units'."""

    value: Tensor
    axes: tuple[Axis, ...]
    unit_axis: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the axes."""
        return tuple(axis.name for axis in self.axes)

    @property
    def units(self) -> Sequence[int]:
        """The layer's own numbers of the units."""
        return next(iter(self.axes[self.unit_axis].places.values()))


def picked_axes(layer: Layer, shape: Sequence[int], readout: Readout) -> tuple[Axis, ...]:
    """The axes of what is picked of a tensor of that shape."""
    names, unit = layer.output.axes, layer.unit_axis % max(len(shape), 1)
    places: list[Sequence[int]] = [range(extent) for extent in shape]
    if readout.units:
        places[unit] = readout.units
    if readout.positions:
        where = dict(zip(layer.position_axes, zip(*readout.positions, strict=True), strict=True))
        units = Axis(names[unit], {unit: places[unit]})
        return Axis(names[0], {0: places[0]}), units, Axis("position", where)
    for axis, wanted in _ranges(layer, readout).items():
        places[axis] = places[axis][wanted]
    return tuple(Axis(names[axis], {axis: places[axis]}) for axis in range(len(shape)))


def pick(layer: Layer, value: Tensor, readout: Readout) -> Picked:
    """The picked values; a view of the layer's where only slices are taken."""
    _check_extents(layer, value, readout)
    axes, unit = picked_axes(layer, value.shape, readout), layer.unit_axis % max(value.ndim, 1)
    if readout.units:
        value = value.index_select(unit, torch.tensor(readout.units, device=value.device))
    if readout.positions:
        where = torch.tensor(readout.positions, device=value.device)
        # After batch and unit, index all position axes together.
        chosen: list[Any] = [slice(None), slice(None), *where.unbind(1)]
        return Picked(value.permute(0, unit, *layer.position_axes)[tuple(chosen)], axes, 1)
    if readout.slices:
        ranges = _ranges(layer, readout)
        value = value[tuple([ranges.get(axis, slice(None)) for axis in range(value.ndim)])]
    if not value.numel():
        raise InvalidArgumentError(
            Reason.INVALID_FIELD,
            f"nothing is left of layer {layer.id!r} after its slices",
            field="readouts.slices",
            layer=layer.id,
        )
    return Picked(value, axes, unit)


def _ranges(layer: Layer, readout: Readout) -> dict[int, slice]:
    """The slice of each axis that has one."""
    names = layer.output.axes
    return {names.index(wanted.axis): as_slice(wanted) for wanted in readout.slices}


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
