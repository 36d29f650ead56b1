"""Transforms: small random changes that a picture has to survive.

    Transform: (Tensor [batch, channels, height, width], torch.Generator) -> Tensor [..., h, w]

Without them gradient ascent finds patterns that work in one exact place only, and
look like noise. All entries of a batch are changed alike. The generator is one of
the CPU, so that the same seed makes the same changes on every device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Transform = Callable[[Tensor, torch.Generator], Tensor]


def compose(*transforms: Transform) -> Transform:
    """One after the other."""

    def run(image: Tensor, generator: torch.Generator) -> Tensor:
        for transform in transforms:
            image = transform(image, generator)
        return image

    return run


def pad(width: int, value: float = 0.5) -> Transform:
    """Add a border of one value; mid-grey by default."""
    return lambda image, generator: F.pad(image, (width,) * 4, value=value)


def jitter(amount: int) -> Transform:
    """Crop to a window that is smaller by `amount`, anywhere in the picture."""

    def run(image: Tensor, generator: torch.Generator) -> Tensor:
        top, left = (draw(amount + 1, generator) for _ in range(2))
        height, width = image.shape[2] - amount, image.shape[3] - amount
        return image[:, :, top : top + height, left : left + width]

    return run


def random_scale(factors: Sequence[float]) -> Transform:
    """Resize by one of the factors, bilinearly."""

    def run(image: Tensor, generator: torch.Generator) -> Tensor:
        factor = factors[draw(len(factors), generator)]
        return resize(image, (int(image.shape[2] * factor), int(image.shape[3] * factor)))

    return run


def random_rotate(degrees: Sequence[float]) -> Transform:
    """Rotate about the centre by one of the angles, bilinearly; black comes in at the corners."""

    def run(image: Tensor, generator: torch.Generator) -> Tensor:
        return rotate(image, degrees[draw(len(degrees), generator)])

    return run


def rotate(image: Tensor, degrees: float) -> Tensor:
    """Counterclockwise by an angle; the size stays."""
    if not degrees:
        return image
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    height, width = image.shape[2:]
    # From target to source, in coordinates that run from -1 to 1 along each edge.
    backward = [[cosine, -sine * height / width, 0.0], [sine * width / height, cosine, 0.0]]
    matrix = torch.tensor([backward], dtype=image.dtype, device=image.device)
    grid = F.affine_grid(matrix, [1, *image.shape[1:]], align_corners=False)
    grid = grid.expand(len(image), -1, -1, -1)
    return F.grid_sample(image, grid, padding_mode="zeros", align_corners=False)


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """To a height and width, bilinearly, without aliasing where it gets smaller."""
    if tuple(image.shape[2:]) == size:
        return image
    return F.interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)


def draw(count: int, generator: torch.Generator) -> int:
    """One of 0 .. count - 1, all equally likely."""
    return int(torch.randint(count, (), generator=generator))


standard: Transform = compose(
    pad(12),
    jitter(8),
    random_scale([1 + (i - 5) / 50 for i in range(11)]),
    random_rotate([*range(-10, 11), *[0] * 5]),
    jitter(4),
)
"""Lucid's `standard_transforms`. Zero is drawn six times as often as any other angle."""
