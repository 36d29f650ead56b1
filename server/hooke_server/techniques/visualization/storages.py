"""Storages: coordinates in which pictures are optimized.

A storage makes a `Drawing`: tensors to begin with, and a function from such tensors to
raw pictures [batch, channels, height, width] of unbounded numbers, which
`images.py` turns into colours. The first axis of every tensor is the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from hooke_server.techniques.parameters import Range

Shape = tuple[int, int, int, int]
"""Batch, channels, height, width."""

Noise = Callable[..., Tensor]
"""Noise of deviation 1: from the extents of one entry to [batch, *extents]."""

CPPN_EXTENT = math.sqrt(3)
NATURAL_DECAY = 1.4
"""How the magnitudes of natural pictures fall with their frequency.

MACO's published mean over ImageNet, in decorrelated colours, follows f^-1.4 up to 0.3
cycles a pixel (root mean square error 0.17 of the logarithm) and falls faster beyond.
"""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A batch of raw pictures as a function of tensors."""

    start: tuple[Tensor, ...]
    draw: Callable[..., Tensor]


@dataclass(frozen=True)
class PixelImage:
    """The pixels themselves."""

    def begin(self, shape: Shape, noise: Noise, deviation: float) -> Drawing:
        """From noise."""
        return Drawing((noise(*shape[1:]) * deviation,), lambda pixels: pixels)

    def resume(self, raw: Tensor) -> Drawing:
        """From raw pictures."""
        return Drawing((raw,), lambda pixels: pixels)


@dataclass(frozen=True, kw_only=True)
class FourierImage:
    """Fourier coefficients, each divided by its frequency to a power."""

    decay_power: Annotated[float, Range(0, 4), "1 for natural pictures."] = 1.0

    def begin(self, shape: Shape, noise: Noise, deviation: float) -> Drawing:
        """From noise in all coefficients."""
        _, channels, height, width = shape
        columns = width // 2 + 1 + width % 2
        start = noise(channels, height, columns, 2) * deviation
        return Drawing((start,), self._draw(height, width, columns))

    def resume(self, raw: Tensor) -> Drawing:
        """From raw pictures."""
        height, width = raw.shape[2:]
        scale = spectrum_scale(height, width, self.decay_power)[:, : width // 2 + 1]
        spectrum = torch.fft.rfft2(raw) * 4 / scale.to(raw.device)
        return Drawing((torch.view_as_real(spectrum),), self._draw(height, width, width // 2 + 1))

    def _draw(self, height: int, width: int, columns: int) -> Callable[..., Tensor]:
        scale = spectrum_scale(height, width, self.decay_power)[:, :columns]
        # An odd width may hold a column more than it needs, as Lucid has it, and is cropped.
        full = 2 * (columns - 1) if columns > width // 2 + 1 else width

        def draw(coefficients: Tensor) -> Tensor:
            spectrum = torch.view_as_complex(coefficients.contiguous())
            scaled = spectrum * scale.to(coefficients.device)
            pictures: Tensor = torch.fft.irfft2(scaled, s=(height, full)) / 4
            return pictures[..., :width]

        return draw


@dataclass(frozen=True, kw_only=True)
class LaplacianPyramid:
    """Pictures of the whole size, half of it, a quarter ..., enlarged and added."""

    levels: Annotated[int, Range(1, 8), "How many sizes."] = 4

    def begin(self, shape: Shape, noise: Noise, deviation: float) -> Drawing:
        """From noise at every size."""
        _, channels, height, width = shape
        sizes = [(max(1, height >> level), max(1, width >> level)) for level in range(self.levels)]
        start = tuple(noise(channels, *size) * deviation for size in sizes)
        return Drawing(start, self._draw((height, width)))

    def resume(self, raw: Tensor) -> Drawing:
        """From raw pictures, each size holding what the smaller ones lack."""
        height, width = raw.shape[2:]
        levels: list[Tensor] = []
        rest = raw
        for level in reversed(range(self.levels)):
            size = (max(1, height >> level), max(1, width >> level))
            part = rest if level == 0 else F.interpolate(rest, size, mode="area")
            rest = rest - enlarged(part, (height, width))
            levels.insert(0, part)
        return Drawing(tuple(levels), self._draw((height, width)))

    def _draw(self, size: tuple[int, int]) -> Callable[..., Tensor]:
        def draw(*levels: Tensor) -> Tensor:
            return torch.stack([enlarged(level, size) for level in levels]).sum(0)

        return draw


@dataclass(frozen=True, kw_only=True)
class PatternNetwork:
    """A small network from coordinates to colours, as in Lucid."""

    layers: Annotated[int, Range(1, 32), "Hidden layers."] = 8
    units: Annotated[int, Range(1, 256), "Units in each."] = 24

    def begin(self, shape: Shape, noise: Noise, deviation: float) -> Drawing:
        """From random weights; the last layer begins at zero, a grey picture."""
        _, channels, height, width = shape
        start, given = [], 2
        for _ in range(self.layers):
            start += [noise(self.units, given) / math.sqrt(given), noise(self.units) * 0]
            given = 2 * self.units
        start += [noise(channels, given) * 0, noise(channels) * 0]
        rows, columns = (
            torch.linspace(-CPPN_EXTENT, CPPN_EXTENT, extent) for extent in (height, width)
        )
        places = torch.stack(torch.meshgrid(rows, columns, indexing="ij")).reshape(1, 2, -1)

        def draw(*weights: Tensor) -> Tensor:
            x = places.to(weights[0].device).expand(len(weights[0]), -1, -1)
            for matrix, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
                x = pattern_activation(torch.baddbmm(bias[..., None], matrix, x))
            x = torch.baddbmm(weights[-1][..., None], weights[-2], x)
            return x.reshape(*x.shape[:2], height, width)

        return Drawing(tuple(start), draw)

    def resume(self, raw: Tensor) -> Drawing:
        """No weights are known that draw a given picture; `check_ascent` refuses it."""
        raise NotImplementedError


@dataclass(frozen=True)
class FixedMagnitude:
    """Phases, with the magnitudes of natural pictures (MACO)."""

    def begin(self, shape: Shape, noise: Noise, deviation: float) -> Drawing:
        """From random phases; pictures are standardized after each step."""
        _, channels, height, width = shape
        magnitude = spectrum_scale(height, width, NATURAL_DECAY)[:, : width // 2 + 1]

        def draw(phases: Tensor) -> Tensor:
            angles = standardized(phases)
            spectrum = torch.polar(magnitude.to(phases.device).expand_as(angles), angles)
            return standardized(torch.fft.irfft2(spectrum, s=(height, width)))

        return Drawing((noise(channels, height, width // 2 + 1) * deviation,), draw)

    def resume(self, raw: Tensor) -> Drawing:
        """With the given pictures' own magnitudes, from their phases."""
        height, width = raw.shape[2:]
        spectrum = torch.fft.rfft2(raw)
        magnitude = spectrum.abs()

        def draw(phases: Tensor) -> Tensor:
            spectrum = torch.polar(magnitude.to(phases.device), phases)
            pictures: Tensor = torch.fft.irfft2(spectrum, s=(height, width))
            return pictures

        return Drawing((spectrum.angle(),), draw)


Storage = PixelImage | FourierImage | LaplacianPyramid | PatternNetwork | FixedMagnitude


def spectrum_scale(height: int, width: int, decay_power: float = 1.0) -> Tensor:
    """The weight of each Fourier coefficient, [height, width // 2 + 1, or + 2 if odd].

    With the frequency f in cycles per pixel: sqrt(h w) / max(f, 1 / max(h, w))^power.
    """
    rows = torch.fft.fftfreq(height)[:, None]
    columns = torch.fft.fftfreq(width)[: width // 2 + 1 + width % 2]
    frequency = torch.sqrt(rows**2 + columns**2).clamp(min=1 / max(height, width))
    return frequency**-decay_power * math.sqrt(height * width)


def enlarged(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resized bilinearly."""
    if tuple(x.shape[2:]) == size:
        return x
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


def pattern_activation(x: Tensor) -> Tensor:
    """Lucid's composite activation: arctan and its square, scaled to a variance of about 1."""
    arc = torch.atan(x)
    return torch.cat([arc / 0.67, arc.square() / 0.6], dim=1)


def standardized(x: Tensor) -> Tensor:
    """Each entry with mean 0 and deviation 1."""
    flat = x.flatten(1)
    mean, deviation = (
        each.reshape(-1, *[1] * (x.ndim - 1)) for each in (flat.mean(1), flat.std(1))
    )
    return (x - mean) / (deviation + 1e-5)
