"""What a measure of an attribution is given, and what it finds."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

from hooke_server.techniques.attribution.baselines import Baseline
from hooke_server.techniques.attribution.evidence import Evidence
from hooke_server.techniques.attribution.inquiry import Inquiry
from hooke_server.techniques.attribution.question import Answer, Place, Question
from hooke_server.techniques.frames import Progress


@dataclass(frozen=True)
class Level:
    """One value of a measure, and whether it speaks for the attribution.

    Attributes
    ----------
    good : None where the method does not set out to be so.
    chance : what the value would be by chance, where that is known.
    """

    value: float
    good: bool | None
    chance: float | None


@dataclass(frozen=True)
class Measured:
    """What a measure found.

    Attributes
    ----------
    values : [targets, samples]; NaN where there is nothing to say.
    good : whether each speaks for the attribution, [targets, samples]; None where that is not to
        be judged.
    verdict : what one says, in plain words.
    missing : why there is nothing to say where there is not, in plain words.
    chance : what the values would be by chance, [targets, samples], where that is known.
    curves : [targets, samples, points], where there are such.
    chance_curves : the same by chance.
    """

    values: Tensor
    good: Tensor | None
    verdict: Callable[[Level], str]
    missing: str = ""
    chance: Tensor | None = None
    curves: Tensor | None = None
    chance_curves: Tensor | None = None

    def level(self, target: int, sample: int) -> Level | None:
        """That of one answer; None where there is nothing to say."""
        value = float(self.values[target, sample])
        if math.isnan(value):
            return None
        chance = None if self.chance is None else float(self.chance[target, sample])
        good = None if self.good is None else bool(self.good[target, sample])
        return Level(value, good, chance)

    def says(self, target: int, sample: int) -> str:
        """In plain words; empty where there is nothing to say for no reason."""
        level = self.level(target, sample)
        return self.missing if level is None else self.verdict(level)


Measuring = Generator[Progress, None, Measured | None]
"""A measure at work; None where it says nothing of such an answer."""


@dataclass(frozen=True)
class Case:
    """An answer, and means to ask again.

    Attributes
    ----------
    complete : whether its sum is to be the change of the target.
    again : from an inquiry to what the method answers there at this place.
    """

    question: Question
    answer: Answer
    evidence: Evidence
    baselines: Sequence[Baseline]
    complete: bool
    again: Callable[[Inquiry], Generator[Progress, None, Tensor]] = field(repr=False)

    @property
    def inquiry(self) -> Inquiry:
        """What is asked about."""
        return self.question.inquiry

    @property
    def place(self) -> Place:
        """Where the answer was looked for."""
        return self.answer.place

    @cached_property
    def start(self) -> Tensor:
        """The place's value where nothing is there."""
        first = (self.evidence.baselines or self.baselines)[:1]
        return self.question.starts_at(self.place, first)[0]

    @cached_property
    def ends(self) -> tuple[Tensor, Tensor]:
        """The targets' values for the baseline and for the samples, [targets, samples]."""
        inquiry = self.inquiry
        before = inquiry.measure(self.place.id, self.start, inquiry.samples)
        return before.T, inquiry.scores.T

    @cached_property
    def spread(self) -> Tensor:
        """The answer with its unit axis, [targets, samples, ...]."""
        return self._with_units(self.answer.values)

    @cached_property
    def shares(self) -> Tensor:
        """The same as shares, whose sum counts what belongs together once."""
        return self._with_units(self.answer.shares)

    def _with_units(self, values: Tensor) -> Tensor:
        if not self.answer.collapsed:
            return values
        unit = self.place.layer.unit_axis % self.place.value.ndim
        return values.unsqueeze(unit + 1)
