"""Recurrent operations: torch's own where the shapes fit, an error where torch would crash."""

import pytest
import torch
from torch import nn

from hooke_server.models.recurrent import RECURRENT

KINDS = {
    "lstm": lambda **options: nn.LSTM(3, 5, batch_first=True, **options),
    "gru": lambda **options: nn.GRU(3, 5, batch_first=True, **options),
    "rnn_tanh": lambda **options: nn.RNN(3, 5, batch_first=True, **options),
    "rnn_relu": lambda **options: nn.RNN(3, 5, batch_first=True, nonlinearity="relu", **options),
}
OPTIONS = [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}]


def run(kind, module, source, batch):
    ways = 2 if module.bidirectional else 1
    lead = (module.num_layers * ways, batch)
    states = [torch.zeros(*lead, module.proj_size or 5), torch.zeros(*lead, 5)]
    state = states if kind == "lstm" else states[1]
    weights = [weight.detach() for weight in module._flat_weights]
    options = (module.bias, module.num_layers, 0.0, False, module.bidirectional, True)
    return RECURRENT[f"torch.ops.aten.{kind}.input"](source, state, weights, *options)


# torch tells that one of its libraries knows no projections.
@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("options", [*OPTIONS, {"proj_size": 2}])
@pytest.mark.parametrize("kind", KINDS)
def test_equal_to_the_module(kind, options):
    if kind != "lstm" and "proj_size" in options:
        options = {"num_layers": 3}
    module = KINDS[kind](**options).eval()
    source = torch.randn(4, 6, 3)
    torch.testing.assert_close(run(kind, module, source, 4)[0], module(source)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_states_of_another_batch_are_refused(kind):
    with pytest.raises(ValueError, match="do not fit"):
        run(kind, KINDS[kind](), torch.randn(4, 6, 3), 1)


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_of_another_size_are_refused(kind):
    with pytest.raises(ValueError, match="do not fit"):
        run(kind, KINDS[kind](), torch.randn(4, 6, 7), 4)
