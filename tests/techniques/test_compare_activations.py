"""Layers of two models side by side: partners, numbers, and where they part."""

import copy
import math

import numpy as np
import pytest
import torch
from compared import Longer, compared, duo, fused, model, rows, short, small_net
from torch import nn

from hooke_server.errors import NotFoundError
from hooke_server.techniques.comparison import passes
from hooke_server.techniques.comparison.activations import ActivationPlan, compare_activations
from hooke_server.techniques.comparison.lineage import Lineage
from hooke_server.techniques.comparison.pairing import folded, named_pairs, pair_layers
from hooke_server.techniques.comparison.passes import grouped
from hooke_server.techniques.comparison.similarity import Similarity
from hooke_server.techniques.frames import Picture, Result
from hooke_server.techniques.tables import Table


@pytest.fixture
def net():
    return small_net()


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


def test_lineage_looks_through_what_is_not_compared(net):
    reference = model(net)
    assert reference.layer("pool").producers == ("block.relu",)
    far = Lineage(reference, {"stem", "fc"})
    assert far.sources("fc") == ("stem",)
    assert far.readers("stem") == ("fc",)
    assert far.readers("fc") == ()
    block = Lineage(reference, {"stem", "block", "pool"})
    assert block.sources("pool") == ("block",)
    assert block.readers("block") == ("pool",)
    assert block.readers("stem") == ("block",)


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
