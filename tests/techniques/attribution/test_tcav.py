"""Concept directions, on a network that is known to use a colour and nothing else."""

import io
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from answers import frames, unit
from PIL import Image
from traced import model_of

from hooke_server.errors import InvalidArgumentError
from hooke_server.models.preprocessing import Preprocessing
from hooke_server.techniques.attribution.directions import p_value
from hooke_server.techniques.frames import Array
from hooke_server.techniques.parameters import REQUIRED
from hooke_server.techniques.tables import Finding, Rows
from hooke_server.techniques.targets import Photograph
from hooke_server.techniques.technique import all_techniques

SIZE = 16
RED, GREEN = 0, 1


def picture(generator, **channels):
    """Noise; of a channel that is named, as bright as is said."""
    pixels = generator.uniform(0, 160, (SIZE, SIZE, 3))
    for name, level in channels.items():
        pixels[..., "rgb".index(name)] = generator.uniform(level - 25, level + 25, (SIZE, SIZE))
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "PNG")
    return Photograph(file.getvalue())


def pictures(count, seed, **channels):
    generator = np.random.default_rng(seed)
    return [picture(generator, **channels) for _ in range(count)]


@pytest.fixture(scope="module")
def colours():
    """Its first unit grows with red, its second with green, neither with blue."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 1), torch.nn.Softplus(), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(6, 2),
    )  # fmt: skip
    with torch.no_grad():
        net[0].weight.zero_()[:, :, 0, 0] = torch.eye(3).repeat(2, 1) * torch.tensor([1.0, 1.5, 1])
        net[4].weight.zero_()[:, :3] = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    steps = Preprocessing(
        resize_shorter_side=SIZE, crop_height=SIZE, crop_width=SIZE,
        mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25),
    )  # fmt: skip
    return model_of(net, 3, SIZE, SIZE, preprocessing=steps)


def samples(count=12):
    return torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(5)) * 2 - 1


def asked(model, *, at="0", seed=0, **given):
    concepts = [
        {"name": "red", "images": pictures(12, 1, r=220)},
        {"name": "nothing", "images": pictures(12, 2)},
    ]
    given = {"concepts": concepts, "counter_examples": pictures(40, 3), "runs": 15} | given
    return frames(
        model, samples(), "tcav", [unit(model, RED), unit(model, GREEN)], at, seed, **given
    )


def table(found):
    [rows] = [each.rows for each in found if isinstance(each, Rows) and each.table.name == "tcav"]
    return {(row[0], row[2]): row for row in rows}


@pytest.mark.parametrize("pooled", [False, True])
def test_what_the_network_uses_is_found_and_what_it_does_not_is_not(colours, pooled):
    found = asked(colours, pooled=pooled, runs=40)
    rows = table(found)
    _, layer, _, _, score, by_chance, p_value, accuracy = rows["red", RED]
    assert layer == "0"
    assert score == 1
    assert p_value < 1e-3
    assert 0.1 < by_chance < 0.9
    assert accuracy > 0.95
    for target in (RED, GREEN):
        assert rows["nothing", target][6] > 0.05
    said = [each for each in found if isinstance(each, Finding)]
    assert [(each.kind, each.target, each.sample, each.layer) for each in said] == [
        ("tcav", RED, None, "0"), ("tcav", GREEN, None, "0")
    ]  # fmt: skip
    words = [each.text for each in said]
    assert "'red' speaks for it" in words[RED]
    assert "'nothing' cannot be told from a random direction" in words[RED]


def test_many_concepts_of_nothing_are_not_told_from_chance(colours):
    """Not one of twelve, at one in twenty corrected for their number; and not by more runs."""
    concepts = [{"name": f"n{i}", "images": pictures(12, 100 + i)} for i in range(12)]
    found = asked(colours, concepts=concepts, runs=60, pooled=True)
    rows = table(found).values()
    assert min(row[6] for row in rows) > 0.05 / 24
    assert sum(row[6] < 0.05 for row in rows) <= 4
    assert not any("speaks" in each.text for each in found if isinstance(each, Finding))


def test_directions_point_to_the_concept(colours):
    """In a layer that keeps colours apart, red's is the direction of the first and fourth unit."""
    [array] = [each for each in asked(colours, pooled=True) if isinstance(each, Array)]
    assert array.axes == ("concept", "unit")
    red = array.value[0]
    assert float(red.norm()) == pytest.approx(1, abs=1e-5)
    assert float(red[[0, 3]].square().sum()) > 0.9
    assert (red[[0, 3]] > 0).all()
    [whole] = [each for each in asked(colours) if isinstance(each, Array)]
    assert whole.value.shape == (2, 6, SIZE, SIZE)
    assert whole.axes == ("concept", "unit", "height", "width")


def test_scores_are_those_of_the_directions(colours):
    """The share of samples whose derivative along the mean direction is positive, derived again."""
    found = asked(colours, pooled=True)
    [array] = [each for each in found if isinstance(each, Array)]
    net = colours.probe(["0", colours.output_layer])
    said = net(samples().requires_grad_())
    [gradient] = torch.autograd.grad(said[colours.output_layer][:, GREEN].sum(), [said["0"]])
    along = gradient.sum((2, 3)) @ array.value[0]
    score = table(found)["red", GREEN][4]
    assert abs(float((along > 0).float().mean()) - score) <= 0.5


@pytest.mark.parametrize(("runs", "overlap"), [(4, 0.0), (20, 1.0), (1000, 0.0)])
def test_what_does_not_vary_was_not_tested(runs, overlap):
    """No p-value is below what a permutation of the runs, or of those that share none, can tell."""
    none, all_of = np.zeros(runs), np.ones(runs)
    assert p_value(all_of, all_of, overlap) == 1
    p = p_value(all_of, none, overlap)
    assert p > 0
    alone = 1 if overlap else min(runs, 500)  # of more the bound is below all numbers
    assert p >= 2 / math.comb(alone + min(runs, 500), alone) * (runs <= 500)


def test_hardly_varying_scores_are_no_proof():
    scores = np.array([1.0, 1.0, 1.0, 1.0])
    by_chance = np.array([0.0, 0.0, 0.0, 1e-9])
    assert p_value(scores, by_chance, 1.0) == pytest.approx(2 / math.comb(8, 4))


def test_seeds(colours):
    once, again, other = (asked(colours, seed=seed) for seed in (1, 1, 2))
    assert table(once) == table(again)
    assert table(once) != table(other)


def test_at_once_as_one_after_another(colours):
    serial = [table(asked(colours, at=at)) for at in ("0", "1")]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda at: table(asked(colours, at=at)), ("0", "1")))
    assert together == serial


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"concepts": []}, "at least one concept"),
        ({"concepts": [{"name": "", "images": pictures(4, 1)}]}, "name of its own"),
        ({"concepts": [{"name": "few", "images": pictures(3, 1)}]}, "has 3 pictures"),
        ({"counter_examples": pictures(7, 1)}, "at least 8 pictures"),
        ({"runs": 3}, "4"),
        ({"concepts": [{"name": 5, "images": pictures(4, 1)}]}, "must be a text"),
    ],
)
def test_what_cannot_be_asked(colours, given, message):
    with pytest.raises(InvalidArgumentError, match=message):
        asked(colours, **given)


def test_what_must_be_given():
    parameters = all_techniques()["tcav"].parameters
    assert parameters["concepts"].default is REQUIRED
    assert parameters["counter_examples"].default is REQUIRED
