"""The same network with other weights: each tensor's numbers shuffled."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import nn

from hooke_server.models.edited import of_edit
from hooke_server.models.folding import Folded
from hooke_server.models.model import Model
from hooke_server.models.probe import ProbeCache


def randomized(model: Model, seed: int) -> Model:
    """A copy whose learned tensors hold the same numbers in another order.

    Scales stay as they were, so that the network stays in its usual range; what batch norms have
    seen stays too. The model itself is untouched.
    """
    graph = model.given_graph()
    generator = torch.Generator().manual_seed(seed % (1 << 63))
    module = copy.deepcopy(graph.module)
    with torch.no_grad():
        for tensor in _learned(module):
            order = torch.randperm(tensor.numel(), generator=generator).to(tensor.device)
            tensor.copy_(tensor.flatten()[order].reshape(tensor.shape))
    return replace(
        model,
        graph=replace(graph, module=module),
        runtime=None,
        digest=f"{model.state_digest}+shuffled{seed}",
        _probes=ProbeCache(),
        _folded=Folded(),
    )


def _learned(module: nn.Module) -> list[torch.Tensor]:
    """Parameters, and weights that a file gives as constants; not what edits brought."""
    return [
        each
        for name, each in (*module.named_parameters(), *module.named_buffers())
        if each.is_floating_point() and each.ndim > 1 and not of_edit(name)
    ]
