"""Transforms: small random changes that a picture has to survive; see `transform.proto`.

    transform(pictures, generator)  ->  Tensor [batch, channels, h, w]

Without them gradient ascent finds patterns that work in one exact place only, and
look like noise. All entries of a batch are changed alike. The generator is one of
the CPU, so that the same seed makes the same changes on every device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.techniques.parameters import Range

CROP_CENTRE_DEVIATION = 0.15
"""Of the centre of a crop, in edges of the picture (MACO)."""


@dataclass(frozen=True, kw_only=True)
class Pad:
    """Add a border of one value."""

    width: Annotated[int, Range(0, 512), "Pixels on each side."]
    value: Annotated[float, Range(0, 1), "Of the border."] = 0.5

    def __call__(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """The padded pictures."""
        return F.pad(image, (self.width,) * 4, value=self.value)

    def grown(self, edge: int) -> int:
        """The longest edge that comes out."""
        return edge + 2 * self.width


@dataclass(frozen=True, kw_only=True)
class Jitter:
    """Crop to a window that is smaller by some pixels, anywhere in the picture."""

    pixels: Annotated[int, Range(0, 512), "How much smaller."]

    def __call__(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """The window; never less than one pixel of a tiny picture."""
        height, width = (max(1, extent - self.pixels) for extent in image.shape[2:])
        top, left = (draw(self.pixels + 1, generator) for _ in range(2))
        top, left = min(top, image.shape[2] - height), min(left, image.shape[3] - width)
        return image[:, :, top : top + height, left : left + width]

    def grown(self, edge: int) -> int:
        """The longest edge that comes out."""
        return max(1, edge - self.pixels)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Resize by one of the factors, bilinearly."""

    factors: Annotated[tuple[float, ...], Range(0.1, 4), "All equally likely."]

    def __call__(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """The resized pictures."""
        factor = self.factors[draw(len(self.factors), generator)]
        height, width = (max(1, int(extent * factor)) for extent in image.shape[2:])
        return resize(image, (height, width))

    def __post_init__(self) -> None:
        at_least_one(self.factors, "transforms.scale.factors")

    def grown(self, edge: int) -> int:
        """The longest edge that comes out."""
        return max(1, int(edge * max(self.factors)))


@dataclass(frozen=True, kw_only=True)
class Rotate:
    """Rotate about the centre by one of the angles, bilinearly; black comes in."""

    degrees: Annotated[tuple[float, ...], Range(-360, 360), "All equally likely."]

    def __call__(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """The rotated pictures, of the same size."""
        return rotate(image, self.degrees[draw(len(self.degrees), generator)])

    def __post_init__(self) -> None:
        at_least_one(self.degrees, "transforms.rotate.degrees")

    def grown(self, edge: int) -> int:
        """The longest edge that comes out."""
        return edge


@dataclass(frozen=True, kw_only=True)
class Crop:
    """Take a random square part and resize it to the picture's size (MACO)."""

    minimum: Annotated[float, Range(0.05, 1), "Edge of the part, in edges of the picture."]
    maximum: Annotated[float, Range(0.05, 1), "Edge of the part at most."]

    def __call__(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """The part, enlarged; where it would leave the picture it is moved inside."""
        share = float(torch.rand((), generator=generator, dtype=torch.float64))
        share = self.minimum + share * (self.maximum - self.minimum)
        height, width = (max(1, round(extent * share)) for extent in image.shape[2:])
        centre = 0.5 + CROP_CENTRE_DEVIATION * torch.randn(2, generator=generator)
        top, left = (
            min(max(round(float(c) * extent - part / 2), 0), extent - part)
            for c, extent, part in zip(centre, image.shape[2:], (height, width), strict=True)
        )
        part = image[:, :, top : top + height, left : left + width]
        return resize(part, (image.shape[2], image.shape[3]))

    def grown(self, edge: int) -> int:
        """The longest edge that comes out."""
        return edge


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Add normal noise."""

    deviation: Annotated[float, Range(0, 10), "Standard deviation, of values in 0..1."]

    def __call__(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """The noisy pictures, each with the same noise."""
        noise = torch.randn(image.shape[1:], generator=generator)
        return image + self.deviation * noise.to(image)

    def grown(self, edge: int) -> int:
        """The longest edge that comes out."""
        return edge


Transform = Pad | Jitter | Scale | Rotate | Crop | Noise


@dataclass(frozen=True, kw_only=True)
class TransformSequence:
    """One change after another, before each look at a picture."""

    transforms: Annotated[tuple[Transform, ...], "In this order; none: seen as it is."] = ()
    copies: Annotated[
        int, Range(1, 64), "Differently changed looks in a step; their mean counts."
    ] = 1

    def __call__(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """The changed pictures."""
        for transform in self.transforms:
            image = transform(image, generator)
        return image

    def grown(self, edge: int) -> int:
        """The longest edge that comes out of any of them."""
        longest = edge
        for transform in self.transforms:
            edge = transform.grown(edge)
            longest = max(longest, edge)
        return longest


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


def at_least_one(values: Sequence[float], field: str) -> None:
    """InvalidArgumentError for an empty list."""
    if not values:
        raise InvalidArgumentError(Reason.INVALID_FIELD, f"{field} must not be empty", field=field)


def draw(count: int, generator: torch.Generator) -> int:
    """One of 0 .. count - 1, all equally likely."""
    return int(torch.randint(count, (), generator=generator))


STANDARD = TransformSequence(
    transforms=(
        Pad(width=12),
        Jitter(pixels=8),
        Scale(factors=tuple(1 + (i - 5) / 50 for i in range(11))),
        Rotate(degrees=(*map(float, range(-10, 11)), *[0.0] * 5)),
        Jitter(pixels=4),
    )
)
"""Lucid's `standard_transforms`. Zero is drawn six times as often as any other angle."""
