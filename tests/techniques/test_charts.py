"""Charts hold what they are given: marks at the right height, cells of the right colour."""

import math

import numpy as np
import pytest

from hooke_server.techniques import charts
from hooke_server.techniques.charts import Chart, heat_map, linear, logarithmic

NAMES = [f"layer{n}" for n in range(8)]


def rows_of(pixels, colour, columns=slice(None)):
    """Rows in which pixels of that colour are, about."""
    near = np.abs(pixels[:, columns].astype(int) - colour).sum(-1) < 60
    return np.flatnonzero(near.any(1))


def test_axes_map_values_to_shares():
    axis = logarithmic([1e-6, 3e-3, 1.0])
    assert (axis.share(1e-6), axis.share(1e-3), axis.share(1.0)) == (0, 0.5, 1)
    assert axis.share(0) == 0
    assert axis.share(math.nan) == axis.share(math.inf) == 1
    assert [label for _, label in axis.ticks] == [f"1e{n}" for n in range(-6, 1)]
    even = linear(-1, 3)
    assert (even.share(-1), even.share(1), even.share(9)) == (0, 0.5, 1)


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0, 1, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (-5e-11, 1, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (-0.694, 0.929, ["-0.5", "0", "0.5"]),
        (0, 9.252, ["0", "2", "4", "6", "8"]),
        (0, 3e-7, ["0", "1e-07", "2e-07", "3e-07"]),
        (2, 2, ["2", "2.2", "2.4", "2.6", "2.8", "3"]),
    ],
)
def test_ticks_are_round_numbers(low, high, labels):
    assert [label for _, label in linear(low, high).ticks] == labels


def test_bars_of_both_signs_stand_on_zero():
    chart = Chart("t", NAMES[:2], linear(-1, 3))
    chart.bars([3.0, -1.0])
    pixels, half = chart.pixels(), charts.LEFT + charts.WIDTH // 2
    above = rows_of(pixels, charts.CURVE, slice(charts.LEFT, half))
    below = rows_of(pixels, charts.CURVE, slice(half, None))
    zero = charts.TOP + charts.HEIGHT * 0.75
    assert (above.min(), above.max()) == pytest.approx((charts.TOP, zero), abs=2)
    assert (below.min(), below.max()) == pytest.approx((zero, charts.TOP + charts.HEIGHT), abs=2)


def test_axes_of_nothing_do_not_fail():
    for values in ([], [0.0], [math.nan], [5.0], [1e-30, 1e30]):
        axis = logarithmic(values)
        assert 0 <= axis.share(1.0) <= 1 or math.isfinite(axis.share(1.0))
        assert 2 <= len(axis.ticks) <= 10


def test_a_curve_goes_through_its_values():
    values = [0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9]
    chart = Chart("t", NAMES, linear(0, 1))
    chart.curve(values)
    pixels = chart.pixels()
    assert pixels.shape == (
        charts.TOP + charts.HEIGHT + charts.BOTTOM, charts.LEFT + charts.WIDTH + charts.RIGHT, 3
    )  # fmt: skip
    half = charts.LEFT + charts.WIDTH // 2
    left = rows_of(pixels, charts.CURVE, slice(charts.LEFT, half - 60)).mean()
    right = rows_of(pixels, charts.CURVE, slice(half + 60, None)).mean()
    assert left == pytest.approx(charts.TOP + charts.HEIGHT * 0.9, abs=2)
    assert right == pytest.approx(charts.TOP + charts.HEIGHT * 0.1, abs=2)


def test_marks_bars_and_gaps():
    chart = Chart("t", NAMES, linear(0, 1))
    chart.curve([None, 0.5, None, math.nan, *[None] * 4])
    chart.mark(6, 0.25)
    chart.limit(0.5, "limit")
    chart.legend(("a", charts.CURVE), ("b", charts.SECOND))
    pixels = chart.pixels()
    assert len(rows_of(pixels, charts.MARK))
    bars = Chart("t", NAMES, linear(0, 1))
    bars.bars([1.0, None, *[0.0] * 6])
    drawn = rows_of(bars.pixels(), charts.CURVE)
    assert drawn.min() == pytest.approx(charts.TOP, abs=2)
    assert drawn.max() == pytest.approx(charts.TOP + charts.HEIGHT, abs=2)


def test_cells_of_a_map_have_the_colours_of_their_values():
    values = np.array([[1.0, 0.0, -1.0], [0.0, math.nan, 1.0]])
    pixels = heat_map(values, ["row0", "row1"], ["a", "b", "c"], "title")
    unique, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
    cells = {tuple(map(int, colour)): int(n) for colour, n in zip(unique, counts, strict=True)}
    red, blue, grey = (178, 5, 23), (5, 48, 148), (charts.GUTTER,) * 3
    assert cells[red] == pytest.approx(2 * cells[blue], rel=0.02)
    assert cells[grey] > 0.99 * cells[blue]


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (2000, 3), (3000, 2500)])
def test_maps_of_any_size_fit(shape):
    names = [[f"n{i}" for i in range(extent)] for extent in shape]
    pixels = heat_map(np.ones(shape), *names, "t")
    assert max(pixels.shape) < charts.MAX_MAP + 200
    assert len(rows_of(pixels, (178, 5, 23)))
