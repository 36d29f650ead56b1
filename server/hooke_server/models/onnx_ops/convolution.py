"""Convolutions over one, two or three spatial axes."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from hooke_server.models.onnx_ops.table import Ints, integers, operator, unsupported
from hooke_server.models.onnx_ops.windows import Windows, windows

_CONV: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED: dict[int, Callable[..., Tensor]] = {
    1: F.conv_transpose1d,
    2: F.conv_transpose2d,
    3: F.conv_transpose3d,
}


def _kernel(functions: dict[int, Callable[..., Tensor]], x: Tensor) -> Callable[..., Tensor]:
    if x.ndim - 2 not in functions:
        raise unsupported(f"no convolution over {x.ndim - 2} axes; torch has those over 1, 2 and 3")
    return functions[x.ndim - 2]


@operator("Conv")
def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    kernel_shape: Ints = None,  # the weight's
    strides: Ints = None,
    pads: Ints = None,
    dilations: Ints = None,
    group: int = 1,
    auto_pad: str = "NOTSET",
) -> Tensor:
    """Convolution; paddings that differ at the two ends are made beforehand."""
    function = _kernel(_CONV, x)
    w = windows(
        x.shape[2:],
        weight.shape[2:],
        strides=strides,
        pads=pads,
        dilations=dilations,
        auto_pad=auto_pad,
    )
    if w.symmetric:
        return function(x, weight, bias, w.stride, w.begin, w.dilation, group)
    return function(F.pad(x, w.within), weight, bias, w.stride, 0, w.dilation, group)


def _transposed_ends(
    w: Windows, lengths: list[int], extra: list[int], shape: list[int], auto_pad: str
) -> tuple[list[int], list[int]]:
    """What to cut from the ends of the full result, so that the given shape remains."""
    axes = zip(lengths, w.stride, w.kernel, w.dilation, extra, shape, strict=True)
    total = [s * (n - 1) + e + (k - 1) * d + 1 - out for n, s, k, d, e, out in axes]
    small, large = [t // 2 for t in total], [t - t // 2 for t in total]
    return (small, large) if auto_pad == "SAME_UPPER" else (large, small)


@operator("ConvTranspose")
def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    kernel_shape: Ints = None,
    strides: Ints = None,
    pads: Ints = None,
    dilations: Ints = None,
    output_padding: Ints = None,
    output_shape: Ints = None,
    group: int = 1,
    auto_pad: str = "NOTSET",
) -> Tensor:
    """Transposed convolution."""
    function = _kernel(_TRANSPOSED, x)
    lengths, kernel = list(x.shape[2:]), list(weight.shape[2:])
    same = auto_pad.startswith("SAME")
    w = windows(lengths, kernel, strides=strides, pads=pads, dilations=dilations)
    extra = integers(output_padding) or [0] * len(kernel)
    begin, end = w.begin, w.end
    if output_shape is not None or same:
        grown = [n * s for n, s in zip(lengths, w.stride, strict=True)]
        shape = (integers(output_shape) or grown)[-len(kernel) :]
        begin, end = _transposed_ends(w, lengths, extra, shape, auto_pad)
    if begin == end and min(begin) >= 0 and all(map(int.__lt__, extra, w.stride)):
        return function(x, weight, bias, w.stride, begin, extra, group, w.dilation)
    full = function(x, weight, None, w.stride, 0, 0, group, w.dilation)
    ends = reversed(list(zip(begin, end, extra, strict=True)))
    cut = F.pad(full, [width for b, e, more in ends for width in (-b, more - e)])
    return cut if bias is None else cut + bias.reshape(-1, *[1] * len(kernel))


@operator("Col2Im")
def col2im(
    x: Tensor,
    image_shape: Tensor,
    block_shape: Tensor,
    *,
    strides: Ints = None,
    pads: Ints = None,
    dilations: Ints = None,
) -> Tensor:
    """Columns of blocks summed where they overlap in an image."""
    image, block = integers(image_shape), integers(block_shape)
    if len(image) != 2:
        raise unsupported(f"no Col2Im over {len(image)} axes; torch has it over 2")
    w = windows(image, block, strides=strides, pads=pads, dilations=dilations)
    padded = [n + b + e for n, b, e in zip(image, w.begin, w.end, strict=True)]
    strides_, dilations_ = (w.stride[0], w.stride[1]), (w.dilation[0], w.dilation[1])
    size, window = (padded[0], padded[1]), (block[0], block[1])
    whole = F.fold(x, size, window, dilations_, 0, strides_)
    return F.pad(whole, [-width for width in w.within])
