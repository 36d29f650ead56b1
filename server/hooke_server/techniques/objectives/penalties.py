"""Measures of the pictures themselves, usually with a negative weight; see `objective.proto`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.techniques.objectives.scene import Scene
from hooke_server.techniques.parameters import Range


@dataclass(frozen=True, kw_only=True)
class PixelNorm:
    """How far pixels are from a constant."""

    order: Annotated[int, Range(1, 2), "1: absolute; 2: squared."] = 2
    constant: Annotated[float, Range(0, 1), "Where there is no penalty."] = 0.5

    def __call__(self, scene: Scene) -> Tensor:
        """The mean distance."""
        apart = (scene.pictures - self.constant).flatten(1)
        if self.order == 1:
            return apart.abs().mean(1)
        return torch.sqrt(1e-6 + apart.square().mean(1))


@dataclass(frozen=True, kw_only=True)
class TotalVariation:
    """How much neighbouring pixels differ."""

    def __call__(self, scene: Scene) -> Tensor:
        """Absolute differences down and across, by the number of pixels."""
        x = scene.pictures
        down = (x[:, :, 1:] - x[:, :, :-1]).abs().flatten(1).sum(1)
        across = (x[..., 1:] - x[..., :-1]).abs().flatten(1).sum(1)
        return (down + across) / (x.shape[2] * x.shape[3])


@dataclass(frozen=True, kw_only=True)
class Blur:
    """How much blurring would change the picture."""

    alpha: Annotated[bool, "Of the opacity in place of the colours."] = False

    def __call__(self, scene: Scene) -> Tensor:
        """Half the squared distance from the blurred picture, which has no gradient."""
        x = opacity(scene) if self.alpha else scene.pictures
        return 0.5 * (x - blurred(x, 3).detach()).square().flatten(1).sum(1)


@dataclass(frozen=True, kw_only=True)
class BoundaryComplexity:
    """How much happens along the border."""

    width: Annotated[int, Range(1, 1024), "Of the border, in pixels."] = 20

    def __call__(self, scene: Scene) -> Tensor:
        """Squared distances from the blurred picture and from grey, summed over the border."""
        x = scene.pictures
        apart = (blurred(x, 5) - x).square() + 0.8 * (x - 0.5).square()
        border = torch.ones(x.shape[2:], dtype=torch.bool, device=x.device)
        border[self.width : -self.width, self.width : -self.width] = False
        return (apart * border).flatten(1).sum(1)


@dataclass(frozen=True, kw_only=True)
class MeanAlpha:
    """How opaque the picture is."""

    def __call__(self, scene: Scene) -> Tensor:
        """The mean opacity."""
        return opacity(scene).flatten(1).mean(1)


def opacity(scene: Scene) -> Tensor:
    """The alpha channel, or InvalidArgumentError."""
    if scene.alpha is None:
        message = "a measure of opacity needs pictures with alpha; set image.alpha"
        raise InvalidArgumentError(Reason.INVALID_FIELD, message, field="ascent.image.alpha")
    return scene.alpha


def blurred(x: Tensor, width: int) -> Tensor:
    """By a kernel that is 1 inside and 1/2 at its rim; at borders the mean of what is there."""
    kernel = torch.full((width, width), 0.5, dtype=x.dtype, device=x.device)
    kernel[1:-1, 1:-1] = 1.0
    weight = kernel.expand(x.shape[1], 1, -1, -1)
    total = F.conv2d(x, weight, padding=width // 2, groups=x.shape[1])
    return total / F.conv2d(torch.ones_like(x), weight, padding=width // 2, groups=x.shape[1])
