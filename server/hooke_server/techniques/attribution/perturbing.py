"""Asking a model about samples of which only a part is there, and the rest is baseline.

    x(m) = m x + (1 - m) x',   m in 0..1

What a method draws, and what it makes of the answers, is a `Design`; running one is the same
for all: `by_design`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from hooke_server.techniques.attribution.baselines import Baseline
from hooke_server.techniques.attribution.features import Division, division
from hooke_server.techniques.attribution.question import Answer, Answers, Place, Question
from hooke_server.techniques.frames import Progress

PREVIEWS = 8
"""Looks at unfinished work."""


class Mixture:
    """A place's values, mixed with its baselines.

    Attributes
    ----------
    draws : masks that share a pass.
    columns : numbers that are explained, those of a sample together: [samples x targets].
    """

    def __init__(self, question: Question, place: Place, baselines: Sequence[Baseline]) -> None:
        self.question, self.place = question, place
        self._starts = torch.stack(question.starts_at(place, baselines))
        inquiry = question.inquiry
        self.draws = max(1, inquiry.rows // (inquiry.batch * len(self._starts)))
        self.columns = inquiry.batch * len(inquiry.targets)

    @property
    def unit_axis(self) -> int:
        """Of the place."""
        return self.place.layer.unit_axis % self.place.value.ndim

    @property
    def positions(self) -> list[int]:
        """Extents of the place's axes that are neither samples nor units."""
        return [self.place.value.shape[axis] for axis in self.place.layer.position_axes]

    def scores(self, masks: Tensor) -> Tensor:
        """What the targets say through masks, [draws, columns], the mean over baselines.

        Parameters
        ----------
        masks : how much is there, [draws, samples or 1, *the place's other axes or 1].
        """
        inquiry, value = self.question.inquiry, self.place.value
        rows = torch.lerp(self._starts, value, masks.to(value)[:, None]).flatten(0, 2)
        which = inquiry.samples.repeat(len(masks) * len(self._starts))
        said = inquiry.measure(self.place.id, rows, which)
        return said.reshape(len(masks), len(self._starts), self.columns).mean(1)

    def through(self, masks: Tensor) -> Tensor:
        """The same, through masks of positions, [draws, *positions]."""
        return self.scores(masks[:, None].unsqueeze(self.unit_axis + 1))

    def answer(
        self,
        values: Tensor,
        errors: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        final: bool = True,
    ) -> Answer:
        """Numbers for each of the columns and the place's axes, [columns, ...], as an answer.

        Parameters
        ----------
        labels : as the answer's.
        """
        return Answer(
            place=self.place,
            values=self._by_target(values),
            deviation=None if errors is None else self._by_target(errors),
            labels=labels,
            final=final,
        )

    def _by_target(self, values: Tensor) -> Tensor:
        inquiry = self.question.inquiry
        split = values.reshape(inquiry.batch, len(inquiry.targets), *values.shape[1:])
        return split.transpose(0, 1).to(self.place.value.device, torch.float32)


@dataclass(frozen=True)
class Estimated:
    """A number for each feature, [features, columns], and its standard error if it was drawn."""

    values: Tensor
    errors: Tensor | None = None


class Design(Protocol):
    """Which coalitions of features are asked, and what follows from the answers.

    Attributes
    ----------
    count : of coalitions.
    least : from how many on an estimate can be made.
    """

    count: int
    least: int

    def keep(self, numbers: Tensor) -> Tensor:
        """How much of each feature is there in some of the coalitions, [numbers, features]."""
        ...

    def estimate(self, scores: Tensor) -> Estimated:
        """From what the targets said to the first coalitions, [coalitions, columns]."""
        ...


Designing = Callable[[int, torch.Generator], Design]
"""A design for a number of features."""


class Coalitions:
    """A place, divided into features."""

    def __init__(
        self,
        question: Question,
        place: Place,
        features: Division | None,
        baselines: Sequence[Baseline],
        designing: Designing,
    ) -> None:
        self._mixture = Mixture(question, place, baselines)
        self._labels = division(features, place.layer).labels(question, place)
        self.count = int(self._labels.max()) + 1
        self.design = designing(self.count, question.generator())

    def passes(self) -> Iterator[Tensor]:
        """All answers so far, [coalitions, columns], after each pass."""
        count, step = self.design.count, self._mixture.draws
        found = torch.zeros(count, self._mixture.columns, dtype=torch.float64)
        for begin in range(0, count, step):
            numbers = torch.arange(begin, min(begin + step, count))
            masks = self.design.keep(numbers).float()[:, self._labels]
            found[numbers] = self._mixture.scores(masks).double().cpu()
            yield found[: begin + len(numbers)]

    def answer(self, scores: Tensor, *, final: bool = True) -> Answer:
        """What follows from the answers; each number of a feature holds the feature's value."""
        estimated = self.design.estimate(scores)
        errors = None if estimated.errors is None else self._spread(estimated.errors)
        values = self._spread(estimated.values)
        alike = values.ndim < self._labels.ndim
        labels = self._labels.squeeze(self._mixture.unit_axis) if alike else self._labels
        return self._mixture.answer(values, errors, labels, final=final)

    def _spread(self, values: Tensor) -> Tensor:
        """[features, columns] as [columns, *the place's other axes], without units if alike."""
        batch, shape = self._mixture.question.inquiry.batch, self._mixture.place.value.shape
        targets = values.shape[1] // batch
        labels = self._labels.expand(batch, *self._labels.shape[1:])
        by_sample = values.T.reshape(batch, targets, -1)
        spread = torch.cat([each[:, at] for each, at in zip(by_sample, labels, strict=True)])
        axis = self._mixture.unit_axis
        if spread.shape[axis] == 1 and len(shape) > 2:
            return spread.squeeze(axis)
        return spread.expand(-1, *shape[1:])


def by_design(
    question: Question,
    features: Division | None,
    baselines: Sequence[Baseline],
    designing: Designing,
) -> Answers:
    """Ask all coalitions of a design at all places, with looks at unfinished work.

    Places are prepared one by one, and the progress takes those to come for as large as this one.
    """
    done = 0
    for number, place in enumerate(question.places):
        coalitions = Coalitions(question, place, features, baselines, designing)
        design, shown = coalitions.design, 0
        total = done + design.count * (len(question.places) - number)
        for scores in coalitions.passes():
            yield Progress(step=done + len(scores), total=total)
            part = len(scores) * PREVIEWS // design.count
            if shown < part < PREVIEWS and len(scores) >= design.least:
                shown = part
                yield coalitions.answer(scores, final=False)
        yield coalitions.answer(scores)
        done += design.count
