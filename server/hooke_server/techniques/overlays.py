"""Values drawn over a picture, and a tensor's picture as pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hooke_server.techniques.pictures import Pixels, diverging

STRONGEST = 0.85
"""How much of a colour covers the picture at most, so that it is seen everywhere."""

EDGE = 448
"""Pixels that a photograph's longer edge has at least when something is drawn over it."""


def heat(picture: Tensor, values: Tensor) -> Pixels:
    """Values [height, width] over a picture in grey: red above zero, blue below.

    The strongest value has the most colour; where there is nothing the picture shows.
    """
    shown, large = enlarged(picture, values)
    scale = float(values.abs().max()) or 1.0
    share = STRONGEST * np.clip(np.abs(large) / scale, 0, 1)[..., None] ** 0.75
    grey = shown.mean(2, keepdims=True) * 0.7 + 76
    mixed = grey * (1 - share) + diverging(np.sign(large), 1.0) * share
    return np.asarray(np.rint(mixed), np.uint8)


def colored_maps(picture: Tensor, maps: Tensor, colours: Sequence[Sequence[float]]) -> Pixels:
    """Maps [groups, height, width] from 0 over a picture in grey, each in its colour in 0..1."""
    shares = maps / maps.amax().clamp(min=1e-12)
    layers = [enlarged(picture, each)[1].clip(0, 1)[..., None] for each in shares]
    shown, _ = enlarged(picture, maps[0])
    grey = shown.mean(2, keepdims=True) * 0.7 + 76
    total = np.maximum(sum(layers), 1e-6)
    paint = sum(
        layer * np.asarray(colour) * 255 for layer, colour in zip(layers, colours, strict=True)
    )
    strength = np.clip(np.max(layers, axis=0) * 1.3, 0, STRONGEST)
    return np.asarray(np.rint(grey * (1 - strength) + paint / total * strength), np.uint8)


def enlarged(picture: Tensor, values: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The picture's pixels and the values, both at the size that is shown."""
    height, width = picture.shape[1:]
    factor = max(1.0, EDGE / max(height, width))
    size = (round(height * factor), round(width * factor))
    shown = F.interpolate(picture[None].float().cpu(), size, mode="bilinear")[0]
    large = F.interpolate(values[None, None].float().cpu(), size, mode="bilinear")[0, 0]
    return to_pixels(shown).astype(np.float64), large.numpy().astype(np.float64)


def to_pixels(picture: Tensor, *, alpha: bool = False) -> np.ndarray:
    """A picture [channels, height, width] in 0..1 as 8-bit pixels [height, width, 3 or 4].

    One channel, or two, show as grey, their mean; more than three by the first three.
    """
    colours, opacity = (picture[:-1], picture[-1:]) if alpha else (picture, picture[:0])
    grey = len(colours) < 3
    shown = colours.mean(0, keepdim=True).expand(3, -1, -1) if grey else colours[:3]
    pixels = torch.cat([shown, opacity]).clamp(0, 1).mul(255).round().to("cpu", torch.uint8)
    return np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())
