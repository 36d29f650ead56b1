"""Class activation maps against pytorch-grad-cam's formulas derived again, and identities."""

import captum.attr as captum
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from answers import answer, difference, unit
from traced import model_of

from hooke_server.errors import FailedPreconditionError

EXACT = 1e-5

pytestmark = pytest.mark.filterwarnings("ignore:Input Tensor:UserWarning", "ignore:Setting")


@pytest.fixture
def pictures():
    return torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))


def seen(net, layer, pictures, target):
    """A layer's values and the target's gradients there, by a hook on a private copy."""
    kept = {}
    handle = layer.register_forward_hook(lambda _, __, value: kept.update(value=value))
    score = net(pictures.clone().requires_grad_())[:, target].sum()
    handle.remove()
    [gradient] = torch.autograd.grad(score, kept["value"])
    return kept["value"].detach(), gradient


def test_grad_cam_equals_captums(residual, pictures):
    model, net = residual
    found = answer(model, pictures, "grad_cam", [unit(model, 3)])
    expected = captum.LayerGradCam(net, net.layer4).attribute(
        pictures, target=3, relu_attributions=True
    )
    assert difference(found[0], expected.detach()[:, 0]) < EXACT


def test_the_last_maps_are_looked_at(residual, pictures):
    model, _ = residual
    by_itself = answer(model, pictures, "grad_cam", [unit(model, 3)])
    named = answer(model, pictures, "grad_cam", [unit(model, 3)], "layer4")
    assert torch.equal(by_itself, named)


def test_maps_by_gradient_are_derived_again(residual, pictures):
    model, net = residual
    for name, layer in (("layer3", net.layer3), ("layer4", net.layer4)):
        value, gradient = (each.double().numpy() for each in seen(net, layer, pictures, 3))
        expected = {
            "hires_cam": np.maximum((gradient * value).sum(1), 0),
            "layer_cam": np.maximum((np.maximum(gradient, 0) * value).sum(1), 0),
        }
        square = gradient**2
        below = 2 * square + value.sum((2, 3), keepdims=True) * gradient**3
        share = square / np.where(np.abs(below) < 1e-7, 1, below)
        weight = (share * np.maximum(gradient, 0)).sum((2, 3), keepdims=True)
        expected["grad_cam_plus_plus"] = np.maximum((weight * value).sum(1), 0)
        for method, values in expected.items():
            found = answer(model, pictures, method, [unit(model, 3)], name)
            assert difference(found[0], torch.from_numpy(values).float()) < 1e-4, method


def test_hires_cam_is_exact_where_a_mean_and_a_linear_layer_follow(residual, pictures):
    """Its sum, before it is cut, is the logit less its bias; so are parts above zero."""
    model, net = residual
    found = answer(model, pictures, "hires_cam", [unit(model, 3)], "layer4")
    value, _ = seen(net, net.layer4, pictures, 3)
    shares = torch.einsum("nkhw,k->nhw", value, net.fc.weight[3].detach()) / value[0, 0].numel()
    assert difference(found[0], shares.clamp(min=0)) < EXACT
    logits = net(pictures)[:, 3].detach() - net.fc.bias[3].detach()
    assert torch.allclose(shares.sum((1, 2)), logits, atol=1e-5)


def test_ablation_weighs_by_what_is_missing(residual, pictures):
    model, net = residual
    found = answer(model, pictures, "ablation_cam", [unit(model, 3)], "layer4")
    value, _ = seen(net, net.layer4, pictures, 3)
    weight = net.fc.weight[3].detach()
    score = net(pictures)[:, 3].detach()
    # Without unit k a linear head loses exactly its part of the logit.
    fall = value.mean((2, 3)) * weight / score[:, None]
    expected = torch.einsum("nkhw,nk->nhw", value, fall).clamp(min=0)
    assert difference(found[0], expected) < 1e-4


def test_scores_weigh_by_what_is_shown(residual, pictures):
    model, net = residual
    found = answer(model, pictures, "score_cam", [unit(model, 3)], "layer1")
    value, _ = seen(net, net.layer1, pictures, 3)
    scores = []
    with torch.no_grad():
        for number in range(0, value.shape[1]):
            mask = F.interpolate(value[:, number : number + 1], (96, 96), mode="bilinear")
            low = mask.amin((2, 3), keepdim=True)
            extent = (mask.amax((2, 3), keepdim=True) - low).clamp(min=1e-7)
            scores.append(net(pictures * (mask - low) / extent)[:, 3])
    weight = torch.softmax(torch.stack(scores), 0)
    expected = torch.einsum("nkhw,kn->nhw", value, weight).clamp(min=0)
    assert difference(found[0], expected) < 1e-4


def test_the_first_component_is_numpys(residual, pictures):
    model, net = residual
    found = answer(model, pictures, "eigen_cam", [unit(model, 3)], "layer3")
    value, _ = seen(net, net.layer3, pictures, 3)
    for sample, maps in enumerate(value.double().numpy()):
        rows = maps.reshape(len(maps), -1).T
        axes = np.linalg.eigh(np.cov(rows.T))[1]
        projected = (rows - rows.mean(0)) @ axes[:, -1]
        projected = np.maximum(projected * np.sign(projected @ rows.sum(1)), 0)
        mine = found[0, sample].flatten().numpy()
        assert np.corrcoef(mine, projected)[0, 1] > 0.98 or np.allclose(mine, 0)


def test_tokens_are_maps_too():
    import torchvision

    torch.manual_seed(0)
    net = torchvision.models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32,
        num_classes=5,
    ).eval()  # fmt: skip
    torch.nn.init.normal_(net.heads.head.weight)
    model = model_of(net, 3, 32, 32)
    sample = torch.randn(1, 3, 32, 32)
    found = answer(
        model, sample, "grad_cam", [unit(model, 1)], "encoder.layers.encoder_layer_1.ln_1"
    )
    assert found.shape == (1, 1, 17)


def test_a_network_without_maps_says_what_to_name(chain):
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3)).eval()
    model = model_of(net, 3, 4, 4)
    with pytest.raises(FailedPreconditionError, match="no layer of maps"):
        answer(model, torch.zeros(1, 3, 4, 4), "grad_cam", [unit(model, 1)])
