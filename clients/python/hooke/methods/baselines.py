"""What stands for "nothing is there"; `hooke.v1.Baseline` explains each."""

from __future__ import annotations

from dataclasses import dataclass

from hooke.objectives import Photograph


@dataclass(frozen=True, kw_only=True)
class ZeroBaseline:
    """Zeros in the numbers that the model takes."""


@dataclass(frozen=True, kw_only=True)
class ConstantBaseline:
    """One brightness everywhere: 0 is black, 1 white."""

    value: float | None = None


@dataclass(frozen=True, kw_only=True)
class MeanBaseline:
    """The mean of the sample itself."""


@dataclass(frozen=True, kw_only=True)
class BlurBaseline:
    """The sample without its detail; the deviation is in pixels."""

    deviation: float | None = None


@dataclass(frozen=True, kw_only=True)
class NoiseBaseline:
    """Noise around the sample's mean; the deviation is a share of its range of values."""

    deviation: float | None = None


@dataclass(frozen=True, kw_only=True)
class ImageBaseline:
    """Another picture."""

    image: Photograph


Baseline = (
    ZeroBaseline | ConstantBaseline | MeanBaseline | BlurBaseline | NoiseBaseline | ImageBaseline
)
"""What attributions compare to; any of the classes above."""
