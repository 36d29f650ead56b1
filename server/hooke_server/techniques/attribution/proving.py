"""Evidence for an answer as frames: a table of measures, curves, and verdicts in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

from torch import Tensor

from hooke_server.techniques.attribution.case import Case, Measured
from hooke_server.techniques.attribution.evidence import Evidence, EvidenceMeasure
from hooke_server.techniques.attribution.inquiry import Inquiry
from hooke_server.techniques.attribution.measures import MEASURES
from hooke_server.techniques.attribution.plans import MethodPlan
from hooke_server.techniques.attribution.question import Answer, Question
from hooke_server.techniques.charts import Chart, linear
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
        Column("value", ColumnType.NUMBER, "The measure's value."),
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
        case = Case(self.question, self.answer, self.evidence, baselines, self.again)
        taken: dict[EvidenceMeasure, Measured] = {}
        for measure in self.evidence.measures:
            found = yield from MEASURES[measure](case)
            if found is None:
                continue
            taken[measure] = found
            yield Rows(EVIDENCE, self._rows(measure, found))
            if found.curves is not None:
                yield from self._charts(measure, found.curves)
        if taken:
            yield from self._findings(taken)

    def _rows(self, measure: EvidenceMeasure, found: Measured) -> list[Row]:
        place = self.answer.place.id
        return [
            (self.chosen.name, place, target, sample, str(measure), value, found.good(value),
             found.verdict(value))
            for target, values in enumerate(found.values.double().tolist())
            for sample, value in enumerate(values)
            if not math.isnan(value)
        ]  # fmt: skip

    def _charts(self, measure: EvidenceMeasure, curves: Tensor) -> Iterator[Picture]:
        points = curves.shape[2]
        names = [f"{point / (points - 1):.0%}" for point in range(points)]
        for target, sample, curve in self._some(curves):
            low, high = min(0.0, float(curve.min())), max(1.0, float(curve.max()))
            title = f"{measure}: share of {self._target(target, sample)} by share of positions"
            chart = Chart(title, names, linear(low, high))
            chart.curve(curve.tolist())
            yield Picture(
                name=str(measure),
                pixels=chart.pixels(),
                item=self.item,
                sample=sample,
                target=target,
                layer=self.answer.place.id,
                caption=f"{self.chosen.method.title}, {measure}: area {float(curve.mean()):.2f}",
            )

    def _findings(self, taken: dict[EvidenceMeasure, Measured]) -> Iterator[Finding]:
        first = next(iter(taken.values())).values
        for target, sample, _ in self._some(first):
            told = {each: float(m.values[target, sample]) for each, m in taken.items()}
            values = {each: value for each, value in told.items() if not math.isnan(value)}
            if not values:
                continue
            good = all(taken[each].good(value) for each, value in values.items())
            said = "; ".join(taken[each].verdict(value) for each, value in values.items())
            site = self.question.inquiry.targets[target].site
            yield Finding(
                kind="trustworthy" if good else "doubtful",
                text=f"{self.chosen.method.title} at {self.answer.place.id} for"
                f" {self._target(target, sample)}: {said}.",
                sites=(site,) if site else (),
                item=self.item,
                sample=sample,
                target=target,
                layer=self.answer.place.id,
            )

    def _target(self, target: int, sample: int) -> str:
        return self.question.inquiry.targets[target].name(self.question.model, sample)

    @staticmethod
    def _some(values: Tensor) -> Iterator[tuple[int, int, Tensor]]:
        for count, (target, sample) in enumerate(
            (t, s) for t in range(values.shape[0]) for s in range(values.shape[1])
        ):
            if count == MAX_FINDINGS:
                return
            yield target, sample, values[target, sample]
