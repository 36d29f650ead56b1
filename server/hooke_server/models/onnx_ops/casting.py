"""Other element types: casts, and integers that stand for floats."""

from __future__ import annotations

import torch
from torch import Tensor

from hooke_server.models.onnx_ops.table import dtype_of, operator, unsupported


@operator("Cast")
def cast(
    x: Tensor,
    *,
    to: int,
    saturate: int = 1,  # of 8-bit floats
    round_mode: str = "up",
) -> Tensor:
    """`x` in another element type."""
    return x.to(dtype_of(to))


@operator("CastLike")
def cast_like(
    x: Tensor,
    like: Tensor,
    *,
    saturate: int = 1,
    round_mode: str = "up",
) -> Tensor:
    """`x` in the element type of `like`."""
    return x.to(like.dtype)


def _along(value: Tensor, x: Tensor, axis: int, block_size: int) -> Tensor:
    """A scale or zero point shaped to go with `x`: one, one per slice, or one per block."""
    if block_size:
        wide = value.repeat_interleave(block_size, axis)
        return wide.narrow(axis, 0, x.shape[axis])
    if value.numel() == 1:
        return value.reshape(())
    return value.reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])


@operator("DequantizeLinear")
def dequantize(
    x: Tensor,
    scale: Tensor,
    zero_point: Tensor | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
) -> Tensor:
    """`(x - zero_point) scale`."""
    values = x.to(scale.dtype)
    if zero_point is not None:
        values = values - _along(zero_point, x, axis, block_size).to(scale.dtype)
    result = values * _along(scale, x, axis, block_size)
    return result.to(dtype_of(output_dtype)) if output_dtype else result


@operator("QuantizeLinear")
def quantize(
    x: Tensor,
    scale: Tensor,
    zero_point: Tensor | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
    precision: int = 0,
    saturate: int = 1,
) -> Tensor:
    """`x / scale + zero_point`, rounded to even and held within the integer type."""
    kind = dtype_of(output_dtype) if output_dtype else torch.uint8
    kind = kind if zero_point is None else zero_point.dtype
    if kind.is_floating_point:
        raise unsupported("no quantization to 8-bit floats")
    values = torch.round(x / _along(scale, x, axis, block_size).to(x.dtype))
    if zero_point is not None:
        values = values + _along(zero_point, x, axis, block_size).to(x.dtype)
    limits = torch.iinfo(kind)
    return values.clamp(limits.min, limits.max).to(kind)
