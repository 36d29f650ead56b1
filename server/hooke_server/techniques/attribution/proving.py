"""Evidence for an answer as frames: a table of measures, curves, and verdicts in words."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, product

import torch
from torch import Tensor

from hooke_server.techniques.attribution.case import Case, Level, Measured
from hooke_server.techniques.attribution.evidence import Evidence, EvidenceMeasure
from hooke_server.techniques.attribution.inquiry import Inquiry
from hooke_server.techniques.attribution.measures import MEASURES
from hooke_server.techniques.attribution.plans import MethodPlan
from hooke_server.techniques.attribution.question import Answer, Question
from hooke_server.techniques.charts import CURVE, GREY, Chart, linear
from hooke_server.techniques.frames import Frame, Picture, Progress
from hooke_server.techniques.tables import Column, ColumnType, Finding, Row, Rows, Table

EVIDENCE = Table(
    name="evidence",
    caption="what speaks for and against each answer",
    columns=(
        Column("method", ColumnType.TEXT, "Which method's answer."),
        Column("layer", ColumnType.TEXT, "Where it looked."),
        Column("target", ColumnType.INTEGER, "Which target, counted from 0."),
        Column("sample", ColumnType.INTEGER, "Which sample, counted from 0."),
        Column("measure", ColumnType.TEXT, "What was measured."),
        Column("value", ColumnType.NUMBER, "The measure's value; empty where there is none."),
        Column("chance", ColumnType.NUMBER, "What it would be by chance, where that is known."),
        Column("good", ColumnType.BOOLEAN, "Whether that speaks for the answer."),
        Column("verdict", ColumnType.TEXT, "What it says, in plain words."),
    ),
)

MAX_FINDINGS = 16
"""Answers of one method at one place that are summed up in words, and drawn."""


@dataclass(frozen=True)
class Proof:
    """Takes the measures of one answer.

    Attributes
    ----------
    again : from an inquiry to what the method answers there at the answer's place.
    """

    question: Question
    answer: Answer
    evidence: Evidence
    chosen: MethodPlan
    item: int
    again: Callable[[Inquiry], Generator[Progress, None, Tensor]] = field(repr=False)

    def frames(self) -> Iterator[Frame]:
        """Rows and curves of each measure as it is taken, then the verdicts."""
        baselines = dict(self.chosen.parameters).get("baselines", ())
        complete = self.chosen.method.complete
        case = Case(self.question, self.answer, self.evidence, baselines, complete, self.again)
        taken: list[Measured] = []
        for measure in self.evidence.measures:
            found = yield from MEASURES[measure](case)
            if found is None:
                continue
            taken.append(found)
            yield Rows(EVIDENCE, self._rows(measure, found))
            if found.curves is not None and found.chance_curves is not None:
                yield from self._charts(measure, found.curves, found.chance_curves)
        if taken:
            yield from self._findings(taken)

    def _rows(self, measure: EvidenceMeasure, found: Measured) -> list[Row]:
        rows: list[Row] = []
        for target, sample in _answers(found.values):
            said, level = found.says(target, sample), found.level(target, sample)
            if said:
                cells = (level.value, level.chance, level.good) if level else (None,) * 3
                about = (self.chosen.name, self.answer.place.id, target, sample, str(measure))
                rows.append((*about, *cells, said))
        return rows

    def _charts(
        self, measure: EvidenceMeasure, curves: Tensor, by_chance: Tensor
    ) -> Iterator[Picture]:
        points = curves.shape[2]
        names = [f"{point / (points - 1):.0%}" for point in range(points)]
        for target, sample in self._shown(curves):
            curve, chance = curves[target, sample], by_chance[target, sample]
            if curve.isnan().any():
                continue
            both = torch.stack([curve, chance])
            title = f"{measure}: share of {self._target(target, sample)} by share of positions"
            chart = Chart(
                title, names, linear(min(0.0, float(both.min())), max(1.0, float(both.max())))
            )
            chart.curve(chance.tolist(), GREY)
            chart.curve(curve.tolist())
            chart.legend(("this order", CURVE), ("random orders", GREY))
            yield Picture(
                name=str(measure),
                pixels=chart.pixels(),
                item=self.item,
                sample=sample,
                target=target,
                layer=self.answer.place.id,
                caption=f"{self.chosen.method.title}, {measure}: area {float(curve.mean()):.2f},"
                f" of random orders {float(chance.mean()):.2f}",
            )

    def _findings(self, taken: Sequence[Measured]) -> Iterator[Finding]:
        for target, sample in self._shown(taken[0].values):
            levels = [level for each in taken if (level := each.level(target, sample))]
            said = [text for each in taken if (text := each.says(target, sample))]
            if not said:
                continue
            site = self.question.inquiry.targets[target].site
            yield Finding(
                kind=_kind(levels),
                text=f"{self.chosen.method.title} at {self.answer.place.id} for"
                f" {self._target(target, sample)}: {'; '.join(said)}.",
                sites=(site,) if site else (),
                item=self.item,
                sample=sample,
                target=target,
                layer=self.answer.place.id,
            )

    def _target(self, target: int, sample: int) -> str:
        return self.question.inquiry.targets[target].name(self.question.model, sample)

    @staticmethod
    def _shown(values: Tensor) -> Iterator[tuple[int, int]]:
        return islice(_answers(values), MAX_FINDINGS)


def _answers(values: Tensor) -> Iterator[tuple[int, int]]:
    """Each target and sample."""
    return product(range(values.shape[0]), range(values.shape[1]))


def _kind(levels: Sequence[Level]) -> str:
    judged = [each.good for each in levels if each.good is not None]
    if not judged:
        return "unmeasured"
    return "trustworthy" if all(judged) else "doubtful"
