"""Rules by which a linear operation shares relevance out among what it sums up.

    R_i = sum_j  c_ij / (sum_i c_ij) R_j        c_ij = x_i w_ij for the epsilon rule

The rules differ in what they take as contributions c. A `Rule` is given the operation as a function
of input, weight and bias, so it may run it with others. Biases take a share in `epsilon` alone:
in the other rules what a bias would take up is lost for good, and after the fifty layers of a
network with merged batch norms nothing is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Weighted = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""A linear operation as a function of its input, weight and bias."""

Rule = Callable[[Weighted, Tensor, Tensor, Tensor | None, Tensor], Tensor]
"""From an operation, its input, weight, bias and relevance to its input's relevance."""

Part = tuple[Tensor, Tensor]
"""An input with a weight, whose products are contributions."""

TINY = 1e-12
"""Keeps sums of contributions that are nothing from dividing by it."""


def stable(total: Tensor, epsilon: float) -> Tensor:
    """Sums of contributions, moved away from 0."""
    return total + torch.where(total < 0, -1.0, 1.0) * max(epsilon, TINY)


def shares(
    operation: Callable[..., Tensor], values: Sequence[Tensor], back: Tensor, epsilon: float
) -> list[Tensor]:
    """Relevance of each value by its share in the sums that an operation makes of all."""
    with torch.enable_grad():
        given = [value.detach().requires_grad_() for value in values]
        total = operation(*given)
        found = torch.autograd.grad(total, given, back / stable(total.detach(), epsilon))
    return [each * value for each, value in zip(found, values, strict=True)]


def epsilon_rule(epsilon: float) -> Rule:
    """Each input's own share in the sum (Bach et al. 2015), of which the bias is a part."""

    def rule(operation: Weighted, x: Tensor, w: Tensor, b: Tensor | None, back: Tensor) -> Tensor:
        return shares(lambda value: operation(value, w, b), [x], back, epsilon)[0]

    return rule


def gamma_rule(gamma: float) -> Rule:
    """What pulls a sum to the sign that it has counts 1 + gamma times (Andéol et al. 2021).

    For inputs above 0 and a sum above 0 that is w + gamma max(w, 0) (Montavon et al. 2019).
    """

    def rule(operation: Weighted, x: Tensor, w: Tensor, b: Tensor | None, back: Tensor) -> Tensor:
        above, below = x.clamp(min=0), x.clamp(max=0)
        up, down = w + gamma * w.clamp(min=0), w + gamma * w.clamp(max=0)
        # Without the bias, as the sums below: with it (zennit) these could be near 0, or turned.
        total = operation(x, w, None)
        return _by_parts(operation, [(above, up), (below, down)], back * (total > 0)) + _by_parts(
            operation, [(above, down), (below, up)], back * (total < 0)
        )

    return rule


def alpha_beta_rule(alpha: float, beta: float) -> Rule:
    """Alpha times by positive contributions, less beta times by negative ones; alpha - beta = 1.

    Of a sum without negative contributions the positive ones get it once: there is nothing that
    would take the rest away. Where nothing is positive, a bias alone made what followed, and
    takes it.
    """

    def rule(operation: Weighted, x: Tensor, w: Tensor, b: Tensor | None, back: Tensor) -> Tensor:
        positive, negative = _signed(x, w)
        if not beta:
            return _by_parts(operation, positive, back * alpha)
        with torch.no_grad():
            up, down = (_total(operation, parts) for parts in (positive, negative))
        both = (up > TINY) & (down < -TINY)
        return _by_parts(
            operation, positive, back * torch.where(both, alpha, alpha - beta)
        ) - _by_parts(operation, negative, back * both * beta)

    return rule


def box_rule(low: Tensor | None, high: Tensor | None) -> Rule:
    """For inputs between bounds, as pixels are (z-box; Montavon et al. 2017).

    Each input's share is its distance from the bound that would have said least. A sample that
    goes beyond its bounds, or has none, has its smallest and largest value of each channel.

    Parameters
    ----------
    low, high : one number for each channel of the input, [channels].
    """

    def rule(operation: Weighted, x: Tensor, w: Tensor, b: Tensor | None, back: Tensor) -> Tensor:
        least, most = _bounds(x, low, high)
        up, down = w.clamp(min=0), w.clamp(max=0)
        return _by_parts(operation, [(x, w), (least, -up), (most, -down)], back)

    return rule


def flat_rule(operation: Weighted, x: Tensor, w: Tensor, b: Tensor | None, back: Tensor) -> Tensor:
    """All that a sum looks at gets the same (Lapuschkin et al. 2019)."""
    return _by_parts(operation, [(torch.ones_like(x), torch.ones_like(w))], back)


def squared_weights_rule(
    operation: Weighted, x: Tensor, w: Tensor, b: Tensor | None, back: Tensor
) -> Tensor:
    """By squares of the weights, whatever the input is (Montavon et al. 2017)."""
    return _by_parts(operation, [(torch.ones_like(x), w**2)], back)


def _by_parts(operation: Weighted, parts: Sequence[Part], back: Tensor) -> Tensor:
    """By shares in the sum of several parts; an input's are added up."""
    values, weights = zip(*parts, strict=True)

    def total(*given: Tensor) -> Tensor:
        return _total(operation, list(zip(given, weights, strict=True)))

    return torch.stack(shares(total, values, back, TINY)).sum(0)


def _total(operation: Weighted, parts: Sequence[Part]) -> Tensor:
    return torch.stack([operation(value, weight, None) for value, weight in parts]).sum(0)


def _signed(x: Tensor, w: Tensor) -> tuple[list[Part], list[Part]]:
    """Positive contributions and negative ones."""
    above, below, up, down = x.clamp(min=0), x.clamp(max=0), w.clamp(min=0), w.clamp(max=0)
    return [(above, up), (below, down)], [(above, down), (below, up)]


def _bounds(x: Tensor, low: Tensor | None, high: Tensor | None) -> Part:
    """What the numbers of each sample lie between, as large as they are."""
    inner = list(range(2, x.ndim))
    least, most = x.amin(inner, keepdim=True), x.amax(inner, keepdim=True)
    if low is not None and high is not None:
        shape = (1, -1, *[1] * len(inner))
        least = torch.minimum(least, low.to(x).reshape(shape))
        most = torch.maximum(most, high.to(x).reshape(shape))
    return least.expand_as(x), most.expand_as(x)
