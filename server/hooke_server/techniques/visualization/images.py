"""Images: how a picture that is optimized is stored.

    Image: start, a tuple of tensors;  render(*tensors) -> Tensor [batch, channels, height, width]

`fourier` and `pixel` render unbounded numbers; `colored` turns them into a
picture in 0..1. The formulas are those of Lucid (`optvis/param`), which this file
re-derives: descending in a space where all frequencies and colours are equally
easy to move gives pictures that look natural.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from torch import Tensor

COLOR_CORRELATION = ((0.26, 0.09, 0.02), (0.27, 0.0, -0.05), (0.27, -0.09, 0.03))
"""Square root of the covariance of RGB in ImageNet's pictures (Lucid)."""

DEVIATION = 0.01
"""Standard deviation of the noise that a picture starts from."""

Shape = tuple[int, int, int, int]
"""Batch, channels, height, width."""


class Parameterization(StrEnum):
    """How a picture is stored; as `hooke.v1.ImageParameterization`."""

    FOURIER = "fourier"
    PIXEL = "pixel"


@dataclass(frozen=True, slots=True)
class Image:
    """A batch of pictures as a function of tensors.

    Attributes
    ----------
    start : the tensors at the beginning; the first axis of each is the batch.
    render : from such tensors to pictures [batch, channels, height, width].
    """

    start: tuple[Tensor, ...]
    render: Callable[..., Tensor]


def pixel(shape: Shape, generator: torch.Generator) -> Image:
    """The pixels themselves."""
    return Image((_noise(shape[0], shape[1:], generator),), lambda pixels: pixels)


def fourier(shape: Shape, generator: torch.Generator) -> Image:
    """Fourier coefficients, each divided by its frequency.

    Natural pictures have a spectrum of 1/f; scaled so, all coefficients want steps
    of the same size. With the frequency f in cycles per pixel, a coefficient counts
    sqrt(h w) / max(f, 1 / max(h, w)), and the whole picture 1/4.
    """
    batch, channels, height, width = shape
    scale = spectrum_scale(height, width)
    start = _noise(batch, (channels, *scale.shape, 2), generator)

    def render(coefficients: Tensor) -> Tensor:
        spectrum = torch.view_as_complex(coefficients) * scale.to(coefficients.device)
        # An odd width holds a column more than it needs, as Lucid has it, and is cropped.
        full: Tensor = torch.fft.irfft2(spectrum, s=(height, 2 * (scale.shape[1] - 1))) / 4
        return full[..., :width]

    return Image((start,), render)


def spectrum_scale(height: int, width: int) -> Tensor:
    """The weight of each Fourier coefficient, [height, width // 2 + 1, or + 2 if odd]."""
    rows = torch.fft.fftfreq(height)[:, None]
    columns = torch.fft.fftfreq(width)[: width // 2 + 1 + width % 2]
    frequency = torch.sqrt(rows**2 + columns**2).clamp(min=1 / max(height, width))
    return frequency.reciprocal() * math.sqrt(height * width)


def colored(image: Image, *, decorrelate: bool) -> Image:
    """Through a sigmoid to 0..1, before it to colours that correlate as natural ones do.

    `decorrelate` is for three channels, red, green, blue; others stay as they are.
    """

    def render(*tensors: Tensor) -> Tensor:
        raw = image.render(*tensors)
        return torch.sigmoid(correlate(raw) if decorrelate and raw.shape[1] == 3 else raw)

    return Image(image.start, render)


def correlate(raw: Tensor) -> Tensor:
    """From decorrelated colours [batch, 3, h, w] to red, green, blue."""
    matrix = torch.tensor(COLOR_CORRELATION, device=raw.device, dtype=raw.dtype)
    return torch.einsum("rc,bchw->brhw", matrix / matrix.norm(dim=0).max(), raw)


def make_image(
    parameterization: Parameterization,
    shape: Shape,
    generator: torch.Generator,
    *,
    decorrelate: bool,
    device: torch.device | None = None,
) -> Image:
    """Pictures in 0..1, stored as asked, on that device."""
    stored = {Parameterization.FOURIER: fourier, Parameterization.PIXEL: pixel}[parameterization]
    image = colored(stored(shape, generator), decorrelate=decorrelate)
    return Image(tuple(tensor.to(device) for tensor in image.start), image.render)


def _noise(batch: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Normal noise, the same in each batch entry.

    So a picture does not depend on which others are made beside it.
    """
    noise = torch.randn(1, *shape, generator=generator) * DEVIATION
    return noise.repeat(batch, *(1 for _ in shape))


def to_pixels(picture: Tensor) -> np.ndarray:
    """A picture [channels, height, width] in 0..1 as 8-bit pixels [height, width, 3].

    One channel, or two, show as grey, their mean; more than three by the first three.
    """
    shown = picture[:3] if len(picture) >= 3 else picture.mean(0, keepdim=True).expand(3, -1, -1)
    pixels = shown.clamp(0, 1).mul(255).round().to("cpu", torch.uint8)
    return np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())
