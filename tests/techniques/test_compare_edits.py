"""A model beside itself with some layers edited: numbers, and what is said of them."""

import copy

import numpy as np
import pytest
import torch
from compared import compared, duo, model, small_net
from torch import nn

from hooke_server.models.edits import Ablation, Clamping, Edit, Replacement, Scaling
from hooke_server.techniques.comparison import passes
from hooke_server.techniques.comparison.influence import Influence
from hooke_server.techniques.frames import Picture

MODULES = ("stem", "block.conv", "block.bn", "block", "pool", "fc")


@pytest.fixture
def net():
    return small_net()


def said(net, x, **changes):
    """What each module says in a copy where some return something else; by hooks."""
    module, values = copy.deepcopy(net), {}
    for name in MODULES:

        def keep(_, __, value, name=name):
            change = changes.get(name.replace(".", "_"))
            values[name] = value.clone() if change is None else change(value.clone())
            return values[name]

        module.get_submodule(name).register_forward_hook(keep)
    with torch.no_grad():
        module(x)
    return values


def ablated(units):
    def change(value):
        value[:, units] = 0
        return value

    return change


EDITED = {
    "a unit": (Edit(layer="stem", units=(2,), change=Ablation()), ablated([2])),
    "a layer inside": (Edit(layer="block.conv", change=Scaling(0.5)), lambda v: v * 0.5),
    "a block": (Edit(layer="block", units=(1, 3), change=Ablation()), ablated([1, 3])),
    "the output": (Edit(layer="fc", change=Clamping(low=0.0)), lambda v: v.clamp(min=0)),
}


@pytest.mark.parametrize("name", EDITED)
def test_rows_are_the_effect_of_the_edit_as_hooks_make_it(net, name):
    """And what runs before the edited layer is the same bit for bit."""
    edit, change = EDITED[name]
    torch.manual_seed(1)
    x = torch.randn(4, 3, 8, 8)
    plain, changed = said(net, x), said(net, x, **{edit.layer.replace(".", "_"): change})
    found, told, frames = compared(model(net), model(net), edits=[edit])
    for layer in MODULES:
        a, b = (each[layer].double().numpy() for each in (plain, changed))
        delta, row = np.abs(b - a), found[layer]
        assert row["max_error"] == pytest.approx(delta.max(), rel=1e-4, abs=1e-9)
        assert row["mean_error"] == pytest.approx(delta.mean(), rel=1e-4, abs=1e-9)
    inside = {"block": ("block.relu",)}.get(edit.layer, ())
    before = list(found)[: list(found).index(edit.layer)]
    for layer in before:
        assert (found[layer]["max_error"] == 0) == (layer not in inside), layer
    first = told["first_divergence"]
    assert [site.layer for site in first.sites] == [edit.layer, edit.layer]
    assert first.text.startswith(f"{edit.layer} is the first layer that diverges")
    assert "It is edited in the candidate. It is computed from" in first.text
    assert "look at this layer" not in first.text
    assert "edited in the candidate" in found[edit.layer]["note"]
    assert sum("edited" in (row["note"] or "") for row in found.values()) == 1
    [picture] = [frame for frame in frames if isinstance(frame, Picture)]
    assert f"{edit.layer} is the first that diverges" in picture.caption


def test_the_effect_counts_what_differs_of_what_the_edit_reaches(net):
    edit, _ = EDITED["a unit"]
    found, told, _ = compared(model(net), model(net), edits=[edit])
    reached = [each for each in found if each != "x"]
    differing = [each for each in reached if not found[each]["agrees"]]
    most = max(reached, key=lambda each: found[each]["relative_error"])
    text = told["effect"].text
    assert text.startswith(f"{len(differing)} of the {len(reached)} compared layers that the edit")
    assert f"most of all {most}, by {found[most]['relative_error']:.3g} of" in text
    assert f"the output fc differs by {found['fc']['relative_error']:.3g} of" in text
    assert [site.layer for site in told["effect"].sites] == [most, "fc"]


def test_an_edit_that_changes_nothing_is_told_so(net):
    found, told, _ = compared(
        model(net), model(net), edits=[Edit(layer="stem", change=Scaling(1.0))]
    )
    assert all(row["max_error"] == 0 for row in found.values())
    assert set(told) == {"agreement", "effect"}
    assert told["effect"].text.startswith("0 of the")


def test_where_the_edited_layer_is_not_compared_the_first_that_shows_it_is_named(net):
    edit, _ = EDITED["a unit"]
    _, told, _ = compared(model(net), model(net), ["block.*", "fc"], edits=[edit])
    first = told["first_divergence"]
    assert first.sites[0].layer == "block.conv"
    assert "The edit of stem reaches it. Nothing that it is computed from was" in first.text
    _, told, _ = compared(model(net), model(net), ["x", "fc"], edits=[edit])
    assert "The edit of stem reaches it. It is computed from x (0.0e+00), which agrees" in (
        told["first_divergence"].text
    )
    assert "look at this layer" not in told["first_divergence"].text
    _, told, _ = compared(model(net), model(net), ["x"], edits=[edit])
    assert told["effect"].text == "no layer that the edit of stem reaches was compared"


def test_an_edit_that_the_next_layer_does_not_see_is_recovered(net):
    """What the rectifier would have cut off is cut off before it."""
    edit = Edit(layer="block.add", change=Clamping(low=0.0))
    found, told, _ = compared(model(net), model(net), edits=[edit])
    assert [each for each, row in found.items() if row["max_error"]] == ["block.add"]
    assert "first_divergence" not in told
    assert told["recovered"].text.endswith("computed after: the edit of block.add shows no further")
    assert "1 of the 6 compared layers" in told["effect"].text


def test_a_spoilt_layer_before_the_edit_is_still_the_first(net):
    spoilt = copy.deepcopy(net)
    with torch.no_grad():
        spoilt.stem.weight.view(-1)[1] += 1
    edit, _ = EDITED["a block"]
    _, told, _ = compared(model(net), model(spoilt), edits=[edit])
    first = told["first_divergence"]
    assert first.sites[0].layer == "stem"
    assert (
        "No edit reaches it. It is computed from x (0.0e+00), which agrees, so look" in first.text
    )


def test_an_edited_input_is_not_taken_for_another_preparation(net):
    edit = Edit(layer="x", units=(0,), change=Ablation())
    _, told, _ = compared(model(net), model(net), edits=[edit])
    assert told["first_divergence"].text.endswith("It is an input, and edited in the candidate")


def test_samples_that_edits_name_count_in_the_whole_batch(net, monkeypatch):
    monkeypatch.setattr(passes, "PART", 3)
    torch.manual_seed(1)
    x = torch.randn(7, 3, 8, 8)
    value = torch.randn(7, 6, 8, 8)
    replacement = Edit(layer="stem", change=Replacement("value:1", value))
    changed = said(net, x, stem=lambda _: value)["fc"] - said(net, x)["fc"]
    found, _, _ = compared(model(net), model(net), samples=7, edits=[replacement])
    assert found["fc"]["max_error"] == pytest.approx(changed.abs().max().item(), rel=1e-4)
    one = Edit(layer="stem", samples=(5,), change=Ablation())
    changed = said(net, x, stem=ablated(slice(None)))["fc"] - said(net, x)["fc"]
    found, _, _ = compared(model(net), model(net), samples=7, edits=[one])
    expected = changed[5].abs().sum().item() / changed.numel()
    assert found["fc"]["mean_error"] == pytest.approx(expected, rel=1e-4)
    assert len(duo(model(net), model(net), 7, edits=[one]).parts()) == 1
    assert len(duo(model(net), model(net), 7, edits=[EDITED["a unit"][0]]).parts()) == 3


class Halves(nn.Module):
    """Two layers, each of which reads half of one that yields a tuple."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 2, batch_first=True)
        self.left, self.right = nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, x):
        values, (last, _) = self.lstm(x)
        return self.left(values), self.right(last[0])


def test_an_edit_reaches_what_reads_the_part_that_is_edited():
    halves = model(Halves(), 4, 3)
    parts = [each for each in halves.layers if each.startswith("lstm")]
    reached = {
        each: {n for n in halves.layers if Influence(halves, [each]).upon(n)} for each in parts
    }
    sides = [{"left", "right"} & names for names in reached.values()]
    assert {"left"} in sides
    assert {"right"} in sides
    assert {"left", "right"} not in sides
