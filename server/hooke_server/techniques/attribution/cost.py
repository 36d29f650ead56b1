"""What attributions cost, told before any work, and how many rows share a pass because of that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from hooke_server.errors import Reason, ResourceExhaustedError
from hooke_server.models.layer import Layer, extent_at
from hooke_server.models.model import Model
from hooke_server.techniques.attribution.evidence import EvidenceMeasure
from hooke_server.techniques.attribution.method import Effort
from hooke_server.techniques.attribution.plans import AttributionPlan
from hooke_server.techniques.frames import Estimate
from hooke_server.techniques.visualization.cost import (
    ALLOCATOR,
    MAX_BATCH,
    SHARE,
    kept_bytes,
    largest_bytes,
    macs_of,
)
from hooke_server.techniques.visualization.requirements import upstream

SCORE_BYTES = 8
"""Of a number that a target says, where methods keep them all."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """An estimate, and how many rows share a pass."""

    estimate: Estimate
    rows: int


def attribution_cost(
    model: Model, plan: AttributionPlan, inputs: Sequence[Tensor], memory: int | None
) -> Cost:
    """What a plan costs for inputs.

    ResourceExhaustedError where not even one row fits the memory.
    """
    efforts = [each.method.effort(**dict(each.parameters)) for each in plan.methods]
    batch = len(inputs[0])
    targets = len(plan.targets) or 1
    read = tuple(dict.fromkeys(i for t in plan.targets for i in t.layers(model)))
    needed = upstream(model, read or (model.output_layer,))
    area = _area(model, inputs)
    each = _row_bytes(needed, area, efforts)
    answers = _answer_bytes(model, plan, inputs)
    asked = [
        [effort.rows_at(model.layer(i), _shape(model, i, inputs)) for i in chosen.layers]
        for chosen, effort in zip(plan.methods, efforts, strict=True)
    ]
    held = [
        effort.copies * targets * max(sizes, default=0)
        + SCORE_BYTES * batch * targets * sum(rows) * effort.keeps_scores
        for effort, sizes, rows in zip(efforts, answers, asked, strict=True)
    ]
    kept = sum(map(sum, answers))
    beside = max(held, default=0) + kept * (1 + bool(plan.evidence.measures))
    if EvidenceMeasure.PARAMETER_RANDOMIZATION in plan.evidence.measures:
        beside += model.memory_bytes
    rows = MAX_BATCH
    if memory is not None:
        rows = min(rows, int((memory * SHARE - beside) // each))
        if beside + each > memory:
            raise ResourceExhaustedError(
                Reason.MEMORY_BUDGET_EXCEEDED,
                f"this needs about {beside + each} bytes of memory, more than the {memory} that all"
                " work together may use; ask for fewer targets, layers or samples at once",
                memory_bytes=beside + each,
                budget=memory,
            )
    rows = model.fixed_batch or max(1, rows)
    sent = sum(
        sum(sizes) * (1 + effort.errors) for sizes, effort in zip(answers, efforts, strict=True)
    )
    estimate = Estimate(
        memory_bytes=beside + each * rows,
        macs=int(
            batch
            * macs_of(needed, area)
            * _passes(asked, efforts, targets)
            * (1 + plan.evidence.repeats)
        ),
        tensor_bytes=targets * sent if plan.tensors else 0,
        layers=plan.layers,
        batch_size=rows,
    )
    return Cost(estimate=estimate, rows=rows)


def _row_bytes(needed: Sequence[Layer], area: float, efforts: Sequence[Effort]) -> int:
    held = kept_bytes if any(effort.gradients for effort in efforts) else largest_bytes
    return int(ALLOCATOR * held(needed, area)) + 1


def _answer_bytes(model: Model, plan: AttributionPlan, inputs: Sequence[Tensor]) -> list[list[int]]:
    """For each method and place the bytes of an answer for one target."""
    batch, area = len(inputs[0]), _area(model, inputs)
    sizes = {
        layer: model.layer(layer).output.count(batch)
        * 4
        * (area if model.layer(layer).position_axes else 1)
        for layer in plan.layers
    }
    return [[int(sizes[layer]) for layer in each.layers] for each in plan.methods]


def _shape(model: Model, layer: str, inputs: Sequence[Tensor]) -> list[int]:
    """Of a layer's value; of one that is no input as the layer table has it."""
    for spec, value in zip(model.inputs, inputs, strict=True):
        if spec.name == layer:
            return list(value.shape)
    batch = len(inputs[0])
    return [extent_at(extent, batch) for extent in model.layer(layer).output.shape]


def _passes(asked: Sequence[Sequence[int]], efforts: Sequence[Effort], targets: int) -> float:
    """Forward passes of a sample, where a way back counts as one for each target."""
    total, shared = 1.0, False
    for rows, effort in zip(asked, efforts, strict=True):
        once = effort.shared and shared
        shared = shared or effort.shared
        count = 0 if once else rows[0] if effort.shared else sum(rows)
        total += count * (1 + targets * effort.gradients)
    return total


def _area(model: Model, inputs: Sequence[Tensor]) -> float:
    """How large the inputs are, in those that the layer table was made for."""
    declared = model.inputs[0].count()
    return math.prod(inputs[0].shape[1:]) / max(1, declared)
