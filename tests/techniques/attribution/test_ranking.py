"""Rankings against orders that know nothing of the network."""

import pytest
import torch
from answers import frames, judged, unit
from traced import model_of

from hooke_server.techniques.attribution.evidence import Evidence, EvidenceMeasure
from hooke_server.techniques.attribution.ranking import deletion, insertion
from hooke_server.techniques.frames import Picture
from hooke_server.techniques.tables import Finding, Rows

MEASURES = [deletion, insertion]


@pytest.fixture(scope="module")
def fragile():
    """It says nothing where a fifth is missing, in whatever order: 1 for ones, 0 for zeros."""
    net = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(256, 1), torch.nn.ReLU(), torch.nn.Linear(1, 1)
    ).eval()
    with torch.no_grad():
        weight = torch.rand(1, 256, generator=torch.Generator().manual_seed(2))
        net[1].weight.copy_(weight / weight.sum())
        net[1].bias.fill_(-0.8)
        net[3].weight.fill_(5)
        net[3].bias.zero_()
    return model_of(net, 1, 16, 16), net[1].weight.detach().reshape(1, 1, 1, 16, 16)


@pytest.fixture(scope="module")
def whole():
    """It counts the squares of four pixels that are whole: scattered holes hurt, one hole less."""
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 1, 2), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    ).eval()
    with torch.no_grad():
        net[0].weight.fill_(2)
        net[0].bias.fill_(-7)
    return model_of(net, 1, 16, 16)


def ones(count):
    return torch.ones(count, 1, 16, 16)


def blind(count, cells=16):
    """Answers that know nothing, of cells."""
    drawn = torch.randn(count, 1, cells, cells, generator=torch.Generator().manual_seed(3))
    return torch.nn.functional.interpolate(drawn, (16, 16))[None]


def test_a_random_ranking_is_not_called_good(fragile):
    """Though nearly nothing is left of the target on average."""
    model, shares = fragile
    found = judged(deletion, model, ones(40), blind(40))
    assert float(found.values.max()) < 0.2
    assert float(found.good.double().mean()) <= 0.1
    assert "a random order" in found.says(0, 0)
    assert torch.allclose(found.values.mean(), found.chance.mean(), rtol=0.1)
    right = judged(deletion, model, ones(2), shares.expand(1, 2, 1, 16, 16))
    assert right.good.all()
    assert right.says(0, 1).endswith(": it ranks what matters")


def in_waves(count):
    """Blind answers whose neighbours are alike."""
    drawn = torch.randn(count, 1, 4, 4, generator=torch.Generator().manual_seed(3))
    return torch.nn.functional.interpolate(drawn, (16, 16), mode="bilinear")[None]


CELLS = (torch.arange(16) // 4)[:, None] * 4 + torch.arange(16) // 4


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("kind", ["cells", "waves"])
def test_random_orders_are_as_coarse_as_the_answer(whole, measure, kind):
    """What goes in pieces leaves more whole than what goes by pixels, and is no better for it."""
    values, labels = (blind(40, 4), CELLS[None, None]) if kind == "cells" else (in_waves(40), None)
    found = judged(measure, whole, ones(40), values, labels=labels)
    assert float(found.good.double().mean()) <= 0.1
    scattered = judged(measure, whole, ones(40), blind(40))
    assert float(found.chance.mean() - scattered.chance.mean()) > 0.1


@pytest.mark.parametrize("measure", MEASURES)
def test_the_right_order_beats_random_ones_and_its_negative_does_not(linear, measure):
    model, net = linear
    weight = net[1].weight[:1].detach().reshape(1, 3, 4, 4)
    inputs = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    inputs = weight.sign() * inputs**8  # few matter
    exact = (weight * inputs)[None]
    assert judged(measure, model, inputs, exact, steps=16).good.all()
    wrong = judged(measure, model, inputs, -exact, steps=16)
    assert not wrong.good.any()
    assert wrong.says(0, 0).endswith(": no better than chance")


@pytest.mark.parametrize("measure", MEASURES)
def test_without_positions_numbers_change_places(measure):
    net = torch.nn.Linear(20, 1, bias=False).eval()
    torch.nn.init.uniform_(net.weight, 0, 1)
    model, inputs = model_of(net, 20), torch.rand(2, 20) + 0.1
    exact = (net.weight.detach() * inputs)[None]
    found = judged(measure, model, inputs, exact)
    assert found.good.all()
    assert float((found.chance - 0.5).abs().max()) < 0.2


def test_orders_are_those_of_the_seed(whole):
    once, again, other = (
        judged(deletion, whole, ones(2), blind(2), seed=seed) for seed in (1, 1, 2)
    )
    assert torch.equal(once.chance, again.chance)
    assert not torch.equal(once.chance, other.chance)


def seen(model, inputs, measure):
    evidence = Evidence(measures=(EvidenceMeasure(measure),))
    found = frames(model, inputs, "input_x_gradient", [unit(model, 0)], evidence=evidence)
    columns = [
        dict(zip([column.name for column in each.table.columns], row, strict=True))
        for each in found
        if isinstance(each, Rows) and each.table.name == "evidence"
        for row in each.rows
    ]
    said = [each for each in found if isinstance(each, Finding)]
    pictures = [each for each in found if isinstance(each, Picture) and each.name == measure]
    return columns, said, pictures


@pytest.mark.parametrize(("measure", "done"), [("deletion", "deleted"), ("insertion", "inserted")])
def test_what_does_not_rise_has_no_curve(measure, done):
    """One sample falls from the baseline's 10, one rises by less than a twentieth, one by more."""
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 1)).eval()
    with torch.no_grad():
        net[1].weight.fill_(1 / 16)
        net[1].bias.fill_(10)
    inputs = torch.ones(3, 1, 4, 4) * torch.tensor([-1, 0.4, 1.0]).reshape(3, 1, 1, 1)
    rows, said, pictures = seen(model_of(net, 1, 4, 4), inputs, measure)
    told = f"the baseline scores as high as the sample: nothing can be {done}"
    for row, finding in zip(rows[:2], said[:2], strict=True):
        assert (row["value"], row["chance"], row["good"]) == (None, None, None)
        assert row["verdict"] == told
        assert finding.kind == "unmeasured"
        assert finding.text.endswith(f": {told}.")
    assert rows[2]["value"] == pytest.approx(0.5, abs=0.05)
    assert said[2].kind == "doubtful"  # all positions are alike
    assert [each.sample for each in pictures] == [2]


def test_rows_and_pictures_tell_the_random_orders(fragile):
    model, _ = fragile
    rows, _, [picture] = seen(model, ones(1), "deletion")
    assert rows[0]["chance"] > rows[0]["value"]
    assert picture.caption.endswith(
        f"area {rows[0]['value']:.2f}, of random orders {rows[0]['chance']:.2f}"
    )
    assert f"a random order {rows[0]['chance']:.0%}" in rows[0]["verdict"]
