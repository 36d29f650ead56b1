"""Reductions against slow NumPy, over every scope and layout."""

import itertools

import numpy as np
import pytest
import torch

from hooke_server.errors import InvalidArgumentError
from hooke_server.techniques.picking import Axis, Picked
from hooke_server.techniques.readouts import (
    Histogram,
    Quantiles,
    Reduction,
    Scope,
    Statistic,
    TopK,
)
from hooke_server.techniques.reductions import reduce

LAYOUTS = {
    "logits": ((3, 7), ("batch", "unit"), 1),
    "tokens": ((2, 5, 4), ("batch", "token", "unit"), 2),
    "image": ((2, 4, 3, 5), ("batch", "unit", "height", "width"), 1),
    "channels last": ((2, 3, 5, 4), ("batch", "height", "width", "unit"), 3),
}
KEPT = {
    Scope.POSITIONS: {"batch", "unit"},
    Scope.UNITS: {"batch", "token", "height", "width"},
    Scope.SAMPLE: {"batch"},
    Scope.BATCH: {"unit"},
}
CASES = list(itertools.product(LAYOUTS, Scope))


def rows_of(value, axes, scope):
    """Every answer's numbers: its index along the kept axes, and the reduced sub-array."""
    kept = [axis for axis, name in enumerate(axes) if name in KEPT[scope]]
    for index in np.ndindex(*(value.shape[axis] for axis in kept)):
        where = [slice(None)] * value.ndim
        for axis, number in zip(kept, index, strict=True):
            where[axis] = number
        yield index, value[tuple(where)]


def example(layout):
    shape, axes, unit = LAYOUTS[layout]
    value = np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)
    value[np.abs(value) < 0.3] = 0
    return value, axes, unit


def whole(value, names, unit):
    axes = [Axis(name, {n: range(value.shape[n])}) for n, name in enumerate(names)]
    return Picked(value, tuple(axes), unit)


def run(layout, reduction):
    value, axes, unit = example(layout)
    named = reduce(whole(torch.from_numpy(value), axes, unit), reduction)
    return value, axes, {name: (tensor.numpy(), names) for name, tensor, names in named}


STATISTICS = {
    Statistic.MEAN: np.mean,
    Statistic.MAX: np.max,
    Statistic.MIN: np.min,
    Statistic.NORM: lambda row: np.sqrt((row**2).sum()),
    Statistic.ZERO_FRACTION: lambda row: np.mean(row == 0),
}


@pytest.mark.parametrize(("layout", "scope"), CASES)
@pytest.mark.parametrize("statistic", Statistic)
def test_statistics(layout, scope, statistic):
    value, axes, got = run(layout, Reduction(statistic, scope))
    answer, names = got[statistic.value]
    assert set(names) == KEPT[scope] & set(axes)
    for index, row in rows_of(value, axes, scope):
        np.testing.assert_allclose(answer[index], STATISTICS[statistic](row), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("layout", "scope"), [case for case in CASES if case != ("logits", Scope.POSITIONS)]
)
def test_top_values_stand_where_their_indices_say(layout, scope):
    value, axes, got = run(layout, Reduction(TopK(2), scope))
    values, indices = got["values"][0], got["indices"][0]
    for index, row in rows_of(value, axes, scope):
        np.testing.assert_array_equal(values[index], np.sort(row.ravel())[::-1][:2])
        for rank in range(2):
            assert row[tuple(indices[index][rank])] == values[index][rank]


def test_more_than_there_is_cannot_be_asked_for():
    with pytest.raises(InvalidArgumentError, match="k is 2, but only 1 values"):
        run("logits", Reduction(TopK(2), Scope.POSITIONS))


@pytest.mark.parametrize(("layout", "scope"), CASES)
def test_quantiles(layout, scope):
    wanted = (0.0, 0.1, 0.5, 0.77, 1.0)
    value, axes, got = run(layout, Reduction(Quantiles(wanted), scope))
    for index, row in rows_of(value, axes, scope):
        np.testing.assert_allclose(
            got["quantiles"][0][index], np.quantile(row, wanted), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize(("layout", "scope"), CASES)
@pytest.mark.parametrize("bounds", [(None, None), (-0.5, 0.5), (0.0, None)])
def test_histograms(layout, scope, bounds):
    value, axes, got = run(layout, Reduction(Histogram(6, *bounds), scope))
    counts, edges = got["counts"][0], got["edges"][0]
    low = value.min() if bounds[0] is None else bounds[0]
    high = value.max() if bounds[1] is None else bounds[1]
    np.testing.assert_allclose(edges, np.linspace(low, high, 7), rtol=1e-6, atol=1e-7)
    for index, row in rows_of(value, axes, scope):
        np.testing.assert_array_equal(counts[index], np.histogram(row, edges)[0])


@pytest.mark.parametrize(
    ("values", "total"),
    [([1.0, 1.0, 1.0], 3), ([float("nan"), 2.0, 3.0], 2), ([float("inf")] * 2, 0)],
)
def test_histograms_of_odd_values(values, total):
    value = torch.tensor([values])
    (_, counts, _), (_, edges, _) = reduce(
        whole(value, ("batch", "unit"), 1), Reduction(Histogram(4), Scope.SAMPLE)
    )
    assert counts.sum() == total
    assert (edges.diff() > 0).all()


def test_numbers_that_are_not_floats_are_taken_as_such():
    value = torch.arange(6).reshape(2, 3)
    ((_, mean, _),) = reduce(
        whole(value, ("batch", "unit"), 1), Reduction(Statistic.MEAN, Scope.SAMPLE)
    )
    assert mean.tolist() == [1.0, 4.0]
