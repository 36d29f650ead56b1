"""How far two tensors are apart, summed up over parts of them in float64.

maximum   max |b - a|        relative   max |b - a| / max |a|
mean      mean |b - a|       cosine     <a, b> / (|a| |b|)
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

BLOCK = 1 << 22
"""Elements that are widened to float64 at once."""

BLOCK_BYTES = BLOCK * 64
"""Bytes that a block takes, the steps between counted."""


class Differences:
    """What is known of the differences between a reference and a candidate.

    Equal values do not differ, infinities and NaN included; NaN beside a number makes
    every number NaN but `changed`.
    """

    def __init__(self) -> None:
        self._count = 0
        self._changed = 0
        self._largest = 0.0
        self._sum = self._squares = 0.0
        self._dot = self._a_squares = self._b_squares = 0.0
        self._peak = 0.0
        self.not_finite = [0, 0]

    def add(self, reference: Tensor, candidate: Tensor) -> None:
        """Count in more elements of both, in the same order."""
        with torch.inference_mode():
            for a, b in _blocks(reference, candidate):
                self._add(a, b)

    def _add(self, a: Tensor, b: Tensor) -> None:
        same = (a == b) | (a.isnan() & b.isnan())
        delta = torch.where(same, 0.0, (b - a).abs())
        self._count += a.numel()
        self._changed += a.numel() - int(same.sum())
        self._largest = _worse(self._largest, float(delta.max()))
        self._sum += float(delta.sum())
        self._squares += float(delta.square().sum())
        self._dot += float((a * b).sum())
        self._a_squares += float(a.square().sum())
        self._b_squares += float(b.square().sum())
        finite = a[a.isfinite()]
        self._peak = max(self._peak, float(finite.abs().max()) if len(finite) else 0.0)
        for side, values in enumerate((a, b)):
            self.not_finite[side] += int((~values.isfinite()).sum())

    @property
    def maximum(self) -> float:
        """Largest absolute difference."""
        return self._largest

    @property
    def mean(self) -> float:
        """Mean absolute difference."""
        return self._sum / max(self._count, 1)

    @property
    def peak(self) -> float:
        """Largest finite magnitude of the reference."""
        return self._peak

    @property
    def relative(self) -> float:
        """Largest difference over the peak; infinite where the reference is zero throughout."""
        return _ratio(self._largest, self._peak)

    @property
    def relative_norm(self) -> float:
        """|b - a| / |a|, Euclidean norms."""
        return _ratio(math.sqrt(self._squares), math.sqrt(self._a_squares))

    @property
    def cosine(self) -> float | None:
        """Cosine of the angle between both as vectors; None where one is zero."""
        norms = math.sqrt(self._a_squares) * math.sqrt(self._b_squares)
        return self._dot / norms if norms else None

    @property
    def count(self) -> int:
        """Elements."""
        return self._count

    @property
    def changed(self) -> int:
        """Elements that are not equal."""
        return self._changed


def _ratio(value: float, scale: float) -> float:
    if value == 0.0 or math.isnan(value):
        return value
    return value / scale if scale else math.inf


def _worse(a: float, b: float) -> float:
    """The larger; NaN is worst."""
    return a if math.isnan(a) or a >= b else b


def _blocks(a: Tensor, b: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    here, there = (each.detach().reshape(-1) for each in (a, b))
    for start in range(0, here.numel(), BLOCK):
        x, y = (each[start : start + BLOCK] for each in (here, there))
        yield x.to(torch.float64), y.to(x.device, torch.float64)
