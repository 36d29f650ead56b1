"""Methods that fit a linear model of which features are there.

    minimise  sum_i w_i (y_i - z_i . c)^2 + r |c|^2
    c = G^-1 Z^T W y,   G = Z^T W Z + r

The standard errors are those of the sandwich, which hold for whatever the model's residuals are
(White 1980; HC2, MacKinnon, White 1985):

    Var(c) = G^-1 (sum_i u_i u_i^T) G^-1
    u_i = w_i z_i (y_i - z_i . c) / sqrt(1 - w_i z_i G^-1 z_i)
"""

from __future__ import annotations

from math import comb
from typing import Annotated, Any

import torch
from torch import Tensor

from hooke_server.models.layer import Layer
from hooke_server.models.model import Model
from hooke_server.techniques.attribution.baselines import Baselines
from hooke_server.techniques.attribution.features import (
    Division,
    Features,
    count_of,
    effort,
    too_many,
)
from hooke_server.techniques.attribution.method import method
from hooke_server.techniques.attribution.perturbing import Estimated, by_design
from hooke_server.techniques.attribution.question import Answers, Question
from hooke_server.techniques.parameters import Range


def fitted(
    points: Tensor, weights: Tensor, answers: Tensor, *, ridge: float = 0.0, together: int = 1
) -> Estimated:
    """The coefficients [features, columns] that fit best, the smallest where several do.

    Parameters
    ----------
    points : [rows, features]
    weights : [rows]
    answers : [rows, columns]
    together : rows that were drawn together, so that their errors are not independent.
    """
    count = points.shape[1]
    weighed = points * weights[:, None]
    gram = weighed.T @ points + ridge * torch.eye(count, dtype=points.dtype)
    inverse = torch.linalg.pinv(gram, hermitian=True)
    found = inverse @ (weighed.T @ answers)
    residuals = answers - points @ found
    leverage = _summed((weighed @ inverse * points).sum(1, keepdim=True), together)
    spare = (1 - leverage).clamp(min=1e-6).sqrt()
    errors = [
        (_summed(weighed * each[:, None], together) / spare @ inverse).square().sum(0).sqrt()
        for each in residuals.T
    ]
    return Estimated(found, torch.stack(errors, 1))


def _held(features: int, samples: int) -> int:
    """Numbers that a regression holds: points, weighed ones, products, and square matrices."""
    return 6 * features * samples + 4 * features**2


def _summed(rows: Tensor, together: int) -> Tensor:
    return rows.reshape(len(rows) // together, together, rows.shape[1]).sum(1)


def _misfit(
    model: Model, layer: Layer, *, samples: int, features: Division | None, **_: Any
) -> str:
    if reason := too_many(model, layer, features=features):
        return reason
    count = count_of(features, layer)
    if _asked(count, samples) < min(2 * count, 2**count - 2):
        return f"{samples} samples leave {count} features open; draw at least {2 * count}"
    return ""


@method(
    title="KernelSHAP",
    source="Lundberg, Lee: A Unified Approach to Interpreting Model Predictions, NeurIPS 2017, "
    "https://arxiv.org/abs/1705.07874; in pairs: Covert, Lee: Improving KernelSHAP, AISTATS 2021",
    effort=lambda *, samples, features, baselines, **_: effort(
        features, baselines, lambda n: _asked(n, samples) + 2, held=lambda n: _held(n, samples)
    ),
    gradients=False,
    misfit=_misfit,
    complete=True,
)
def kernel_shap(
    question: Question,
    *,
    samples: Annotated[int, Range(2, 1_000_000), "Coalitions of features."] = 1000,
    features: Features = None,
    baselines: Baselines = (),
) -> Answers:
    """Shapley values as the solution of a weighted linear regression over coalitions.

    Their sum is the difference of the target between the sample and the baseline. Coalitions
    are drawn in pairs, each with its complement; exact where all of them can be asked.
    """
    yield from by_design(question, features, baselines, lambda n, g: _KernelShap(n, samples, g))


def all_coalitions(features: int) -> Tensor:
    """Every set of features, the empty one first and the whole last, [2^features, features]."""
    return (torch.arange(2**features)[:, None] >> torch.arange(features)) & 1 == 1


def _asked(features: int, samples: int) -> int:
    """Coalitions between the empty one and the whole that are asked."""
    few = features < 30 and 2**features - 2 <= samples
    return 2**features - 2 if few else samples - samples % 2


class _KernelShap:
    """The empty coalition and the whole, then all between them, or pairs of random ones."""

    def __init__(self, features: int, samples: int, generator: torch.Generator) -> None:
        drawn = _asked(features, samples)
        self._exact, sizes = drawn == 2**features - 2, range(1, features)
        if self._exact:
            between = all_coalitions(features)[1:-1]
            kernel = [0.0, *(1 / (k * (features - k) * comb(features, k)) for k in sizes)]
            self._weights = torch.tensor(kernel, dtype=torch.float64)[between.sum(1)]
        else:
            chances = torch.tensor([1 / (k * (features - k)) for k in sizes])  # all sets of a size
            of_size = torch.multinomial(chances, drawn // 2, replacement=True, generator=generator)
            order = torch.rand(drawn // 2, features, generator=generator).argsort(1)
            half = order <= of_size[:, None]
            between = torch.stack([half, ~half], 1).flatten(0, 1)
            self._weights = torch.ones(drawn, dtype=torch.float64)
        ends = torch.tensor([[False], [True]]).expand(2, features)
        self._keep = torch.cat([ends, between])
        self.count, self.least = len(self._keep), features + 2

    def keep(self, numbers: Tensor) -> Tensor:
        """Some of the coalitions."""
        return self._keep[numbers]

    def estimate(self, scores: Tensor) -> Estimated:
        """The regression among values that sum up to the whole difference."""
        together = 1 if self._exact else 2
        rows = (len(scores) - 2) // together * together
        points = self._keep[2 : rows + 2].double()
        empty, whole = scores[:2]
        even = (whole - empty) / points.shape[1]  # equal shares; the rest sums up to nothing
        rest = scores[2 : rows + 2] - empty - points.sum(1, keepdim=True) * even
        found = fitted(
            points - points.mean(1, keepdim=True), self._weights[:rows], rest, together=together
        )
        errors = torch.zeros_like(found.values) if self._exact else found.errors
        return Estimated(found.values + even, errors)


@method(
    title="LIME",
    source='Ribeiro, Singh, Guestrin: "Why Should I Trust You?", KDD 2016, '
    "https://arxiv.org/abs/1602.04938",
    effort=lambda *, samples, features, baselines, **_: effort(
        features, baselines, lambda _: samples, held=lambda n: _held(n, samples)
    ),
    gradients=False,
    misfit=too_many,
)
def lime(
    question: Question,
    *,
    samples: Annotated[int, Range(2, 1_000_000), "Coalitions of features."] = 1000,
    kernel_width: Annotated[
        float, Range(0.01, 100), "Of the kernel over the cosine distance to the whole."
    ] = 0.25,
    ridge: Annotated[float, Range(0, 1e6), "Weight of the penalty of large coefficients."] = 1.0,
    features: Features = None,
    baselines: Baselines = (),
) -> Answers:
    """The coefficients of a linear model of which features are there, fitted near the sample.

    Each feature is there with even chances; coalitions near the whole weigh more.
    """
    yield from by_design(
        question, features, baselines, lambda n, g: _Lime(n, samples, kernel_width, ridge, g)
    )


class _Lime:
    """Random coalitions."""

    def __init__(
        self, features: int, samples: int, width: float, ridge: float, generator: torch.Generator
    ) -> None:
        self._keep = torch.rand(samples, features, generator=generator) < 0.5
        distance = 1 - self._keep.double().mean(1).sqrt()  # of a set to the whole, by the cosine
        self._weights = torch.exp(-distance.square() / (2 * width**2))
        self._ridge = ridge
        self.count, self.least = samples, min(samples, features + 2)

    def keep(self, numbers: Tensor) -> Tensor:
        """Some of the coalitions."""
        return self._keep[numbers]

    def estimate(self, scores: Tensor) -> Estimated:
        """The regression with an intercept that costs nothing: all around their means."""
        weights = self._weights[: len(scores)]
        share = (weights / weights.sum())[:, None]
        points = self._keep[: len(scores)].double()
        points, answers = points - (share * points).sum(0), scores - (share * scores).sum(0)
        return fitted(points, weights, answers, ridge=self._ridge)
