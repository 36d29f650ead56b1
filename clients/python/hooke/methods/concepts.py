"""Methods that look for concepts; see `protos/hooke/v1/concept.proto`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hooke.objectives import Photograph


@dataclass(frozen=True, kw_only=True)
class Concept:
    """What some pictures have in common; at least 4 of them.

    Where all pictures of a request are too much for it, they are scaled down.
    """

    name: str
    images: Sequence[Photograph]


@dataclass(frozen=True, kw_only=True)
class Tcav:
    """Whether concepts that pictures show speak for the target: scores and their p-values."""

    concepts: Sequence[Concept]
    counter_examples: Sequence[Photograph]
    runs: int | None = None
    pooled: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Craft:
    """What crops of the samples have in common in a layer, and how much it matters."""

    concepts: int | None = None
    crop: float | None = None
    designs: int | None = None


ConceptMethod = Tcav | Craft
"""Any of the methods above."""
