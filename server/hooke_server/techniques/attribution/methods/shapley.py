"""Shapley values by random orders of the features."""

from __future__ import annotations

from math import comb
from typing import Annotated

import torch
from torch import Tensor

from hooke_server.techniques.attribution.baselines import Baselines
from hooke_server.techniques.attribution.features import Features, effort, too_many
from hooke_server.techniques.attribution.method import method
from hooke_server.techniques.attribution.methods.regression import all_coalitions
from hooke_server.techniques.attribution.perturbing import Design, Estimated, by_design
from hooke_server.techniques.attribution.question import Answers, Question
from hooke_server.techniques.parameters import Range


@method(
    title="Shapley value sampling",
    source="Shapley 1953; Castro, Gómez, Tejada: Polynomial calculation of the Shapley value "
    "based on sampling, 2009; Štrumbelj, Kononenko: An Efficient Explanation of Individual "
    "Classifications using Game Theory, JMLR 2010",
    effort=lambda *, permutations, features, baselines, **_: effort(
        features,
        baselines,
        lambda n: 2**n if _few(n, permutations) else permutations * n + 1,
        held=lambda n: 3 * n * (2**n if _few(n, permutations) else permutations),
    ),
    gradients=False,
    misfit=too_many,
    complete=True,
)
def shapley_sampling(
    question: Question,
    *,
    permutations: Annotated[int, Range(2, 100_000), "Orders that are drawn."] = 25,
    features: Features = None,
    baselines: Baselines = (),
) -> Answers:
    """Each feature's mean share in the target, over orders in which features are added.

    The shares sum up to the difference between the sample and the baseline. Where all
    coalitions of features are no more than would be drawn, they are all asked, and the values
    are exact.
    """

    def design(count: int, generator: torch.Generator) -> Design:
        if _few(count, permutations):
            return _AllCoalitions(count)
        return _Orders(count, permutations, generator)

    yield from by_design(question, features, baselines, design)


def _few(features: int, permutations: int) -> bool:
    return features < 30 and 2**features <= permutations * features + 1


class _Orders:
    """Nothing, then in each order one feature more and one more."""

    def __init__(self, features: int, permutations: int, generator: torch.Generator) -> None:
        orders = [torch.randperm(features, generator=generator) for _ in range(permutations)]
        self._orders = torch.stack(orders)
        self._ranks = self._orders.argsort(1)
        self.count, self.least = permutations * features + 1, 2 * features + 1

    def keep(self, numbers: Tensor) -> Tensor:
        """Of each order those that came so far."""
        features = self._orders.shape[1]
        order, come = (numbers - 1).div(features, rounding_mode="floor"), (numbers - 1) % features
        come = torch.where(numbers == 0, -1, come)
        return self._ranks[order.clamp(min=0)] <= come[:, None]

    def estimate(self, scores: Tensor) -> Estimated:
        """The mean over whole orders of what each feature brought."""
        features = self._orders.shape[1]
        orders = (len(scores) - 1) // features
        after = scores[1 : orders * features + 1].reshape(orders, features, -1)
        before = torch.cat([scores[0].expand(orders, 1, -1), after[:, :-1]], 1)
        ranks = self._ranks[:orders, :, None].expand_as(after)
        brought = (after - before).gather(1, ranks)
        return Estimated(brought.mean(0), brought.std(0) / orders**0.5)


class _AllCoalitions:
    """Every set of features."""

    def __init__(self, features: int) -> None:
        self._keep = all_coalitions(features)
        self.count = self.least = len(self._keep)

    def keep(self, numbers: Tensor) -> Tensor:
        """Some of the sets."""
        return self._keep[numbers]

    def estimate(self, scores: Tensor) -> Estimated:
        """What each feature brings to each set, weighed by (n - 1 - size)! size! / n!."""
        features = self._keep.shape[1]
        weights = torch.tensor(
            [1 / (features * comb(features - 1, size)) for size in range(features)],
            dtype=torch.float64,
        )
        values = []
        for feature in range(features):
            without = torch.nonzero(~self._keep[:, feature])[:, 0]
            brought = scores[without + 2**feature] - scores[without]
            values.append(weights[self._keep[without].sum(1)] @ brought)
        found = torch.stack(values)
        return Estimated(found, torch.zeros_like(found))
