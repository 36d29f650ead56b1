"""How pictures are made: how they are stored, changed before each look, and climb.

    Ascent(steps=256, image=ImageParameterization(storage=FixedMagnitude()))

A parameter that is left None takes the server's default, which `Client.techniques()` tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hooke.objectives import Algebra, Photograph


@dataclass(frozen=True, kw_only=True)
class PixelImage:
    """The pixels themselves."""


@dataclass(frozen=True, kw_only=True)
class FourierImage:
    """Fourier coefficients, each divided by its frequency to a power."""

    decay_power: float | None = None


@dataclass(frozen=True, kw_only=True)
class LaplacianPyramid:
    """Pictures of several sizes, added."""

    levels: int | None = None


@dataclass(frozen=True, kw_only=True)
class PatternNetwork:
    """A small network from coordinates to colours (CPPN)."""

    layers: int | None = None
    units: int | None = None


@dataclass(frozen=True, kw_only=True)
class FixedMagnitude:
    """Phases, with the magnitudes of natural pictures (MACO)."""


Storage = PixelImage | FourierImage | LaplacianPyramid | PatternNetwork | FixedMagnitude


@dataclass(frozen=True, kw_only=True)
class ImageParameterization:
    """How pictures that are optimized are stored.

    Parameters
    ----------
    storage : the coordinates.
    decorrelate_colors : colours in which those of natural pictures are uncorrelated.
    alpha : with an opacity.
    shared_factors : smaller pictures that all of an item share.
    start : a picture to start from.
    deviation : of the noise that is started from.
    """

    storage: Storage | None = None
    decorrelate_colors: bool | None = None
    alpha: bool | None = None
    shared_factors: Sequence[int] = ()
    start: Photograph | None = None
    deviation: float | None = None


@dataclass(frozen=True, kw_only=True)
class Pad:
    """A border."""

    width: int
    value: float | None = None


@dataclass(frozen=True, kw_only=True)
class Jitter:
    """A window that is smaller by some pixels, anywhere."""

    pixels: int


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Resized by one of the factors."""

    factors: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Rotate:
    """Turned by one of the angles, counterclockwise."""

    degrees: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Crop:
    """A random square part, enlarged; edges as shares of the picture's."""

    minimum: float
    maximum: float


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Normal noise of a standard deviation."""

    deviation: float


Transform = Pad | Jitter | Scale | Rotate | Crop | Noise


@dataclass(frozen=True, kw_only=True)
class TransformSequence:
    """Random changes before each look at a picture; without any it is seen as it is."""

    transforms: Sequence[Transform] = ()
    copies: int | None = None


@dataclass(frozen=True, kw_only=True)
class Ascent:
    """How pictures are optimized.

    Parameters
    ----------
    steps : optimization steps.
    size : longer edge of the picture in pixels.
    learning_rate : step width.
    optimizer : `adam`, `nadam`, or `cma_es` without gradients.
    image : how the pictures are stored.
    transforms : what they have to survive.
    penalty : added to the objective; usually with negative weights.
    precision : `full`, `bfloat16`, or `quicker`.
    """

    steps: int | None = None
    size: int | None = None
    learning_rate: float | None = None
    optimizer: str | None = None
    image: ImageParameterization | None = None
    transforms: TransformSequence | None = None
    penalty: Algebra | None = None
    precision: str | None = None
