"""What a model's layers say to a photograph, and pictures drawn over it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hooke_server.models.model import Model
from hooke_server.techniques.objectives.scene import Values, source, units_first
from hooke_server.techniques.pictures import GUTTER, Pixels
from hooke_server.techniques.targets import Photograph, Site
from hooke_server.techniques.visualization.sight import (
    Size,
    channels,
    declared_size,
    normalize,
)

FALLBACK_SIZE = (224, 224)
"""For models that declare no size."""


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


def blank(height: int, width: int) -> Pixels:
    """Grey pixels."""
    return np.full((height, width, 3), GUTTER, np.uint8)


def positions_last(values: Tensor) -> Tensor:
    """[units, *positions] as [positions, units] rows."""
    return values.flatten(1).T if values.ndim > 1 else values[None]


def as_vector(values: Tensor) -> tuple[float, ...]:
    """Numbers of a direction, as a parameter holds them."""
    return tuple(torch.as_tensor(values).double().tolist())
