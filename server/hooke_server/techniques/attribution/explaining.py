"""Running the methods of a request, and what they answer as frames."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from hooke_server.models.model import Model
from hooke_server.techniques.attribution.decoding import decoded
from hooke_server.techniques.attribution.drawing import as_maps, drawn, has_pictures, shown_picture
from hooke_server.techniques.attribution.inquiry import Inquiry
from hooke_server.techniques.attribution.plans import AttributionPlan, MethodPlan
from hooke_server.techniques.attribution.proving import EVIDENCE, Proof
from hooke_server.techniques.attribution.question import Answer, Question
from hooke_server.techniques.attribution.sending import has_room
from hooke_server.techniques.frames import (
    Array,
    Frame,
    Frames,
    Picture,
    Progress,
    Result,
)
from hooke_server.techniques.tables import Column, ColumnType, Finding, Rows, Table

LOOK_SECONDS = 0.25
"""Time between two drawings of unfinished work; a quick device does more in the time of one."""

ROWS = 256
"""Rows of a table that are sent at once."""

TARGETS = Table(
    name="targets",
    caption="what is explained, and its value for each sample",
    columns=(
        Column("target", ColumnType.INTEGER, "Which target, counted from 0."),
        Column("sample", ColumnType.INTEGER, "Which sample, counted from 0."),
        Column("name", ColumnType.TEXT, "What it is: a class by its label."),
        Column("unit", ColumnType.INTEGER, "Where it is a unit: which."),
        Column("value", ColumnType.NUMBER, "What the model says."),
    ),
)


def explain(model: Model, inputs: Sequence[Tensor], plan: AttributionPlan, *, rows: int) -> Frames:
    """The frames of a plan.

    Parameters
    ----------
    rows : versions of samples that share a pass.
    """
    inquiry = Inquiry(model, inputs, plan.targets, plan.layers, rows=rows, seed=plan.seed)
    yield from _targets(inquiry)
    plan = yield from decoded(model, plan)
    if plan.evidence.measures:
        yield EVIDENCE
    for index, each in enumerate(plan.methods):
        yield from _Run(inquiry, plan, each, index).frames()
    yield Result()


def _targets(inquiry: Inquiry) -> Iterator[Frame]:
    values = inquiry.scores.tolist()
    yield TARGETS
    rows = [
        (number, sample, target.name(inquiry.model, sample), target.unit(sample), row[number])
        for number, target in enumerate(inquiry.targets)
        for sample, row in enumerate(values)
    ]
    for begin in range(0, len(rows), ROWS):
        yield Rows(TARGETS, rows[begin : begin + ROWS])


@dataclass(frozen=True)
class _Run:
    """One method of a request."""

    inquiry: Inquiry
    plan: AttributionPlan
    chosen: MethodPlan
    index: int

    def frames(self) -> Iterator[Frame]:
        """Its progress, previews, tensors and pictures."""
        method = self.chosen.method
        question, due = Question.of(self.inquiry, self.chosen.layers), 0.0
        for each in method.function(question, **dict(self.chosen.parameters)):
            match each:
                case Answer(final=False) if time.monotonic() < due:
                    continue
                case Answer():
                    yield from self._answer(each)
                    due = time.monotonic() + LOOK_SECONDS
                case Progress():
                    yield self._progress(each, method.title)
                case Rows():
                    yield replace(each, table=replace(each.table, item=self.index))
                case Finding():
                    yield replace(each, item=self.index)
                case _ if self._wanted(each):
                    yield replace(each, item=self.index)

    def _wanted(self, frame: Array | Picture | Table) -> bool:
        match frame:
            case Array():
                return self.plan.tensors
            case Picture():
                return bool(self.plan.drawings)
        return True

    def _answer(self, answer: Answer) -> Iterator[Frame]:
        if answer.final and self.plan.tensors:
            yield self._tensor(answer, self.chosen.name, answer.values)
            if answer.deviation is not None:
                yield self._tensor(answer, f"{self.chosen.name}_standard_error", answer.deviation)
        yield from self._pictures(answer)
        if answer.final and self.plan.evidence.measures:
            yield from self._evidence(answer.stretched())

    def _evidence(self, answer: Answer) -> Iterator[Frame]:
        question = Question.of(self.inquiry, [answer.place.id])
        place, chosen = answer.place.id, self.chosen

        def again(inquiry: Inquiry) -> Generator[Progress, None, Tensor]:
            found = answer.values
            asked = Question.of(inquiry, [place])
            for each in chosen.method.function(asked, **dict(chosen.parameters)):
                if isinstance(each, Answer) and each.final:
                    found = each.stretched().values
                elif isinstance(each, Progress):
                    yield each
            return found

        proof = Proof(question, answer, self.plan.evidence, chosen, self.index, again)
        for each in proof.frames():
            told = f"evidence for {chosen.method.title}"
            yield self._progress(each, told) if isinstance(each, Progress) else each

    def _progress(self, progress: Progress, message: str) -> Progress:
        total = len(self.plan.methods)
        return replace(progress, message=message, items_done=self.index, total_items=total)

    def _tensor(self, answer: Answer, name: str, values: Tensor) -> Array:
        layer = answer.place.layer
        unit = layer.unit_axis % answer.place.value.ndim
        axes = [name for axis, name in enumerate(layer.output.axes) if axis]
        if answer.collapsed:
            del axes[unit - 1]
        return Array(
            name=name,
            value=values.float(),
            axes=("target", "batch", *axes),
            layer=layer.id,
            item=self.index,
        )

    def _pictures(self, answer: Answer) -> Iterator[Picture]:
        model, place = self.inquiry.model, answer.place
        if not self.plan.drawings or not has_pictures(model, place.layer):
            return
        maps = as_maps(answer)
        if maps is None or not has_room(*maps.shape[:2]):
            return
        for number, of_target in enumerate(maps):
            for sample, values in enumerate(of_target):
                shown = shown_picture(model, self.inquiry.inputs[0][sample])
                for drawing in self.plan.drawings if answer.final else self.plan.drawings[:1]:
                    pixels = drawn(drawing, shown, values)
                    picture = self._picture(answer, number, sample, values, pixels)
                    yield replace(picture, name=str(drawing))

    def _picture(
        self, answer: Answer, number: int, sample: int, values: Tensor, pixels: np.ndarray
    ) -> Picture:
        target, model = self.inquiry.targets[number], self.inquiry.model
        value = float(self.inquiry.scores[sample, number])
        largest = float(values.abs().max())
        return Picture(
            name="",
            pixels=pixels,
            site=target.site,
            item=self.index,
            sample=sample,
            target=number,
            layer=answer.place.id,
            final=answer.final,
            objective=value,
            caption=f"{self.chosen.method.title}: what speaks for {target.name(model, sample)}"
            f" ({value:.3g}); the largest share is {largest:.3g}",
        )
