"""Which evidence is wanted for an attribution; `hooke.v1.Evidence` explains it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from hooke_server.techniques.attribution.baselines import Baselines
from hooke_server.techniques.parameters import Range

RANDOM_ORDERS = 5
"""With which deletion and insertion compare the answer's."""


class EvidenceMeasure(StrEnum):
    """What is measured; as `hooke.v1.EvidenceMeasure`."""

    COMPLETENESS = "completeness"
    INFIDELITY = "infidelity"
    MAX_SENSITIVITY = "max_sensitivity"
    DELETION = "deletion"
    INSERTION = "insertion"
    POINTING = "pointing"
    PARAMETER_RANDOMIZATION = "parameter_randomization"
    SEED_INTERVAL = "seed_interval"


@dataclass(frozen=True, kw_only=True)
class Region:
    """A part of a picture, in shares of its width and height."""

    left: Annotated[float, Range(0, 1), "Left edge."] = 0.0
    top: Annotated[float, Range(0, 1), "Upper edge."] = 0.0
    right: Annotated[float, Range(0, 1), "Right edge."] = 1.0
    bottom: Annotated[float, Range(0, 1), "Lower edge."] = 1.0


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Which measures are wanted, and how they are taken."""

    measures: Annotated[tuple[EvidenceMeasure, ...], "Which."] = ()
    samples: Annotated[int, Range(1, 1000), "Disturbances that are tried."] = 10
    steps: Annotated[int, Range(2, 200), "Points of the deletion and insertion curves."] = 20
    seeds: Annotated[int, Range(2, 100), "Seeds that are compared."] = 3
    baselines: Baselines = ()
    region: Annotated[Region | None, "Where the thing lies that is explained."] = None

    @property
    def repeats(self) -> int:
        """How often a method is asked again."""
        again = {
            EvidenceMeasure.MAX_SENSITIVITY: self.samples,
            EvidenceMeasure.PARAMETER_RANDOMIZATION: 1,
            EvidenceMeasure.SEED_INTERVAL: self.seeds - 1,
        }
        return sum(again.get(each, 0) for each in self.measures)

    def rows(self, targets: int) -> int:
        """Versions of each sample that go through the network for one answer of a method."""
        curve = (1 + RANDOM_ORDERS) * (self.steps + 1) * targets
        asked = {
            EvidenceMeasure.INFIDELITY: self.samples,
            EvidenceMeasure.DELETION: curve,
            EvidenceMeasure.INSERTION: curve,
        }
        ends = {EvidenceMeasure.COMPLETENESS, EvidenceMeasure.DELETION, EvidenceMeasure.INSERTION}
        return sum(asked.get(each, 0) for each in self.measures) + bool(ends & {*self.measures})
