"""Sprite sheets: pictures stand where the index says, and no sheet is larger than it may be."""

import numpy as np
import pytest

from hooke_server.techniques.frames import Picture, Progress, Result, Tile
from hooke_server.techniques.sheets import GAP, MAX_EDGE, SpriteSheet, as_sheet, make_sheet
from hooke_server.techniques.targets import Site


def plain(number, height=6, width=4, channels=3):
    """A picture of one colour, another for each number."""
    pixels = np.empty((height, width, channels), np.uint8)
    pixels[:] = (number, 255 - number, 7 * number % 256, 128)[:channels]
    site = Site(layer="a", unit=number)
    return Picture(
        name="feature", pixels=pixels, site=site, item=number, objective=number / 2, step=3
    )


def cut(sheet, tile):
    return sheet.pixels[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width]


@pytest.mark.parametrize(("count", "columns", "shape"), [(1, None, (1, 1)), (7, None, (3, 3)),
    (7, 2, (4, 2)), (7, 50, (1, 7))])  # fmt: skip
def test_tiles_stand_where_the_index_says(count, columns, shape):
    pictures = [plain(number) for number in range(count)]
    sheet = make_sheet(pictures, SpriteSheet(columns=columns))
    rows, across = shape
    assert sheet.pixels.shape == (rows * (6 + GAP) - GAP, across * (4 + GAP) - GAP, 3)
    assert len(sheet.tiles) == count
    for tile, picture in zip(sheet.tiles, pictures, strict=True):
        assert np.array_equal(cut(sheet, tile), picture.pixels)
        assert (tile.site, tile.item, tile.objective) == (
            picture.site, picture.item, picture.objective,
        )  # fmt: skip


def test_pictures_are_fitted_into_the_tile_with_their_proportions():
    sheet = make_sheet([plain(1, 40, 20), plain(2, 10, 20)], SpriteSheet(tile_size=30))
    assert [(tile.height, tile.width) for tile in sheet.tiles] == [(30, 15), (15, 30)]
    for tile, number in zip(sheet.tiles, (1, 2), strict=True):
        assert np.array_equal(cut(sheet, tile), plain(number, tile.height, tile.width).pixels)


def test_opacity_is_kept_and_pictures_without_are_opaque():
    sheet = make_sheet([plain(1, channels=4), plain(2)], SpriteSheet())
    one, two = (cut(sheet, tile) for tile in sheet.tiles)
    assert (one[..., 3] == 128).all()
    assert (two[..., 3] == 255).all()


@pytest.mark.parametrize("columns", [None, 1, 1024])
@pytest.mark.parametrize("tile_size", [None, 1000])
def test_very_many_pictures_come_smaller(columns, tile_size):
    pictures = [plain(number % 200, 40, 40) for number in range(2000)]
    sheet = make_sheet(pictures, SpriteSheet(columns=columns, tile_size=tile_size))
    assert max(sheet.pixels.shape) <= MAX_EDGE
    assert len(sheet.tiles) == 2000
    for tile in sheet.tiles[::371]:
        assert cut(sheet, tile)[0, 0, 0] == tile.item
        assert tile.width >= 5


def test_frames_that_are_no_finished_pictures_pass():
    inner = Tile(x=0, y=0, width=1, height=1)
    grid = Picture(name="grid", pixels=plain(0).pixels, tiles=(inner,))
    preview = Picture(name="feature", pixels=plain(0).pixels, final=False)
    frames = [Progress(step=1, total=2), plain(1), preview, plain(2), grid, Result()]
    got = list(as_sheet(iter(frames), SpriteSheet(), 2))
    assert got[:3] == [frames[0], preview, grid]
    assert [tile.item for tile in got[3].tiles] == [1, 2]
    assert got[4] is frames[5]
    assert list(as_sheet(iter([Result()]), SpriteSheet(), 2)) == [Result()]


def test_closing_it_closes_the_technique():
    ended = []

    def frames():
        try:
            yield plain(1)
            yield Progress(step=1, total=2)
            yield Progress(step=2, total=2)
        finally:
            ended.append(True)

    kept = frames()
    sheet = as_sheet(kept, SpriteSheet(), 1)
    next(sheet)
    sheet.close()
    assert ended == [True]
