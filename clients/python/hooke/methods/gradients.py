"""Methods that follow gradients; see `protos/hooke/v1/attribution.proto`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hooke.methods.baselines import Baseline
from hooke.places import Location


@dataclass(frozen=True, kw_only=True)
class Saliency:
    """How fast the target changes with each number; by default without sign."""

    absolute: bool | None = None


@dataclass(frozen=True, kw_only=True)
class InputXGradient:
    """Value times gradient."""


@dataclass(frozen=True, kw_only=True)
class IntegratedGradients:
    """The gradient along a straight line from a baseline, times the distance."""

    steps: int | None = None
    baselines: Sequence[Baseline] = ()


@dataclass(frozen=True, kw_only=True)
class Conductance:
    """What flows through each number of a layer on the way from a baseline."""

    steps: int | None = None
    baselines: Sequence[Baseline] = ()


@dataclass(frozen=True, kw_only=True)
class InternalInfluence:
    """The mean gradient at a layer on the way from a baseline."""

    steps: int | None = None
    baselines: Sequence[Baseline] = ()


@dataclass(frozen=True, kw_only=True)
class NeuronConductance:
    """The part of integrated gradients that passes through one unit or neuron."""

    through: Location
    steps: int | None = None
    baselines: Sequence[Baseline] = ()


@dataclass(frozen=True, kw_only=True)
class SmoothGrad:
    """Gradients of noisy samples: their `mean`, `mean_square` or `variance`."""

    samples: int | None = None
    deviation: float | None = None
    statistic: str | None = None
    multiply_by_input: bool | None = None


@dataclass(frozen=True, kw_only=True)
class GradientShap:
    """Gradients at random points between random baselines and the sample."""

    samples: int | None = None
    deviation: float | None = None
    baselines: Sequence[Baseline] = ()


GradientMethod = (
    Saliency
    | InputXGradient
    | IntegratedGradients
    | Conductance
    | InternalInfluence
    | NeuronConductance
    | SmoothGrad
    | GradientShap
)
"""Any of the classes above."""
