"""Plots of responses: a curve or a map, with stimuli beneath."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from hooke_server.techniques.pictures import Pixels, diverging
from hooke_server.techniques.visualization.stimuli import Axis

WIDTH, HEIGHT = 560, 200
LEFT, TOP, LABELS = 80, 24, 18
INK, PALE = (30, 30, 30), (220, 220, 220)
CURVE = (178, 24, 43)

Numbers = np.ndarray[Any, Any]


def curve_plot(axis: Axis, values: Numbers, stimuli: Sequence[Pixels], title: str) -> Pixels:
    """A curve over the axis, from the lowest response (or 0) to the highest (or 0)."""
    canvas, pen, below = _frame(axis, stimuli, title)
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    span = (high - low) or 1.0

    def level(value: float) -> float:
        return TOP + HEIGHT * (1 - (value - low) / span)

    pen.line((LEFT, level(0), LEFT + WIDTH, level(0)), fill=PALE)
    for value in {low, high}:
        pen.text((4, min(level(value), TOP + HEIGHT - 12)), f"{value:.3g}", fill=INK)
    cell = WIDTH / len(values)
    points = [(LEFT + cell * (i + 0.5), level(float(v))) for i, v in enumerate(values)]
    pen.line(points, fill=CURVE, width=2)
    for x, y in points:
        pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=CURVE)
    _strip(canvas, below, stimuli)
    return np.asarray(canvas)


def map_plot(
    first: Axis, second: Axis, values: Numbers, stimuli: Sequence[Pixels], title: str
) -> Pixels:
    """A map with the first axis across and the second up: red above zero, blue below."""
    canvas, pen, below = _frame(first, stimuli, title)
    scale = float(np.abs(values).max()) or 1.0
    tiles = Image.fromarray(diverging(values.T[::-1], scale))
    canvas.paste(tiles.resize((WIDTH, HEIGHT), Image.Resampling.NEAREST), (LEFT, TOP))
    pen.text((4, TOP), f"{second.values[-1]:.3g}", fill=INK)
    pen.text((4, TOP + HEIGHT - 12), f"{second.values[0]:.3g}", fill=INK)
    pen.text((4, TOP + HEIGHT // 2 - 6), second.name[:12], fill=INK)
    pen.text((LEFT + WIDTH - 150, 4), f"full colour: {scale:.3g}", fill=INK)
    _strip(canvas, below, stimuli)
    return np.asarray(canvas)


def _frame(
    axis: Axis, stimuli: Sequence[Pixels], title: str
) -> tuple[Image.Image, ImageDraw.ImageDraw, int]:
    """An empty plot, a pen for it, and where the stimuli begin."""
    below = TOP + HEIGHT + LABELS
    tile = WIDTH // max(len(stimuli), 1)
    canvas = Image.new("RGB", (LEFT + WIDTH + 12, below + tile + 8), "white")
    pen = ImageDraw.Draw(canvas)
    pen.text((LEFT, 4), title[:80], fill=INK)
    pen.rectangle((LEFT, TOP, LEFT + WIDTH, TOP + HEIGHT), outline=PALE)
    ends = f"{axis.values[0]:.3g}", f"{axis.values[-1]:.3g} {axis.unit}"
    pen.text((LEFT, TOP + HEIGHT + 3), ends[0], fill=INK)
    pen.text((LEFT + WIDTH // 2 - 30, TOP + HEIGHT + 3), axis.name, fill=INK)
    pen.text((LEFT + WIDTH - 8 * len(ends[1]), TOP + HEIGHT + 3), ends[1], fill=INK)
    return canvas, pen, below


def _strip(canvas: Image.Image, top: int, stimuli: Sequence[Pixels]) -> None:
    tile = WIDTH // max(len(stimuli), 1)
    for number, pixels in enumerate(stimuli):
        small = Image.fromarray(pixels[..., :3]).resize((tile - 2, tile - 2))
        canvas.paste(small, (LEFT + number * tile + 1, top))
