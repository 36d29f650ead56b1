"""Operations with weights, whatever they were written as: functions of input, weight and bias."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from hooke_server.techniques.attribution.backwards import Function, computation, operation
from hooke_server.techniques.attribution.relevance.rules import Weighted


@dataclass(frozen=True)
class Linear:
    """An operation with the weight and bias that it has.

    Attributes
    ----------
    axis : of the weight, along which outputs lie.
    """

    operation: Weighted
    weight: Tensor
    bias: Tensor | None
    axis: int = 0

    def __call__(self, x: Tensor) -> Tensor:
        """What it says."""
        return self.operation(x, self.weight, self.bias)

    def merged(self, norm: Function, ndim: int) -> Linear:
        """With what a norm does to each output, y = scale x + shift."""
        count = self.weight.shape[self.axis]
        channels = (1, count, *[1] * (ndim - 2))
        with torch.enable_grad():
            zero = self.weight.new_zeros(channels).requires_grad_()
            shift = norm(zero)
            [scale] = torch.autograd.grad(shift.sum(), [zero])
        scale, shift = scale.flatten(), shift.detach().flatten()
        along, own = [1] * self.weight.ndim, self.operation
        along[self.axis] = count

        def normed(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
            result = own(x, w, None)
            return result if b is None else result + b.reshape(channels)

        return Linear(
            normed,
            self.weight * scale.reshape(along),
            shift if self.bias is None else self.bias * scale + shift,
            self.axis,
        )


Call = Callable[[Any, Any], Linear]
"""From the arguments of a node to what it computes with them."""


def call_of(graph: fx.Graph, node: fx.Node) -> Call:
    """How a node with weights is read."""
    computed = computation(graph, node)
    if isinstance(computed, nn.Module):
        return lambda args, kwargs: _of_module(computed)
    bias_first = getattr(node.target, "__name__", "").startswith("addmm")
    turned = bias_first or operation(node) == "matmul" or node.kwargs.get("transB", 1) == 0
    if bias_first:
        return lambda args, kwargs: _bias_first(computed, args, kwargs)
    return lambda args, kwargs: _of_function(computed, args, kwargs, int(turned))


def _of_module(module: nn.Module) -> Linear:
    learned = dict(module.named_parameters())

    def apply(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        given = {"weight": w}
        if "bias" in learned:
            given["bias"] = torch.zeros_like(learned["bias"]) if b is None else b
        result: Tensor = torch.func.functional_call(module, given, (x,))
        return result

    return Linear(apply, learned["weight"], learned.get("bias"))


def _of_function(computed: Function, args: Sequence[Any], kwargs: Any, axis: int) -> Linear:
    rest = {name: value for name, value in kwargs.items() if name not in {"weight", "bias"}}
    weight = args[1] if len(args) > 1 else kwargs["weight"]
    bias = args[2] if len(args) > 2 else kwargs.get("bias")

    def apply(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        # A product of matrices takes no third argument, and no bias is given to one.
        more = (b, *args[3:]) if b is not None or len(args) > 3 else ()
        result: Tensor = computed(x, w, *more, **rest)
        return result

    return Linear(apply, weight, bias, axis)


def _bias_first(computed: Function, args: Sequence[Any], kwargs: Any) -> Linear:
    """As `torch.addmm`."""
    bias, _, weight = args

    def apply(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        result: Tensor = computed(torch.zeros_like(bias) if b is None else b, x, w, **kwargs)
        return result

    return Linear(apply, weight, bias, 1)
