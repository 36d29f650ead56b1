"""Sprite sheets: the finished pictures of a run as one, with an index."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from PIL import Image

from hooke_server.errors import Reason, ResourceExhaustedError
from hooke_server.techniques.frames import Frame, Frames, Picture, Result, Tile
from hooke_server.techniques.parameters import Range
from hooke_server.techniques.pictures import GUTTER

GAP = 2
"""Pixels between tiles."""

MAX_EDGE = 8192
"""Pixels along the longest edge of a sheet."""


@dataclass(frozen=True, kw_only=True)
class SpriteSheet:
    """As the message of the contract."""

    tile_size: Annotated[int | None, Range(8, 1024), "Edge that each picture is fitted into."] = (
        None
    )
    columns: Annotated[int | None, Range(1, 1024), "Tiles in a row."] = None


def as_sheet(frames: Frames, sheet: SpriteSheet) -> Iterator[Frame]:
    """The frames with all finished pictures, but none with tiles of its own, in one sheet."""
    kept: list[Picture] = []
    try:
        for frame in frames:
            if isinstance(frame, Picture) and frame.final and not frame.tiles:
                kept.append(frame)
            elif isinstance(frame, Result) and kept:
                yield make_sheet(kept, sheet)
                yield frame
            else:
                yield frame
    finally:
        if isinstance(frames, Generator):
            frames.close()


def make_sheet(pictures: Sequence[Picture], sheet: SpriteSheet) -> Picture:
    """Pictures in rows, in their order, each in the middle of its cell."""
    edge = sheet.tile_size
    tiles = [_fitted(each.pixels, edge) for each in pictures]
    cell_height, cell_width = (max(tile.shape[axis] for tile in tiles) for axis in (0, 1))
    columns = min(sheet.columns or math.ceil(math.sqrt(len(tiles))), len(tiles))
    rows = math.ceil(len(tiles) / columns)
    height, width = rows * (cell_height + GAP) - GAP, columns * (cell_width + GAP) - GAP
    _check_size(height, width, rows, columns)
    channels = max(tile.shape[2] for tile in tiles)
    canvas = np.full((height, width, channels), GUTTER, np.uint8)
    index = []
    for number, (tile, picture) in enumerate(zip(tiles, pictures, strict=True)):
        top = number // columns * (cell_height + GAP) + (cell_height - tile.shape[0]) // 2
        left = number % columns * (cell_width + GAP) + (cell_width - tile.shape[1]) // 2
        place = canvas[top : top + tile.shape[0], left : left + tile.shape[1]]
        place[..., :3] = tile[..., :3]
        if channels == 4:
            place[..., 3] = tile[..., 3] if tile.shape[2] == 4 else 255
        index.append(_indexed(picture, left, top, tile))
    return Picture(
        name="sprite_sheet",
        pixels=canvas,
        step=max(picture.step for picture in pictures),
        caption=f"{len(tiles)} pictures in {columns} columns",
        tiles=tuple(index),
    )


def _indexed(picture: Picture, left: int, top: int, tile: np.ndarray[Any, Any]) -> Tile:
    return Tile(
        x=left,
        y=top,
        width=tile.shape[1],
        height=tile.shape[0],
        site=picture.site,
        item=picture.item,
        sample=picture.sample,
        objective=picture.objective,
        caption=picture.caption,
    )


def _fitted(pixels: np.ndarray[Any, Any], edge: int | None) -> np.ndarray[Any, Any]:
    if edge is None or max(pixels.shape[:2]) == edge:
        return pixels
    factor = edge / max(pixels.shape[:2])
    height, width = (max(1, round(extent * factor)) for extent in pixels.shape[:2])
    resized = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(resized)


def _check_size(height: int, width: int, rows: int, columns: int) -> None:
    if max(height, width) > MAX_EDGE:
        fitting = MAX_EDGE // max(rows, columns) - GAP
        raise ResourceExhaustedError(
            Reason.LIMIT_EXCEEDED,
            f"the sheet would have {width} x {height} pixels, more than {MAX_EDGE} along an edge;"
            f" a tile_size of {fitting} would do",
            field="sprite_sheet.tile_size",
            tile_size=fitting,
        )
