"""Layer-wise relevance propagation: the target's value, shared out on the way back.

    R_i = sum_j  c_ij / (sum_i c_ij) R_j,   c_ij = x_i w_ij for the epsilon rule

What goes back through the graph here is relevance, not gradient: a linear operation shares it out
by contributions, an activation lets it pass, a sum shares it by its parts, a product gives it
to the part that carries the signal. What moves numbers about (reshape, concatenate, maximum) goes
back as ever. A bias and epsilon take up a share.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from hooke_server.techniques.attribution.backwards import ACTIVATIONS, Backwards, Function, gated
from hooke_server.techniques.attribution.method import Effort, method
from hooke_server.techniques.attribution.question import Answer, Answers, Question
from hooke_server.techniques.frames import Progress
from hooke_server.techniques.parameters import Range

Weighted = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""A linear operation as a function of its input, weight and bias."""

Share = Callable[[Weighted, Tensor, Tensor, Tensor | None, Tensor], Tensor]
"""A rule: from an operation, its input, weight, bias and relevance to its input's relevance."""

CONVOLUTIONS = ("conv1d", "conv2d", "conv3d", "conv2d_same")
DENSE = ("linear",)
LINEAR = (
    *("batch_norm", "avg_pool1d", "avg_pool2d", "avg_pool3d", "mean", "sum"),
    *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"),
)
"""Operations that are linear in their input, and whose weights no rule treats apart."""

TINY = 1e-12
"""Keeps sums of contributions that are nothing from dividing by it."""


class RelevanceComposite(StrEnum):
    """Which rules; as `hooke.v1.RelevanceComposite`."""

    EPSILON = "epsilon"
    EPSILON_PLUS = "epsilon_plus"
    EPSILON_GAMMA = "epsilon_gamma"
    EPSILON_ALPHA2_BETA1 = "epsilon_alpha2_beta1"


@method(
    title="Layer-wise relevance propagation",
    source="Bach, Binder, Montavon, Klauschen, Müller, Samek: On Pixel-Wise Explanations for "
    "Non-Linear Classifier Decisions by Layer-Wise Relevance Propagation, PLOS ONE 2015, "
    "https://doi.org/10.1371/journal.pone.0130140",
    effort=lambda **_: Effort(rows=3),
)
def relevance_propagation(
    question: Question,
    *,
    composite: Annotated[RelevanceComposite, "Which rules."] = RelevanceComposite.EPSILON_PLUS,
    epsilon: Annotated[
        float, Range(0, 1), "Keeps small sums from dividing by nothing; takes relevance up."
    ] = 1e-6,
    gamma: Annotated[float, Range(0, 100), "How much positive weights are favoured."] = 0.25,
) -> Answers:
    """The target's value, handed back layer by layer by each input's share in the sums.

    Red has contributed, blue has held back. Where no bias takes a share, the sum is the target's
    value.
    """
    way = relevance_way(composite, epsilon, gamma)
    inquiry = question.inquiry
    for index, place in enumerate(question.places):
        passed = inquiry.differentiate(place.id, place.value, inquiry.samples, rewrite=way)
        yield Progress(step=index + 1, total=len(question.places))
        scores = inquiry.scores.T.to(place.value)
        shape = (*scores.shape, *[1] * (place.value.ndim - 1))
        yield Answer(place=place, values=passed.gradients[place.id] * scores.reshape(shape))


def relevance_way(composite: RelevanceComposite, epsilon: float, gamma: float) -> Backwards:
    """The rewrite for a choice of rules."""
    dense = _epsilon(epsilon)
    convolutional = {
        RelevanceComposite.EPSILON: dense,
        RelevanceComposite.EPSILON_PLUS: _alpha_beta(1.0, 0.0),
        RelevanceComposite.EPSILON_GAMMA: _gamma(gamma),
        RelevanceComposite.EPSILON_ALPHA2_BETA1: _alpha_beta(2.0, 1.0),
    }[composite]
    rules = (
        dict.fromkeys(ACTIVATIONS, gated(lambda value, result, back: back))
        | dict.fromkeys(CONVOLUTIONS, _weighted(convolutional))
        | dict.fromkeys(DENSE, _weighted(dense))
        | dict.fromkeys(LINEAR, _unweighted(epsilon))
        | {"add": _added, "mul": _multiplied}
    )
    return Backwards(f"relevance {composite} {epsilon} {gamma}", rules)


def _stable(total: Tensor, epsilon: float) -> Tensor:
    return total + torch.where(total < 0, -1.0, 1.0) * max(epsilon, TINY)


def _share(operation: Callable[[Tensor], Tensor], value: Tensor, back: Tensor, e: float) -> Tensor:
    """Relevance by each input's share in the sums that an operation makes."""
    with torch.enable_grad():
        given = value.detach().requires_grad_()
        total = operation(given)
        [found] = torch.autograd.grad(total, [given], back / _stable(total.detach(), e))
    return found * value


def _epsilon(epsilon: float) -> Share:
    def rule(operation: Weighted, x: Tensor, w: Tensor, b: Tensor | None, back: Tensor) -> Tensor:
        return _share(lambda value: operation(value, w, b), x, back, epsilon)

    return rule


def _gamma(gamma: float) -> Share:
    """Weights w + gamma max(w, 0); for inputs of both signs, each sign with its own sums."""

    def rule(operation: Weighted, x: Tensor, w: Tensor, b: Tensor | None, back: Tensor) -> Tensor:
        more = w + gamma * w.clamp(min=0)
        bias = None if b is None else b + gamma * b.clamp(min=0)
        return _share(lambda value: operation(value, more, bias), x, back, TINY)

    return rule


def _alpha_beta(alpha: float, beta: float) -> Share:
    """Positive and negative contributions apart: alpha of the ones less beta of the others."""

    def rule(operation: Weighted, x: Tensor, w: Tensor, b: Tensor | None, back: Tensor) -> Tensor:
        found = torch.zeros_like(x)
        for factor, sign in ((alpha, 1.0), (-beta, -1.0)):
            if factor:
                found = found + factor * _one_sign(operation, x, w, b, back, sign)
        return found

    return rule


def _one_sign(
    operation: Weighted, x: Tensor, w: Tensor, b: Tensor | None, back: Tensor, sign: float
) -> Tensor:
    """Relevance by the contributions of one sign alone: of x+ w+ and x- w-, or of the others."""
    up, down = (w * sign).clamp(min=0) * sign, (w * -sign).clamp(min=0) * -sign
    bias = None if b is None else (b * sign).clamp(min=0) * sign
    with torch.enable_grad():
        above = x.clamp(min=0).detach().requires_grad_()
        below = x.clamp(max=0).detach().requires_grad_()
        total = operation(above, up, bias) + operation(below, down, None)
        shares = torch.autograd.grad(total, [above, below], back / _stable(total.detach(), TINY))
    return (shares[0] * above + shares[1] * below).detach()


def _weighted(share: Share) -> Callable[[Function], Function]:
    """For operations with a weight: a module's own, or given as the second argument."""

    def rule(computed: Function) -> Function:
        def function(x: Tensor, *args: Any, **kwargs: Any) -> Any:
            operation, weight, bias = _parts(computed, args, kwargs)

            def gate(value: Tensor, result: Tensor, back: Tensor) -> Tensor:
                return share(operation, value, weight, bias, back)

            return gated(gate)(lambda value: operation(value, weight, bias))(x)

        return function

    return rule


def _parts(
    computed: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Weighted, Tensor, Tensor | None]:
    if isinstance(computed, nn.Module):
        learned = dict(computed.named_parameters())

        def module(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
            given = {"weight": w}
            if "bias" in learned:
                given["bias"] = torch.zeros_like(learned["bias"]) if b is None else b
            result: Tensor = torch.func.functional_call(computed, given, (x,))
            return result

        return module, learned["weight"], learned.get("bias")
    weight, *others = args or (kwargs["weight"],)
    rest = {name: value for name, value in kwargs.items() if name not in {"weight", "bias"}}
    bias = others[0] if others else kwargs.get("bias")

    def function(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        result: Tensor = computed(x, w, b, *others[1:], **rest)
        return result

    return function, weight, bias


def _unweighted(epsilon: float) -> Callable[[Function], Function]:
    def rule(computed: Function) -> Function:
        def function(x: Tensor, *args: Any, **kwargs: Any) -> Any:
            def operation(value: Tensor) -> Tensor:
                result: Tensor = computed(value, *args, **kwargs)
                return result

            def gate(value: Tensor, result: Tensor, back: Tensor) -> Tensor:
                return _share(operation, value, back, epsilon)

            return gated(gate)(operation)(x)

        return function

    return rule


def _added(computed: Function) -> Function:
    def function(one: Any, other: Any, *args: Any, **kwargs: Any) -> Any:
        if not (isinstance(one, Tensor) and isinstance(other, Tensor)) or args or kwargs:
            return computed(one, other, *args, **kwargs)
        return _Sum.apply(one, other)

    return function


class _Sum(torch.autograd.Function):
    """A sum of two, each of which gets its share."""

    @staticmethod
    def forward(ctx: Any, one: Tensor, other: Tensor) -> Tensor:
        total = one + other
        ctx.save_for_backward(one, other, total)
        return total

    @staticmethod
    def backward(ctx: Any, *back: Tensor) -> tuple[Tensor, Tensor]:
        one, other, total = ctx.saved_tensors
        each = back[0] / _stable(total, TINY)
        return (each * one).sum_to_size(one.shape), (each * other).sum_to_size(other.shape)


def _multiplied(computed: Function) -> Function:
    """A gate decides how much passes; what passes has contributed it, so it gets all."""

    def function(one: Any, other: Any, *args: Any, **kwargs: Any) -> Any:
        if not (isinstance(one, Tensor) and isinstance(other, Tensor)):
            return computed(one, other, *args, **kwargs)
        signal, gate = (one, other) if one.numel() >= other.numel() else (other, one)
        return gated(lambda value, result, back: back)(lambda value: value * gate.detach())(signal)

    return function
