"""Operators that move elements without changing any."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from hooke_server.models.onnx_ops.table import Ints, integers, operator, unsupported


@operator("Reshape")
def reshape(
    x: Tensor,
    size: Tensor | None = None,
    *,
    shape: Ints = None,
    allowzero: int = 0,
) -> Tensor:
    """`x` in another shape; 0 copies a length of `x`, unless `allowzero`."""
    target = integers(shape if size is None else size)
    if not allowzero:
        target = [x.shape[i] if length == 0 else length for i, length in enumerate(target)]
    return x.reshape(target)


@operator("Flatten")
def flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    """A matrix: the axes before `axis` by those from it on."""
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


@operator("Squeeze")
def squeeze(x: Tensor, where: Tensor | None = None, *, axes: Ints = None) -> Tensor:
    """`x` without the axes named (an input from opset 13), or without all of length 1."""
    chosen = integers(axes if where is None else where)
    if where is None and axes is None:
        return torch.squeeze(x)
    return torch.squeeze(x, chosen)


@operator("Unsqueeze")
def unsqueeze(x: Tensor, where: Tensor | None = None, *, axes: Ints = None) -> Tensor:
    """`x` with axes of length 1 put in; they count in the result."""
    chosen = integers(axes if where is None else where)
    rank = x.ndim + len(chosen)
    for axis in sorted(axis % rank for axis in chosen):
        x = x.unsqueeze(axis)
    return x


@operator("Transpose")
def permute(x: Tensor, *, perm: Ints = None) -> Tensor:
    """`x` with its axes in another order, by default reversed."""
    return x.permute(list(reversed(range(x.ndim))) if perm is None else integers(perm))


@operator("Concat")
def cat(*inputs: Tensor, axis: int = 1) -> Tensor:
    """Inputs one after the other along an axis."""
    return torch.cat(inputs, axis)


@operator("Split")
def split(
    x: Tensor,
    sizes: Tensor | None = None,
    *,
    axis: int = 0,
    split: Ints = None,
    num_outputs: int | None = None,
    outputs: int = 1,
) -> Tensor | tuple[Tensor, ...]:
    """Parts of `x` along an axis: of the lengths given, else equal but for a short last."""
    lengths = integers(split if sizes is None else sizes)
    if sizes is None and split is None:
        parts, total = num_outputs or outputs, x.shape[axis]
        chunk = -(-total // parts)
        lengths = [max(0, min(chunk, total - chunk * i)) for i in range(parts)]
    result = torch.split(x, lengths, axis)
    return result[0] if outputs == 1 else result


@operator("Expand")
def expand(x: Tensor, size: Tensor) -> Tensor:
    """`x` broadcast with a shape, either of which may have the 1."""
    shape = integers(size)
    return x.expand(torch.broadcast_shapes(x.shape, shape))  # type: ignore[no-untyped-call]


@operator("Tile")
def tile(x: Tensor, repeats: Tensor, axis: Tensor | None = None) -> Tensor:
    """`x` repeated along each axis; before opset 6 a number of times along one axis."""
    if axis is None:
        return x.repeat(integers(repeats))
    times = [1] * x.ndim
    times[integers(axis)[0]] = integers(repeats)[0]
    return x.repeat(times)


_MODES = {"reflect", "edge", "wrap"}


def _padded(x: Tensor, axis: int, before: int, after: int, mode: str) -> Tensor:
    # Index by index: torch pads only the last axes so, and not by more than there is.
    length = x.shape[axis]
    index = torch.arange(-before, length + after, device=x.device)
    if mode == "edge":
        index = index.clamp(0, length - 1)
    elif mode == "wrap":
        index = index % length
    else:
        period = max(2 * (length - 1), 1)
        index = index % period
        index = torch.where(index < length, index, period - index)
    return x.index_select(axis, index)


@operator("Pad")
def pad(
    x: Tensor,
    widths: Tensor | None = None,
    constant: Tensor | None = None,
    where: Tensor | None = None,
    *,
    mode: str = "constant",
    pads: Ints = None,
    value: float = 0.0,
) -> Tensor:
    """More (or, where negative, fewer) elements at the ends of axes.

    Widths are all begins and then all ends, of the axes in `where`, else of all.
    """
    given = integers(pads if widths is None else widths)
    axes = list(range(x.ndim)) if where is None else [a % x.ndim for a in integers(where)]
    begins, ends = (
        dict(zip(axes, given, strict=False)),
        dict(zip(axes, given[len(axes) :], strict=True)),
    )
    if mode == "constant":
        fill = value if constant is None or constant.numel() == 0 else constant.item()
        reversed_axes = range(x.ndim - 1, -1, -1)
        flat = [w for axis in reversed_axes for w in (begins.get(axis, 0), ends.get(axis, 0))]
        return F.pad(x, flat, value=fill)
    if mode not in _MODES:
        raise unsupported(f"no padding mode {mode!r}; there are constant, edge, reflect, wrap")
    for axis in axes:
        if begins[axis] or ends[axis]:
            x = _padded(x, axis, begins[axis], ends[axis], mode)
    return x


@operator("DepthToSpace")
def depth_to_space(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """Channels to squares of `blocksize`: the block's axes before (DCR) or after depth (CRD)."""
    n, c, h, w = x.shape
    b, depth = blocksize, c // blocksize**2
    if mode == "DCR":
        blocks = x.reshape(n, b, b, depth, h, w).permute(0, 3, 4, 1, 5, 2)
    else:
        blocks = x.reshape(n, depth, b, b, h, w).permute(0, 1, 4, 2, 5, 3)
    return blocks.reshape(n, depth, h * b, w * b)


@operator("SpaceToDepth")
def space_to_depth(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """Squares of `blocksize` to channels, the inverse of `depth_to_space`."""
    n, c, h, w = x.shape
    b = blocksize
    blocks = x.reshape(n, c, h // b, b, w // b, b)
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    return blocks.permute(order).reshape(n, c * b * b, h // b, w // b)
