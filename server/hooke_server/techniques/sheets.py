"""Sprite sheets: the finished pictures of a run as one, with an index."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from PIL import Image

from hooke_server.techniques.frames import Frame, Frames, Picture, Result, Tile
from hooke_server.techniques.parameters import Range
from hooke_server.techniques.pictures import GUTTER

GAP = 2
"""Pixels between tiles."""

MAX_EDGE = 8192
"""Pixels along the longest edge of a sheet."""

MIN_TILE = 8
"""Pixels along the edge of a tile, however many there are."""


@dataclass(frozen=True, kw_only=True)
class SpriteSheet:
    """As the message of the contract."""

    tile_size: Annotated[
        int | None, Range(MIN_TILE, 1024), "Edge that each picture is fitted into."
    ] = None
    columns: Annotated[int | None, Range(1, 1024), "Tiles in a row."] = None


def as_sheet(frames: Frames, sheet: SpriteSheet, items: int) -> Iterator[Frame]:
    """The frames with all finished pictures, but none with tiles of its own, in one sheet.

    `items` is the number of them that there will be at least; pictures are made as
    small as that many need to be as they come, so that they need no more memory than a sheet.
    """
    kept: list[Picture] = []
    edge = _edge(sheet, items, _columns(sheet, items))
    try:
        for frame in frames:
            if isinstance(frame, Picture) and frame.final and not frame.tiles:
                kept.append(replace(frame, pixels=_fitted(frame.pixels, edge, sheet)))
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
    columns = _columns(sheet, len(pictures))
    edge = _edge(sheet, len(pictures), columns)
    tiles = [_fitted(each.pixels, edge, sheet) for each in pictures]
    cell_height, cell_width = (max(tile.shape[axis] for tile in tiles) for axis in (0, 1))
    rows = math.ceil(len(tiles) / columns)
    height, width = rows * (cell_height + GAP) - GAP, columns * (cell_width + GAP) - GAP
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


def _columns(sheet: SpriteSheet, count: int) -> int:
    """As many as are asked for, as long as the sheet is not longer than it may be."""
    longest = MAX_EDGE // (MIN_TILE + GAP)
    wanted = sheet.columns or math.ceil(math.sqrt(count))
    return min(max(wanted, math.ceil(count / longest)), count, longest)


def _edge(sheet: SpriteSheet, count: int, columns: int) -> int:
    """Of the square that each picture has to fit into."""
    most = MAX_EDGE // max(columns, math.ceil(count / columns)) - GAP
    return min(sheet.tile_size or most, most)


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


def _fitted(pixels: np.ndarray[Any, Any], edge: int, sheet: SpriteSheet) -> np.ndarray[Any, Any]:
    """No larger than the edge; where a tile size was asked for, just as large."""
    longer = max(pixels.shape[:2])
    if longer == edge or (longer < edge and sheet.tile_size is None):
        return pixels
    height, width = (max(1, round(extent * edge / longer)) for extent in pixels.shape[:2])
    resized = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(resized)
