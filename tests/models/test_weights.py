"""Statistics of weights against NumPy's on the whole tensor in float64."""

import numpy as np
import pytest
import torch

from hooke_server.models import weights
from hooke_server.models.weights import Statistics, statistics


@pytest.mark.parametrize(
    "tensor",
    [
        torch.randn(17, 3, 5),
        torch.randn(1000).to(torch.bfloat16),
        torch.randn(1000).to(torch.float16),
        torch.randint(-128, 127, (333,), dtype=torch.int8),
        torch.rand(50, 40).t() - 3,
        torch.relu(torch.randn(500)),
        torch.tensor([True, False, True]),
        torch.tensor(1.5),
        torch.full((10,), 2.0),
    ],
    ids=lambda tensor: f"{tensor.dtype}{list(tensor.shape)}",
)
def test_agrees_with_numpy(tensor, monkeypatch):
    monkeypatch.setattr(weights, "BLOCK", 100)
    values = tensor.to(torch.float64).numpy().ravel()
    got = statistics(tensor, bins=7)
    assert (got.min, got.max) == (values.min(), values.max())
    assert got.mean == pytest.approx(values.mean(), rel=1e-13, abs=1e-15)
    assert got.std == pytest.approx(values.std(), rel=1e-13, abs=1e-15)
    assert got.zero_fraction == (values == 0).mean()
    counts, edges = np.histogram(values, 7)
    assert got.counts == tuple(counts)
    assert got.edges == tuple(edges)


def test_a_large_mean_does_not_swallow_the_spread():
    tensor = torch.tensor([1e8 + 1, 1e8 - 1], dtype=torch.float64)
    assert statistics(tensor).std == 1


def test_no_histogram_unless_asked_for():
    got = statistics(torch.randn(9))
    assert got.edges == got.counts == ()


def test_values_that_are_not_finite_show_and_do_not_break_the_histogram():
    got = statistics(torch.tensor([0.0, 1.0, float("nan"), float("inf")]), bins=2)
    assert np.isnan([got.min, got.max, got.mean, got.std]).all()
    assert got.counts == (1, 1)
    assert got.edges == (0, 0.5, 1)
    assert statistics(torch.tensor([float("nan")]), bins=2).counts == ()


def test_nothing_in_a_weight():
    assert statistics(torch.empty(0, 3), bins=4) == Statistics()
