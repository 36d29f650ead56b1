"""Tensors made of shapes and constants."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hooke_server.models.onnx_ops.table import dtype_of, integers, operator, unsupported


@operator("Shape")
def shape(x: Tensor, *, start: int = 0, end: int | None = None) -> Tensor:
    """Lengths of the axes from `start` to `end`; on the CPU, where numbers are read."""
    return torch.tensor(list(x.shape[start:end]), dtype=torch.int64)


@operator("Size")
def numel(x: Tensor) -> Tensor:
    """Number of elements, on the CPU."""
    return torch.tensor(x.numel())


@operator("Constant")
def constant(
    *,
    value: Tensor | None = None,
    value_float: float | None = None,
    value_floats: Sequence[float] | None = None,
    value_int: int | None = None,
    value_ints: Sequence[int] | None = None,
) -> Tensor:
    """The one value given."""
    if value is not None:
        return value
    for number in (value_float, value_floats):
        if number is not None:
            return torch.tensor(number, dtype=torch.float32)
    for whole in (value_int, value_ints):
        if whole is not None:
            return torch.tensor(whole, dtype=torch.int64)
    raise unsupported("no Constant of strings or sparse tensors")


@operator("ConstantOfShape")
def full(size: Tensor, *, value: Tensor | None = None) -> Tensor:
    """A tensor of one value, by default the float 0."""
    fill = torch.zeros(1) if value is None else value
    return torch.full(integers(size), fill.item(), dtype=fill.dtype, device=size.device)


@operator("Range")
def arange(start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    """Numbers from `start` to before `limit` in steps of `delta`."""
    device = start.device
    return torch.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype, device=device)


@operator("EyeLike")
def eye_like(x: Tensor, *, dtype: int | None = None, k: int = 0) -> Tensor:
    """Ones on the `k`-th diagonal of a matrix of the size of `x`."""
    kind = x.dtype if dtype is None else dtype_of(dtype)
    rows = torch.arange(x.shape[0], device=x.device).unsqueeze(1)
    return (torch.arange(x.shape[1], device=x.device) - rows == k).to(kind)


@operator("OneHot")
def one_hot(indices: Tensor, depth: Tensor, values: Tensor, *, axis: int = -1) -> Tensor:
    """`values[1]` at the index along a new axis of length `depth`, else `values[0]`."""
    length = integers(depth)[0]
    axis = axis % (indices.ndim + 1)
    places = torch.arange(length, device=indices.device).reshape(-1, *[1] * (indices.ndim - axis))
    chosen = indices.long().unsqueeze(axis)
    # Indices out of range, below -depth too, leave the whole line off.
    hit = torch.where(chosen < 0, chosen + length, chosen) == places
    return torch.where(hit, values[1], values[0])
