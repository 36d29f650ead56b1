"""Charts of numbers by layer or unit: a profile on a logarithmic axis, bars, a heat map.

They are drawn at twice their size and brought down, so that lines are smooth.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hooke_server.techniques.pictures import GUTTER, Pixels, diverging

WIDTH, HEIGHT = 880, 260
LEFT, TOP, RIGHT, BOTTOM = 72, 34, 20, 46
SCALE = 2
MAX_MAP, MIN_MAP = 1024, 320
"""Pixels along the longer edge of a heat map."""

INK, PALE, GREY = (30, 30, 30), (222, 222, 222), (120, 120, 120)
CURVE, MARK, SECOND = (33, 102, 172), (178, 24, 43), (27, 120, 55)

LETTERS, MAX_LABEL = 13, 40
"""Height of a heat map's letters in pixels, and most of them in a label."""

BOX, TURN = Image.Resampling.BOX, Image.Transpose.ROTATE_90

Point = tuple[float, float]
Numbers = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """What a chart's vertical axis maps values to: a share 0..1 from its lower end."""

    share: Callable[[float], float]
    ticks: tuple[tuple[float, str], ...]


def logarithmic(values: Sequence[float], *, floor: float = 1e-9) -> Axis:
    """From the smallest value above `floor`, or the floor itself, to the largest, by decades."""
    good = [each for each in values if math.isfinite(each) and each > 0]
    low = math.floor(math.log10(max(min(good, default=1.0), floor)))
    high = max(math.ceil(math.log10(max(max(good, default=1.0), floor))), low + 1)

    def share(value: float) -> float:
        if not math.isfinite(value):
            return 1.0
        return (math.log10(max(value, 10.0**low)) - low) / (high - low)

    # The decade above the largest numbers is none itself.
    last, step = min(high, sys.float_info.max_10_exp), math.ceil((high - low) / 8)
    return Axis(
        share=share,
        ticks=tuple((10.0**power, f"1e{power}") for power in range(low, last + 1, step)),
    )


def linear(low: float, high: float) -> Axis:
    """From `low` to `high`, with ticks at round numbers."""
    span = (high - low) or 1.0
    step = 10.0 ** math.floor(math.log10(span / 4))
    step *= next(factor for factor in (1, 2, 2.5, 5, 10) if span / (step * factor) < 5.5)
    # A low that rounding took below a tick still has it.
    first, last = math.ceil(low / step - 1e-6), math.floor((low + span) / step + 1e-6)
    return Axis(
        share=lambda value: min(max((value - low) / span, 0.0), 1.0),
        ticks=tuple((count * step, f"{count * step:.6g}") for count in range(first, last + 1)),
    )


class Chart:
    """A chart with one place along for each name."""

    def __init__(self, title: str, names: Sequence[str], axis: Axis) -> None:
        size = ((LEFT + WIDTH + RIGHT) * SCALE, (TOP + HEIGHT + BOTTOM) * SCALE)
        self._canvas = Image.new("RGB", size, "white")
        self._pen = ImageDraw.Draw(self._canvas)
        self._names = names
        self._axis = axis
        self._text(LEFT, 8, title, size=15)
        for value, label in axis.ticks:
            level = self._level(value)
            self._line([(LEFT, level), (LEFT + WIDTH, level)], PALE, 1)
            self._text(LEFT - 8, level - 7, label, anchor="ra")
        for place in sorted({0, len(names) // 2, len(names) - 1} - {-1}):
            anchor = "la" if place == 0 else "ra" if place == len(names) - 1 else "ma"
            self._text(self._along(place), TOP + HEIGHT + 22, names[place], anchor=anchor)

    def curve(self, values: Sequence[float | None], colour: tuple[int, int, int] = CURVE) -> None:
        """A line through values; it is broken where there is none, and rings stand for NaN."""
        run: list[Point] = []
        for place, value in enumerate([*values, None]):
            if value is None:
                self._line(run, colour, 2)
                run = []
                continue
            point = (self._along(place), self._level(value))
            run.append(point)
            self._dot(point, 2.6, colour, hollow=not math.isfinite(value))

    def bars(self, values: Sequence[float | None], colour: tuple[int, int, int] = CURVE) -> None:
        """A bar for each value, from zero, or from the axis' lower end where that is above."""
        zero = self._level(0.0)
        half = max(WIDTH / max(len(values), 1) * 0.4, 0.5)
        for place, value in enumerate(values):
            if value is not None:
                x, (top, foot) = self._along(place), sorted((self._level(value), zero))
                self._box((x - half, top, x + half, foot), colour)

    def limit(self, value: float, label: str) -> None:
        """A dashed line across, with its name."""
        level = self._level(value)
        for start in range(0, WIDTH, 12):
            self._line([(LEFT + start, level), (LEFT + start + 6, level)], GREY, 1)
        self._text(LEFT + 4, level - 16, label, colour=GREY)

    def mark(self, place: int, value: float) -> None:
        """A place that is to be seen, with its name."""
        x, y = self._along(place), self._level(value)
        self._line([(x, TOP), (x, TOP + HEIGHT)], MARK, 1)
        self._dot((x, y), 5, MARK)
        right = x > LEFT + WIDTH / 2
        self._text(x + (-6 if right else 6), TOP + HEIGHT + 4, self._names[place],
                   anchor="ra" if right else "la", colour=MARK)  # fmt: skip

    def legend(self, *entries: tuple[str, tuple[int, int, int]]) -> None:
        """What colours mean, above on the right."""
        x = LEFT + WIDTH
        for label, colour in reversed(entries):
            self._text(x, 10, label, anchor="ra", colour=colour)
            x -= int(self._pen.textlength(label, _font(12)) / SCALE) + 16

    def pixels(self) -> Pixels:
        """The chart as it stands."""
        size = (self._canvas.width // SCALE, self._canvas.height // SCALE)
        return np.asarray(self._canvas.resize(size, Image.Resampling.LANCZOS))

    def _along(self, place: int) -> float:
        return LEFT + WIDTH * (place + 0.5) / max(len(self._names), 1)

    def _level(self, value: float) -> float:
        return TOP + HEIGHT * (1 - self._axis.share(value))

    def _line(self, points: Sequence[Point], colour: tuple[int, int, int], width: int) -> None:
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        if len(scaled) > 1:
            self._pen.line(scaled, fill=colour, width=width * SCALE, joint="curve")

    def _box(self, box: tuple[float, float, float, float], colour: tuple[int, int, int]) -> None:
        self._pen.rectangle([each * SCALE for each in box], fill=colour)

    def _dot(
        self, point: Point, radius: float, colour: tuple[int, int, int], *, hollow: bool = False
    ) -> None:
        x, y, r = point[0] * SCALE, point[1] * SCALE, radius * SCALE
        fill = "white" if hollow else colour
        self._pen.ellipse((x - r, y - r, x + r, y + r), fill=fill, outline=colour, width=SCALE)

    def _text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: int = 12,
        anchor: str = "la",
        colour: tuple[int, int, int] = INK,
    ) -> None:
        place = (x * SCALE, y * SCALE)
        self._pen.text(place, text, fill=colour, font=_font(size), anchor=anchor)


def heat_map(
    values: Numbers, rows: Sequence[str], columns: Sequence[str], title: str, *, scale: float = 1.0
) -> Pixels:
    """Cells of values [rows, columns]: red at `scale`, white at 0, blue below, grey for NaN.

    As many of the rows and columns as there is room for are named beside them.
    """
    height, width = values.shape
    cell = max(min(MAX_MAP / max(height, width), 24), MIN_MAP / max(height, width))
    inner = max(round(width * cell), 1), max(round(height * cell), 1)
    if cell < 1:  # before there are colours, which take more memory
        values = np.asarray(Image.fromarray(values.astype(np.float32)).resize(inner, BOX))
    tiles = Image.fromarray(diverging(values, scale)).resize(inner, Image.Resampling.NEAREST)
    beside, below = _labels(rows, cell), _labels(columns, cell).transpose(TURN)
    left, top = beside.width + 8, 30
    across = max(left + inner[0], _width(title) + 8) + 16
    canvas = Image.new("RGB", (across, top + inner[1] + below.height + 12), "white")
    canvas.paste(tiles, (left, top))
    canvas.paste(beside, (4, top))
    canvas.paste(below, (left, top + inner[1] + 4))
    pen = ImageDraw.Draw(canvas)
    pen.rectangle((left - 1, top - 1, left + inner[0], top + inner[1]), outline=(GUTTER,) * 3)
    pen.text((8, 7), title, fill=INK, font=ImageFont.load_default(LETTERS))
    return np.asarray(canvas)


def _labels(names: Sequence[str], cell: float) -> Image.Image:
    """Names beneath each other, each at the middle of its cell, as many as there is room for."""
    step = math.ceil((LETTERS + 2) / cell)
    shown = {place: names[place][:MAX_LABEL] for place in range(0, len(names), step)}
    width = max(map(_width, shown.values()), default=0)
    canvas = Image.new("RGB", (width, max(round(len(names) * cell), LETTERS + 4)), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(LETTERS - 1)
    for place, name in shown.items():
        middle = max((place + 0.5) * cell, LETTERS / 2)
        pen.text((width, middle), name, fill=INK, font=font, anchor="rm")
    return canvas


def _font(size: int) -> Any:
    return ImageFont.load_default(size * SCALE)


def _width(text: str) -> int:
    return round(ImageFont.load_default(LETTERS).getlength(text))
