"""Edited models, against modules of our own with hooks that change what a layer returns."""

import pytest
import torch
from edit_oracles import PLACES, VECTOR, X, at, change_each, hooked, mean_of, output
from torch import nn

from hooke_server.models.edited import edited, resolved
from hooke_server.models.edits import (
    Ablation,
    Clamping,
    DirectionAddition,
    Edit,
    Patch,
    Scaling,
)
from hooke_server.models.loaders.live import load_live


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("kind", change_each(VECTOR))
def test_whole_layers(name, kind, traced, request):
    module, (layer, units) = request.getfixturevalue(name), PLACES[name]
    change, function = change_each((VECTOR * 4)[:units])[kind]
    own = hooked(
        module,
        **{layer.replace(".", "__"): function or (lambda v: mean_of(v, slice(None)))},
    )
    model = traced[name]
    changed = edited(model, [Edit(layer=layer, change=change)])
    with torch.inference_mode():
        assert torch.equal(output(changed, X), own(X))
        assert not torch.equal(output(changed, X), module(X))
        assert torch.equal(output(model, X), module(X))


@pytest.mark.parametrize("name", PLACES)
def test_units_positions_and_samples(name, traced, request):
    module, (layer, _) = request.getfixturevalue(name), PLACES[name]
    model = traced[name]

    def change(value):
        value[:, [3, 7]] *= 2.0
        value[:, :, 1, 2] = 0
        value[:, :, 3, 0] = 0
        value[2, 5] = value[2, 5].clamp(0.0, 0.1)
        value[0, 4, 0, 1] = value[0, 4].mean()
        return value

    edits = [
        Edit(layer=layer, units=(3, 7), change=Scaling(2.0)),
        Edit(layer=layer, positions=((1, 2), (3, 0)), change=Ablation()),
        Edit(layer=layer, units=(5,), samples=(2,), change=Clamping(0.0, 0.1)),
        Edit(layer=layer, units=(4,), positions=((0, 1),), samples=(0,), change=Ablation("mean")),
    ]
    changed, own = edited(model, edits), hooked(module, **{layer.replace(".", "__"): change})
    with torch.inference_mode():
        assert torch.equal(output(changed, X), own(X))
        # Reading the edited layer gives what the rest of the network saw.
        assert torch.equal(output(changed, X, layer=layer), change(output(model, X, layer=layer)))


def test_edits_of_one_layer_apply_in_their_order(resnet, traced):
    model, layer = traced["resnet"], "layer1"
    scale, cut = (
        Edit(layer=layer, change=Scaling(3.0)),
        Edit(layer=layer, change=Clamping(high=1.0)),
    )
    for edits, change in (
        ([scale, cut], lambda v: (v * 3.0).clamp(max=1.0)),
        ([cut, scale], lambda v: v.clamp(max=1.0) * 3.0),
        ([scale, scale], lambda v: v * 3.0 * 3.0),
    ):
        with torch.inference_mode():
            assert torch.equal(output(edited(model, edits), X), hooked(resnet, layer1=change)(X))
    twice = edited(edited(model, [scale]), [cut])
    assert torch.equal(output(twice, X), output(edited(model, [scale, cut]), X))


def test_edits_of_several_layers_and_of_an_operation(resnet, traced):
    """`layer2.0.add` is no module: the oracle changes what the rectifier after it is given."""
    model = traced["resnet"]
    own = hooked(resnet, conv1=at(units=1)(lambda v: v * 0))
    block = own.layer2[0]
    kept = block.relu.forward
    calls = []

    def relu(value):
        calls.append(0)
        return kept(value * 0.5 if len(calls) == 2 else value)

    block.relu.forward = relu
    edits = [
        Edit(layer="layer2.0.add", change=Scaling(0.5)),
        Edit(layer="conv1", units=(1,), change=Ablation()),
    ]
    with torch.inference_mode():
        assert torch.equal(output(edited(model, edits), X), own(X))


def test_an_edit_that_changes_nothing_changes_no_bit(traced):
    model = traced["lite0"]
    ids = [i for i, layer in model.layers.items() if layer.output.dtype.is_floating_point]
    same = edited(model, [Edit(layer=layer, change=Scaling(1.0)) for layer in ids])
    got, expected = same.forward(ids, [X]), model.forward(ids, [X])
    assert all(torch.equal(got[layer], expected[layer]) for layer in ids)
    assert same.digest != model.digest
    assert edited(model, []) is model


@pytest.mark.parametrize("layer", ["x", "conv1", "layer3"])
def test_all_of_a_layer_from_another_input_gives_what_follows_from_that(resnet, traced, layer):
    model, other = traced["resnet"], X.flip(0).roll(5, -1)
    layer = model.inputs[0].name if layer == "x" else layer
    order = list(model.layers)
    after = [i for i in order[order.index(layer) :] if not order.index(i) % 5]
    for batch in (other, other[:1]):
        patch = Edit(layer=layer, change=Patch("b", (batch,)))
        # At the same batch size; kernels differ at others.
        expected = model.forward([model.output_layer], [batch.expand(3, -1, -1, -1)])
        changed = edited(model, resolved(model, [patch]))
        got = changed.forward([*after, model.output_layer], [X])
        kept = model.forward([layer], [batch])[layer]
        if layer in dict(resnet.named_modules()):
            again = hooked(resnet, **{layer: lambda v, k=kept: k.expand_as(v).clone()})
            with torch.inference_mode():
                assert torch.equal(got[model.output_layer], again(X))
        assert torch.allclose(
            got[model.output_layer], expected[model.output_layer], rtol=1e-4, atol=1e-5
        )
        if len(batch) == 3:
            assert torch.equal(got[model.output_layer], expected[model.output_layer])


def test_part_of_a_layer_from_another_input(resnet, traced):
    model, other = traced["resnet"], torch.randn(1, 3, 64, 64)
    there = output(model, other, layer="layer2")
    edits = [
        Edit(layer="layer2", units=(3, 9), change=Patch("one", (other,))),
        Edit(layer="layer1", units=(3,), positions=((2, 2),), change=Patch("one", (other,))),
    ]
    first = output(model, other, layer="layer1")[:, 3, 2, 2]
    own = hooked(
        resnet,
        layer1=at(units=3, rows=2, columns=2)(lambda v: first.expand_as(v)),
        layer2=at(units=[3, 9])(lambda v: there[:, [3, 9]].expand_as(v)),
    )
    with torch.inference_mode():
        assert torch.equal(output(edited(model, resolved(model, edits)), X), own(X))


def test_samples_hold_an_experiment_each(resnet, traced):
    """A sweep: one pass, in which each sample lacks another unit, and two units are halved."""
    model, layer = traced["resnet"], "layer3.0.conv1"
    batch = X[:1].expand(6, -1, -1, -1)
    edits = [Edit(layer=layer, units=(n,), samples=(n,), change=Ablation()) for n in range(5)]
    edits.append(Edit(layer=layer, units=(0, 9), samples=(5,), change=Scaling(0.5)))
    swept = edited(model, edits)
    functions = [
        node for node in swept.graph.module.graph.nodes if "where" in repr(node.args).lower()
    ]
    assert len(functions) == 2, "the ablations share one operation"

    def change(value):
        for n in range(5):
            value[n, n] = 0
        value[5, [0, 9]] *= 0.5
        return value

    own = hooked(resnet, layer3__0__conv1=change)
    with torch.inference_mode():
        assert torch.equal(output(swept, batch), own(batch))
    # The same edit of the same sample twice counts twice.
    twice = [Edit(layer=layer, samples=(0,), change=Scaling(0.5))] * 2
    own = hooked(resnet, layer3__0__conv1=at(samples=0)(lambda v: v * 0.5 * 0.5))
    with torch.inference_mode():
        assert torch.equal(output(edited(model, twice), batch), own(batch))


def test_samples_never_share_a_pass_with_other_requests(traced):
    model = traced["resnet"]
    placed = edited(model, [Edit(layer="conv1", samples=(1,), change=Ablation())])
    assert all(placed.mixes_samples.values())
    assert not edited(model, [Edit(layer="conv1", change=Ablation())]).mixes_samples
    assert not model.mixes_samples


def test_the_last_layers_ablation_is_linear():
    """Without a unit before a linear layer, its answer lacks that unit's column."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 4, bias=False)).eval()
    model, x = load_live(network, torch.zeros(1, 5)), torch.randn(6, 5)
    hidden = output(model, x, layer="1")
    lost = output(model, x) - output(
        edited(model, [Edit(layer="1", units=(2,), change=Ablation())]), x
    )
    column = network[2].weight[:, 2].detach()
    assert torch.allclose(lost, hidden[:, 2:3] * column, atol=1e-6)
    moved = edited(model, [Edit(layer="1", change=DirectionAddition((0, 0, 2.0, 0, 0, 0, 0), 3.0))])
    assert torch.allclose(output(moved, x) - output(model, x), 6 * column, atol=1e-5)
