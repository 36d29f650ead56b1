"""Ways back through a network that are not its gradient, as changes of a probe's own graph.

    Backwards("guided", {"relu": _guided})(graph)

An operation is replaced by a function that computes the same and goes back by a rule of its own,
so a method that needs another way back asks `Inquiry.differentiate` with such a rewrite: the
model stays as it is, and any number of requests may go their own ways at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from hooke_server.models.graph import Graph

Function = Callable[..., Any]

Rule = Callable[[Function], Function]
"""From what an operation computes to a function that computes the same and goes back otherwise."""

RECTIFIERS = ("relu", "relu6", "hardtanh", "clamp", "leaky_relu")
"""Operations that pass on what is above a bound; exporters write ReLU6 as one of the others."""

ACTIVATIONS = (
    *RECTIFIERS,
    *("elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "prelu"),
    *("sigmoid", "tanh", "hardsigmoid", "hardswish", "log_sigmoid"),
)
"""Operations that change each number for itself, not linearly."""

POOLS = ("max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool2d")
"""Operations that choose."""


@dataclass(frozen=True)
class Backwards:
    """A rewrite that lets some operations go back by rules.

    Attributes
    ----------
    name : tells rewrites apart, with their parameters.
    rules : by operation.
    """

    name: str
    rules: Mapping[str, Rule] = field(compare=False, repr=False)

    def __call__(self, graph: fx.Graph) -> None:
        """Replace the operations."""
        for node in list(graph.nodes):
            if rule := self.rules.get(operation(node)):
                computed = computation(graph, node)
                node.op, node.target = "call_function", Replaced(rule(computed))


@dataclass(frozen=True)
class BeginAt:
    """A rewrite after which gradients begin at layers where none arrive.

    What lies behind whole numbers alone, as an embedding does, has no gradient of its own.
    """

    graph: Graph = field(compare=False, repr=False)
    layers: tuple[str, ...]

    def __call__(self, graph: fx.Graph) -> None:
        """Let what the layers say be leaves, where it is not differentiable already."""
        nodes = {self.graph.places[layer].node for layer in self.layers}
        for node in list(graph.nodes):
            if node.name in nodes and node.op.startswith("call"):
                computed = computation(graph, node)
                node.op, node.target = "call_function", Replaced(_beginning(computed))


def _beginning(computed: Function) -> Function:
    def function(*args: Any, **kwargs: Any) -> Any:
        return pytree.tree_map_only(Tensor, _begun, computed(*args, **kwargs))

    return function


def _begun(value: Tensor) -> Tensor:
    if value.requires_grad or not value.is_floating_point():
        return value
    return value.detach().requires_grad_()


class Replaced:
    """A function under the one name that generated code calls it by."""

    __name__ = "replaced"

    def __init__(self, function: Function) -> None:
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function's value."""
        return self._function(*args, **kwargs)


def operation(node: fx.Node) -> str:
    """What a node computes, in torch's words."""
    return node.meta["origin"].op if "origin" in node.meta else ""


def computation(graph: fx.Graph, node: fx.Node) -> Function:
    """What a node computes, as a function of its arguments."""
    if node.op == "call_module" and graph.owning_module is not None:
        return graph.owning_module.get_submodule(str(node.target))
    if node.op == "call_method":
        name = str(node.target)
        return lambda value, *args, **kwargs: getattr(value, name)(*args, **kwargs)
    target: Function = node.target  # type: ignore[assignment]
    return target


def gated(gate: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Rule:
    """A rule for operations of one value.

    Parameters
    ----------
    gate : from what went in, what came out and what comes back to what goes on back.
    """

    def rule(computed: Function) -> Function:
        def function(value: Tensor, *args: Any, **kwargs: Any) -> Any:
            return _Gated.apply(value, lambda x: computed(x, *args, **kwargs), gate)

        return function

    return rule


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, computed: Function, gate: Function) -> Any:
        result = computed(value)
        if result is value:  # dropout at rest
            result = value.clone()
        ctx.save_for_backward(value, result)
        ctx.gate = gate
        return result

    @staticmethod
    def backward(ctx: Any, *back: Tensor) -> tuple[Tensor, None, None]:
        value, result = ctx.saved_tensors
        return ctx.gate(value, result, back[0]), None, None


def slope(computed: Function, value: Tensor, back: Tensor) -> Tensor:
    """What plain differentiation brings back through a function."""
    with torch.enable_grad():
        given = value.detach().requires_grad_()
        [found] = torch.autograd.grad(computed(given), [given], back)
    return found
