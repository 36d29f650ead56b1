"""Methods that measure how a target depends on features that are there at random."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import torch
from torch import Tensor

from hooke_server.techniques.attribution.baselines import Baselines
from hooke_server.techniques.attribution.features import Features, effort, too_many
from hooke_server.techniques.attribution.method import method
from hooke_server.techniques.attribution.perturbing import Estimated, by_design
from hooke_server.techniques.attribution.question import Answers, Question
from hooke_server.techniques.parameters import Range


class SobolOrder(StrEnum):
    """Which share of the variance is told; as `hooke.v1.SobolOrder`."""

    TOTAL = "total"
    FIRST = "first"


@method(
    title="Sobol indices",
    source="Fel, Cadène, Chalvidal, Cord, Vigouroux, Serre: Look at the Variance! Efficient "
    "Black-box Explanations with Sobol-based Sensitivity Analysis, NeurIPS 2021, "
    "https://arxiv.org/abs/2111.04138; Jansen: Analysis of variance designs, 1999",
    effort=lambda *, designs, features, baselines, **_: effort(
        features, baselines, lambda n: designs * (n + 2), held=lambda n: 6 * designs * n
    ),
    gradients=False,
    misfit=too_many,
)
def sobol(
    question: Question,
    *,
    designs: Annotated[int, Range(2, 100_000), "Pairs of random points; best a power of two."] = 32,
    order: Annotated[SobolOrder, "Which share of the variance."] = SobolOrder.TOTAL,
    features: Features = None,
    baselines: Baselines = (),
) -> Answers:
    """The share of the target's variance that is due to each feature, where features fade.

    Between 0 and 1 but for the error of the estimate; without a sign. The total share counts
    what a feature does together with others, the first what it does alone.
    """
    yield from by_design(
        question, features, baselines, lambda n, g: SobolDesign(n, designs, order, g)
    )


class SobolDesign:
    """For each design a point A, a point B, and A with one coordinate of B, for each coordinate.

    With f of the three points and the variance V (Jansen 1999):

        total_i = mean((f(A) - f(AB_i))^2) / 2 V
        first_i = 1 - mean((f(B) - f(AB_i))^2) / 2 V

    Standard errors are those of independent points, larger than those of the sequence that is
    used (Sobol's, scrambled), which covers the space more evenly.
    """

    def __init__(
        self, features: int, designs: int, order: SobolOrder, generator: torch.Generator
    ) -> None:
        seed = int(torch.randint(2**31, (), generator=generator))
        engine = torch.quasirandom.SobolEngine(  # type: ignore[no-untyped-call]
            2 * features, scramble=True, seed=seed
        )
        points = engine.draw(designs, dtype=torch.float64)
        self._a, self._b = points[:, :features], points[:, features:]
        self._order = order
        self._each = features + 2
        self.count, self.least = designs * self._each, 2 * self._each

    def keep(self, numbers: Tensor) -> Tensor:
        """Of each design A, B, and the mixed points."""
        design, which = numbers // self._each, numbers % self._each
        swapped = torch.arange(self._each - 2) == which[:, None] - 2
        return torch.where(swapped | (which == 1)[:, None], self._b[design], self._a[design])

    def estimate(self, scores: Tensor) -> Estimated:
        """The indices of whole designs, [features, columns]."""
        designs = len(scores) // self._each
        said = scores[: designs * self._each].reshape(designs, self._each, -1)
        a, b, mixed = said[:, :1], said[:, 1:2], said[:, 2:]
        total = self._order is SobolOrder.TOTAL
        parts = ((a if total else b) - mixed).square() / 2
        off = (said[:, :2] - said[:, :2].mean((0, 1))).square().mean(1, keepdim=True)
        variance = off.mean(0)
        safe = torch.where(variance > 0, variance, 1)
        share = parts.mean(0) / safe
        # A quotient's error, to first order.
        errors = ((parts - share * off) / safe).std(0) / designs**0.5
        none = (variance == 0).expand_as(share)
        values = share if total else (1 - share).masked_fill(none, 0)
        return Estimated(values, errors)


@method(
    title="HSIC",
    source="Novello, Fel, Vigouroux: Making Sense of Dependence: Efficient Black-box "
    "Explanations Using Dependence Measure, NeurIPS 2022, https://arxiv.org/abs/2206.06219",
    effort=lambda *, samples, features, baselines, **_: effort(
        features, baselines, lambda _: samples, held=lambda n: 6 * samples * (samples + n)
    ),
    gradients=False,
    misfit=too_many,
)
def hsic(
    question: Question,
    *,
    samples: Annotated[int, Range(3, 20_000), "Coalitions of features."] = 500,
    probability: Annotated[float, Range(0.01, 0.99), "The chance that a feature is there."] = 0.5,
    features: Features = None,
    baselines: Baselines = (),
) -> Answers:
    """How strongly the target depends on whether a feature is there, in whatever form.

    The Hilbert-Schmidt independence criterion: 0 where they are independent; without a sign.
    """
    yield from by_design(
        question, features, baselines, lambda n, g: _Hsic(n, samples, probability, g)
    )


class _Hsic:
    """Random coalitions z, and how alike targets are where coalitions agree about a feature.

        HSIC = tr(K H L H) / n^2,  H = 1 - 1/n
        K_jk = 1/2 - (z_j - z_k)^2,  L_jk = exp(-(y_j - y_k)^2 / 2 s^2)

    s is the median of |y_j - y_k|. Centred, K is 2 z z^T of the centred z. With g = K L number by
    number and h_j the mean of row j, the variance is 4 Var(E h) / n + 2 Var(g) / n^2 (Hoeffding);
    that of the h at hand is larger than that of their expectations by Var(g) / n.
    """

    def __init__(
        self, features: int, samples: int, probability: float, generator: torch.Generator
    ) -> None:
        self._keep = torch.rand(samples, features, generator=generator) < probability
        self.count, self.least = samples, 3

    def keep(self, numbers: Tensor) -> Tensor:
        """Some of the coalitions."""
        return self._keep[numbers]

    def estimate(self, scores: Tensor) -> Estimated:
        """The criterion for each feature and column."""
        count = len(scores)
        there = self._keep[:count].double()
        there = there - there.mean(0)
        found = [self._of_column(there, _alike(each)) for each in scores.T]
        values, errors = (torch.stack(each, 1) for each in zip(*found, strict=True))
        return Estimated(values, errors)

    def _of_column(self, there: Tensor, alike: Tensor) -> tuple[Tensor, Tensor]:
        count, squares = len(there), there.square()
        parts = 2 * there * (alike @ there) / count
        value = parts.mean(0)
        second = 4 * (squares * (alike.square() @ squares)).sum(0) / count**2 - value.square()
        errors = (4 * parts.var(0) / count - 2 * second / count**2).clamp(min=0).sqrt()
        return value, errors


def _alike(values: Tensor) -> Tensor:
    """How alike numbers are, centred, [n, n]."""
    apart = (values[:, None] - values).abs()
    above = apart[torch.triu_indices(len(values), len(values), 1).unbind()]
    width = float(above.median()) or float(above.mean()) or 1.0
    alike = torch.exp(-apart.square() / (2 * width**2))
    return alike - alike.mean(0) - alike.mean(1, keepdim=True) + alike.mean()
