"""The one optimization loop: a batch of pictures climbs, step by step.

    for at in climb(optimizer, evaluate, start(...), generator, steps): ...

`evaluate(tensors, step=...) -> Tensor [batch]` is all that lies between what is optimized and
its objective: colours, transforms, network. The loop knows none of them. It holds its
own tensors and has no mode of torch set while it waits at a `yield`, so that other work may
run between its steps on the same thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from hooke_server.errors import FailedPreconditionError, Reason
from hooke_server.techniques.visualization.optimizers import Optimizer, Tensors


@dataclass(frozen=True, slots=True)
class Climb:
    """Where a batch stands after a number of steps: all that is needed to go on from there.

    `random` is the state of the generator of transforms.
    """

    step: int
    tensors: Tensors
    memory: Any
    random: Tensor
    values: tuple[float, ...] = ()

    @property
    def bytes(self) -> int:
        """Memory that it holds."""
        return _bytes((self.tensors, self.memory))


def climb(
    optimizer: Optimizer,
    evaluate: Callable[..., Tensor],
    begin: Climb,
    generator: torch.Generator,
    steps: int,
) -> Iterator[Climb]:
    """Raise the value of each entry from where it stands to `steps` steps.

    Yields where it stands after each step, with the values that the step began with.
    FailedPreconditionError for a value that is not finite.
    """
    at = begin
    generator.set_state(begin.random)
    for step in range(begin.step + 1, steps + 1):
        tensors, memory, values = optimizer.step(
            at.tensors, at.memory, partial(evaluate, step=step), step
        )
        at = Climb(step, tensors, memory, generator.get_state(), _finite(values.tolist(), step))
        yield at


def start(optimizer: Optimizer, tensors: Tensors, generator: torch.Generator) -> Climb:
    """Before the first step."""
    return Climb(0, tensors, optimizer.rest(tensors), generator.get_state())


def _finite(values: Sequence[float], step: int) -> tuple[float, ...]:
    if not all(map(math.isfinite, values)):
        raise FailedPreconditionError(
            Reason.TECHNIQUE_NOT_APPLICABLE,
            f"the model gave a value that is not finite at step {step}; "
            "try a smaller learning_rate or another layer",
            step=step,
        )
    return tuple(values)


def _bytes(value: Any) -> int:
    """Of all that a tuple holds, nested tuples too."""
    if isinstance(value, tuple):
        return sum(map(_bytes, value))
    return int(value.nbytes)
