"""Directions between two kinds of examples, in what a layer says to them.

A classifier with a quadratic penalty is a combination of its examples, so everything is computed
in the space that they span, and a layer of a million numbers costs no more than one of a hundred.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from hooke_server.techniques.attribution.question import Place


@dataclass(frozen=True, kw_only=True)
class Space:
    """What examples span in a layer.

    Attributes
    ----------
    examples : their coordinates, [examples, k].
    gradients : the targets' along each of them, [targets, samples, k].
    basis : [k, numbers of the layer]
    """

    examples: np.ndarray
    gradients: np.ndarray
    basis: Tensor
    shape: tuple[int, ...]
    axes: tuple[str, ...]

    @classmethod
    def of(cls, place: Place, values: Tensor, gradients: Tensor, *, pooled: bool) -> Space:
        """The space, where the mean over positions moves as all of them do."""
        axes = [axis for axis in place.layer.position_axes if pooled]
        values = values.mean(axes) if axes else values
        gradients = gradients.sum([axis + 1 for axis in axes]) if axes else gradients
        left, sizes, basis = torch.linalg.svd(values.flatten(1), full_matrices=False)
        names = [name for axis, name in enumerate(place.layer.output.axes) if axis not in axes]
        return cls(
            examples=(left * sizes / float(sizes[0].clamp(min=1e-12))).double().cpu().numpy(),
            gradients=(gradients.flatten(2).float() @ basis.T).double().cpu().numpy(),
            basis=basis,
            shape=tuple(values.shape[1:]),
            axes=("concept", *names[1:]),
        )


def classified(space: Space, theirs: np.ndarray, others: np.ndarray) -> LogisticRegression:
    """A classifier that tells theirs (1) from others (0)."""
    which = np.concatenate([theirs, others])
    labels = np.repeat([1, 0], [len(theirs), len(others)])
    classifier = LogisticRegression(C=100.0, class_weight="balanced", max_iter=10_000)
    return classifier.fit(space.examples[which], labels)


def direction(classifier: LogisticRegression) -> np.ndarray:
    """From others to theirs, of length 1."""
    vector: np.ndarray = classifier.coef_[0]
    return vector / (np.linalg.norm(vector) or 1.0)


def accuracy(
    classifier: LogisticRegression, space: Space, theirs: np.ndarray, others: np.ndarray
) -> float:
    """For examples that it was not made of, the mean of both kinds."""
    shares = [
        (classifier.predict(space.examples[which]) == label).mean()
        for which, label in ((theirs, 1), (others, 0))
    ]
    return float(np.mean(shares))


def p_value(scores: np.ndarray, by_chance: np.ndarray, overlap: float) -> float:
    """Welch's t-test for scores of runs that share pictures; of none that vary there is no test.

    It is never below what a permutation test could tell from so many runs.

    Runs that draw `h` of the same `n` pictures agree by `h / n` for no other reason, so the mean
    of their scores varies not by s^2 / runs but by s^2 (1 / runs + overlap), overlap = h / (n - h),
    however many there are (the variance of a mean of a finite population, as in the corrected
    resampled t-test of Nadeau, Bengio, Machine Learning 2003). Random directions need no such
    term: both of their kinds are drawn alike, so their mean does not depend on the pictures.
    """
    runs = len(scores)
    if np.ptp(scores) == np.ptp(by_chance) == 0:
        alone = max(1, round(1 / (1 / runs + overlap)))  # runs that shared none and tell as much
        return 1.0 if scores[0] == by_chance[0] else least(alone, runs)
    inflated = scores.std(ddof=1) * (1 + runs * overlap) ** 0.5
    # From moments, because scores that are all 1 are no loss of precision.
    p = stats.ttest_ind_from_stats(
        *(scores.mean(), inflated, runs),
        *(by_chance.mean(), by_chance.std(ddof=1), runs),
        equal_var=False,
    ).pvalue
    return max(float(p), least(runs, runs))


def least(runs: int, others: int) -> float:
    """The smallest p-value of a permutation test of so many runs of two kinds, two-sided."""
    return max(2 / math.comb(runs + others, runs), sys.float_info.min)
