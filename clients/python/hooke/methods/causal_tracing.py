"""Causal tracing; see `protos/hooke/v1/causal_tracing.proto`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hooke.methods.baselines import Baseline


@dataclass(frozen=True, kw_only=True)
class CausalTracing:
    """What happens to the target when parts of layers are put out, or put back.

    Parameters
    ----------
    part : `layer`, `unit` or `position`.
    direction : `damage` or `restore`.
    baselines : what the sample is compared with; the first counts.
    """

    part: str | None = None
    direction: str | None = None
    baselines: Sequence[Baseline] = ()
