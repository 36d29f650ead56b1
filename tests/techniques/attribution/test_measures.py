"""Measures of values that tests make up."""

import pytest
import torch
from answers import judged
from scipy import stats
from traced import model_of

from hooke_server.techniques.attribution.measures import (
    infidelity,
    max_sensitivity,
    parameter_randomization,
)


@pytest.fixture
def tiny():
    return torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))


def test_an_answer_is_told_from_its_negative(linear, tiny):
    model, net = linear
    exact = net[1].weight[:1].detach().reshape(1, 1, 3, 4, 4) * tiny
    right, wrong = (judged(infidelity, model, tiny, each) for each in (exact, -exact))
    assert float(right.values.max()) < 1e-6
    assert right.good.all()
    assert torch.equal(wrong.values, torch.ones(1, 2))
    assert not wrong.good.any()


def test_where_disturbances_do_nothing_nothing_is_predicted(tiny):
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 1)).eval()
    torch.nn.init.zeros_(net[1].weight)
    found = judged(infidelity, model_of(net, 3, 4, 4), tiny, tiny[None])
    assert found.values.isnan().all()
    assert found.says(0, 1) == "small disturbances do nothing that could be predicted"


def test_equal_values_share_a_rank(linear, tiny):
    """Sparse maps that have nothing to do with each other; ties in their order would say 0.8."""
    model, _ = linear
    generator = torch.Generator().manual_seed(7)
    one, other = (
        torch.where(torch.rand(1, 2, 3, 4, 4, generator=generator) < 0.1, 1.0, 0.0)
        for _ in range(2)
    )
    found = judged(parameter_randomization, model, tiny, one, again=other)
    for sample in range(2):
        expected = stats.spearmanr(one[0, sample].flatten(), other[0, sample].flatten()).statistic
        assert float(found.values[0, sample]) == pytest.approx(expected, abs=1e-6)
    assert float(found.values.abs().max()) < 0.3
    flat = judged(parameter_randomization, model, tiny, one, again=torch.ones_like(other))
    assert flat.values.isnan().all()
    assert flat.says(0, 0).endswith("nothing correlates")


def test_an_answer_of_zeros_is_not_steady(linear, tiny):
    model, _ = linear
    silent = judged(max_sensitivity, model, tiny, torch.zeros(1, 2, 3, 4, 4), again=tiny[None])
    assert silent.values.isnan().all()
    assert silent.says(0, 0) == "it is zero everywhere"
