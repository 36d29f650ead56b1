"""Shapley values, by their definition, their axioms and Captum."""

import pytest
import torch
from answers import answer, difference, frames, unit
from captum.attr import KernelShap, ShapleyValues
from captum.testing.helpers.basic_models import BasicModel_MultiLayer
from games import ELEMENTS, GAME, PLAYERS, exact, game, shapley
from traced import model_of

from hooke_server.techniques.frames import Array

EXACT = [("shapley_sampling", {"permutations": 25}), ("kernel_shap", {"samples": 30})]


def values_and_errors(model, inputs, name, targets, **given):
    arrays = {each.name: each.value for each in frames(model, inputs, name, targets, **given)
              if isinstance(each, Array)}  # fmt: skip
    return arrays[name], arrays[f"{name}_standard_error"]


@pytest.mark.parametrize(("name", "given"), EXACT)
def test_few_features_are_exact(name, given):
    model, targets = game()
    values, errors = values_and_errors(model, PLAYERS, name, targets, **given)
    assert difference(values, exact()) < 1e-5
    assert not errors.any()


@pytest.mark.parametrize("name", ["shapley_sampling", "kernel_shap"])
@pytest.mark.parametrize("features", [1, 2, 3])
def test_a_few_players_or_one_are_exact(name, features):
    net = torch.nn.Sequential(torch.nn.Linear(features, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    model, inputs = model_of(net, features), torch.randn(2, features)
    found = answer(model, inputs, name, [unit(model, 0)])
    theirs = ShapleyValues(net).attribute(inputs, target=0)
    assert difference(found[0], theirs) < 1e-5


@pytest.mark.parametrize(
    ("name", "given"),
    [*EXACT, ("shapley_sampling", {"permutations": 2}), ("kernel_shap", {"samples": 12})],
)
def test_shares_sum_up_to_the_whole_difference(name, given):
    model, targets = game()
    found = answer(model, PLAYERS, name, targets, **given)
    whole = GAME(PLAYERS) - GAME(torch.zeros_like(PLAYERS))
    assert torch.allclose(found.sum(2), whole.T, atol=1e-5)


@pytest.mark.parametrize(("name", "given"), EXACT)
def test_equal_players_share_alike_and_idle_ones_get_nothing(name, given):
    class Teams(torch.nn.Module):
        def forward(self, x):
            a, b, c, d = x.unbind(1)
            return torch.stack([a * b * c, c.square() + 0 * d], 1)

    model = model_of(Teams(), 4)
    inputs = torch.tensor([[2.0, 2.0, 1.0, 5.0]])
    [[first], [second]] = answer(model, inputs, name, [unit(model, 0), unit(model, 1)], **given)
    assert torch.allclose(first, torch.tensor([4, 4, 4, 0.0]) / 3, atol=1e-6)
    assert torch.allclose(second, torch.tensor([0, 0, 1.0, 0]), atol=1e-6)


def test_a_known_network():
    """Values as others have computed them."""
    model = model_of(BasicModel_MultiLayer(), 3)
    for name in ("shapley_sampling", "kernel_shap"):
        found = answer(model, torch.tensor([[20.0, 50.0, 30.0]]), name, [unit(model, 0)])
        assert found.flatten().tolist() == pytest.approx([76.6667, 196.6667, 116.6667], rel=1e-5)


@pytest.mark.parametrize(
    ("name", "given"),
    [("shapley_sampling", {"permutations": 90}), ("kernel_shap", {"samples": 600})],
)
def test_drawn_values_lie_around_the_exact_ones(name, given):
    torch.manual_seed(1)
    net = torch.nn.Sequential(torch.nn.Linear(10, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2))
    model, inputs = model_of(net, 10), torch.randn(2, 10) * 2
    targets = [unit(model, 0), unit(model, 1)]
    with torch.no_grad():
        truth = [shapley(net, sample, torch.zeros(10)) for sample in inputs]
    values, errors = values_and_errors(model, inputs, name, targets, **given)
    off = (values - torch.stack(truth).permute(2, 0, 1)) / errors
    assert (errors > 0).all()
    assert off.abs().max() < 4
    assert 0.5 < off.square().mean().sqrt() < 1.5


def test_a_linear_network_needs_few_coalitions(linear):
    """The regression is the network, so no residual is left, and no error."""
    model, net = linear
    inputs = torch.randn(1, 3, 4, 4)
    values, errors = values_and_errors(
        model, inputs, "kernel_shap", [unit(model, 2)], samples=200, **ELEMENTS
    )
    assert difference(values[0], net[1].weight[2].detach().reshape(3, 4, 4) * inputs) < 1e-5
    assert errors.max() < 1e-5


def test_captums_regression_comes_near(chain):
    """Captum draws with replacement and asks for the sums with a large weight."""
    model, net = chain
    inputs = torch.randn(1, 3, 8, 8)
    along = torch.arange(8) * 2 // 8
    mask = (along[:, None] * 2 + along)[None, None]
    found = answer(
        model, inputs, "kernel_shap", [unit(model, 3)], features=("grid_features", {"cells": 2})
    )
    torch.manual_seed(0)
    theirs = KernelShap(net).attribute(inputs, target=3, feature_mask=mask, n_samples=200)
    assert difference(theirs[:, 0], found[0]) < 0.05
