"""Edited models, against modules of our own with hooks that change what a layer returns."""

import copy
import gc
import weakref
from dataclasses import replace

import pytest
import timm
import torch
from networks import Recurrent, TwoInputs, classifier, tiny_vit
from onnx_exports import export
from torch import nn

from hooke_server.errors import FailedPreconditionError, HookeError
from hooke_server.models.edited import edited, kept, resolved
from hooke_server.models.edits import (
    Ablation,
    Clamping,
    DirectionAddition,
    Edit,
    Patch,
    Replacement,
    Scaling,
)
from hooke_server.models.loaders.live import load_live

VECTOR = tuple(float(n) for n in torch.randn(40, generator=torch.Generator().manual_seed(3)))


def hooked(module, **changes):
    """A copy of the module in which layers return something else; `__` stands for a dot."""
    own = copy.deepcopy(module).eval()
    for name, change in changes.items():
        part = own.get_submodule(name.replace("__", "."))

        def hook(_, given, value, change=change):
            return change(value.clone())

        part.register_forward_hook(hook)
    return own


def at(units=slice(None), rows=slice(None), columns=slice(None), samples=slice(None)):
    """A hook's change in part of a map [batch, unit, row, column]."""

    def within(function):
        def change(value):
            part = value[samples, units, rows, columns]
            value[samples, units, rows, columns] = function(part)
            return value

        return change

    return within


def output(model, *inputs, layer=None):
    layer = layer or model.output_layer
    return model.forward([layer], inputs)[layer]


def change_each(vector):
    """Every kind of change with what it does to a map."""
    along = torch.tensor(vector, dtype=torch.float64) * -1.5
    return {
        "zero": (Ablation(), torch.zeros_like),
        "mean": (Ablation("mean"), None),
        "scale": (Scaling(-2.5), lambda v: v * -2.5),
        "clamp": (Clamping(-0.1, 0.2), lambda v: v.clamp(-0.1, 0.2)),
        "from below": (Clamping(low=0.05), lambda v: v.clamp(min=0.05)),
        "direction": (
            DirectionAddition(vector, -1.5),
            lambda v: v + along.to(v.dtype)[:, None, None],
        ),
    }  # fmt: skip


def mean_of(value, units):
    return value.mean((2, 3), keepdim=True)[:, units].expand(-1, -1, *value.shape[2:]).clone()


@pytest.fixture(scope="module")
def lite0():
    torch.manual_seed(0)
    return timm.create_model("tf_efficientnet_lite0", num_classes=10).eval()


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(0)
    return classifier("resnet18")[0]


@pytest.fixture(scope="module")
def traced(resnet, lite0):
    return {"resnet": load_live(resnet, X[:1]), "lite0": load_live(lite0, X[:1])}


PLACES = {"resnet": ("layer2.0.bn1", 128), "lite0": ("blocks.2.0.conv_pwl", 40)}
X = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))


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


@pytest.mark.parametrize("layer", ["lstm", "lstm@1", "gru"])
def test_members_of_tuples(layer):
    torch.manual_seed(0)
    network = Recurrent().eval()
    x = torch.randn(2, 5, 10)
    model = load_live(network, x[:1])

    def change(value):
        if layer == "lstm@1":
            return value[0], (value[1][0] * 2.0, value[1][1])
        return value[0] * 2.0, value[1]

    own = copy.deepcopy(network)
    part = own.get_submodule(layer.partition("@")[0])
    part.register_forward_hook(lambda _, given, value: change(value))
    changed = edited(model, [Edit(layer=layer, change=Scaling(2.0))])
    head, hidden = "head", "lstm@1"
    got = changed.forward([head, hidden], [x])
    with torch.inference_mode():
        expected = own(x)
    assert torch.equal(got[head], expected[0])
    assert torch.equal(got[hidden], expected[1])


def test_members_of_dicts_and_inputs():
    torch.manual_seed(0)
    network, x, y = TwoInputs().eval(), torch.randn(3, 4), torch.randn(3, 6)
    model = load_live(network, (x[:1], y[:1]))
    changed = edited(model, [Edit(layer="y", units=(1,), change=Ablation())])
    without = y.clone()
    without[:, 1] = 0
    with torch.inference_mode():
        assert torch.equal(output(changed, x, y), network(x, without)["logits"])


def test_attention():
    torch.manual_seed(0)
    network, (x,) = tiny_vit()
    model = load_live(network, x)
    layer = "encoder.layers.encoder_layer_0.mlp"
    own = hooked(network, encoder__layers__encoder_layer_0__mlp=_first_token)
    changed = edited(model, [Edit(layer=layer, units=(3,), positions=((0,),), change=Ablation())])
    with torch.inference_mode():
        assert torch.equal(output(changed, x), own(x))


def _first_token(value):
    value[:, 0, 3] = 0
    return value


@pytest.mark.parametrize("layer", ["conv1", "bn1", "relu", "layer1.0.bn2"])
def test_gradients_and_quick_probes(layer):
    """Between a convolution and its batch norm an edit must not be folded over."""
    torch.manual_seed(0)
    network = classifier("resnet18")[0].double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.3, 2.0)
    x = X.double()
    model = load_live(network, x[:1])
    edits = [
        Edit(layer=layer, units=(2, 3), change=Scaling(-1.5)),
        Edit(layer=layer, units=(5,), change=Ablation()),
        Edit(layer=layer, units=(6,), change=Clamping(0.0, 0.3)),
    ]
    changed = edited(model, edits)

    def change(value):
        scaled = value.clone()
        scaled[:, [2, 3]] = value[:, [2, 3]] * -1.5
        scaled[:, 5] = 0.0
        scaled[:, 6] = value[:, 6].clamp(0.0, 0.3)
        return scaled

    own = hooked(network, **{layer.replace(".", "__"): change})
    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(own(leaf).square().mean(), leaf)
    for probe in (
        changed.probe([changed.output_layer]),
        changed.quick_probe([changed.output_layer]),
    ):
        leaf = x.clone().requires_grad_()
        value = probe(leaf)[changed.output_layer]
        (gradient,) = torch.autograd.grad(value.square().mean(), leaf)
        assert (gradient - expected).abs().max() <= 1e-9 * expected.abs().max()


def test_a_whole_layer_that_is_replaced_passes_a_gradient_of_zero(traced):
    model = traced["resnet"]
    for change in (Ablation(), Replacement("v", torch.ones(1, 64, 16, 16))):
        leaf = X.clone().requires_grad_()
        probe = edited(model, [Edit(layer="layer1", change=change)]).probe([model.output_layer])
        (gradient,) = torch.autograd.grad(probe(leaf)[model.output_layer].sum(), leaf)
        assert not gradient.any()


def test_other_sizes_and_batches(resnet, traced):
    model = traced["resnet"]
    larger = torch.randn(5, 3, 96, 80)
    units = edited(model, [Edit(layer="layer2", units=(3,), change=Ablation())])
    own = hooked(resnet, layer2=at(units=3)(torch.zeros_like))
    with torch.inference_mode():
        assert torch.equal(output(units, larger), own(larger))
    place = edited(model, [Edit(layer="layer2", positions=((1, 1),), change=Ablation())])
    patch = edited(model, [Edit(layer="layer2", change=Replacement("v", torch.ones(1, 128, 8, 8)))])
    for changed in (place, patch):
        with pytest.raises(HookeError, match=r"layer 'layer2'.*\[5, 128, 12, 10\]"):
            output(changed, larger)


def test_training_of_a_live_module_shows(resnet):
    network = copy.deepcopy(resnet)
    model = load_live(network, X[:1])
    changed = edited(model, [Edit(layer="layer1", change=Scaling(0.5))])
    before, digest = output(changed, X), changed.state_digest
    with torch.no_grad():
        network.fc.weight.mul_(2.0)
    with torch.inference_mode():
        assert torch.equal(output(changed, X), hooked(network, layer1=lambda v: v * 0.5)(X))
    assert not torch.equal(output(changed, X), before)
    assert changed.state_digest != digest


def test_digests_tell_edits_apart(traced):
    model = traced["resnet"]
    edits = [
        Edit(layer="layer1", change=Scaling(0.5)),
        Edit(layer="layer1", change=Scaling(0.25)),
        Edit(layer="layer2", change=Scaling(0.5)),
        Edit(layer="layer1", units=(1,), change=Scaling(0.5)),
        Edit(layer="layer1", samples=(1,), change=Scaling(0.5)),
        Edit(layer="layer1", change=Clamping(0.5)),
        Edit(layer="layer1", change=Clamping(high=0.5)),
        Edit(layer="layer1", change=Patch("a", (X,))),
        Edit(layer="layer1", change=Patch("b", (X,))),
    ]
    digests = {edited(model, [each]).digest for each in edits} | {model.digest}
    assert len(digests) == len(edits) + 1
    patched = [edits[-1]]
    assert edited(model, patched).digest == edited(model, resolved(model, patched)).digest


@pytest.mark.filterwarnings("default")  # of the exporter's own code
def test_the_onnx_twin_agrees(resnet, traced, tmp_path):
    torch_model = traced["resnet"]
    onnx_model = export(tmp_path, resnet, X[:1])
    edits = [
        Edit(layer="layer2.0.relu", units=(3, 9), change=Scaling(-2.0)),
        Edit(layer="layer3", change=Patch("b", (X.flip(0),)), units=tuple(range(0, 256, 2))),
    ]
    got, expected = (
        output(edited(model, resolved(model, edits)), X) for model in (onnx_model, torch_model)
    )
    assert (got - expected).abs().max() <= 1e-4 * expected.abs().max()
    assert (output(onnx_model, X) - got).abs().max() > 1e-3 * expected.abs().max()
    assert edited(onnx_model, edits).runtime is None
    assert onnx_model.runtime is not None


def test_models_with_the_same_edits_are_kept_as_long_as_their_model():
    network = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 4)).eval()
    model, x = load_live(network, torch.zeros(1, 5)), torch.randn(3, 5)
    silent = [Edit(layer="1", units=(2,), change=Ablation())]
    one = kept(model, silent)
    assert kept(model, list(silent)) is one
    assert kept(model, [Edit(layer="1", units=(3,), change=Ablation())]) is not one
    value = [Edit(layer="1", change=Replacement("v", torch.ones(1, 7)))]
    assert kept(model, value) is not kept(model, value)
    assert kept(model, []) is model
    with torch.no_grad():
        network[0].weight.mul_(2.0)
    again = kept(model, silent)
    assert torch.equal(output(again, x), output(one, x))
    assert again.state_digest == edited(model, silent).state_digest
    for n in range(20):
        kept(model, [Edit(layer="1", change=Scaling(float(n)))])
    assert kept(model, silent) is not again
    watched = weakref.ref(kept(model, silent).graph.module)
    del one, again, model
    gc.collect()  # once, as when a model is unloaded
    assert watched() is None


def test_a_model_without_a_graph_is_refused(traced):
    model = replace(traced["resnet"], graph=None, obstacle="it is a script")
    with pytest.raises(FailedPreconditionError, match="has none: it is a script"):
        edited(model, [Edit(layer="layer1", change=Ablation())])
