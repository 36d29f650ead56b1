"""DeepLIFT: differences from a baseline, carried back through the network.

Sample and baseline go through the network side by side. Where an operation is linear the gradient
carries differences exactly; where it is not, the slope between the two takes its place:

    rescale   m = (f(x) - f(x')) / (x - x')
    maximum   the difference of the maxima, given to the place that is larger
    product   m_x = (y + y') / 2, m_y = (x + x') / 2

so that, layer by layer, what is brought back sums up to the difference of the target's values.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import Tensor

from hooke_server.errors import FailedPreconditionError, Reason
from hooke_server.models.model import Model
from hooke_server.techniques.attribution.backwards import (
    ACTIVATIONS,
    POOLS,
    Backwards,
    Function,
    slope,
)
from hooke_server.techniques.attribution.baselines import Baselines
from hooke_server.techniques.attribution.method import Effort, method
from hooke_server.techniques.attribution.question import Answer, Answers, Place, Question
from hooke_server.techniques.frames import Progress

SMALL = 1e-10
"""Below this a difference counts as none, and the gradient as the slope (as Captum has it)."""


def check_pairs(model: Model, field: str, **_: Any) -> None:
    """Raise where a sample and its baseline cannot go through the network side by side."""
    if model.fixed_batch not in {None, 2}:
        raise FailedPreconditionError(
            Reason.TECHNIQUE_NOT_APPLICABLE,
            "it looks at a sample and its baseline side by side, and this model takes"
            f" {model.fixed_batch} samples at a time; use integrated_gradients",
            field=field,
        )


@method(
    title="DeepLIFT",
    source="Shrikumar, Greenside, Kundaje: Learning Important Features Through Propagating "
    "Activation Differences, ICML 2017, https://arxiv.org/abs/1704.02685; with several baselines "
    "DeepLIFT SHAP: Lundberg, Lee, NeurIPS 2017, https://arxiv.org/abs/1705.07874",
    effort=lambda *, baselines, **_: Effort(rows=2 * max(1, len(baselines))),
    check=check_pairs,
    complete=True,
)
def deep_lift(question: Question, *, baselines: Baselines = ()) -> Answers:
    """By how much each number's difference from a baseline moves the target.

    The rescale rule for activations, and rules for maxima and products; with several baselines
    the mean over them, which is DeepLIFT SHAP. Where no attention or normalization of each sample
    is on the way, the sum is the difference of the target's values.
    """
    batch = question.inquiry.batch
    done, total = 0, len(question.places) * max(1, len(baselines)) * batch
    for place in question.places:
        summed = question.nothing(place)
        starts = question.starts_at(place, baselines)
        for start, sample in product(starts, range(batch)):
            moved = place.value[sample] - start[sample]
            summed[:, sample] += _multipliers(question, place, start, sample) * moved
            done += 1
            yield Progress(step=done, total=total)
        yield Answer(place=place, values=summed / len(starts))


def _multipliers(question: Question, place: Place, start: Tensor, sample: int) -> Tensor:
    """Of one sample, [targets, ...]; its pass holds it and, behind it, its baseline."""
    pair = torch.stack([place.value[sample], start[sample]])
    which = torch.tensor([sample, sample])
    passed = question.inquiry.differentiate(place.id, pair, which, rewrite=RESCALED, together=2)
    return passed.gradients[place.id][:, 0]


def _rescaled(computed: Function) -> Function:
    def function(value: Tensor, *args: Any, **kwargs: Any) -> Any:
        return _Rescaled.apply(value, lambda x: computed(x, *args, **kwargs))

    return function


class _Rescaled(torch.autograd.Function):
    """An activation of [samples, baselines]."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, computed: Function) -> Any:
        result = computed(value)
        ctx.save_for_backward(value, result)
        ctx.computed = computed
        return result

    @staticmethod
    def backward(ctx: Any, *back: Tensor) -> tuple[Tensor, None]:
        value, result = ctx.saved_tensors
        moved, changed = _difference(value), _difference(result)
        plain = slope(ctx.computed, value, back[0])
        rescaled = back[0] * changed / torch.where(moved.abs() < SMALL, 1.0, moved)
        return torch.where(moved.abs() < SMALL, plain, rescaled), None


def _chosen(computed: Function) -> Function:
    def function(value: Tensor, *args: Any, **kwargs: Any) -> Any:
        return _Chosen.apply(value, lambda x: computed(x, *args, **kwargs))

    return function


class _Chosen(torch.autograd.Function):
    """A maximum over windows of [samples, baselines]."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, computed: Function) -> Any:
        result = computed(value)
        ctx.save_for_backward(value, result)
        ctx.computed = computed
        return result

    @staticmethod
    def backward(ctx: Any, *back: Tensor) -> tuple[Tensor, None]:
        value, result = ctx.saved_tensors
        [came, _] = back[0].chunk(2)
        (now, before), moved = result.chunk(2), _difference(value)
        change = came * (now - before)
        # Whichever is larger was where the maximum moved from or to.
        larger = now >= before
        shares = slope(ctx.computed, value, torch.cat([change * larger, change * ~larger]))
        given = torch.stack(shares.chunk(2)).sum(0)
        plain = slope(ctx.computed, value, back[0])
        rescaled = torch.cat([given, given]) / torch.where(moved.abs() < SMALL, 1.0, moved)
        return torch.where(moved.abs() < SMALL, plain, rescaled), None


def _multiplied(computed: Function) -> Function:
    def function(one: Any, other: Any, *args: Any, **kwargs: Any) -> Any:
        if not (isinstance(one, Tensor) and isinstance(other, Tensor)):
            return computed(one, other, *args, **kwargs)
        return _Multiplied.apply(one, other)

    return function


class _Multiplied(torch.autograd.Function):
    """A product of [samples, baselines] with another, or with a weight."""

    @staticmethod
    def forward(ctx: Any, one: Tensor, other: Tensor) -> Tensor:
        ctx.save_for_backward(one, other)
        return one * other

    @staticmethod
    def backward(ctx: Any, *back: Tensor) -> tuple[Tensor, Tensor]:
        one, other = ctx.saved_tensors
        rows = len(back[0])
        first, second = back[0] * _halfway(other, rows), back[0] * _halfway(one, rows)
        return first.sum_to_size(one.shape), second.sum_to_size(other.shape)


def _difference(value: Tensor) -> Tensor:
    """What samples have more than their baselines, for both halves."""
    now, before = value.chunk(2)
    return torch.cat([now - before] * 2)


def _halfway(value: Tensor, rows: int) -> Tensor:
    if value.ndim == 0 or len(value) != rows:  # a weight, the same for both
        return value
    now, before = value.chunk(2)
    return torch.cat([(now + before) / 2] * 2)


RESCALED = Backwards(
    "rescaled",
    dict.fromkeys(ACTIVATIONS, _rescaled)
    | dict.fromkeys(POOLS, _chosen)
    | dict.fromkeys(("mul", "multiply"), _multiplied),
)
