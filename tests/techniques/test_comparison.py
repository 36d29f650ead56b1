"""Comparing models: partners, where they part, weights and units, on networks that are known."""

import copy
import math

import numpy as np
import pytest
import torch
from conftest import model_of
from torch import nn

from hooke_server.errors import NotFoundError
from hooke_server.models.model import ModelFormat
from hooke_server.models.structure import assemble
from hooke_server.models.trace import trace_module
from hooke_server.techniques.comparison import passes
from hooke_server.techniques.comparison.activations import ActivationPlan, compare_activations
from hooke_server.techniques.comparison.lineage import Lineage
from hooke_server.techniques.comparison.pairing import folded, named_pairs, pair_layers
from hooke_server.techniques.comparison.passes import Duo, Side, grouped
from hooke_server.techniques.comparison.similarity import Similarity
from hooke_server.techniques.comparison.units import UnitPlan, match_units
from hooke_server.techniques.comparison.weights import bind_weights, compare_weights
from hooke_server.techniques.frames import Array, Picture, Result
from hooke_server.techniques.tables import Finding, Rows, Table


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(6)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.bn(self.conv(x)) + x)


class Net(nn.Module):
    def __init__(self, classes=5):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.block = Block()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(6, classes)

    def forward(self, x):
        return self.fc(self.pool(self.block(self.stem(x))).flatten(1))


@pytest.fixture
def net():
    torch.manual_seed(0)
    network = Net().eval()
    with torch.no_grad():
        network.block.bn.running_mean.normal_()
        network.block.bn.running_var.uniform_(0.5, 2)
    return network


def fused(net):
    """The network as an exporter makes it: no normalization, the convolution does it too."""
    made = copy.deepcopy(net)
    made.block.conv = nn.utils.fusion.fuse_conv_bn_eval(net.block.conv, net.block.bn)
    made.block.bn = nn.Identity()
    return made


class Short(nn.Module):
    """A block of the fused network, as older exporters write it: no trace of a normalization."""

    def __init__(self, block):
        super().__init__()
        self.conv, self.relu = block.conv, block.relu

    def forward(self, x):
        return self.relu(self.conv(x) + x)


def short(net):
    made = fused(net)
    made.block = Short(made.block)
    return made


class Longer(Net):
    """One more layer, of other inputs, and an output of its own."""

    def __init__(self, classes=5):
        super().__init__(classes)
        self.head = nn.Linear(2, 2)

    def forward(self, x):
        return super().forward(x), self.head(x[:, 0, 0, :2])


def model(module, *shape):
    return model_of(module, *(shape or (3, 8, 8)))


def duo(reference, candidate, samples=4, shape=(3, 8, 8)):
    torch.manual_seed(1)
    inputs = (torch.randn(samples, *shape),)
    return Duo(Side(reference, inputs), Side(candidate, inputs))


def compared(reference, candidate, globs=(), samples=4, **options):
    """Rows by layer, findings by kind, all frames."""
    both = duo(reference, candidate, samples)
    plan = ActivationPlan(pairing=pair_layers(reference, candidate, globs), **options)
    frames = list(compare_activations(both, plan))
    return rows(frames), {each.kind: each for each in frames if isinstance(each, Finding)}, frames


def rows(frames, table="layers"):
    """Rows of a table by the first cell that is set, as dicts."""
    found = {}
    for frame in frames:
        if isinstance(frame, Rows) and frame.table.name == table:
            names = [column.name for column in frame.table.columns]
            for row in frame.rows:
                cells = dict(zip(names, row, strict=True))
                found[next(cell for cell in row if cell is not None)] = cells
    return found


def test_rows_are_what_numpy_makes_of_eager_activations(net):
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.block.conv.weight.add_(0.01 * torch.randn_like(other.block.conv.weight))
    found, _, frames = compared(model(net), model(other))
    torch.manual_seed(1)
    x = torch.randn(4, 3, 8, 8)
    with torch.no_grad():
        for layer, run in {
            "block.conv": lambda m: m.block.conv(m.stem(x)),
            "block": lambda m: m.block(m.stem(x)),
            "fc": lambda m: m(x),
        }.items():
            a, b = (run(m).double().numpy() for m in (net, other))
            row, delta = found[layer], np.abs(b - a)
            assert row["max_error"] == pytest.approx(delta.max(), rel=1e-4)
            assert row["mean_error"] == pytest.approx(delta.mean(), rel=1e-4)
            assert row["relative_error"] == pytest.approx(delta.max() / np.abs(a).max(), rel=1e-4)
            norms = np.linalg.norm(a) * np.linalg.norm(b)
            assert row["cosine"] == pytest.approx((a * b).sum() / norms, rel=1e-6)
            pools = [v.reshape(4, v.shape[1], -1).mean(2) for v in (a, b)]
            p, q = (each - each.mean(0) for each in pools)
            cka = np.linalg.norm(q.T @ p) ** 2
            cka /= np.linalg.norm(p.T @ p) * np.linalg.norm(q.T @ q)
            assert row["cka"] == pytest.approx(cka, rel=1e-4)
    assert list(found) == list(model(net).layers)
    assert isinstance(frames[0], Table)
    assert isinstance(frames[-1], Result)


def test_a_model_and_itself_agree_exactly(net):
    found, told, frames = compared(model(net), model(copy.deepcopy(net)))
    assert all(row["max_error"] == row["relative_error"] == 0 for row in found.values())
    assert all(row["cosine"] == pytest.approx(1) for row in found.values())
    assert all(row["cka"] == pytest.approx(1) for row in found.values() if row["cka"] is not None)
    assert set(told) == {"agreement"}
    assert frames[-1].metrics["diverging"] == 0


@pytest.mark.parametrize("layer", ["stem", "block.conv", "fc"])
@pytest.mark.parametrize("export", [lambda n: n, fused, short])
def test_the_layer_with_a_spoilt_weight_is_the_first_that_diverges(net, layer, export):
    """Also where normalizations are folded in, so that convolutions differ by themselves."""
    good, spoilt = export(net), copy.deepcopy(export(net))
    _, told, _ = compared(model(net), model(good))
    assert "first_divergence" not in told
    with torch.no_grad():
        spoilt.get_submodule(layer).weight.view(-1)[1] += 1
    reference, candidate = model(net), model(spoilt)
    found, told, frames = compared(reference, candidate)
    first = told["first_divergence"]
    assert (first.sites[0].layer, first.sites[0].model) == (layer, 0)
    assert (first.sites[1].layer, first.sites[1].model) == (layer, 1)
    assert first.text.startswith(layer)
    assert f"{found[layer]['max_error']:.3g}" in first.text
    [source] = Lineage(reference, found).sources(layer)
    assert f"computed from {source} (" in first.text
    assert "which agrees" in first.text
    [picture] = [frame for frame in frames if isinstance(frame, Picture)]
    assert f"{layer} is the first that diverges" in picture.caption


def test_a_folded_normalization_is_known_from_either_side(net):
    plain, whole, brief = model(net), model(fused(net)), model(short(net))
    for other in (whole, brief):
        assert folded(plain, other) == {"block.conv": "block.bn"}
        assert folded(other, plain) == {}
        for pair in (plain, other), (other, plain):
            found, told, _ = compared(*pair)
            assert found["block.conv"]["agrees"]
            assert "block.bn" in found["block.conv"]["note"]
            assert "without_partner" not in told
    found, _, _ = compared(plain, brief)
    assert found["block.bn"]["candidate_layer"] is None
    assert found["block.bn"]["note"] == "folded into block.conv"
    found, _, _ = compared(brief, plain)
    assert found["block.bn"]["layer"] is None


class Scaled(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


def test_a_difference_that_is_gone_later_is_no_divergence(net):
    """The candidate doubles at one step what it halves two steps later."""
    models = []
    for factors in ((1.0, 1.0), (2.0, 0.5)):
        made = copy.deepcopy(net)
        parts = (Scaled(factors[0]), nn.Dropout(0.0), Scaled(factors[1]))
        made.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), *parts)
        models.append(model(made))
    found, told, _ = compared(*models)
    assert not found["pool.1"]["agrees"]
    assert "first_divergence" not in told
    assert [site.layer for site in told["recovered"].sites] == ["pool.1", "pool.2"]
    assert told["recovered"].text.startswith("pool.1, pool.2 differ, but")


def test_a_difference_that_fades_is_a_divergence(net):
    """Behind the spoilt layer everything shrinks, until the output is within the tolerance."""
    spoilt = copy.deepcopy(net)
    with torch.no_grad():
        for each in (net, spoilt):
            each.fc.weight *= 0.05
            each.fc.bias.fill_(1)
        spoilt.stem.weight.view(-1)[0] += 0.05
    found, told, _ = compared(model(net), model(spoilt))
    assert found["fc"]["agrees"]
    assert not found["pool"]["agrees"]
    assert told["first_divergence"].sites[0].layer == "stem"


def test_nan_diverges_and_is_told(net):
    spoilt = copy.deepcopy(net)
    with torch.no_grad():
        spoilt.block.conv.weight[0, 0, 0, 0] = math.nan
    found, told, frames = compared(model(net), model(spoilt))
    assert told["first_divergence"].sites[0].layer == "block.conv"
    assert "no finite numbers" in told["first_divergence"].text
    assert math.isnan(found["block.conv"]["max_error"])
    assert found["block.conv"]["cka"] is None
    torch.manual_seed(1)
    with torch.no_grad():
        bad = int(spoilt.block.conv(spoilt.stem(torch.randn(4, 3, 8, 8))).isnan().sum())
    assert f"{bad} of the candidate" in found["block.conv"]["note"]
    assert any(isinstance(frame, Picture) for frame in frames)


def test_other_shapes_and_missing_layers_are_told_not_failed(net):
    found, told, _ = compared(model(net), model(Longer(classes=3)))
    assert found["fc"]["note"] == "shapes differ: [4, 5] and [4, 3]"
    assert found["fc"]["agrees"] is None
    assert found["fc"]["cka"] is not None
    assert found["head"]["note"] == "not in the reference"
    assert "head of the candidate" in told["without_partner"].text


def test_pairs_may_be_named(net):
    reference, candidate = model(net), model(short(net))
    pairing = named_pairs(reference, candidate, [("fc", "fc"), ("block.bn", "block.conv")])
    assert [pair.layer for pair in pairing.pairs] == ["block.bn", "fc"]
    frames = list(compare_activations(duo(reference, candidate), ActivationPlan(pairing=pairing)))
    assert all(row["agrees"] for row in rows(frames).values())
    with pytest.raises(NotFoundError, match="blok"):
        named_pairs(reference, candidate, [("fc", "blok.conv")])


def test_groups_and_parts_change_nothing_but_the_number_of_passes(net, monkeypatch):
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.stem.weight.mul_(1.01)
    models = model(net), model(other)
    whole, _, frames = compared(*models, samples=7, map_layers=("stem", "fc"))
    monkeypatch.setattr(passes, "PART", 3)
    parts, _, many = compared(*models, samples=7, map_layers=("stem", "fc"), memory=4)
    assert len(many) > len(frames)
    for layer, row in whole.items():
        assert parts[layer].keys() == row.keys()
        for name, value in row.items():
            if isinstance(value, float):
                assert parts[layer][name] == pytest.approx(value, rel=1e-4, abs=1e-6), (layer, name)
            else:
                assert parts[layer][name] == value


def test_groups_hold_neighbours_up_to_a_quarter_of_the_memory():
    assert grouped([3, 1, 2, 9, 1], int, 16) == [[3, 1], [2], [9], [1]]
    assert grouped([3, 1], int, None) == [[3, 1]]
    assert grouped([], int, 16) == []


def test_the_estimate_covers_what_is_held(net):
    both = duo(model(net), model(net), samples=20)
    plan = ActivationPlan(pairing=pair_layers(both.reference.model, both.candidate.model, ()))
    estimate = plan.estimate(both)
    values = both.reference.model.forward(plan.layers, both.reference.inputs)
    held = sum(value[:16].nbytes for value in values.values())
    assert estimate.memory_bytes > 2 * held
    assert estimate.macs == 2 * 20 * both.reference.model.macs
    assert estimate.layers == tuple(both.reference.model.layers)


def test_a_map_compares_every_layer_with_every_other(net):
    reference, candidate = model(net), model(short(net))
    wanted = ("stem", "block.relu", "fc")
    _, _, frames = compared(reference, candidate, map_layers=wanted, similarity=Similarity())
    found = rows(frames, "cka")
    assert set(found) == set(reference.layers)
    both = duo(reference, candidate)
    values = [m.forward(list(m.layers), s.inputs) for m, s in
              ((reference, both.reference), (candidate, both.candidate))]  # fmt: skip
    for layer, row in found.items():
        for other in wanted:
            pools = [
                each.double().reshape(4, each.shape[1], -1).mean(2)
                for each in (values[0][layer], values[1][other])
            ]
            p, q = (each - each.mean(0) for each in pools)
            expected = (q.T @ p).norm() ** 2 / ((p.T @ p).norm() * (q.T @ q).norm())
            assert row[other] == pytest.approx(float(expected), rel=1e-4), (layer, other)
    pictures = [frame.name for frame in frames if isinstance(frame, Picture)]
    assert pictures == ["errors", "cka"]


def test_few_samples_have_no_cka_and_the_table_says_so(net):
    found, _, frames = compared(model(net), model(net), samples=2)
    assert all(row["cka"] is None for row in found.values())
    assert "CKA needs at least 3 samples, not 2" in frames[0].caption


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
