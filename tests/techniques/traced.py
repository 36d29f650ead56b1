"""A module as a model, for tests that need no file."""

import torch

from hooke_server.models.model import Model, ModelFormat
from hooke_server.models.structure import assemble
from hooke_server.models.trace import trace_module


def model_of(module: torch.nn.Module, *shape: int, **facts: object) -> Model:
    return model_for(module, torch.zeros(1, *shape), **facts)


def model_for(module: torch.nn.Module, *example: torch.Tensor, **facts: object) -> Model:
    return assemble(
        trace_module(module.eval(), example),
        example,
        source="test",
        format=ModelFormat.TORCH,
        weights=module.state_dict(),
        **facts,
    )
