"""Class activation maps; see `protos/hooke/v1/class_activation.proto`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class GradCam:
    """Units weighted by the mean of their gradients."""


@dataclass(frozen=True, kw_only=True)
class GradCamPlusPlus:
    """Units weighted by positive gradients, so that several objects show."""


@dataclass(frozen=True, kw_only=True)
class HiresCam:
    """Activation times gradient at each place."""


@dataclass(frozen=True, kw_only=True)
class LayerCam:
    """Activation times positive gradient at each place."""


@dataclass(frozen=True, kw_only=True)
class EigenCam:
    """What the units have in common, whatever the target."""


@dataclass(frozen=True, kw_only=True)
class AblationCam:
    """Units weighted by how much the target falls without them."""


@dataclass(frozen=True, kw_only=True)
class ScoreCam:
    """Units weighted by the target where only what excites them is shown."""


ClassActivationMethod = (
    GradCam | GradCamPlusPlus | HiresCam | LayerCam | EigenCam | AblationCam | ScoreCam
)
"""Any of the classes above."""
