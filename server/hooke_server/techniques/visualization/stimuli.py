"""Synthetic stimuli: families of pictures that one or two numbers describe.

Drawn with soft edges on mid-grey, [channels, height, width] in 0..1; places in pictures
run from -1 to 1 across the shorter edge.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

LINE_WIDTH = 0.08
"""Of lines and curves, in half edges."""

WINDOW = 0.9
"""Radius of the disc in which stimuli are shown, in half edges; beyond it is grey."""

ORIENTATIONS = 8
RADII = (0.15, 0.25, 0.4, 0.65, 1.0, 1.6, 2.6)


class StimulusFamily(StrEnum):
    """As `hooke.v1.StimulusFamily`."""

    LINE = "line"
    CURVE = "curve"
    COLOR = "color"
    FREQUENCY = "frequency"
    ANGLE_RADIUS = "angle_radius"


@dataclass(frozen=True)
class Axis:
    """A number that tells stimuli of a family apart."""

    name: str
    unit: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Family:
    """Stimuli for each combination of the axes' values."""

    axes: tuple[Axis, ...]
    draw: Callable[[Canvas, Sequence[float]], Tensor]


@dataclass(frozen=True)
class Canvas:
    """Where stimuli are drawn."""

    channels: int
    height: int
    width: int

    @property
    def places(self) -> tuple[Tensor, Tensor]:
        """Distance right and up from the centre for each pixel."""
        half = min(self.height, self.width) / 2
        rows = (torch.arange(self.height) + 0.5 - self.height / 2) / half
        columns = (torch.arange(self.width) + 0.5 - self.width / 2) / half
        up, right = torch.meshgrid(-rows, columns, indexing="ij")
        return right, up

    @property
    def pixel(self) -> float:
        """Size of a pixel."""
        return 2 / min(self.height, self.width)

    def grey(self, pattern: Tensor) -> Tensor:
        """A pattern of -1 (black) to 1 (white) inside the window, as a picture."""
        right, up = self.places
        inside = soft(WINDOW - torch.hypot(right, up), self.pixel)
        return (0.5 + 0.5 * pattern * inside).expand(self.channels, -1, -1)


def family(name: StimulusFamily, resolution: int) -> Family:
    """A family with that many values along its first axis."""
    half_turn = Axis("orientation", "degrees", even(180, resolution))
    whole_turn = Axis("orientation", "degrees", even(360, resolution))
    match name:
        case StimulusFamily.LINE:
            return Family((half_turn,), line)
        case StimulusFamily.COLOR:
            return Family((Axis("hue", "degrees", even(360, resolution)),), colour)
        case StimulusFamily.CURVE:
            turned = Axis("orientation", "degrees", even(360, ORIENTATIONS))
            return Family(
                (Axis("curvature", "1 / half edge", curvatures(resolution)), turned), curve
            )
        case StimulusFamily.FREQUENCY:
            turned = Axis("orientation", "degrees", even(180, ORIENTATIONS))
            frequency = Axis("frequency", "cycles per picture", frequencies(resolution))
            return Family((frequency, turned), grating)
        case StimulusFamily.ANGLE_RADIUS:
            return Family((whole_turn, Axis("radius", "half edges", RADII)), arc)


def even(turn: float, count: int) -> tuple[float, ...]:
    """Angles that divide a turn, from 0."""
    return tuple(turn * number / count for number in range(count))


def curvatures(count: int) -> tuple[float, ...]:
    """From straight to a small circle."""
    return tuple(6.0 * number / max(count - 1, 1) for number in range(count))


def frequencies(count: int) -> tuple[float, ...]:
    """From 2 cycles a picture to 32, evenly in octaves."""
    return tuple(2.0 * 16 ** (number / max(count - 1, 1)) for number in range(count))


def line(canvas: Canvas, numbers: Sequence[float]) -> Tensor:
    """A bright line through the centre; 0 degrees lies, angles go counterclockwise."""
    return curve(canvas, (0.0, numbers[0]))


def arc(canvas: Canvas, numbers: Sequence[float]) -> Tensor:
    """A bright arc through the centre, by orientation and radius."""
    return curve(canvas, (1 / numbers[1], numbers[0]))


def curve(canvas: Canvas, numbers: Sequence[float]) -> Tensor:
    """A bright curve through the centre, by curvature and orientation.

    At 0 degrees its tangent lies and it bends upwards.
    """
    curvature, degrees = numbers
    along, across = _turned(canvas, degrees)
    if curvature:
        radius = 1 / curvature
        distance = torch.hypot(along, across - radius) - radius
        # Half of the circle: beyond it, it would be a ring.
        distance = torch.where(across > radius, torch.full_like(distance, 9.0), distance)
    else:
        distance = across
    return canvas.grey(soft(LINE_WIDTH / 2 - distance.abs(), canvas.pixel))


def grating(canvas: Canvas, numbers: Sequence[float]) -> Tensor:
    """A sine grating, by frequency and orientation; at 0 degrees its stripes lie."""
    frequency, degrees = numbers
    _, across = _turned(canvas, degrees)
    return canvas.grey(torch.cos(math.pi * frequency * across))


def colour(canvas: Canvas, numbers: Sequence[float]) -> Tensor:
    """A disc of one saturated hue; grey where the model takes no colours."""
    rgb = torch.tensor(colorsys.hsv_to_rgb(numbers[0] / 360, 1.0, 1.0)).reshape(3, 1, 1)
    right, up = canvas.places
    inside = soft(WINDOW - torch.hypot(right, up), canvas.pixel)
    picture = 0.5 + (rgb - 0.5) * inside
    return (
        picture
        if canvas.channels == 3
        else picture.mean(0, keepdim=True).expand(canvas.channels, -1, -1)
    )


def soft(inside: Tensor, pixel: float) -> Tensor:
    """1 where a signed distance is positive, 0 where negative, a ramp of one pixel between."""
    return (inside / pixel + 0.5).clamp(0, 1)


def _turned(canvas: Canvas, degrees: float) -> tuple[Tensor, Tensor]:
    """Coordinates along a direction and across it."""
    right, up = canvas.places
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return right * cosine + up * sine, -right * sine + up * cosine
