"""Causal tracing against eager networks cut by hand, and edits of a model."""

import pytest
import torch
from answers import frames, unit

from hooke_server.models.edited import edited
from hooke_server.models.edits import Ablation, Edit
from hooke_server.techniques.frames import Array, Picture
from hooke_server.techniques.tables import Rows


def effects(model, inputs, at, targets=None, **given):
    found = frames(model, inputs, "causal_tracing", targets or [unit(model, 2)], at, **given)
    arrays = [each.value for each in found if isinstance(each, Array)]
    rows = [row for each in found if isinstance(each, Rows) for row in each.rows]
    return arrays, [row for row in rows if len(row) == 6], found


@pytest.fixture
def small():
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_each_unit_is_put_out(chain, small):
    """The rest of the network, by hand: unit by unit as it is for zeros."""
    model, net = chain
    [found], rows, _ = effects(model, small, "1", part="unit")
    head, tail = net[:2], net[2:]
    value, nothing = head(small), head(torch.zeros_like(small))
    for number in range(4):
        changed = value.clone()
        changed[:, number] = nothing[:, number]
        expected = (net(small) - tail(changed))[:, 2].detach()
        assert torch.allclose(found[0, :, number], expected, atol=1e-5)
    assert len(rows) == 8
    assert rows[0][5] == pytest.approx(float(found[0, 0, 0]), abs=1e-6)


def test_each_position_is_put_back(chain, small):
    model, net = chain
    [found], _, made = effects(model, small, "1", part="position", direction="restore")
    head, tail = net[:2], net[2:]
    value, nothing = head(small), head(torch.zeros_like(small))
    for row, column in ((0, 0), (3, 5), (7, 7)):
        changed = nothing.clone()
        changed[:, :, row, column] = value[:, :, row, column]
        expected = (tail(changed) - net(torch.zeros_like(small)))[:, 2].detach()
        assert torch.allclose(found[0, :, row * 8 + column], expected, atol=1e-5)
    assert sum(isinstance(each, Picture) for each in made) == 2


def test_whole_layers_that_nothing_goes_around_do_everything(chain, small):
    """Put out or put back, they carry the whole change of the target."""
    model, net = chain
    whole = (net(small) - net(torch.zeros_like(small)))[:, 2].detach()
    for direction in ("damage", "restore"):
        arrays, _, _ = effects(model, small, ["0", "1", "2"], direction=direction)
        for each in arrays:
            assert torch.allclose(each[0, :, 0], whole, atol=1e-5)


def test_what_goes_around_a_layer_stays(residual):
    """Put back into the baseline's run, with its skip connection."""
    model, net = residual
    pictures = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    [found], _, _ = effects(model, pictures, "layer2.0.bn2", [unit(model, 3)], direction="restore")
    kept = {}
    handle = net.layer2[0].bn2.register_forward_hook(
        lambda _, __, value: kept.update(value=value.clone())
    )
    net(pictures)
    wanted = kept["value"]
    handle.remove()
    blank = torch.zeros_like(pictures)
    before = net(blank)[0, 3].detach()
    handle = net.layer2[0].bn2.register_forward_hook(lambda *_: wanted)
    after = net(blank)[0, 3].detach()
    handle.remove()
    assert float(found) == pytest.approx(float(after - before), abs=1e-5)


def test_units_agree_with_edits(residual):
    """Where the baseline is what an ablation puts there: zero behind a rectifier."""
    model, _ = residual
    pictures = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    [found], _, _ = effects(model, pictures, "layer4", [unit(model, 3)], part="unit")
    output = model.output_layer
    nothing = model.forward(["layer4"], [torch.zeros_like(pictures)])["layer4"]
    number = int(nothing.amax((0, 2, 3)).argmin())  # silent for the baseline
    assert float(nothing[:, number].abs().max()) == 0
    changed = edited(model, [Edit(layer="layer4", units=(number,), change=Ablation())])
    scores = [each.forward([output], [pictures])[output][0, 3] for each in (model, changed)]
    assert float(found[0, 0, number]) == pytest.approx(float(scores[0] - scores[1]), abs=1e-5)
