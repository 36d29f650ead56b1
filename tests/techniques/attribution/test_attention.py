"""Attention, multiplied through the layers: against eager copies whose softmax is watched."""

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import timm
import torch
import torchvision
from answers import answer, difference, frames, unit
from torch.overrides import TorchFunctionMode
from traced import model_of

from hooke_server.errors import FailedPreconditionError, Reason
from hooke_server.models.loaders import LoadContext, load_model
from hooke_server.models.sources import Roots
from hooke_server.techniques.attribution.attention import explicit_attention, patch_grid
from hooke_server.techniques.attribution.evidence import Evidence, EvidenceMeasure
from hooke_server.techniques.frames import Picture
from hooke_server.techniques.tables import Rows

EXACT = 1e-5
LAYERS = 3


class Softmaxes(TorchFunctionMode):
    """Keeps what every softmax makes, as it goes on into the network."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **kwargs or {})
        if function in {torch.Tensor.softmax, torch.nn.functional.softmax}:
            self.kept.append(result)
        return result


class StepByStep(torch.nn.Module):
    """What `nn.MultiheadAttention` computes, by its definition."""

    def __init__(self, fused):
        super().__init__()
        self.fused = fused

    def forward(self, query, key, value, **_):
        fused, heads = self.fused, self.fused.num_heads
        parts = zip(fused.in_proj_weight.chunk(3), fused.in_proj_bias.chunk(3), strict=True)
        q, k, v = (
            torch.einsum("nti,oi->nto", given, weight).add(bias).unflatten(2, (heads, -1))
            for given, (weight, bias) in zip((query, key, value), parts, strict=True)
        )
        weights = (torch.einsum("nthd,nshd->nhts", q, k) / q.shape[-1] ** 0.5).softmax(-1)
        mixed = torch.einsum("nhts,nshd->nthd", weights, v).flatten(2)
        return fused.out_proj(mixed), None


def explicit(net):
    """A private copy that computes its attentions step by step."""
    private = copy.deepcopy(net).eval()
    for module in list(private.modules()):
        if hasattr(module, "fused_attn"):
            module.fused_attn = False
        if isinstance(getattr(module, "self_attention", None), torch.nn.MultiheadAttention):
            module.self_attention = StepByStep(module.self_attention)
    return private


def watched(net, pictures, target):
    """Weights of each attention [samples, heads, tokens, tokens], and their gradients."""
    with Softmaxes() as mode:
        score = explicit(net)(pictures.clone().requires_grad_())[:, target].sum()
    weights = [each.reshape(len(pictures), -1, *each.shape[-2:]) for each in mode.kept]
    gradients = torch.autograd.grad(score, mode.kept)
    return (
        [each.detach().double().numpy() for each in weights],
        [
            each.double().numpy().reshape(w.shape)
            for each, w in zip(gradients, weights, strict=True)
        ],
    )


def timm_vit(**options):
    torch.manual_seed(0)
    return timm.create_model(
        "vit_tiny_patch16_224",
        pretrained=False,
        img_size=64,
        depth=LAYERS,
        num_classes=7,
        **options,
    ).eval()


def torchvision_vit():
    torch.manual_seed(0)
    net = torchvision.models.VisionTransformer(
        image_size=64, patch_size=16, num_layers=LAYERS, num_heads=2, hidden_dim=16, mlp_dim=32,
        num_classes=7,
    )  # fmt: skip
    torch.nn.init.normal_(net.heads.head.weight)  # torchvision starts the head at zero
    return net.eval()


@pytest.fixture(scope="module", params=[timm_vit, torchvision_vit])
def vit(request):
    net = request.param()
    return model_of(copy.deepcopy(net), 3, 64, 64), net


@pytest.fixture(scope="module")
def pictures():
    return torch.randn(5, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def test_explicit_and_fused_attention_agree(vit, pictures):
    model, net = vit
    probe = model.probe([model.output_layer], explicit_attention)
    assert difference(probe(pictures)[model.output_layer], net(pictures).detach()) < EXACT


def test_rollout_is_derived_again(vit, pictures):
    model, net = vit
    found = answer(model, pictures, "attention_rollout", [unit(model, 3), unit(model, 0)])
    rolled = np.eye(17)
    weights, _ = watched(net, pictures, 3)
    assert len(weights) == LAYERS
    for each in weights:
        rolled = (0.5 * each.mean(1) + 0.5 * np.eye(17)) @ rolled
    np.testing.assert_allclose(rolled.sum(2), 1, rtol=1e-5)
    expected = torch.from_numpy(rolled[:, 0, 1:].reshape(5, 4, 4)).float()
    assert difference(found[0], expected) < EXACT
    assert torch.equal(found[0], found[1])


def test_gradient_weighted_attention_is_derived_again(vit, pictures):
    model, net = vit
    found = answer(model, pictures, "gradient_attention", [unit(model, 3), unit(model, 6)])
    for index, target in enumerate((3, 6)):
        rolled = np.eye(17)
        for weight, gradient in zip(*watched(net, pictures, target), strict=True):
            rolled = rolled + np.maximum(weight * gradient, 0).mean(1) @ rolled
        expected = torch.from_numpy(rolled[:, 0, 1:].reshape(5, 4, 4)).float()
        assert float(expected.max()) > 0
        assert difference(found[index], expected) < EXACT
    assert not torch.equal(found[0], found[1])


def test_without_a_class_token_all_tokens_are_asked(pictures):
    net = timm_vit(class_token=False, global_pool="avg")
    model = model_of(copy.deepcopy(net), 3, 64, 64)
    found = answer(model, pictures, "attention_rollout", [unit(model, 1)])
    rolled = np.eye(16)
    for each in watched(net, pictures, 1)[0]:
        rolled = (0.5 * each.mean(1) + 0.5 * np.eye(16)) @ rolled
    expected = torch.from_numpy(rolled.mean(1).reshape(1, 5, 4, 4)).float()
    assert difference(found, expected) < EXACT


def test_only_what_comes_before_the_target_counts(vit, pictures):
    """A unit behind the first attention is explained by that one alone."""
    model, net = vit
    block = next(i for i in ("blocks.0", "encoder.layers.encoder_layer_0") if i in model.layers)
    found = answer(model, pictures, "attention_rollout", [unit(model, 2, block, (0,))])
    weights, _ = watched(net, pictures, 0)
    expected = torch.from_numpy(weights[0].mean(1)[:, 0, 1:].reshape(1, 5, 4, 4) / 2).float()
    assert difference(found, expected) < EXACT


BY_TRACE = {"dynamo": False, "opset_version": 17, "dynamic_axes": {"x": {0: "batch"}}}
BY_EXPORT = {"dynamic_shapes": ({0: torch.export.Dim("batch")},)}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("way", [BY_TRACE, BY_EXPORT], ids=["trace", "export"])
def test_an_exported_network_answers_alike(tmp_path, pictures, way):
    net = timm_vit()
    example = torch.zeros(2, 3, 64, 64)
    torch.onnx.export(net, (example,), tmp_path / "model.onnx", input_names=["x"], **way)
    exported = load_model("file:model.onnx", LoadContext(roots=Roots([tmp_path])))
    model = model_of(copy.deepcopy(net), 3, 64, 64)
    for name in ("attention_rollout", "gradient_attention"):
        theirs, mine = (answer(m, pictures, name, [unit(m, 3)]) for m in (exported, model))
        assert difference(theirs, mine) < 1e-4, name


def test_networks_without_it_are_refused(residual, pictures):
    model, _ = residual
    for name in ("attention_rollout", "gradient_attention"):
        with pytest.raises(FailedPreconditionError, match="no self-attention") as caught:
            frames(model, pictures, name, [unit(model, 3)])
        assert caught.value.reason is Reason.TECHNIQUE_NOT_APPLICABLE


def test_windows_are_refused():
    swin = timm.create_model(
        "swin_tiny_patch4_window7_224", pretrained=False, img_size=56, depths=(2,), num_heads=(2,),
        embed_dim=8, num_classes=5,
    )  # fmt: skip
    model = model_of(swin, 3, 56, 56)
    with pytest.raises(FailedPreconditionError, match="windows"):
        frames(model, torch.zeros(1, 3, 56, 56), "attention_rollout", [unit(model, 3)])


def test_attention_inside_an_operation_of_its_own_is_refused():
    """torchvision's windows are one operation, without a softmax that could be seen."""
    swin = torchvision.models.SwinTransformer(
        patch_size=[2, 2], embed_dim=8, depths=[2, 2], num_heads=[2, 2], window_size=[4, 4],
        num_classes=5,
    )  # fmt: skip
    model = model_of(swin, 3, 32, 32)
    with pytest.raises(FailedPreconditionError, match="no self-attention that Hooke can look"):
        frames(model, torch.zeros(1, 3, 32, 32), "attention_rollout", [unit(model, 3)])


def test_maps_are_drawn_over_the_picture(vit, pictures):
    model, _ = vit
    found = frames(model, pictures, "gradient_attention", [unit(model, 3)])
    drawn = [each for each in found if isinstance(each, Picture)]
    assert len(drawn) == len(pictures)
    assert all(each.pixels.shape[0] == each.pixels.shape[1] >= 64 for each in drawn)


def test_many_at_once_answer_like_one_after_another(vit, pictures):
    model, _ = vit
    asked = [(name, k) for name in ("attention_rollout", "gradient_attention") for k in range(4)]

    def one(question):
        name, target = question
        return answer(model, pictures, name, [unit(model, target)])

    serial = [one(each) for each in asked]
    with ThreadPoolExecutor(4) as pool:
        for alone, together in zip(serial, pool.map(one, asked), strict=True):
            torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-7)


def test_the_grid_of_patches():
    assert patch_grid(197, (224, 224)) == (14, 14)
    assert patch_grid(201, (224, 224)) == (14, 14)  # four registers
    assert patch_grid(51, (160, 80)) == (10, 5)
    assert patch_grid(7, (224, 224)) == (2, 2)
    assert patch_grid(1, (160, 90)) is None


def test_its_map_can_be_put_to_the_test(vit, pictures):
    """Measures take positions away; a patch stands for its pixels."""
    model, _ = vit
    evidence = Evidence(
        measures=(EvidenceMeasure.DELETION, EvidenceMeasure.MAX_SENSITIVITY), steps=4
    )
    found = frames(model, pictures[:1], "gradient_attention", evidence=evidence)
    rows = [row for each in found if isinstance(each, Rows) for row in each.rows]
    measured = {row[4]: row[5] for row in rows if row[0] == "gradient_attention"}
    assert measured.keys() == {"deletion", "max_sensitivity"}
    assert all(np.isfinite(value) for value in measured.values())
