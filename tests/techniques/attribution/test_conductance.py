"""Conductance sums up to the change of the target, from end to end of the line."""

import pytest
import torch
from answers import answer, unit
from traced import model_of


@pytest.fixture
def small():
    return torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_conductance_is_complete_at_every_layer(chain, small):
    model, net = chain
    expected = (net(small) - net(torch.zeros_like(small)))[:, 2]
    found = answer(model, small, "conductance", [unit(model, 2)], "1", steps=32)
    assert torch.allclose(found[0].flatten(1).sum(1), expected, rtol=1e-5)


def test_conductance_goes_from_end_to_end(small):
    """Of a layer that is read linearly one step is exact."""
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.Softplus(), torch.nn.Flatten(), torch.nn.Linear(144, 2)
    ).eval()
    model = model_of(net, 3, 8, 8)
    change = net[1](net[0](small)) - net[1](net[0](torch.zeros_like(small)))
    for steps in (1, 3):
        found = answer(model, small, "conductance", [unit(model, 1)], "1", steps=steps)
        assert torch.allclose(found[0], net[3].weight[1].reshape(4, 6, 6) * change, atol=1e-5)
