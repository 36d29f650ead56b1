"""Which way relevance goes through arithmetic: constants and gates get none, and none is lost."""

import pytest
import torch
from answers import answer, difference, unit
from torch import nn
from torch.nn import functional as F
from traced import model_of

from hooke_server.errors import FailedPreconditionError

RELEVANCE = "relevance_propagation"


@pytest.fixture(scope="module")
def small():
    return torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(5))


def modelled(net):
    return model_of(net.eval(), 3, 16, 16)


class Written(nn.Module):
    """A network without biases whose features are changed by a function."""

    def __init__(self, change):
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.other = nn.Conv2d(3, 4, 3, bias=False)
        self.last = nn.Linear(4, 3, bias=False)
        self.turned = nn.Parameter(torch.randn(4, 4, 2, 2))
        self.mixed = nn.Parameter(torch.randn(4, 4))
        self.scale = nn.Parameter(torch.rand(4, 1, 1) + 0.5)
        self.change = change

    def forward(self, x):
        changed = self.change(self, torch.relu(self.conv(x)), x)
        return self.last(changed.mean((2, 3)))


CONSERVING = {
    "scaled": lambda net, y, x: y * 0.1,
    "scaled by what was learned": lambda net, y, x: net.scale * y,
    "divided": lambda net, y, x: y / 7.0,
    "negated": lambda net, y, x: -y,
    "taken from": lambda net, y, x: torch.relu(net.other(x)) * 2 - y,
    "added": lambda net, y, x: y + torch.relu(net.other(x)),
    "added to itself": lambda net, y, x: y + y,
    "normed by its mean": lambda net, y, x: y / (1 + y.mean((1, 2, 3), keepdim=True)),
    "gated": lambda net, y, x: y * torch.sigmoid(net.other(x)),
    "gated the other way round": lambda net, y, x: torch.sigmoid(net.other(x)) * y,
    "gated by a piecewise sigmoid": lambda net, y, x: F.relu6(net.other(x) + 3) / 6 * y,
    "gated by attention to channels": lambda net, y, x: (
        net.other(x).mean((2, 3)).softmax(1)[:, :, None, None] * y
    ),
    "gated by its size": lambda net, y, x: y * net.other(x).mean((2, 3), keepdim=True),
    "multiplied": lambda net, y, x: y * net.other(x),
    "silu by hand": lambda net, y, x: y * torch.sigmoid(y),
    "moved": lambda net, y, x: torch.cat(y.permute(0, 1, 3, 2).chunk(2, 1)[::-1], 1),
    "resized": lambda net, y, x: F.interpolate(y, scale_factor=2),
    "transposed convolution": lambda net, y, x: F.conv_transpose2d(y, net.turned),
    "matrix": lambda net, y, x: (y.transpose(1, 3) @ net.mixed).transpose(1, 3),
}


@pytest.mark.parametrize("name", list(CONSERVING))
def test_what_is_written_as_arithmetic_conserves_relevance(small, name):
    net = Written(CONSERVING[name])
    model = modelled(net)
    found = answer(model, small, RELEVANCE, [unit(model, 1)], composite="epsilon_gamma")
    assert torch.allclose(found[0].flatten(1).sum(1), net(small)[:, 1], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", [each for each in CONSERVING if each.startswith("gated")])
def test_gates_get_no_relevance(small, name):
    net = Written(CONSERVING[name])
    model = modelled(net)
    gates = answer(model, small, RELEVANCE, [unit(model, 1)], at="other")
    signal = answer(model, small, RELEVANCE, [unit(model, 1)], at="conv")
    assert float(gates.abs().max()) == 0
    assert torch.allclose(signal[0].flatten(1).sum(1), net(small)[:, 1], rtol=1e-3, atol=1e-6)


def test_two_signals_of_one_size_share_their_product(small):
    net = Written(CONSERVING["multiplied"])
    model = modelled(net)
    one, other = (
        answer(model, small, RELEVANCE, [unit(model, 1)], at=at) for at in ("conv", "other")
    )
    assert difference(one, other) < 1e-6


def test_a_constant_that_is_added_takes_a_share_by_epsilon_alone(small):
    net = Written(lambda net, y, x: y + 0.5)
    model = modelled(net)
    score = net(small)[:, 1]
    kept, shared = (
        answer(model, small, RELEVANCE, [unit(model, 1)], composite=composite)[0].flatten(1).sum(1)
        for composite in ("epsilon_gamma", "epsilon")
    )
    assert torch.allclose(kept, score, rtol=1e-3)
    means = torch.relu(net.conv(small)).mean((2, 3))
    expected = means @ net.last.weight[1]
    assert torch.allclose(shared, expected, rtol=1e-3)
    assert not torch.allclose(shared, score, rtol=1e-2)


@pytest.mark.parametrize(
    ("change", "op"),
    [
        (lambda net, y, x: F.layer_norm(y, y.shape[1:]), "layer_norm"),
        (lambda net, y, x: y.softmax(1), "softmax"),
        (lambda net, y, x: y @ y, "matmul"),
        (lambda net, y, x: F.scaled_dot_product_attention(y, y, y), "scaled_dot_product_attention"),
        (lambda net, y, x: y**2, "pow"),
    ],
)
def test_what_no_rule_speaks_of_is_refused(small, change, op):
    model = modelled(Written(change))
    with pytest.raises(FailedPreconditionError, match=f"'{op}'.*gradient_attention.*integrated"):
        answer(model, small, RELEVANCE, [unit(model, 1)])
    before = answer(model, small, RELEVANCE, [unit(model, 1, "conv")])
    assert float(before.abs().max()) > 0
