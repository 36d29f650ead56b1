"""Images at other places than their pixels.

Resize works one axis at a time: a row of weights for each new place, so that the
result is a product of matrices and has a gradient in every mode.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hooke_server.models.onnx_ops.table import Ints, integers, operator, unsupported


@dataclass(frozen=True)
class _Style:
    """Resize's attributes, with ONNX's names for their values."""

    mode: str
    coordinates: str
    nearest: str
    cubic: float
    exclude_outside: bool
    extrapolation: float
    antialias: bool


@dataclass(frozen=True)
class _Axis:
    """One axis to resize: old and new length, their ratio, and the range to crop."""

    length: int
    size: int
    scale: float
    crop: tuple[float, float]


def _places(axis: _Axis, style: str) -> Tensor:
    """Where the new elements lie among the old ones; float64, one each."""
    index = torch.arange(axis.size, dtype=torch.float64)
    half = (index + 0.5) / axis.scale - 0.5
    if style == "half_pixel":
        return half
    if style == "pytorch_half_pixel":
        return half if axis.size > 1 else torch.zeros(1, dtype=torch.float64)
    if style == "asymmetric":
        return index / axis.scale
    if style == "align_corners":
        # The new length before rounding, as the specification has it.
        intervals = axis.scale * axis.length - 1
        return index * (axis.length - 1) / intervals if intervals else 0 * index
    if style == "half_pixel_symmetric":
        missing = 1 - axis.size / (axis.scale * axis.length)
        return axis.length / 2 * missing + half
    if style == "tf_crop_and_resize":
        (start, end), last = axis.crop, axis.length - 1
        if axis.size == 1:
            return torch.full((1,), 0.5 * (start + end) * last, dtype=torch.float64)
        return start * last + index * (end - start) * last / (axis.size - 1)
    raise unsupported(f"no coordinate transformation {style!r} in Resize", mode=style)


def _nearest(places: Tensor, rounding: str) -> Tensor:
    if rounding == "round_prefer_floor":
        return torch.ceil(places - 0.5)
    if rounding == "round_prefer_ceil":
        return torch.floor(places + 0.5)
    return torch.floor(places) if rounding == "floor" else torch.ceil(places)


def _kernel(distance: Tensor, style: _Style) -> Tensor:
    d, a = distance.abs(), style.cubic
    if style.mode == "linear":
        return (1 - d).clamp(min=0)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return torch.where(d <= 1, near, torch.where(d < 2, far, torch.zeros_like(d)))


def _weights(axis: _Axis, style: _Style) -> Tensor:
    """How much of each old element is in each new one: (new, old), float64."""
    places = _places(axis, style.coordinates)
    outside = (places < 0) | (places > axis.length - 1)
    if style.mode == "nearest":
        taps = _nearest(places, style.nearest).unsqueeze(1)
        weights = torch.ones_like(taps)
    else:
        # Averaging over more than one old element when shrinking, if so asked.
        shrink = min(axis.scale, 1.0) if style.antialias else 1.0
        reach = math.ceil((1 if style.mode == "linear" else 2) / shrink)
        taps = places.floor().unsqueeze(1) + torch.arange(1 - reach, reach + 1)
        weights = _kernel((taps - places.unsqueeze(1)) * shrink, style)
    if style.exclude_outside:
        weights = weights * ((taps >= 0) & (taps < axis.length))
    weights = weights / weights.sum(1, keepdim=True)
    matrix = torch.zeros(axis.size, axis.length, dtype=torch.float64)
    matrix.scatter_add_(1, taps.clamp(0, axis.length - 1).long(), weights)
    if style.coordinates == "tf_crop_and_resize":
        matrix[outside] = torch.nan  # extrapolated by the caller
    return matrix


def _resized(x: Tensor, dim: int, axis: _Axis, style: _Style) -> Tensor:
    matrix = _weights(axis, style)
    outside = matrix.isnan().any(1).to(x.device)
    matrix = matrix.nan_to_num().to(x.device, x.dtype)
    if style.mode == "nearest":
        result = x.index_select(dim, matrix.argmax(1))
    else:
        result = (x.movedim(dim, -1) @ matrix.T).movedim(-1, dim)
    if style.coordinates == "tf_crop_and_resize":
        shape = [-1 if i == dim else 1 for i in range(x.ndim)]
        result = result.masked_fill(outside.reshape(shape), style.extrapolation)
    return result


def _lengths(
    old: list[int], scales: Tensor | None, sizes: Tensor | None, policy: str
) -> tuple[list[int], list[float]]:
    """New lengths and their ratios to the old ones."""
    if scales is not None and scales.numel():
        ratios = [float(scale) for scale in scales.tolist()]
        return [math.floor(n * s) for n, s in zip(old, ratios, strict=True)], ratios
    new = integers(sizes)
    ratios = [size / n for size, n in zip(new, old, strict=True)]
    if policy != "stretch":
        ratio = (min if policy == "not_larger" else max)(ratios)
        new, ratios = [math.floor(ratio * n + 0.5) for n in old], [ratio] * len(old)
    return new, ratios


@operator("Resize")
def resize(
    x: Tensor,
    roi: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
    *,
    mode: str = "nearest",
    coordinate_transformation_mode: str = "half_pixel",
    nearest_mode: str = "round_prefer_floor",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    antialias: int = 0,
    axes: Ints = None,
    keep_aspect_ratio_policy: str = "stretch",
    opset: int,
) -> Tensor:
    """`x` with axes of new lengths, by ratios (`scales`) or outright (`sizes`)."""
    coordinates = coordinate_transformation_mode
    if opset < 11:
        scales, roi, coordinates, nearest_mode = roi, None, "asymmetric", "floor"
    style = _Style(
        mode,
        coordinates,
        nearest_mode,
        cubic_coeff_a,
        bool(exclude_outside),
        extrapolation_value,
        bool(antialias),
    )
    dims = [dim % x.ndim for dim in integers(axes)] or list(range(x.ndim))
    old = [x.shape[dim] for dim in dims]
    new, ratios = _lengths(old, scales, sizes, keep_aspect_ratio_policy)
    crops = [0.0] * len(dims) + [1.0] * len(dims)
    if roi is not None and roi.numel():
        crops = [float(edge) for edge in roi.tolist()]
    for i, dim in enumerate(dims):
        axis = _Axis(old[i], new[i], ratios[i], (crops[i], crops[i + len(dims)]))
        if axis.size != axis.length or axis.scale != 1 or axis.crop != (0.0, 1.0):
            x = _resized(x, dim, axis, style)
    return x


@operator("Upsample")
def upsample(x: Tensor, scales: Tensor, *, mode: str = "nearest") -> Tensor:
    """Resize of opset 9: new places are old ones times the scale."""
    return resize(x, scales, mode=mode, opset=10)
