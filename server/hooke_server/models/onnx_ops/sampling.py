"""Images read at places that are themselves data."""

from __future__ import annotations

import torch
import torchvision
from torch import Tensor
from torch.nn import functional as F

from hooke_server.models.onnx_ops.table import Ints, integers, operator, unsupported
from hooke_server.models.onnx_ops.windows import windows


@operator("GridSample")
def grid_sample(
    x: Tensor,
    grid: Tensor,
    *,
    mode: str = "linear",
    padding_mode: str = "zeros",
    align_corners: int = 0,
) -> Tensor:
    """`x` at the places a grid holds, in [-1, 1]."""
    called = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    if called == "bicubic" and x.ndim > 4:
        raise unsupported("no cubic GridSample over three axes in torch")
    return F.grid_sample(x, grid, called, padding_mode, bool(align_corners))


@operator("AffineGrid")
def affine_grid(theta: Tensor, size: Tensor, *, align_corners: int = 0) -> Tensor:
    """The grid of an affine map, for `grid_sample`."""
    return F.affine_grid(theta, integers(size), bool(align_corners))


@operator("DeformConv")
def deform_conv(
    x: Tensor,
    weight: Tensor,
    offset: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    *,
    kernel_shape: Ints = None,
    strides: Ints = None,
    pads: Ints = None,
    dilations: Ints = None,
    group: int = 1,
    offset_group: int = 1,
) -> Tensor:
    """Convolution whose windows' points are moved by offsets; groups follow from the shapes."""
    w = windows(x.shape[2:], weight.shape[2:], strides=strides, pads=pads, dilations=dilations)
    if x.ndim != 4:
        raise unsupported(f"no deformable convolution over {x.ndim - 2} axes; torch has it over 2")
    result: Tensor = torchvision.ops.deform_conv2d(
        F.pad(x, w.within), offset, weight, bias, w.stride, 0, w.dilation, mask
    )
    return result


@operator("RoiAlign")
def roi_align(
    x: Tensor,
    boxes: Tensor,
    batch: Tensor,
    *,
    mode: str = "avg",
    output_height: int = 1,
    output_width: int = 1,
    sampling_ratio: int = 0,
    spatial_scale: float = 1.0,
    coordinate_transformation_mode: str | None = None,
    opset: int,
) -> Tensor:
    """Means of the boxes' cells, each at a grid of points."""
    if mode != "avg":
        raise unsupported("no RoiAlign of maxima in torch")
    style = coordinate_transformation_mode or ("half_pixel" if opset >= 16 else "output_half_pixel")
    rois = torch.cat([batch.to(boxes.dtype).unsqueeze(1), boxes], 1)
    size, aligned = (output_height, output_width), style == "half_pixel"
    result: Tensor = torchvision.ops.roi_align(
        x, rois, size, spatial_scale, sampling_ratio, aligned
    )
    return result
