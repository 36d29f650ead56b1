"""Objectives: what pictures are optimized for; `hooke.v1.Objective` explains each.

    objective = 2 * of(Response(location=site)) - 0.1 * of(TotalVariation())
    objective(scene)  ->  Tensor [n], a number for each picture, higher is better

An objective is a sum of weighted products of measures, so it adds, subtracts, scales and
multiplies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Annotated

import torch
from torch import Tensor

from hooke_server.models.model import Model
from hooke_server.techniques.objectives.measures import Measure
from hooke_server.techniques.objectives.scene import Scene, source
from hooke_server.techniques.parameters import Range
from hooke_server.techniques.targets import Photograph, Site


@dataclass(frozen=True, kw_only=True)
class Term:
    """A weight times a product of measures."""

    weight: Annotated[float, Range(-1e9, 1e9), "How much it counts."] = 1.0
    factors: Annotated[tuple[Measure, ...], "What is multiplied; at least one."] = ()

    def __call__(self, scene: Scene) -> Tensor:
        """The weighted product."""
        value = torch.full((len(scene.pictures),), self.weight, device=scene.pictures.device)
        for factor in self.factors:
            value = value * factor(scene)
        return value


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A sum of terms: a number for each picture, higher is better."""

    terms: Annotated[tuple[Term, ...], "What is added; at least one."] = ()

    def __call__(self, scene: Scene) -> Tensor:
        """The value of each picture."""
        nothing = torch.zeros(len(scene.pictures), device=scene.pictures.device)
        return sum((term(scene) for term in self.terms), nothing)

    def __add__(self, other: Objective) -> Objective:
        """Both at once."""
        return Objective(terms=self.terms + other.terms)

    def __mul__(self, other: Objective | float) -> Objective:
        """More or less important; or the product of both."""
        pairs = [(a, b) for a in self.terms for b in as_objective(other).terms]
        products = (
            Term(weight=a.weight * b.weight, factors=a.factors + b.factors) for a, b in pairs
        )
        return Objective(terms=tuple(products))

    __rmul__ = __mul__

    def __rsub__(self, other: float) -> Objective:
        """A number less this."""
        return as_objective(other) - self

    def __neg__(self) -> Objective:
        """The opposite."""
        return self * -1.0

    def __sub__(self, other: Objective) -> Objective:
        """The difference."""
        return self + -other

    @property
    def measures(self) -> Iterator[Measure]:
        """All of them."""
        return (factor for term in self.terms for factor in term.factors)

    @property
    def sites(self) -> list[Site]:
        """The places that it reads."""
        return [value for value in self._contents() if isinstance(value, Site)]

    @property
    def photographs(self) -> list[Photograph]:
        """The pictures that it compares with, each once."""
        found = (value for value in self._contents() if isinstance(value, Photograph))
        return list(dict.fromkeys(found))

    def layers(self, model: Model) -> tuple[str, ...]:
        """Ids of the layers that it reads, each once."""
        return tuple(dict.fromkeys(source(model, site).id for site in self.sites))

    def without(self, *kinds: type) -> Objective:
        """The terms that have no measure of these kinds."""
        kept = (t for t in self.terms if not any(isinstance(f, kinds) for f in t.factors))
        return replace(self, terms=tuple(kept))

    def _contents(self) -> Iterator[object]:
        return (getattr(each, f.name) for each in self.measures for f in fields(each))


def of(measure: Measure) -> Objective:
    """The objective that is one measure."""
    return Objective(terms=(Term(factors=(measure,)),))


def as_objective(value: Objective | float) -> Objective:
    """A number as an objective that is that number everywhere."""
    if isinstance(value, Objective):
        return value
    return Objective(terms=(Term(weight=float(value)),))
