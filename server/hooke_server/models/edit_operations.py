"""What the nodes of an edited graph compute: pure functions of a layer's value.

    ablated(x, where, mean)   scaled(x, where, factor)   clamped(x, where, low, high)
    moved(x, where, vector)   replaced(x, where, value)

Each gives what its name says inside of `where`, and `x` itself, bit for bit, outside. The
region becomes a mask when the function runs, so any batch, and where no position is named any
size of picture, will do. Gradients pass; those of what was ablated or replaced are zero.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from hooke_server.errors import InvalidArgumentError, OutOfRangeError, Reason

Indices = tuple[int, ...]
Region = tuple[Indices, tuple[Indices, ...], Indices]
"""Units, positions and samples; the empty tuple stands for all."""


class Where(NamedTuple):
    """Which part of a layer's value is edited.

    Attributes
    ----------
    position_axes : the axes that are neither batch nor unit.
    extents : of these axes, as positions count them; None where any will do.
    regions : what is edited is in at least one of them.
    """

    layer: str
    unit_axis: int
    position_axes: Indices
    extents: tuple[int | None, ...]
    regions: tuple[Region, ...]


def ablated(x: Tensor, where: Where, mean: bool) -> Tensor:
    """Zero, or the mean over positions."""
    value = x.mean(where.position_axes, keepdim=True) if mean else x.new_zeros(())
    return torch.where(_mask(x, where), value, x)


def scaled(x: Tensor, where: Where, factor: float) -> Tensor:
    """`factor * x`."""
    return torch.where(_mask(x, where), x * factor, x)


def clamped(x: Tensor, where: Where, low: float | None, high: float | None) -> Tensor:
    """`min(max(x, low), high)`."""
    return torch.where(_mask(x, where), x.clamp(low, high), x)


def moved(x: Tensor, where: Where, vector: Tensor) -> Tensor:
    """`x + vector`; the vector [units] lies along the unit axis."""
    shape = [1] * x.ndim
    shape[where.unit_axis] = len(vector)
    return torch.where(_mask(x, where), x + vector.to(x.dtype).reshape(shape), x)


def replaced(x: Tensor, where: Where, value: Tensor) -> Tensor:
    """`value`, which is like `x` or has one sample for all of them."""
    if value.shape != x.shape and value.shape != (1, *x.shape[1:]):
        raise InvalidArgumentError(
            Reason.INPUT_MISMATCH,
            f"what replaces layer {where.layer!r} has the shape {list(value.shape)}, and the layer"
            f" yields {list(x.shape)} here",
            field="edits",
            layer=where.layer,
        )
    return torch.where(_mask(x, where), value.to(x.dtype), x)


def _mask(x: Tensor, where: Where) -> Tensor:
    """Whether an element is edited; axes that do not matter have the extent 1."""
    everything = torch.ones((1,) * x.ndim, dtype=torch.bool)
    if where.regions == (((), (), ()),):
        return everything.to(x.device)
    mask = ~everything
    for units, positions, samples in where.regions:
        part = everything
        if units:
            if max(units) >= x.shape[where.unit_axis]:
                raise _beyond(x, where, Reason.UNIT_OUT_OF_RANGE)
            part = part & _marked(x, where, (where.unit_axis,), [(unit,) for unit in units])
        if positions:
            _check_extents(x, where)
            part = part & _marked(x, where, where.position_axes, positions)
        if samples:
            part = part & _marked(x, where, (0,), [(sample,) for sample in samples])
        mask = mask | part
    return mask.to(x.device)


def _marked(x: Tensor, where: Where, axes: Indices, places: Any) -> Tensor:
    """True at each of the places along these axes."""
    extents = [x.shape[axis] for axis in axes]
    columns = list(zip(*places, strict=True))
    if any(max(column) >= extent for column, extent in zip(columns, extents, strict=True)):
        raise _beyond(x, where)
    shape = [1] * x.ndim
    index: list[Any] = [0] * x.ndim
    for axis, extent, column in zip(axes, extents, columns, strict=True):
        shape[axis], index[axis] = extent, torch.tensor(column)
    marks = torch.zeros(shape, dtype=torch.bool)
    marks[tuple(index)] = True
    return marks


def _check_extents(x: Tensor, where: Where) -> None:
    for axis, extent in zip(where.position_axes, where.extents, strict=True):
        if extent is not None and x.shape[axis] != extent:
            raise _beyond(x, where)


def _beyond(
    x: Tensor, where: Where, reason: Reason = Reason.POSITION_OUT_OF_RANGE
) -> OutOfRangeError:
    return OutOfRangeError(
        reason,
        f"layer {where.layer!r} yields {list(x.shape)} here, which an edit's units, positions or"
        " samples do not fit",
        field="edits",
        layer=where.layer,
        shape=list(x.shape),
    )
