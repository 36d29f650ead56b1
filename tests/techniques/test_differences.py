"""Numbers about pairs of tensors, against NumPy: differences, CKA, correlations, matchings."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hooke_server.models.layer import Layer, LayerKind, TensorSpec
from hooke_server.techniques.comparison import differences
from hooke_server.techniques.comparison.correlations import Correlations, match
from hooke_server.techniques.comparison.differences import Differences
from hooke_server.techniques.comparison.similarity import Rows, Similarity, cka

RNG = np.random.default_rng(0)


def differences_of(*pairs):
    found = Differences()
    for a, b in pairs:
        found.add(torch.as_tensor(a), torch.as_tensor(b))
    return found


def layer(*shape, unit_axis=1):
    spec = TensorSpec(dtype=torch.float32, shape=shape, axes=("",) * len(shape))
    return Layer(id="l", kind=LayerKind.MODULE, op="x", output=spec, unit_axis=unit_axis)


def gram(value, *, samples=None, flatten=False, unit_axis=1):
    value = torch.as_tensor(value)
    rows = Rows(
        layer(*value.shape, unit_axis=unit_axis), samples or len(value), Similarity(flatten=flatten)
    )
    rows.add(value)
    return rows.gram()


def similarity(a, b, *, unbiased=False, **options):
    return cka(gram(a, **options), gram(b, **options), unbiased=unbiased)


def test_differences_are_those_of_numpy(monkeypatch):
    monkeypatch.setattr(differences, "BLOCK", 7)  # several blocks
    a = RNG.standard_normal((4, 3, 5)).astype("f4")
    b = (a + RNG.standard_normal(a.shape) * 0.1).astype("f4")
    b[0] = a[0]
    found = differences_of((a[:1], b[:1]), (a[1:], b[1:]))
    a, b = a.astype("f8"), b.astype("f8")
    assert found.maximum == np.abs(b - a).max()
    assert found.mean == pytest.approx(np.abs(b - a).mean(), rel=1e-12)
    assert found.peak == np.abs(a).max()
    assert found.relative == np.abs(b - a).max() / np.abs(a).max()
    assert found.relative_norm == pytest.approx(
        np.linalg.norm(b - a) / np.linalg.norm(a), rel=1e-12
    )
    expected = (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)
    assert found.cosine == pytest.approx(expected, rel=1e-12)
    assert (found.changed, found.count) == ((a != b).sum(), a.size)


def test_equal_tensors_do_not_differ_whatever_they_hold():
    value = np.array([1.0, -2.0, math.inf, -math.inf, math.nan, 0.0], "f4")
    found = differences_of((value, value.copy()))
    assert (found.maximum, found.mean, found.relative, found.changed) == (0, 0, 0, 0)
    assert found.not_finite == [3, 3]
    assert found.peak == 2


def test_a_nan_on_one_side_is_the_worst_of_differences():
    first = np.zeros(3, "f4"), np.array([0.0, math.nan, 0.0], "f4")
    later = np.zeros(3, "f4"), np.ones(3, "f4")
    for pairs in ((first, later), (later, first)):
        found = differences_of(*pairs)
        assert math.isnan(found.maximum)
        assert math.isnan(found.relative)
        assert found.changed == 4
        assert found.not_finite == [0, 1]


def test_a_reference_of_zeros_makes_relative_errors_infinite():
    found = differences_of((np.zeros(2, "f4"), np.ones(2, "f4")))
    assert found.relative == found.relative_norm == math.inf
    assert found.cosine is None
    both = differences_of((np.zeros(2, "f4"), np.zeros(2, "f4")))
    assert both.relative == both.relative_norm == 0


def centred_cka(x, y):
    """Equation 5 of Kornblith et al., from features rather than from Gram matrices."""
    x, y = x - x.mean(0), y - y.mean(0)
    return np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))


def test_cka_is_that_of_the_paper():
    x, y = RNG.standard_normal((9, 4)), RNG.standard_normal((9, 6))
    assert similarity(x, y) == pytest.approx(centred_cka(x, y), rel=1e-10)
    assert similarity(x, x) == pytest.approx(1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3), st.booleans())
def test_cka_does_not_change_when_features_are_turned_scaled_or_moved(seed, scale, unbiased):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((8, 5)), rng.standard_normal((8, 3))
    turn, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    plain = similarity(x, y, unbiased=unbiased)
    moved = similarity(scale * x @ turn + rng.standard_normal(5), y, unbiased=unbiased)
    assert moved == pytest.approx(plain, rel=1e-6, abs=1e-9)


def test_cka_of_maps_pools_positions_or_takes_all_of_them():
    x, y = RNG.standard_normal((6, 4, 3, 2)), RNG.standard_normal((6, 5, 2, 2))
    pooled = centred_cka(x.mean((2, 3)), y.mean((2, 3)))
    flat = centred_cka(x.reshape(6, -1), y.reshape(6, -1))
    assert similarity(x, y) == pytest.approx(pooled, rel=1e-10)
    assert similarity(x, y, flatten=True) == pytest.approx(flat, rel=1e-10)
    tokens = np.moveaxis(x.reshape(6, 4, -1), 1, 2)
    again = cka(gram(tokens, unit_axis=-1), gram(y), unbiased=False)
    assert again == pytest.approx(pooled, rel=1e-10)


def test_unbiased_cka_is_the_mean_over_all_distinct_quadruples():
    """HSIC as a U-statistic, by its definition: every four different samples."""
    x, y = RNG.standard_normal((6, 3)), RNG.standard_normal((6, 2))

    def hsic(k, other):
        total = 0.0
        for i, j, q, r in itertools.permutations(range(6), 4):
            total += k[i, j] * (other[i, j] + other[q, r] - 2 * other[i, q])
        return total / math.perm(6, 4)

    k, other = x @ x.T, y @ y.T
    expected = hsic(k, other) / math.sqrt(hsic(k, k) * hsic(other, other))
    assert similarity(x, y, unbiased=True) == pytest.approx(expected, rel=1e-9)


def test_random_features_look_alike_only_to_the_biased_estimate():
    x, y = RNG.standard_normal((12, 400)), RNG.standard_normal((12, 400))
    assert similarity(x, y) > 0.9
    assert abs(similarity(x, y, unbiased=True)) < 0.3


def test_features_come_part_by_part_and_only_of_samples():
    x = torch.from_numpy(RNG.standard_normal((7, 4, 3, 3)))
    rows = Rows(layer(*x.shape), 7, Similarity())
    for part in x.split(3):
        rows.add(part)
    torch.testing.assert_close(rows.gram(), gram(x))
    merged = Rows(layer(14, 4), 7, Similarity())
    merged.add(torch.zeros(14, 4))
    assert merged.gram() is None
    assert similarity(np.ones((4, 2)), RNG.standard_normal((4, 2))) is None


def test_correlations_are_those_of_numpy_also_far_from_zero():
    a, b = RNG.standard_normal((50, 4)) + 1e4, RNG.standard_normal((50, 3))
    b[:, 1] = -3 * a[:, 2]
    a[:, 3] = 7.0
    found = Correlations()
    for start in (0, 20):
        found.add(*(torch.from_numpy(each[start : start + 20 + start]) for each in (a, b)))
    matrix = found.matrix()
    expected = np.corrcoef(a[:, :3].T, b.T)[:3, 3:]
    np.testing.assert_allclose(matrix[:3], expected, atol=1e-7)
    assert np.isnan(matrix[3]).all()
    assert matrix[2, 1] == pytest.approx(-1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 5), st.booleans())
def test_a_matching_is_the_best_of_all(seed, rows, columns, absolute):
    matrix = np.random.default_rng(seed).uniform(-1, 1, (rows, columns))
    worth = np.abs(matrix) if absolute else matrix
    partners = match(matrix, absolute=absolute)
    assert len(partners) == min(rows, columns) == len(set(partners.values()))
    total = sum(worth[i, j] for i, j in partners.items())
    wide = worth if rows <= columns else worth.T
    best = max(
        sum(wide[i, j] for i, j in enumerate(order))
        for order in itertools.permutations(range(wide.shape[1]), wide.shape[0])
    )
    assert total == pytest.approx(best)


def test_constant_units_are_nobodys_partners():
    matrix = np.array([[np.nan, np.nan], [np.nan, 0.3]])
    assert match(matrix, absolute=False) == {1: 1}
