"""Objectives: values by hand, and their algebra."""

import pytest
import torch

from hooke_server.models.layer import Layer, LayerKind, TensorSpec
from hooke_server.techniques.visualization.objectives import channel, neuron, side_by_side


def layer(name: str, shape: tuple[int, ...], unit_axis: int) -> Layer:
    spec = TensorSpec(dtype=torch.float32, shape=("batch", *shape))
    return Layer(id=name, kind=LayerKind.MODULE, op="any", output=spec, unit_axis=unit_axis)


CONV = layer("conv", (4, 3, 5), 1)
TOKENS = layer("tokens", (7, 6), -1)
NHWC = layer("nhwc", (3, 5, 4), -1)
LOGITS = layer("logits", (10,), 1)
VALUES = {
    place.id: torch.randn(2, *place.output.shape[1:], generator=torch.Generator().manual_seed(i))
    for i, place in enumerate((CONV, TOKENS, NHWC, LOGITS))
}


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (channel(CONV, 2), lambda i: VALUES["conv"][i, 2].mean()),
        (channel(TOKENS, 5), lambda i: VALUES["tokens"][i, :, 5].mean()),
        (channel(NHWC, 1), lambda i: VALUES["nhwc"][i, :, :, 1].mean()),
        (channel(LOGITS, 9), lambda i: VALUES["logits"][i, 9]),
        (neuron(CONV, 2, (1, 4)), lambda i: VALUES["conv"][i, 2, 1, 4]),
        (neuron(TOKENS, 5, (3,)), lambda i: VALUES["tokens"][i, 3, 5]),
        (neuron(NHWC, 1, (2, 4)), lambda i: VALUES["nhwc"][i, 2, 4, 1]),
    ],
)
def test_one_number_per_entry(objective, expected):
    torch.testing.assert_close(objective(VALUES), torch.stack([expected(0), expected(1)]))


def test_objectives_add_subtract_and_scale():
    a, b = channel(CONV, 0), channel(LOGITS, 3)
    mixed = 0.5 * a - b * 2 + -a
    assert mixed.layers == ("conv", "logits")
    torch.testing.assert_close(mixed(VALUES), -0.5 * a(VALUES) - 2 * b(VALUES))


def test_side_by_side_gives_each_entry_its_own():
    several = side_by_side([neuron(CONV, 1, (0, 0)), channel(LOGITS, 3)])
    assert several.layers == ("conv", "logits")
    expected = [VALUES["conv"][0, 1, 0, 0], VALUES["logits"][1, 3]]
    torch.testing.assert_close(several(VALUES), torch.stack(expected))


def test_side_by_side_reads_a_layer_once():
    assert side_by_side([channel(CONV, 1), channel(CONV, 2)]).layers == ("conv",)


def test_a_position_has_one_index_for_each_axis():
    with pytest.raises(ValueError, match="shorter"):
        neuron(CONV, 0, (1,))
