"""Optimizers: from tensors to better ones, a step at a time.

    memory = optimizer.rest(tensors)
    tensors, memory, values = optimizer.step(tensors, memory, evaluate, number)

Tensors and memory are never written to, so whoever kept them can go on from there.
`evaluate(tensors) -> Tensor [batch]` gives each entry its own value; entries do not mix.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import torch
from torch import Tensor

from hooke_server.errors import FailedPreconditionError, Reason

BETAS = (0.9, 0.999)
EPSILON = 1e-8

Tensors = tuple[Tensor, ...]
Evaluate = Callable[[Tensors], Tensor]


class OptimizerName(StrEnum):
    """As `hooke.v1.Optimizer`."""

    ADAM = "adam"
    NADAM = "nadam"
    CMA_ES = "cma_es"


class Optimizer(Protocol):
    """What raises the values of a batch."""

    def rest(self, tensors: Tensors) -> Any:
        """The memory before the first step."""
        ...

    def step(
        self, tensors: Tensors, memory: Any, evaluate: Evaluate, number: int
    ) -> tuple[Tensors, Any, Tensor]:
        """Tensors and memory after the step of that number, counted from 1, and values [batch]."""
        ...


@dataclass(frozen=True, slots=True)
class Adam:
    """Kingma and Ba: Adam, ICLR 2015; with Nesterov's momentum: Dozat: NAdam, 2016.

    `torch.optim` computes the same, but making the first one of a process
    imports torch's compiler, which takes seconds, and it writes to what it is given.
    """

    learning_rate: float
    nesterov: bool = False

    def rest(self, tensors: Tensors) -> tuple[Tensors, Tensors]:
        """Means and mean squares of gradients: zero."""
        means, squares = (tuple(torch.zeros_like(t) for t in tensors) for _ in range(2))
        return means, squares

    def step(
        self, tensors: Tensors, memory: Any, evaluate: Evaluate, number: int
    ) -> tuple[Tensors, Any, Tensor]:
        """One step along the gradient; values are those before it."""
        gradients, values = gradient(tensors, evaluate)
        means, squares = memory
        climbed = [
            self._climb(*each, number)
            for each in zip(tensors, gradients, means, squares, strict=True)
        ]
        tensors, means, squares = zip(*climbed, strict=True)
        return tensors, (means, squares), values

    @torch.no_grad()
    def _climb(
        self, tensor: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, number: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean = mean.lerp(gradient, 1 - BETAS[0])
        square = (BETAS[1] * square).addcmul_(gradient, gradient, value=1 - BETAS[1])
        width = (square.sqrt() / math.sqrt(1 - BETAS[1] ** number)).add_(EPSILON)
        if self.nesterov:
            ahead, now = _nesterov_shares(number)
            direction = ahead * mean + now * gradient
        else:
            direction = mean / (1 - BETAS[0] ** number)
        return tensor + self.learning_rate * direction / width, mean, square


def _nesterov_shares(number: int) -> tuple[float, float]:
    """How much the next mean and the gradient count, as in `torch.optim.NAdam`."""
    momenta = [BETAS[0] * (1 - 0.5 * 0.96 ** (n * 0.004)) for n in range(1, number + 2)]
    product = math.prod(momenta[:-1])
    return momenta[-1] / (1 - product * momenta[-1]), (1 - momenta[-2]) / (1 - product)


def gradient(tensors: Tensors, evaluate: Evaluate) -> tuple[Tensors, Tensor]:
    """The direction that raises each entry's value, and the values."""
    with torch.enable_grad():
        leaves = tuple(tensor.detach().requires_grad_() for tensor in tensors)
        values = evaluate(leaves)
        if not values.requires_grad:
            raise FailedPreconditionError(
                Reason.TECHNIQUE_NOT_APPLICABLE,
                "what is to be raised does not depend on the model's input; choose another layer",
            )
        # Entries do not mix, so the gradient of the sum is that of each. Parts that
        # an objective does not look at (an opacity) have none.
        found = torch.autograd.grad(values.sum(), leaves, allow_unused=True)
    gradients = (
        torch.zeros_like(tensor) if each is None else each
        for tensor, each in zip(tensors, found, strict=True)
    )
    return tuple(gradients), values.detach()
