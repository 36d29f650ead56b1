"""The one optimization loop: gradient ascent on a batch of pictures, step by step.

    finished = yield from ascend(image, value, steps=512, learning_rate=0.05)

`value(pictures, step) -> Tensor [batch]` is all that lies between a picture and its
objective: transforms, network, objective. The loop knows none of them. It holds its
own tensors, writes to no `.grad`, and has no mode of torch set while it waits at a
`yield`, so that other work may run between its steps on the same thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hooke_server.errors import FailedPreconditionError, Reason
from hooke_server.techniques.frames import Picture, Progress
from hooke_server.techniques.visualization.images import Image, to_pixels

BETAS = (0.9, 0.999)
EPSILON = 1e-8

Value = Callable[[Tensor, int], Tensor]
"""From pictures [batch, channels, height, width] in 0..1, and the step, to objectives [batch]."""

Tensors = tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class Adam:
    """Kingma and Ba: Adam, ICLR 2015, with its running means.

    `torch.optim.Adam` computes the same, but making the first one of a process
    imports torch's compiler, which takes seconds.
    """

    learning_rate: float
    means: Tensors
    squares: Tensors

    @classmethod
    def at_rest(cls, tensors: Sequence[Tensor], learning_rate: float) -> Adam:
        """The state before the first step."""
        means, squares = (tuple(torch.zeros_like(t) for t in tensors) for _ in range(2))
        return cls(learning_rate, means, squares)

    @torch.no_grad()
    def climb(self, tensors: Sequence[Tensor], gradients: Sequence[Tensor], step: int) -> Tensors:
        """The tensors after the step of that number, counted from 1."""
        rate = self.learning_rate / (1 - BETAS[0] ** step)
        correction = math.sqrt(1 - BETAS[1] ** step)
        climbed = []
        for tensor, gradient, mean, square in zip(
            tensors, gradients, self.means, self.squares, strict=True
        ):
            mean.lerp_(gradient, 1 - BETAS[0])
            square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
            climbed.append(tensor + rate * mean / (square.sqrt() / correction + EPSILON))
        return tuple(climbed)


def ascend(
    image: Image,
    value: Value,
    *,
    steps: int,
    learning_rate: float,
    preview_every: int | None = None,
) -> Generator[Progress | Picture, None, Tensor]:
    """Raise the value of each picture of the batch.

    Yields a `Progress` after each step, with the mean of the values that the step
    began with, and previews every so many steps. Returns the finished pictures
    [batch, channels, height, width] in 0..1.
    """
    tensors, adam = image.start, Adam.at_rest(image.start, learning_rate)
    for step in range(1, steps + 1):
        gradients, values = _gradients(image, value, tensors, step)
        tensors = adam.climb(tensors, gradients, step)
        yield Progress(step=step, total=steps, objective=math.fsum(values) / len(values))
        if preview_every and step % preview_every == 0 and step < steps:
            yield from _previews(image, tensors, step, values)
    with torch.no_grad():
        return image.render(*tensors)


def _gradients(
    image: Image, value: Value, tensors: Tensors, step: int
) -> tuple[Tensors, list[float]]:
    """The direction that raises each entry's value, and the values."""
    with torch.enable_grad():
        leaves = [tensor.detach().requires_grad_() for tensor in tensors]
        values = value(image.render(*leaves), step)
        if not values.requires_grad:
            raise FailedPreconditionError(
                Reason.TECHNIQUE_NOT_APPLICABLE,
                "what is to be raised does not depend on the model's input; choose another layer",
            )
        # Entries do not mix, so the gradient of the sum is that of each.
        gradients = torch.autograd.grad(values.sum(), leaves)
    numbers = values.detach().tolist()
    if not all(map(math.isfinite, numbers)):
        raise FailedPreconditionError(
            Reason.TECHNIQUE_NOT_APPLICABLE,
            f"the model gave a value that is not finite at step {step}; "
            "try a smaller learning_rate or another layer",
            step=step,
        )
    return gradients, numbers


def _previews(
    image: Image, tensors: Tensors, step: int, values: Sequence[float]
) -> Generator[Picture, None, None]:
    with torch.no_grad():
        pictures = image.render(*tensors)
    for site, (picture, value) in enumerate(zip(pictures, values, strict=True)):
        yield Picture(
            name="feature",
            pixels=to_pixels(picture),
            site=site,
            final=False,
            step=step,
            objective=value,
        )
