"""Networks that several files edit."""

import pytest
import timm
import torch
from edit_oracles import X
from networks import classifier

from hooke_server.models.loaders.live import load_live


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
