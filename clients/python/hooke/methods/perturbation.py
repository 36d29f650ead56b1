"""Methods that take parts away; see `protos/hooke/v1/perturbation.proto`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hooke.methods.baselines import Baseline


@dataclass(frozen=True, kw_only=True)
class GridFeatures:
    """Equal cells of positions."""

    cells: int | None = None


@dataclass(frozen=True, kw_only=True)
class SuperpixelFeatures:
    """Parts of a picture that are near each other and of one colour."""

    segments: int | None = None
    compactness: float | None = None


@dataclass(frozen=True, kw_only=True)
class UnitFeatures:
    """Each unit with all its positions."""


@dataclass(frozen=True, kw_only=True)
class ElementFeatures:
    """Each number."""


Features = GridFeatures | SuperpixelFeatures | UnitFeatures | ElementFeatures
"""How a place is divided into what is there or not as a whole; any of the classes above."""


@dataclass(frozen=True, kw_only=True)
class Occlusion:
    """By how much the target falls behind a sliding window."""

    window: Sequence[int] = ()
    stride: Sequence[int] = ()
    baselines: Sequence[Baseline] = ()


@dataclass(frozen=True, kw_only=True)
class FeatureAblation:
    """By how much the target falls without each feature."""

    features: Features | None = None
    baselines: Sequence[Baseline] = ()


@dataclass(frozen=True, kw_only=True)
class ShapleySampling:
    """Each feature's mean share in the target, over random orders of the features."""

    permutations: int | None = None
    features: Features | None = None
    baselines: Sequence[Baseline] = ()


@dataclass(frozen=True, kw_only=True)
class KernelShap:
    """Shapley values by a regression over coalitions of features."""

    samples: int | None = None
    features: Features | None = None
    baselines: Sequence[Baseline] = ()


@dataclass(frozen=True, kw_only=True)
class Lime:
    """The coefficients of a linear model of which features are there, near the sample."""

    samples: int | None = None
    kernel_width: float | None = None
    ridge: float | None = None
    features: Features | None = None
    baselines: Sequence[Baseline] = ()


@dataclass(frozen=True, kw_only=True)
class Rise:
    """How much higher the target is where a position is seen through random soft masks."""

    masks: int | None = None
    cells: int | None = None
    probability: float | None = None
    baselines: Sequence[Baseline] = ()


@dataclass(frozen=True, kw_only=True)
class Sobol:
    """The share of the target's variance that is due to each feature: `total` or `first`."""

    designs: int | None = None
    order: str | None = None
    features: Features | None = None
    baselines: Sequence[Baseline] = ()


@dataclass(frozen=True, kw_only=True)
class Hsic:
    """How strongly the target depends on whether a feature is there."""

    samples: int | None = None
    probability: float | None = None
    features: Features | None = None
    baselines: Sequence[Baseline] = ()


PerturbationMethod = (
    Occlusion | FeatureAblation | ShapleySampling | KernelShap | Lime | Rise | Sobol | Hsic
)
"""Any of them."""
