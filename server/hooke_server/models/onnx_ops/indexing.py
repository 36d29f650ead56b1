"""Reading elements at places."""

from __future__ import annotations

import torch
from torch import Tensor

from hooke_server.models.onnx_ops.table import Ints, integers, operator


@operator("Slice")
def slice_(
    x: Tensor,
    begins: Tensor | None = None,
    stops: Tensor | None = None,
    where: Tensor | None = None,
    strides: Tensor | None = None,
    *,
    starts: Ints = None,
    ends: Ints = None,
    axes: Ints = None,
) -> Tensor:
    """A range along each axis named; inputs from opset 10, attributes before."""
    first = integers(starts if begins is None else begins)
    last = integers(ends if stops is None else stops)
    along = integers(axes if where is None else where) or list(range(len(first)))
    steps = integers(strides) or [1] * len(first)
    for start, end, axis, step in zip(first, last, along, steps, strict=True):
        chosen = range(x.shape[axis])[start:end:step]
        if chosen == range(x.shape[axis]):
            continue
        if step > 0:
            length = chosen[-1] - chosen[0] + 1 if chosen else 0
            x = x.narrow(axis, chosen[0] if chosen else 0, length)
            if step > 1:
                # A strided view: like x[::step], whatever the axis.
                x = x[(slice(None),) * (axis % x.ndim) + (slice(None, None, step),)]
        else:
            x = x.index_select(axis, torch.tensor(list(chosen), dtype=torch.int64, device=x.device))
    return x


def wrapped(indices: Tensor, length: int, x: Tensor) -> Tensor:
    """Indices counted from the end made indices from the beginning, beside `x`."""
    indices = indices.to(x.device, torch.int64)
    return torch.where(indices < 0, indices + length, indices)


@operator("Gather")
def gather(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """Slices of `x` at indices along an axis, which the indices' axes replace."""
    axis %= x.ndim
    flat = wrapped(indices, x.shape[axis], x).reshape(-1)
    chosen = x.index_select(axis, flat)
    return chosen.reshape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])


@operator("GatherElements")
def gather_elements(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """An element of `x` for each index, at the index's own place but along `axis`."""
    return torch.gather(x, axis, wrapped(indices, x.shape[axis], x))


@operator("GatherND")
def gather_nd(x: Tensor, indices: Tensor, *, batch_dims: int = 0) -> Tensor:
    """Slices of `x` at points: the last axis of `indices` holds coordinates."""
    batch = x.shape[:batch_dims]
    x_flat = x.reshape(-1, *x.shape[batch_dims:])
    points = indices.to(x.device).reshape(len(x_flat), -1, indices.shape[-1])
    rows = torch.arange(len(x_flat), device=x.device).unsqueeze(1)
    chosen = x_flat[(rows, *points.unbind(-1))]
    return chosen.reshape([*batch, *indices.shape[batch_dims:-1], *chosen.shape[2:]])


@operator("TopK")
def topk(
    x: Tensor,
    count: Tensor | None = None,
    *,
    k: int | None = None,
    axis: int = -1,
    largest: int = 1,
    sorted: int = 1,  # noqa: A002  # unsorted allows any order
) -> tuple[Tensor, Tensor]:
    """The `k` largest elements and their indices; of equal ones those of lowest index."""
    # torch.topk takes any of equal ones.
    length = integers(count)[0] if k is None else k
    values, indices = torch.sort(x, dim=axis, descending=bool(largest), stable=True)
    return values.narrow(axis, 0, length), indices.narrow(axis, 0, length)


@operator("NonZero")
def nonzero(x: Tensor) -> Tensor:
    """Coordinates of the elements that are not 0, one column each."""
    return torch.nonzero(x).T


@operator("Compress")
def compress(x: Tensor, condition: Tensor, *, axis: int | None = None) -> Tensor:
    """The slices of `x` whose condition holds, else the elements of flattened `x`."""
    if axis is None:
        x, axis = x.reshape(-1), 0
    return x.index_select(axis, torch.nonzero(condition).reshape(-1).to(x.device))


@operator("ReverseSequence")
def reverse_sequence(
    x: Tensor, lengths: Tensor, *, batch_axis: int = 1, time_axis: int = 0
) -> Tensor:
    """Each sample's first steps, as many as its length says, in reverse."""
    steps = torch.arange(x.shape[time_axis], device=x.device).unsqueeze(1)
    lengths = lengths.to(x.device)
    index = torch.where(steps < lengths, lengths - 1 - steps, steps)  # (time, batch)
    rows = torch.arange(x.shape[batch_axis], device=x.device)
    moved = x.movedim((time_axis, batch_axis), (0, 1))
    return moved[index, rows].movedim((0, 1), (time_axis, batch_axis))


@operator("Trilu")
def trilu(x: Tensor, diagonal: Tensor | None = None, *, upper: int = 1) -> Tensor:
    """The upper or lower triangle of the matrices in the last two axes."""
    offset = integers(diagonal)[0] if diagonal is not None else 0
    return torch.triu(x, offset) if upper else torch.tril(x, offset)


@operator("Unique")
def unique(
    x: Tensor,
    *,
    axis: int | None = None,
    sorted: int = 1,  # noqa: A002
    outputs: int = 1,
) -> Tensor | tuple[Tensor, ...]:
    """Different elements or slices; first places; inverse; counts."""
    dim = 0 if axis is None else axis
    x = x.reshape(-1) if axis is None else x
    values, inverse, counts = torch.unique(x, return_inverse=True, return_counts=True, dim=dim)
    places = torch.arange(len(inverse), device=x.device)
    first = torch.full_like(counts, len(inverse)).scatter_reduce(0, inverse, places, "amin")
    if not sorted:
        order = torch.argsort(first)
        values, first, counts = values.index_select(dim, order), first[order], counts[order]
        inverse = torch.argsort(order)[inverse]
    return values if outputs == 1 else (values, first, inverse, counts)[:outputs]
