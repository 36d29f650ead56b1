"""What a learned tensor holds, in numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

BLOCK = 1 << 22
"""Elements that are widened to float64 at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistics:
    """Summary of a tensor; `std` is the population's, `edges` are one more than `counts`."""

    min: float = 0.0
    max: float = 0.0
    mean: float = 0.0
    std: float = 0.0
    zero_fraction: float = 0.0
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()


def statistics(tensor: Tensor, bins: int = 0) -> Statistics:
    """Everything in float64 and in blocks, so that a large tensor is never widened whole.

    NaN and infinity show in every number but the histogram, which has equal bins
    from the smallest to the largest finite value, the last with its upper edge.
    """
    if not tensor.numel():
        return Statistics()
    blocks = [_summed(block) for block in _blocks(tensor)]
    lows, highs, sums, zeros = zip(*blocks, strict=True)
    mean = sum(sums) / tensor.numel()
    with np.errstate(invalid="ignore"):  # infinity less infinity
        squares = sum(float(np.square(block - mean).sum()) for block in _blocks(tensor))
    edges, counts = _histogram(tensor, bins) if bins else ((), ())
    return Statistics(
        min=float(np.min(lows)),
        max=float(np.max(highs)),
        mean=mean,
        std=math.sqrt(squares / tensor.numel()),
        zero_fraction=sum(zeros) / tensor.numel(),
        edges=edges,
        counts=counts,
    )


def _summed(block: np.ndarray) -> tuple[float, float, float, int]:
    return float(block.min()), float(block.max()), float(block.sum()), int((block == 0).sum())


def _histogram(tensor: Tensor, bins: int) -> tuple[tuple[float, ...], tuple[int, ...]]:
    finite = (block[np.isfinite(block)] for block in _blocks(tensor))
    bounds = [(block.min(), block.max()) for block in finite if block.size]
    if not bounds:
        return (), ()
    lows, highs = zip(*bounds, strict=True)
    edges = np.histogram_bin_edges([min(lows), max(highs)], bins)
    counts = np.zeros(bins, np.int64)
    for block in _blocks(tensor):
        counts += np.histogram(block, bins, (edges[0], edges[-1]))[0]
    return tuple(edges.tolist()), tuple(counts.tolist())


def _blocks(tensor: Tensor) -> Iterator[np.ndarray]:
    """The elements as float64, so many at a time."""
    flat = tensor.detach().reshape(-1)
    for start in range(0, flat.numel(), BLOCK):
        yield flat[start : start + BLOCK].cpu().to(torch.float64).numpy()
