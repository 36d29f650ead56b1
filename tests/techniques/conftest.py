"""Small networks with random weights, as models."""

import pytest
import torch
import torchvision

from hooke_server.models.model import Model, ModelFormat
from hooke_server.models.structure import assemble
from hooke_server.models.trace import trace_module


def model_of(module: torch.nn.Module, *shape: int, **facts: object) -> Model:
    example = (torch.zeros(1, *shape),)
    return assemble(
        trace_module(module.eval(), example),
        example,
        source="test",
        format=ModelFormat.TORCH,
        weights=module.state_dict(),
        **facts,
    )


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
