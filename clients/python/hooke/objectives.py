"""Objectives: what pictures are optimized for, as sums of weighted products of measures.

    from hooke import Location
    from hooke.objectives import Response, TotalVariation

    unit = Response(location=Location("blocks.4.2", unit=7))
    objective = 2 * unit - 0.1 * TotalVariation()

What each measures is told by the contract's `Measure` and the messages of the same names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hooke.places import Location

Photograph = Any
"""A path, a file's bytes, a Pillow image, or an array [height, width, 3]."""


class Algebra:
    """Adds, subtracts, scales and multiplies; everything becomes an `Objective`."""

    def __add__(self, other: Algebra) -> Objective:
        return Objective(terms=(*_terms(self), *_terms(other)))

    def __sub__(self, other: Algebra) -> Objective:
        return self + -1.0 * other

    def __truediv__(self, other: float) -> Objective:
        """Less important."""
        return self * (1 / other)

    def __neg__(self) -> Objective:
        return -1.0 * self

    def __mul__(self, other: Algebra | float) -> Objective:
        if isinstance(other, Algebra):
            pairs = [(a, b) for a in _terms(self) for b in _terms(other)]
            products = [
                Term(weight=a.weight * b.weight, factors=a.factors + b.factors) for a, b in pairs
            ]
            return Objective(terms=tuple(products))
        scaled = [Term(weight=each.weight * other, factors=each.factors) for each in _terms(self)]
        return Objective(terms=tuple(scaled))

    __rmul__ = __mul__


@dataclass(frozen=True, kw_only=True)
class Term:
    """A weight times a product of measures."""

    weight: float = 1.0
    factors: tuple[Measure, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Objective(Algebra):
    """A sum of terms; higher is better."""

    terms: tuple[Term, ...] = ()


class Measure(Algebra):
    """A number for each picture."""


@dataclass(frozen=True, kw_only=True)
class Response(Measure):
    """What a location says."""

    location: Location


@dataclass(frozen=True, kw_only=True)
class LayerEnergy(Measure):
    """How strong a whole layer is, as DeepDream raises it."""

    location: Location


@dataclass(frozen=True, kw_only=True)
class Direction(Measure):
    """How far activations point into a direction."""

    location: Location
    vector: Sequence[float]
    cosine_power: float | None = None


@dataclass(frozen=True, kw_only=True)
class ImageDirection(Measure):
    """How much activations are like those of a picture, place by place."""

    location: Location
    image: Photograph
    cosine_power: float | None = None


@dataclass(frozen=True, kw_only=True)
class Blend(Measure):
    """From one place to another along the pictures of an item."""

    first: Location
    second: Location


@dataclass(frozen=True, kw_only=True)
class Misalignment(Measure):
    """How unlike neighbours among the pictures of an item are."""

    location: Location
    decay_ratio: float | None = None


@dataclass(frozen=True, kw_only=True)
class Diversity(Measure):
    """How unlike each other the pictures of an item are."""

    location: Location


@dataclass(frozen=True, kw_only=True)
class ActivationDifference(Measure):
    """How far activations are from those of a picture."""

    location: Location
    image: Photograph
    comparison: str | None = None


@dataclass(frozen=True, kw_only=True)
class PixelNorm(Measure):
    """How far pixels are from a constant."""

    order: int | None = None
    constant: float | None = None


@dataclass(frozen=True, kw_only=True)
class TotalVariation(Measure):
    """How much neighbouring pixels differ."""


@dataclass(frozen=True, kw_only=True)
class Blur(Measure):
    """How much blurring would change the picture, or its opacity."""

    alpha: bool | None = None


@dataclass(frozen=True, kw_only=True)
class BoundaryComplexity(Measure):
    """How much happens along the border."""

    width: int | None = None


@dataclass(frozen=True, kw_only=True)
class MeanAlpha(Measure):
    """How opaque the picture is."""


def as_objective(value: Algebra) -> Objective:
    """A measure as an objective."""
    return Objective(terms=_terms(value))


def _terms(value: Algebra) -> tuple[Term, ...]:
    if isinstance(value, Objective):
        return value.terms
    if isinstance(value, Measure):
        return (Term(factors=(value,)),)
    raise TypeError(f"{type(value).__name__} is no objective")
