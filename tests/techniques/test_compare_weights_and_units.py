"""Weights and units of two models side by side."""

import copy

import numpy as np
import pytest
import torch
from compared import Longer, Net, duo, model, rows, small_net
from torch import nn

from hooke_server.errors import InvalidArgumentError, NotFoundError
from hooke_server.models.model import ModelFormat
from hooke_server.models.structure import assemble
from hooke_server.models.trace import trace_module
from hooke_server.techniques.comparison.units import UnitPlan, check_units, match_units
from hooke_server.techniques.comparison.weights import bind_weights, compare_weights
from hooke_server.techniques.frames import Array
from hooke_server.techniques.tables import Finding


@pytest.fixture
def net():
    return small_net()


def test_weights_are_compared_by_name(net):
    tuned = Longer().eval()
    tuned.load_state_dict(net.state_dict(), strict=False)
    with torch.no_grad():
        tuned.fc.weight[:2] += 0.5
        tuned.block.bn.running_mean *= 3
    plan = bind_weights(model(net), model(tuned), ())
    frames = list(compare_weights(plan))
    found = rows(frames, "weights")
    a, b = (each.fc.weight.detach().double().numpy() for each in (net, tuned))
    row = found["fc.weight"]
    assert row["max_change"] == pytest.approx(0.5)
    assert row["mean_change"] == pytest.approx(0.5 * 2 / 5)
    assert row["relative_change"] == pytest.approx(np.linalg.norm(b - a) / np.linalg.norm(a))
    assert row["changed"] == pytest.approx(2 / 5)
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    assert row["cosine"] == pytest.approx((a * b).sum() / norms)
    assert found["block.bn.running_mean"]["relative_change"] == pytest.approx(2)
    assert found["head.weight"]["note"] == "not in the reference"
    assert found["stem.weight"]["max_change"] == found["stem.weight"]["changed"] == 0
    names = list(found)
    assert names.index("stem.weight") < names.index("block.bn.running_mean")
    assert names.index("block.bn.running_mean") < names.index("fc.weight")
    told = {each.kind: each.text for each in frames if isinstance(each, Finding)}
    assert "most of all block.bn.running_mean" in told["largest_change"]
    assert "head.weight" in told["without_partner"]
    assert frames[-1].metrics["changed"] == 2


def test_weights_of_other_shapes_and_types(net):
    other = Net(classes=3).half()
    found = rows(compare_weights(bind_weights(model(net), half_model(other), ["fc.*"])), "weights")
    assert list(found) == ["fc.weight", "fc.bias"]
    assert found["fc.weight"]["shape"] == "5 x 6"
    assert found["fc.weight"]["candidate_shape"] == "3 x 6"
    assert found["fc.weight"]["note"] == "shapes differ"
    halves = half_model(copy.deepcopy(net).half())
    found = rows(compare_weights(bind_weights(model(net), halves, ())), "weights")
    assert found["stem.weight"]["note"] == "float32 and float16"
    assert 0 < found["stem.weight"]["relative_change"] < 1e-3
    with pytest.raises(NotFoundError, match="nothing"):
        bind_weights(model(net), model(net), ["nothing.*"])


def half_model(module):
    example = (torch.zeros(1, 3, 8, 8, dtype=torch.float16),)
    return assemble(
        trace_module(module, example), example, source="t", format=ModelFormat.TORCH,
        weights=module.state_dict(),
    )  # fmt: skip


def permuted(net, order):
    """The same network with the units of its first layers in another order."""
    made = copy.deepcopy(net)
    with torch.no_grad():
        made.stem.weight[:] = net.stem.weight[order]
        made.stem.bias[:] = net.stem.bias[order]
        made.block.conv.weight[:] = net.block.conv.weight[order][:, order]
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(made.block.bn, name)[:] = getattr(net.block.bn, name)[order]
        made.fc.weight[:] = net.fc.weight[:, order]
    return made


@pytest.mark.parametrize("layer", ["stem", "block.conv", "block", "pool"])
def test_units_of_a_permuted_copy_are_matched_exactly(net, layer):
    order = torch.tensor([3, 5, 0, 1, 4, 2])
    both = duo(model(net), model(permuted(net, order)), samples=20)
    plan = UnitPlan(layer=layer, candidate=layer, include_correlations=True)
    frames = list(match_units(both, plan))
    found = rows(frames, "units")
    for place, unit in enumerate(order.tolist()):
        assert found[unit]["partner"] == found[unit]["best"] == place
        assert found[unit]["correlation"] == pytest.approx(1, abs=1e-4)
    [matrix] = [frame for frame in frames if isinstance(frame, Array)]
    a, b = (
        side.model.forward([layer], side.inputs)[layer] for side in (both.reference, both.candidate)
    )
    columns = [np.moveaxis(v.numpy(), 1, 0).reshape(6, -1) for v in (a, b)]
    expected = np.corrcoef(*columns)[:6, 6:]
    np.testing.assert_allclose(matrix.value, expected, atol=1e-4)
    [finding] = [frame for frame in frames if isinstance(frame, Finding)]
    assert finding.text.startswith(f"6 of 6 units of {layer} have a partner")
    assert frames[-1].metrics == {
        "matched": 6, "mean_correlation": pytest.approx(1, abs=1e-4), "constant": 0
    }  # fmt: skip


def test_units_of_layers_with_other_positions_are_matched_by_means(net):
    both = duo(model(net), model(net), samples=30)
    frames = list(match_units(both, UnitPlan(layer="block", candidate="pool")))
    found = rows(frames, "units")
    assert [row["partner"] for row in found.values()] == list(range(6))
    [finding] = [frame for frame in frames if isinstance(frame, Finding)]
    assert "means over positions" in finding.text


def test_a_negated_unit_is_a_partner_by_magnitude(net):
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.stem.weight[2] *= -1
        other.stem.bias[2] *= -1
        other.stem.weight[4] = 0
    both = duo(model(net), model(other), samples=10)
    found = rows(
        match_units(both, UnitPlan(layer="stem", candidate="stem", absolute=True)), "units"
    )
    assert (found[2]["partner"], found[2]["correlation"]) == (2, pytest.approx(-1))
    assert found[4]["partner"] is None
    assert found[4]["best"] is not None


class Shaped(nn.Module):
    """A map of 6 units, in another shape of as many positions."""

    def __init__(self, height, width):
        super().__init__()
        self.conv, self.shape = nn.Conv2d(3, 6, 1), (height, width)

    def forward(self, x):
        return self.conv(x.reshape(-1, 3, *self.shape))


def test_maps_of_as_many_positions_in_another_shape_are_matched_by_means():
    torch.manual_seed(2)
    wide, square = Shaped(4, 9).eval(), Shaped(6, 6).eval()
    square.load_state_dict(wide.state_dict())
    both = duo(model(wide, 3, 36, 1), model(square, 3, 36, 1), samples=12, shape=(3, 36, 1))
    plan = UnitPlan(layer="conv", candidate="conv", include_correlations=True)
    frames = list(match_units(both, plan))
    [finding] = [frame for frame in frames if isinstance(frame, Finding)]
    assert "means over positions" in finding.text
    [matrix] = [frame for frame in frames if isinstance(frame, Array)]
    means = [
        side.model.forward(["conv"], side.inputs)["conv"].mean((2, 3)).double().numpy()
        for side in (both.reference, both.candidate)
    ]
    expected = np.corrcoef(*means, rowvar=False)[:6, 6:]
    np.testing.assert_allclose(matrix.value, expected, atol=1e-4)


class Summed(nn.Module):
    """Ends in a number for each unit, whatever the samples."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        return self.fc(x.mean((0, 1, 2)))


def test_a_layer_without_samples_is_refused():
    layer = model(Summed().eval()).layer("fc")
    assert len(layer.output.shape) == 1
    with pytest.raises(InvalidArgumentError, match="without an axis of samples") as caught:
        check_units(layer, "layer_id")
    assert caught.value.field == "layer_id"
