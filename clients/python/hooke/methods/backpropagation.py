"""Methods with a way back of their own; see `protos/hooke/v1/backpropagation.proto`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hooke.methods.baselines import Baseline


@dataclass(frozen=True, kw_only=True)
class GuidedBackpropagation:
    """The gradient with all that is negative cut at each open rectifier."""


@dataclass(frozen=True, kw_only=True)
class Deconvolution:
    """What comes back where rectifiers are put on the way back."""


@dataclass(frozen=True, kw_only=True)
class DeepLift:
    """Differences from a baseline, carried back; with several baselines DeepLIFT SHAP."""

    baselines: Sequence[Baseline] = ()


@dataclass(frozen=True, kw_only=True)
class RelevancePropagation:
    """The target's value, handed back layer by layer (LRP).

    Parameters
    ----------
    composite : `epsilon`, `epsilon_plus`, `epsilon_gamma` or `epsilon_alpha2_beta1`.
    epsilon : keeps small sums from dividing by nothing.
    gamma : how much what pulls along is favoured.
    first_layer : `same`, `box` (for pixels), `flat` or `squared_weights`.
    """

    composite: str | None = None
    epsilon: float | None = None
    gamma: float | None = None
    first_layer: str | None = None


BackpropagationMethod = GuidedBackpropagation | Deconvolution | DeepLift | RelevancePropagation
"""Any of the classes above."""
