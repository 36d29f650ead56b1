"""What attributions cost, told before any work, and how many rows share a pass because of that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from hooke_server.errors import memory_exceeded
from hooke_server.models.layer import Layer, extent_at
from hooke_server.models.model import Model
from hooke_server.techniques.attribution.decoding import image_baselines
from hooke_server.techniques.attribution.evidence import EvidenceMeasure
from hooke_server.techniques.attribution.method import Effort
from hooke_server.techniques.attribution.plans import AttributionPlan, MethodPlan
from hooke_server.techniques.frames import Estimate
from hooke_server.techniques.passes import (
    ALLOCATOR,
    SHARE,
    kept_bytes,
    largest_bytes,
    macs_of,
    most_in_a_pass,
)
from hooke_server.techniques.reach import upstream
from hooke_server.techniques.targets import decoding_bytes

SCORE_BYTES = 32
"""For a number that a target says, where methods keep them all: it, and what is made of it."""

EVIDENCE_COPIES = 16
"""Of an answer, held at once while it is measured: its shares, its ranks and those at random."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """An estimate, and how many rows share a pass."""

    estimate: Estimate
    rows: int


@dataclass(frozen=True)
class _Work:
    """What one method of a plan does.

    Attributes
    ----------
    answers : for each place the bytes of an answer for one target.
    rows : for each place the versions of each sample that are asked.
    scratch : for each place the other bytes.
    beside : bytes of what is held of other layers.
    baselines : bytes of all baselines, and of samples that are mixed with them.
    """

    effort: Effort
    answers: Sequence[int]
    rows: Sequence[int]
    scratch: Sequence[int]
    beside: int
    baselines: int

    def held(self, columns: int, targets: int) -> int:
        """Bytes that are held while it runs; `columns` are all samples' targets."""
        scores = SCORE_BYTES * columns * sum(self.rows) * self.effort.keeps_scores
        answers = self.effort.copies * targets * max(self.answers, default=0)
        return answers + scores + sum(self.scratch) + self.beside + self.baselines

    def sent(self, targets: int) -> int:
        """Bytes of its tensors."""
        return targets * sum(self.answers) * (1 + self.effort.errors)


def attribution_cost(
    model: Model, plan: AttributionPlan, inputs: Sequence[Tensor], memory: int | None
) -> Cost:
    """What a plan costs for inputs.

    ResourceExhaustedError where not even one row fits the memory.
    """
    batch, targets = len(inputs[0]), len(plan.targets) or 1
    read = tuple(dict.fromkeys(i for t in plan.targets for i in t.layers(model)))
    needed, area = upstream(model, read or (model.output_layer,)), _area(model, inputs)
    works = [_work(model, each, inputs, targets) for each in plan.methods]
    row = _row_bytes(needed, area, [work.effort for work in works])
    beside = max(work.held(batch * targets, targets) for work in works) + _kept(
        model, plan, works, targets
    )
    beside += _picture_bytes(model, plan)
    rows = _rows(model, row, beside, memory)
    passes = _passes(works, targets) * (1 + plan.evidence.repeats)
    passes += plan.evidence.rows(targets) * sum(len(each.layers) for each in plan.methods)
    estimate = Estimate(
        memory_bytes=beside + row * rows,
        macs=int(batch * macs_of(needed, area) * passes),
        tensor_bytes=sum(work.sent(targets) for work in works) if plan.tensors else 0,
        layers=plan.layers,
        batch_size=rows,
    )
    return Cost(estimate=estimate, rows=rows)


def _work(model: Model, plan: MethodPlan, inputs: Sequence[Tensor], targets: int) -> _Work:
    effort = plan.method.effort(**dict(plan.parameters))
    layers = [model.layer(i) for i in plan.layers]
    batch, area = len(inputs[0]), _area(model, inputs)
    shapes = [_shape(model, each, inputs) for each in layers]
    answers = [
        int(each.output.count(batch) * 4 * (area if each.position_axes else 1)) for each in layers
    ]
    return _Work(
        effort=effort,
        answers=answers,
        rows=[effort.rows_at(*each) for each in zip(layers, shapes, strict=True)],
        scratch=[effort.scratch(*each) for each in zip(layers, shapes, strict=True)],
        beside=effort.beside(model, targets),
        baselines=_baseline_bytes(plan, inputs, max(answers, default=0)),
    )


def _baseline_bytes(plan: MethodPlan, inputs: Sequence[Tensor], place: int) -> int:
    """Of each baseline the inputs, and the place's value: it, stacked, and mixed with samples."""
    given = dict(plan.parameters).get("baselines")
    if given is None:
        return 0
    return (len(given) or 1) * (sum(each.nbytes for each in inputs) + 3 * place)


def _picture_bytes(model: Model, plan: AttributionPlan) -> int:
    """What decoding pictures takes, and the baselines among them when they are decoded."""
    kept = 4 * model.inputs[0].count() * len(image_baselines(plan))
    return kept + decoding_bytes((plan.evidence, *(each.parameters for each in plan.methods)))


def _kept(model: Model, plan: AttributionPlan, works: Sequence[_Work], targets: int) -> int:
    """Bytes that are held until the end: places' values, and what evidence needs of its own."""
    kept = sum(sum(work.answers) for work in works)
    if not plan.evidence.measures:
        return kept
    largest = max(max(work.answers, default=0) for work in works)
    randomized = EvidenceMeasure.PARAMETER_RANDOMIZATION in plan.evidence.measures
    return 2 * kept + EVIDENCE_COPIES * targets * largest + randomized * model.memory_bytes


def _rows(model: Model, row: int, beside: int, memory: int | None) -> int:
    """Rows that share a pass: as many as fit the memory."""
    rows = most_in_a_pass(model)
    if memory is not None:
        rows = min(rows, int((memory * SHARE - beside) // row))
        if beside + row > memory:
            fewer = "fewer targets, layers or samples at once"
            raise memory_exceeded("this", beside + row, memory, fewer)
    return model.fixed_batch or max(1, rows)


def _row_bytes(needed: Sequence[Layer], area: float, efforts: Sequence[Effort]) -> int:
    held = kept_bytes if any(effort.gradients for effort in efforts) else largest_bytes
    return int(ALLOCATOR * held(needed, area)) + 1


def _shape(model: Model, layer: Layer, inputs: Sequence[Tensor]) -> list[int]:
    """Of a layer's value; of one that is no input as the layer table has it."""
    for spec, value in zip(model.inputs, inputs, strict=True):
        if spec.name == layer.id:
            return list(value.shape)
    return [extent_at(extent, len(inputs[0])) for extent in layer.output.shape]


def _passes(works: Sequence[_Work], targets: int) -> float:
    """Forward passes of a sample, where a way back counts as one for each target."""
    total, shared = 1.0, False
    for work in works:
        effort, rows = work.effort, work.rows
        once = effort.shared and shared
        shared = shared or effort.shared
        count = 0 if once else rows[0] if effort.shared else sum(rows)
        total += count * (1 + targets * effort.gradients)
    return total


def _area(model: Model, inputs: Sequence[Tensor]) -> float:
    """How large the inputs are, in those that the layer table was made for."""
    declared = model.inputs[0].count()
    return math.prod(inputs[0].shape[1:]) / max(1, declared)
