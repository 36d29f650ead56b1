"""Edits in models of every kind: members of tuples and dicts, attention, gradients, exports."""

import copy
import gc
import weakref
from dataclasses import replace

import pytest
import torch
from edit_oracles import X, at, hooked, output
from networks import Recurrent, TwoInputs, classifier, tiny_vit
from onnx_exports import export
from torch import nn

from hooke_server.errors import FailedPreconditionError, HookeError
from hooke_server.models.edited import edited, kept, resolved
from hooke_server.models.edits import (
    Ablation,
    Clamping,
    Edit,
    Patch,
    Replacement,
    Scaling,
)
from hooke_server.models.loaders.live import load_live


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
