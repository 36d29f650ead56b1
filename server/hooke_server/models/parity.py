"""Whether two engines agree, and whether samples of a batch are independent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from hooke_server.errors import HookeError

Compute = Callable[[Sequence[Tensor]], Mapping[str, Tensor]]
"""A model's outputs by name, from its inputs."""

TOLERANCE = 1e-3
"""Relative difference up to which values count as equal but for rounding."""


def relative_difference(got: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> float:
    """Largest difference over the largest expected magnitude, of all outputs with elements."""
    worst = 0.0
    for name, value in expected.items():
        if got[name].shape != value.shape:
            return float("inf")
        a, b = got[name].double(), value.double()
        same = (a == b) | (a.isnan() & b.isnan())
        if not same.all():
            finite = b[b.isfinite()].abs()
            scale = float(finite.max()) if finite.numel() else 0.0
            worst = max(worst, float(torch.where(same, 0.0, (a - b).abs()).max()) / (scale or 1.0))
    return worst


def takes_batches(compute: Compute, pair: Sequence[Tensor], batched: Sequence[bool]) -> bool:
    """Whether two samples at once yield what each yields alone.

    Parameters
    ----------
    pair : inputs with two samples.
    batched : which of them have a batch dimension.
    """
    try:
        together = compute(pair)
        for row in range(2):
            alone = compute(
                [t[row : row + 1] if b else t for t, b in zip(pair, batched, strict=True)]
            )
            if any(value.ndim == 0 or value.shape[0] != 2 for value in together.values()):
                return False
            mine = {name: value[row : row + 1] for name, value in together.items()}
            if relative_difference(mine, alone) > TOLERANCE:
                return False
    except (HookeError, RuntimeError, ValueError, IndexError, TypeError):
        return False  # a batch size that is baked in fails in any way
    return True
