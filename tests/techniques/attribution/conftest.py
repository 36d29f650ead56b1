"""Networks as models, beside an eager copy that Hooke never saw."""

import copy

import pytest
import torch
import torchvision
from traced import model_of


def eager(net):
    """A private copy without operations in place, for libraries that hook modules."""
    private = copy.deepcopy(net)
    for module in private.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    return private.eval()


@pytest.fixture(scope="session")
def residual():
    """A model with skip connections, and its eager copy."""
    torch.manual_seed(0)
    net = torchvision.models.resnet18(num_classes=10).eval()
    return model_of(copy.deepcopy(net), 3, 64, 64), eager(net)


@pytest.fixture(scope="session")
def chain():
    """Nothing goes around any layer of it."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1),
        torch.nn.Softplus(),
        torch.nn.Conv2d(4, 5, 3, stride=2),
        torch.nn.Softplus(),
        torch.nn.Flatten(),
        torch.nn.Linear(45, 6),
    ).eval()
    return model_of(copy.deepcopy(net), 3, 8, 8), eager(net)


@pytest.fixture(scope="session")
def linear():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3)).eval()
    return model_of(copy.deepcopy(net), 3, 4, 4), eager(net)
