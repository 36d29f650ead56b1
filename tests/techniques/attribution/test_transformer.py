"""A transformer explained as Captum does on an eager network of the same weights."""

import captum.attr as captum
import pytest
import torch
import torchvision
from answers import answer, difference, unit

EXACT = 1e-5

pytestmark = pytest.mark.filterwarnings("ignore:Input Tensor:UserWarning", "ignore:Setting")


@pytest.mark.parametrize("name", ["saliency", "integrated_gradients", "gradient at tokens"])
def test_a_transformer_is_explained_as_captum_does(transformer, name):
    torch.manual_seed(0)
    net = torchvision.models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32,
        num_classes=5,
    ).eval()  # fmt: skip
    torch.nn.init.normal_(net.heads.head.weight)
    pictures = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    block = "encoder.layers.encoder_layer_1"
    at, given, expected = {
        "saliency": ((), {}, captum.Saliency(net)),
        "integrated_gradients": ((), {"steps": 20}, captum.IntegratedGradients(net)),
        "gradient at tokens": (
            block,
            {},
            captum.LayerGradientXActivation(net, net.get_submodule(block)),
        ),
    }[name]
    method = "input_x_gradient" if at else name
    options = {"n_steps": 20} if given else {}
    found = answer(transformer, pictures, method, [unit(transformer, 3)], at, **given)
    theirs = expected.attribute(pictures, target=3, **options).detach().float()
    assert difference(found[0], theirs) < EXACT
