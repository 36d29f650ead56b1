"""Pictures as pixels and as files: feature maps, colours, PNG, JPEG and WebP."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Format = Literal["png", "jpeg", "webp"]

OPTIONS: dict[Format, dict[str, Any]] = {
    # The levels that are quick and hardly larger; WebP without loss.
    "png": {"compress_level": 1},
    "jpeg": {"quality": 90},
    "webp": {"lossless": True, "method": 0, "quality": 0},
}

BLUE = np.array([0.02, 0.19, 0.58])
RED = np.array([0.70, 0.02, 0.09])
GUTTER = 205
"""Grey between tiles, darker than any tile's white."""


def encode(pixels: Pixels, format: Format) -> bytes:  # noqa: A002  # the word of the field
    """A file's bytes of pixels [height, width, 3 or 4]."""
    image = Image.fromarray(pixels)
    if format == "jpeg":
        image = image.convert("RGB")
    file = io.BytesIO()
    image.save(file, format, **OPTIONS[format])
    return file.getvalue()


def diverging(values: np.ndarray[Any, Any], scale: float) -> Pixels:
    """Colours [..., 3] of values: blue at -scale, white at 0, red at +scale, grey where NaN."""
    share = np.clip(np.asarray(values, np.float64) / (scale or 1.0), -1.0, 1.0)[..., None]
    ends = np.where(share < 0, BLUE, RED)
    colours = 1.0 + np.abs(share) * (ends - 1.0)
    colours = np.where(np.isnan(share), GUTTER / 255, colours)
    return np.asarray(np.rint(colours * 255), np.uint8)


@dataclass(frozen=True, slots=True)
class GridLayout:
    """Tiles in rows, all in pixels but the number of columns."""

    columns: int
    gap: int
    tile: tuple[int, int]
    width: int
    height: int

    def corner(self, index: int) -> tuple[int, int]:
        """Left and upper edge of a tile."""
        row, column = divmod(index, self.columns)
        across, down = self.tile
        return self.gap + column * (across + self.gap), self.gap + row * (down + self.gap)


def grid_layout(count: int, height: int, width: int, tile_size: int) -> GridLayout:
    """`count` tiles of maps [height, width], as near to a square as can be."""
    columns = math.ceil(math.sqrt(count))
    gap = max(1, tile_size // 32)
    factor = tile_size / max(height, width)
    tile = (max(1, round(width * factor)), max(1, round(height * factor)))
    return GridLayout(
        columns=columns,
        gap=gap,
        tile=tile,
        width=columns * (tile[0] + gap) + gap,
        height=math.ceil(count / columns) * (tile[1] + gap) + gap,
    )


def feature_map_grid(maps: np.ndarray[Any, Any], tile_size: int, scale: float) -> Pixels:
    """Tiles of maps [units, height, width] in rows.

    A tile's longer edge is `tile_size`; pixels of small maps stay sharp squares.
    """
    count, height, width = maps.shape
    layout = grid_layout(count, height, width, tile_size)
    grid = np.full((layout.height, layout.width, 3), GUTTER, np.uint8)
    enlarged = tile_size >= max(height, width)
    resample = Image.Resampling.NEAREST if enlarged else Image.Resampling.BOX
    # Map by map, because colours take much more memory than values.
    for index, values in enumerate(maps):
        tile = Image.fromarray(diverging(values, scale)).resize(layout.tile, resample)
        left, top = layout.corner(index)
        grid[top : top + layout.tile[1], left : left + layout.tile[0]] = np.asarray(tile)
    return grid
