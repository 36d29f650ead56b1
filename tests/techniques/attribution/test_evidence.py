"""Evidence against networks whose answers are known to be right or wrong."""

import pytest
import torch
from answers import answer, frames, unit
from traced import model_of

from hooke_server.errors import InvalidArgumentError
from hooke_server.techniques.attribution.cost import attribution_cost
from hooke_server.techniques.attribution.evidence import Evidence, EvidenceMeasure, Region
from hooke_server.techniques.attribution.plans import Asked, AskedMethod, bind
from hooke_server.techniques.attribution.question import Answer, Place
from hooke_server.techniques.attribution.randomizing import randomized
from hooke_server.techniques.frames import Picture, Progress
from hooke_server.techniques.tables import Finding, Rows


def measured(model, inputs, method, measure, targets=None, **given):
    """The values of a measure, and whether they are good, for each target and sample."""
    options = given.pop("evidence", {})
    evidence = Evidence(measures=(EvidenceMeasure(measure),), **options)
    found = frames(model, inputs, method, targets or [unit(model, 1)], evidence=evidence, **given)
    rows = evidence_rows(found)
    return [row["value"] for row in rows], [row["good"] for row in rows], found


def evidence_rows(found):
    """By column."""
    return [
        dict(zip([column.name for column in each.table.columns], row, strict=True))
        for each in found
        if isinstance(each, Rows) and each.table.name == "evidence"
        for row in each.rows
    ]


@pytest.fixture
def small():
    return torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def tiny():
    return torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))


def test_completeness_tells_divisions_from_slopes(chain, small):
    model, _ = chain
    exact, good, _ = measured(model, small, "integrated_gradients", "completeness", steps=64)
    assert max(exact) < 1e-3
    assert all(good)
    rough, bad, _ = measured(model, small, "gradient_shap", "completeness", samples=1)
    assert max(rough) > 0.05
    assert all(good is (error < 0.05) for good, error in zip(bad, rough, strict=True))
    assert not all(bad)
    wrong, unjudged, found = measured(model, small, "saliency", "completeness")
    assert min(wrong) > 0.05
    assert set(unjudged) == {None}
    findings = [each for each in found if isinstance(each, Finding)]
    assert {each.kind for each in findings} == {"unmeasured"}
    assert all("does not set out to share" in each.text for each in findings)


def test_exact_shares_predict_disturbances(linear, tiny):
    model, _ = linear
    exact, good, _ = measured(model, tiny, "integrated_gradients", "infidelity")
    assert max(exact) < 1e-6
    assert all(good)
    wrong, _, _ = measured(model, tiny, "saliency", "infidelity")
    assert min(wrong) > 0.1


def test_disturbances_share_passes_and_stay_the_same(chain, small):
    model, _ = chain
    alone, _, _ = measured(model, small, "saliency", "infidelity", rows=1)
    together, _, found = measured(model, small, "saliency", "infidelity", rows=7)
    assert together == pytest.approx(alone, rel=1e-4)
    told = [each.step for each in found if isinstance(each, Progress) and each.total == 10]
    assert told == [2, 4, 6, 8, 10]


def test_sensitivity_says_what_was_tried(chain, small):
    model, _ = chain
    given = {"evidence": {"samples": 3}}
    _, _, found = measured(model, small, "saliency", "max_sensitivity", **given)
    assert "% at most in the 3 disturbances tried, of 2 %" in evidence_rows(found)[0]["verdict"]


def test_sensitivity_of_a_linear_network(linear, tiny):
    """Its gradient is the same everywhere; value times gradient moves with the value."""
    model, net = linear
    still, _, _ = measured(model, tiny, "saliency", "max_sensitivity")
    assert max(still) == 0
    moving, _, _ = measured(model, tiny, "input_x_gradient", "max_sensitivity")
    weight = net[1].weight[1].detach().abs().reshape(3, 4, 4)
    for value, sample in zip(moving, tiny, strict=True):
        reach = 0.02 * (sample.max() - sample.min())
        bound = float((weight * reach).norm() / (weight * sample).norm())
        assert 0 < value <= bound


def test_curves_of_a_linear_network_are_cumulative_sums(linear, tiny):
    """Positions go in the order of their shares, and the target falls by just those."""
    model, net = linear
    options = {"evidence": {"steps": 16}}
    weight = net[1].weight[1].detach().reshape(3, 4, 4)
    tiny = tiny * (weight * tiny).sum((1, 2, 3), keepdim=True).sign()  # so that the target rises
    areas, _, found = measured(model, tiny, "input_x_gradient", "deletion", **options)
    shares = (weight * tiny).sum(1).flatten(1)
    for area, row in zip(areas, shares, strict=True):
        removed = torch.cat([torch.zeros(1), row.sort(descending=True).values.cumsum(0)])
        expected = 1 - removed / row.sum()
        assert area == pytest.approx(float(expected.mean()), rel=1e-3, abs=1e-4)
    charts = [each for each in found if isinstance(each, Picture) and each.name == "deletion"]
    assert len(charts) == 2
    inserted, _, _ = measured(model, tiny, "input_x_gradient", "insertion", **options)
    for value, area in zip(inserted, areas, strict=True):
        assert value == pytest.approx(1 - area, abs=1e-3)


def test_shuffled_weights_give_another_answer(chain, small):
    model, net = chain
    before = {name: value.clone() for name, value in model.weights.items()}
    values, good, _ = measured(model, small, "saliency", "parameter_randomization")
    assert all(abs(value) < 0.5 for value in values)
    assert all(good)
    for name, value in model.weights.items():
        assert torch.equal(value, before[name])
    assert torch.equal(model.forward(["5"], [small])["5"], net(small))


def test_shuffling_keeps_the_numbers(chain, small):
    model, _ = chain
    other = randomized(model, 3)
    ours, theirs = (dict(each.graph.module.named_parameters()) for each in (model, other))
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor.flatten().sort().values, theirs[name].flatten().sort().values)
    assert not torch.equal(model.forward(["5"], [small])["5"], other.forward(["5"], [small])["5"])


def test_an_answer_that_needs_no_network_is_found_out(small):
    """A network that copies its input explains itself by the input, whatever its weights."""
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2, bias=False)).eval()
    torch.nn.init.constant_(net[1].weight, 1.0)
    model = model_of(net, 3, 8, 8)
    values, good, _ = measured(model, small, "input_x_gradient", "parameter_randomization")
    assert min(values) > 0.99
    assert not any(good)


def test_seeds_matter_only_where_there_is_chance(chain, small):
    model, _ = chain
    none, _, _ = measured(model, small, "integrated_gradients", "seed_interval", steps=4)
    assert max(none) == 0
    some, _, _ = measured(model, small, "smooth_grad", "seed_interval", samples=4)
    more, _, _ = measured(model, small, "smooth_grad", "seed_interval", samples=64)
    assert min(some) > 0
    assert sum(more) < sum(some)


def test_pointing_counts_what_lies_inside(linear, tiny):
    model, net = linear
    region = Region(left=0.5, right=1.0)
    options = {"evidence": {"region": region}}
    values, _, found = measured(model, tiny, "input_x_gradient", "pointing", **options)
    maps = (net[1].weight[1].detach().reshape(3, 4, 4) * tiny).sum(1).clamp(min=0)
    expected = maps[:, :, 2:].sum((1, 2)) / maps.sum((1, 2))
    assert values == pytest.approx(expected.tolist(), rel=1e-4)
    assert [row["chance"] for row in evidence_rows(found)] == [0.5, 0.5]


def test_verdicts_are_said_in_words(chain, small):
    model, _ = chain
    _, _, found = measured(model, small, "integrated_gradients", "completeness", steps=64)
    said = [each for each in found if isinstance(each, Finding)]
    assert len(said) == 3
    assert said[0].kind == "trustworthy"
    about = [(each.item, each.target, each.sample, each.layer) for each in said]
    assert about == [(0, 0, sample, "input") for sample in range(3)]
    assert said[0].text.startswith("Integrated gradients at input for unit 1 of 5: its sum")


def test_what_cannot_be_measured_is_refused(linear, tiny):
    model, _ = linear
    with pytest.raises(InvalidArgumentError, match="needs the region"):
        measured(model, tiny, "saliency", "pointing")
    twice = Evidence(measures=(EvidenceMeasure.DELETION, EvidenceMeasure.DELETION))
    with pytest.raises(InvalidArgumentError, match="once"):
        frames(model, tiny, "saliency", [unit(model, 1)], evidence=twice)


@pytest.mark.parametrize(
    "features",
    [
        ("grid_features", {"cells": 3}),
        ("unit_features", {}),
        ("superpixel_features", {"segments": 6}),
    ],
)
def test_a_feature_counts_once_however_many_numbers_it_has(chain, small, features):
    """Shapley values sum up to the target's change; cells of 8 by 8 pixels in 3 differ in size."""
    model, _ = chain
    given = {"permutations": 40, "features": features}
    missed, good, _ = measured(model, small, "shapley_sampling", "completeness", **given)
    assert max(missed) < 1e-4
    assert all(good)


def test_a_cell_shares_its_value_among_its_positions():
    """Of a sum all positions of an even cell bring the same, and cells differ in size."""
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 1, bias=False)).eval()
    torch.nn.init.constant_(net[1].weight, 1.0)
    cells = torch.arange(4) * 3 // 4
    inputs = torch.randn(2, 1, 3, 3)[:, :, cells][:, :, :, cells].contiguous()
    model = model_of(net, 1, 4, 4)
    given = {"permutations": 60, "features": ("grid_features", {"cells": 3})}
    targets = [unit(model, 0)]
    left, good, _ = measured(model, inputs, "shapley_sampling", "infidelity", targets, **given)
    assert max(left) < 1e-6
    assert all(good)


def test_a_stretched_patch_counts_once(linear, tiny):
    """Patches of 3 by 3 over 4 by 4 positions hold one, two or four of them."""
    model, _ = linear
    place = Place(layer=model.layer("input"), value=tiny)
    coarse = torch.randn(2, 2, 3, 3)
    wide = Answer(place=place, values=coarse).stretched()
    assert wide.values.shape == (2, 2, 4, 4)
    assert torch.allclose(wide.shares.sum((2, 3)), coarse.sum((2, 3)), atol=1e-5)


@pytest.mark.parametrize("measure", ["deletion", "insertion"])
def test_points_of_a_curve_share_passes_and_stay_the_same(chain, small, measure):
    model, _ = chain
    targets, options = [unit(model, 1), unit(model, 4)], {"evidence": {"steps": 5}}
    alone, _, _ = measured(model, small, "saliency", measure, targets, rows=1, **options)
    together, _, found = measured(model, small, "saliency", measure, targets, rows=7, **options)
    assert None in alone  # where a target does not rise
    assert [each for each in together if each is not None] == pytest.approx(
        [each for each in alone if each is not None], rel=1e-4, abs=1e-5
    )
    told = [each.step for each in found if isinstance(each, Progress) and each.total == 72]
    assert told == [*range(2, 73, 2)]  # seven rows hold two points of three samples


def test_seeds_are_compared_by_mean_and_deviation(chain, small):
    model, _ = chain
    given = {"samples": 4, "evidence": {"seeds": 5}}
    told, _, _ = measured(model, small, "smooth_grad", "seed_interval", **given)
    found = [
        answer(model, small, "smooth_grad", [unit(model, 1)], seed=seed, samples=4)[0]
        for seed in range(5)
    ]
    answers = torch.stack(found).flatten(2)
    expected = answers.std(0).norm(dim=1) / answers.mean(0).norm(dim=1)
    assert told == pytest.approx(expected.tolist(), rel=1e-4)


@pytest.mark.parametrize(
    ("measures", "rows"),
    [
        (["completeness"], 1),
        (["infidelity"], 10),
        (["deletion"], 1 + 6 * 2 * 21),  # its own order, and five random ones
        (["deletion", "insertion", "infidelity"], 1 + 6 * 4 * 21 + 10),
        (["max_sensitivity"], 10 * (1 + 3)),  # all that the method asks, ten times
    ],
)
def test_the_estimate_counts_what_evidence_asks(chain, small, measures, rows):
    model, _ = chain
    targets = (unit(model, 1), unit(model, 4))
    method = AskedMethod(name="integrated_gradients", globs=(), given={"steps": 1})

    def estimate(names):
        evidence = Evidence(measures=tuple(map(EvidenceMeasure, names)))
        plan = bind(model, Asked(targets=targets, methods=(method,), evidence=evidence))
        return attribution_cost(model, plan, [small], None).estimate

    without, measuring = estimate([]), estimate(measures)
    once = without.macs / (1 + 3)  # the sample itself, and a point with two ways back
    told = (measuring.macs - without.macs) / once
    assert told == pytest.approx(rows, rel=1e-3)
    assert measuring.memory_bytes > without.memory_bytes
