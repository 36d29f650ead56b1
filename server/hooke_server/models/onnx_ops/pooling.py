"""Maxima, means and norms of windows."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from hooke_server.models.onnx_ops.table import Ints, integers, operator, unsupported
from hooke_server.models.onnx_ops.windows import Windows, windows

_MAX: dict[int, Callable[..., Tensor]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_MEAN: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
_CONV: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def _of_rank(functions: dict[int, Callable[..., Tensor]], x: Tensor) -> Callable[..., Tensor]:
    if x.ndim - 2 not in functions:
        raise unsupported(f"no pool over {x.ndim - 2} axes; torch has those over 1, 2 and 3")
    return functions[x.ndim - 2]


def _flat_indices(index: Tensor, x: Tensor, w: Windows, padded: bool, columns: bool) -> Tensor:
    """Torch's indices in a (padded) image as ONNX's in the whole tensor of `x`."""
    lengths = list(x.shape[2:])
    begin = w.begin if padded else [0] * len(lengths)
    after = [e + s for e, s in zip(w.end, w.spill, strict=True)]
    size = [n + b + a for n, b, a in zip(lengths, begin, after, strict=True)] if padded else lengths
    places = []
    for length, before in reversed(list(zip(size, begin, strict=True))):
        places.append(index % length - before)
        index = index // length
    # `places` is last axis first, which is also the order of a column's steps.
    flat, step = torch.zeros_like(index), 1
    for place, length in (
        zip(reversed(places), lengths, strict=True)
        if columns
        else zip(places, reversed(lengths), strict=True)
    ):
        flat, step = flat + place * step, step * length
    images = torch.arange(math.prod(x.shape[:2]), device=x.device) * step
    return flat + images.reshape(*x.shape[:2], *[1] * len(lengths))


@operator("MaxPool")
def max_pool(
    x: Tensor,
    *,
    kernel_shape: Ints,
    strides: Ints = None,
    pads: Ints = None,
    dilations: Ints = None,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    storage_order: int = 0,
    outputs: int = 1,
) -> Tensor | tuple[Tensor, ...]:
    """Largest value in each window, and where it is in the flattened input."""
    function = _of_rank(_MAX, x)
    w = windows(
        x.shape[2:],
        integers(kernel_shape),
        strides=strides,
        pads=pads,
        dilations=dilations,
        auto_pad=auto_pad,
        ceil_mode=ceil_mode,
    )
    values = x if x.is_floating_point() else x.float()  # torch pools no integers on every device
    begin: list[int] | int = w.begin
    if not w.poolable:
        values, begin = F.pad(values, w.around, value=-torch.inf), 0
    pool = (values, w.kernel, w.stride, begin, w.dilation, False)
    if outputs == 1:
        return function(*pool).to(x.dtype)
    result, index = function(*pool, return_indices=True)
    flat = _flat_indices(index, x, w, not w.poolable, bool(storage_order))
    return result.to(x.dtype), flat


def _window_sums(x: Tensor, w: Windows) -> Tensor:
    """Sum of each window of an image padded already."""
    if all(d == 1 for d in w.dilation):
        return _of_rank(_MEAN, x)(x, w.kernel, w.stride) * math.prod(w.kernel)
    images = x.reshape(-1, 1, *x.shape[2:])
    ones = torch.ones(1, 1, *w.kernel, dtype=x.dtype, device=x.device)
    sums = _of_rank(_CONV, x)(images, ones, None, w.stride, 0, w.dilation)
    return sums.reshape(*x.shape[:2], *sums.shape[2:])


@operator("AveragePool")
def average_pool(
    x: Tensor,
    *,
    kernel_shape: Ints,
    strides: Ints = None,
    pads: Ints = None,
    dilations: Ints = None,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
) -> Tensor:
    """Mean of each window, of what lies inside the image or (`count_include_pad`) its padding."""
    w = windows(
        x.shape[2:],
        integers(kernel_shape),
        strides=strides,
        pads=pads,
        dilations=dilations,
        auto_pad=auto_pad,
        ceil_mode=ceil_mode,
    )
    if w.poolable and all(d == 1 for d in w.dilation):
        function = _of_rank(_MEAN, x)
        return function(x, w.kernel, w.stride, w.begin, False, bool(count_include_pad))
    mask = torch.ones(1, 1, *x.shape[2:], dtype=x.dtype, device=x.device)
    if count_include_pad:
        inner, spill = w.within, [a - b for a, b in zip(w.around, w.within, strict=True)]
        mask = F.pad(F.pad(mask, inner, value=1.0), spill)
    else:
        mask = F.pad(mask, w.around)
    return _window_sums(F.pad(x, w.around), w) / _window_sums(mask, w)


@operator("LpPool")
def lp_pool(
    x: Tensor,
    *,
    kernel_shape: Ints,
    p: int = 2,
    strides: Ints = None,
    pads: Ints = None,
    dilations: Ints = None,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
) -> Tensor:
    """Norm of order `p` of each window."""
    w = windows(
        x.shape[2:],
        integers(kernel_shape),
        strides=strides,
        pads=pads,
        dilations=dilations,
        auto_pad=auto_pad,
        ceil_mode=ceil_mode,
    )
    return _window_sums(F.pad(x.abs() ** p, w.around), w) ** (1 / p)


@operator("GlobalAveragePool")
def global_average_pool(x: Tensor) -> Tensor:
    """Mean over all spatial axes, which stay with length 1."""
    return x.mean(list(range(2, x.ndim)), keepdim=True)


@operator("GlobalMaxPool")
def global_max_pool(x: Tensor) -> Tensor:
    """Largest value over all spatial axes, which stay with length 1."""
    return x.amax(list(range(2, x.ndim)), keepdim=True)


@operator("GlobalLpPool")
def global_lp_pool(x: Tensor, *, p: int = 2) -> Tensor:
    """Norm over all spatial axes, which stay with length 1."""
    norm: Tensor = torch.linalg.vector_norm(x, p, list(range(2, x.ndim)), keepdim=True)
    return norm
