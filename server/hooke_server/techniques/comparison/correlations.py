"""Correlations of all pairs of units, and the best matching.

    c[i, j] = correlation of unit i of the reference with unit j of the candidate

Partners one to one are those whose correlations have the largest sum (the Hungarian method).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

Numbers = np.ndarray[Any, Any]


class Correlations:
    """Pearson correlations of all pairs of units, summed up over parts in float64.

    Values are taken from the first part's means, so that large means cost no digits.
    """

    def __init__(self) -> None:
        self._count = 0
        self._shift: tuple[Tensor, Tensor] | None = None
        self._sums: list[Tensor] = []

    def add(self, a: Tensor, b: Tensor) -> None:
        """Count in observations [n, units] of both."""
        if self._shift is None:
            self._shift = a.mean(0), b.mean(0)
        a, b = a - self._shift[0], b - self._shift[1]
        new = [a.sum(0), b.sum(0), a.square().sum(0), b.square().sum(0), a.T @ b]
        self._sums = [x + y for x, y in zip(self._sums, new, strict=True)] if self._sums else new
        self._count += len(a)

    def matrix(self) -> Numbers:
        """[units, units]; NaN where a unit is constant."""
        a, b, aa, bb, ab = (each / self._count for each in self._sums)
        spreads = [_spread(square, mean) for square, mean in ((aa, a), (bb, b))]
        found = (ab - torch.outer(a, b)) / torch.outer(*spreads)
        return np.asarray(found.clamp(-1, 1).cpu())


def _spread(square: Tensor, mean: Tensor) -> Tensor:
    """Standard deviations; NaN where rounding is all there is."""
    variance = square - mean.square()
    return torch.where(variance > 1e-12 * square, variance, torch.nan).sqrt()


def match(matrix: Numbers, *, absolute: bool) -> dict[int, int]:
    """Partners one to one with the largest sum; constant units are none's partners."""
    from scipy.optimize import linear_sum_assignment  # slow to load, seldom needed

    worth = np.nan_to_num(np.abs(matrix) if absolute else matrix, nan=-2.0)
    pairs = zip(*linear_sum_assignment(worth, maximize=True), strict=True)
    return {int(i): int(j) for i, j in pairs if not np.isnan(matrix[i, j])}
