"""What a measure of an attribution is given, and what it finds."""

from __future__ import annotations

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
class Measured:
    """What a measure found.

    Attributes
    ----------
    values : [targets, samples]; NaN where there is nothing to say.
    verdict : from a value to plain words.
    good : whether a value speaks for the attribution.
    curves : [targets, samples, points], where there are such.
    """

    values: Tensor
    verdict: Callable[[float], str]
    good: Callable[[float], bool]
    curves: Tensor | None = None


Measuring = Generator[Progress, None, Measured | None]
"""A measure at work; None where it says nothing of such an answer."""


@dataclass(frozen=True)
class Case:
    """An answer, and means to ask again.

    Attributes
    ----------
    again : from an inquiry to what the method answers there at this place.
    """

    question: Question
    answer: Answer
    evidence: Evidence
    baselines: Sequence[Baseline]
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
