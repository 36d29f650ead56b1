"""Directions between two kinds of examples, in what a layer says to them.

A classifier with a quadratic penalty is a combination of its examples, so everything is computed
in the space that they span, and a layer of a million numbers costs no more than one of a hundred.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from torch import Tensor

from hooke_server.techniques.attribution.question import Place

HELD_OUT = 1 / 3
"""Of the examples, how many tell a classifier's accuracy."""


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


def classified(
    space: Space, theirs: np.ndarray, others: np.ndarray, seed: int
) -> tuple[np.ndarray, float]:
    """The direction from others to theirs, of length 1, and the accuracy for those held out."""
    which = np.concatenate([theirs, others])
    labels = np.repeat([1, 0], [len(theirs), len(others)])
    for_training, held_out = train_test_split(
        np.arange(len(which)), test_size=HELD_OUT, stratify=labels, random_state=seed
    )
    classifier = LogisticRegression(C=100.0, class_weight="balanced", max_iter=10_000)
    classifier.fit(space.examples[which[for_training]], labels[for_training])
    accuracy = classifier.score(space.examples[which[held_out]], labels[held_out])
    vector = classifier.coef_[0]
    return vector / (np.linalg.norm(vector) or 1.0), float(accuracy)


def p_value(scores: np.ndarray, by_chance: np.ndarray) -> float:
    """Welch's t-test; where neither varies there is nothing to test."""
    if np.ptp(scores) == np.ptp(by_chance) == 0:
        return float(scores[0] == by_chance[0])
    # From moments, because scores that are all 1 are no loss of precision.
    moments = [(each.mean(), each.std(ddof=1), len(each)) for each in (scores, by_chance)]
    return float(stats.ttest_ind_from_stats(*moments[0], *moments[1], equal_var=False).pvalue)
