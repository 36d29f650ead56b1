"""What a model's layers say to a photograph, and pictures drawn over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hooke_server.models.model import Model
from hooke_server.techniques.pictures import GUTTER, Pixels, diverging
from hooke_server.techniques.targets import Photograph, Site
from hooke_server.techniques.visualization.images import to_pixels
from hooke_server.techniques.visualization.scene import Values, source, units_first
from hooke_server.techniques.visualization.sight import (
    Size,
    channels,
    declared_size,
    normalize,
)

FALLBACK_SIZE = (224, 224)
"""For models that declare no size."""

EDGE = 448
"""Pixels that a photograph's longer edge has at least when something is drawn over it."""


@dataclass(frozen=True)
class Seen:
    """A photograph as a model is shown it: the middle of it, at the model's own size.

    Attributes
    ----------
    picture : [channels, height, width] in 0..1.
    """

    model: Model
    picture: Tensor

    @classmethod
    def of(cls, model: Model, photograph: Photograph) -> Seen:
        """The photograph, cropped."""
        size: Size = declared_size(model) or FALLBACK_SIZE
        return cls(model, photograph.cropped(size, channels(model)).to(model.device))

    @property
    def inputs(self) -> Tensor:
        """What the model is given; a whole batch of it where the model takes one size only."""
        batch = self.model.fixed_batch or 1
        return normalize(self.model, self.picture[None]).expand(batch, -1, -1, -1)

    def activations(self, site: Site) -> Tensor:
        """A layer's values [units, *positions], in single precision."""
        layer = source(self.model, site)
        values: Values = self.model.forward([layer.id], [self.inputs])
        # A copy: inference tensors take no part in what has gradients.
        return units_first(layer, values)[0].float().clone()


def pooled(activations: Tensor, cells: int) -> Tensor:
    """[units, height, width] with at most so many cells along an edge, each a mean."""
    height, width = (min(extent, cells) for extent in activations.shape[1:])
    pooled_: Tensor = F.adaptive_avg_pool2d(activations, (height, width))
    return pooled_


def heat(picture: Tensor, values: Tensor) -> Pixels:
    """Values [height, width] over a picture in grey: red above zero, blue below.

    The strongest value has the full colour; where there is nothing the picture shows.
    """
    shown, large = enlarged(picture, values)
    scale = float(values.abs().max()) or 1.0
    share = np.clip(np.abs(large) / scale, 0, 1)[..., None] ** 0.75
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
    strength = np.clip(np.max(layers, axis=0) * 1.3, 0, 0.85)
    return np.asarray(np.rint(grey * (1 - strength) + paint / total * strength), np.uint8)


def enlarged(picture: Tensor, values: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The picture's pixels and the values, both at the size that is shown."""
    height, width = picture.shape[1:]
    factor = max(1.0, EDGE / max(height, width))
    size = (round(height * factor), round(width * factor))
    shown = F.interpolate(picture[None].float().cpu(), size, mode="bilinear")[0]
    large = F.interpolate(values[None, None].float().cpu(), size, mode="bilinear")[0, 0]
    return to_pixels(shown).astype(np.float64), large.numpy().astype(np.float64)


def blank(height: int, width: int) -> Pixels:
    """Grey pixels."""
    return np.full((height, width, 3), GUTTER, np.uint8)


def positions_last(values: Tensor) -> Tensor:
    """[units, *positions] as [positions, units] rows."""
    return values.flatten(1).T if values.ndim > 1 else values[None]


def as_vector(values: Tensor) -> tuple[float, ...]:
    """Numbers of a direction, as a parameter holds them."""
    return tuple(torch.as_tensor(values).double().tolist())
