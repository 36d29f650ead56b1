"""A way out of dead rectifiers: Lucid's redirected ReLU, as a change of the graph.

From noise a unit may be off everywhere, and then its ReLU lets no gradient through
and the picture never starts to move. For a batch entry whose whole gradient is
blocked, the redirected rectifier lets through what pushes its input back towards
the open range; all other entries are untouched. (Lucid, `misc/redirected_relu_grad`.)
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, fx

STEPS = 16
"""How many steps are redirected, from the first; by then a picture has begun to move."""


class _Redirected(torch.autograd.Function):
    """Clamp; backwards as above. Gradients are of something that is to be raised."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bounds = low, high
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (x,), (gradient,), (low, high) = ctx.saved_tensors, gradients, ctx.bounds
        plain = gradient * ((x >= low) & (x <= high))
        dead = ~plain.flatten(1).any(1)
        if not bool(dead.any()):  # nearly always: the rest takes as long as a convolution
            return plain, None, None
        outward = ((x < low) & (gradient < 0)) | ((x > high) & (gradient > 0))
        back = gradient.masked_fill(outward, 0)
        return torch.where(dead.reshape(-1, *[1] * (x.ndim - 1)), back, plain), None, None


def redirected_clamp(x: Tensor, low: float, high: float) -> Tensor:
    """Clamp, redirected."""
    result: Tensor = _Redirected.apply(x, low, high)
    return result


def redirect(graph: fx.Graph) -> None:
    """Put redirected rectifiers in the place of a graph's ReLU and ReLU6."""
    for node in graph.nodes:
        if bounds := _rectifier(node):
            node.op, node.target = "call_function", redirected_clamp
            node.args, node.kwargs = (node.args[0], *bounds), {}


def _rectifier(node: fx.Node) -> tuple[float, float] | None:
    """Lower and upper bound of what a node lets through; None where it is no rectifier."""
    op = node.meta["origin"].op if "origin" in node.meta else ""
    if op == "relu":
        return 0.0, math.inf
    # Exporters write ReLU6 as one of the other two.
    arguments = [*node.args[1:], *node.kwargs.values()]
    bounds = [value for value in arguments if value is not False]  # inplace=False
    if op == "relu6" or (op in {"hardtanh", "clamp"} and bounds == [0, 6]):
        return 0.0, 6.0
    return None
