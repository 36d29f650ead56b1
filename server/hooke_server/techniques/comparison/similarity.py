"""Linear CKA: how similar two representations of the same samples are.

    CKA = <K, L> / (|K| |L|),   K = X X^T,  L = Y Y^T

where the rows of X and Y are samples and their columns are centred. It does not change
when features are rotated or all scaled, so layers of any width can be compared.
Source: Kornblith et al., Similarity of neural network representations revisited, 2019;
the unbiased estimate: Song et al., Feature selection via dependence maximization, 2012.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hooke_server.models.layer import Layer, extent_at
from hooke_server.techniques.comparison.passes import Side

LEAST = {False: 3, True: 4}
"""Fewest samples, without and with `unbiased`: with two, any two representations are equal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Similarity:
    """How CKA is computed: of all values or of means over positions, with or without bias."""

    flatten: bool = False
    unbiased: bool = False

    @property
    def least(self) -> int:
        """Fewest samples that it can be computed from."""
        return LEAST[self.unbiased]

    def kept_bytes(self, side: Side, layer: str) -> int:
        """What the features of all samples take, and one part of them on the way."""
        spec = side.model.layer(layer)
        values = spec.output.count(side.samples)
        positions = (
            1
            if self.flatten
            else math.prod(extent_at(spec.output.shape[axis], 1) for axis in spec.position_axes)
        )
        return values // max(positions, 1) * 8


class Rows:
    """The features [samples, d] of a layer, a part of the samples after another."""

    def __init__(
        self, layer: Layer, samples: int, similarity: Similarity, *, wanted: bool = True
    ) -> None:
        self._layer = layer
        self._samples = samples
        self._flatten = similarity.flatten
        self._parts: list[Tensor] | None = [] if wanted else None

    def add(self, value: Tensor) -> None:
        """Count in a layer's value for some samples."""
        if self._parts is None:
            return
        if not value.ndim or value.is_complex():
            self._parts = None
            return
        rows = value.detach().to(torch.float64)
        if self._flatten or value.ndim < 3:
            rows = rows.reshape(len(value), -1)
        else:
            rows = rows.movedim(self._layer.unit_axis % value.ndim, 1).flatten(2).mean(2)
        if self._parts and self._parts[0].shape[1] != rows.shape[1]:
            self._parts = None
            return
        self._parts.append(rows)

    def gram(self) -> Tensor | None:
        """Inner products [n, n] of centred features, on the CPU; None where rows are no samples."""
        if not self._parts or sum(map(len, self._parts)) != self._samples:
            return None
        rows = torch.cat(self._parts)
        centred = rows - rows.mean(0)
        return (centred @ centred.T).cpu()


def cka(k: Tensor, other: Tensor, *, unbiased: bool) -> float | None:
    """Similarity of two Gram matrices; None where a representation is the same for all samples."""
    dependence = _unbiased if unbiased else _biased
    own = [float(dependence(each, each)) for each in (k, other)]
    if not all(each > 0 for each in own):  # NaN, too
        return None
    return float(dependence(k, other)) / math.sqrt(own[0] * own[1])


def _biased(k: Tensor, other: Tensor) -> Tensor:
    return (k * other).sum()


def _unbiased(k: Tensor, other: Tensor) -> Tensor:
    """HSIC_1 of Song et al. times n (n - 3), which cancels."""
    n = len(k)
    a, b = (each - each.diagonal().diag() for each in (k, other))
    total = a.sum() * b.sum() / ((n - 1) * (n - 2))
    return (a * b).sum() + total - 2 / (n - 2) * (a.sum(0) * b.sum(0)).sum()
