"""Causal tracing: what happens to the target when parts of layers are put out, or put back.

    damage    effect = f(x) - f(x with the part as it is for the baseline)
    restore   effect = f(x' with the part as it is for x) - f(x')

A part is a whole layer, a unit of it, or a position. Nothing is assumed of the network: each effect
is measured by running the rest of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Annotated

import torch
from torch import Tensor

from hooke_server.models.layer import Layer
from hooke_server.techniques.attribution.baselines import Baselines
from hooke_server.techniques.attribution.inquiry import Inquiry
from hooke_server.techniques.attribution.method import Effort, anywhere, method
from hooke_server.techniques.attribution.question import Answers, Place, Question
from hooke_server.techniques.charts import Chart, heat_map, linear
from hooke_server.techniques.frames import Array, Picture, Progress
from hooke_server.techniques.tables import Column, ColumnType, Rows, Table

MAX_DRAWN = 256
"""Parts of a layer that a chart has room for."""

EFFECTS = Table(
    name="effects",
    caption="what each part does to the target",
    columns=(
        Column("layer", ColumnType.TEXT, "Which layer."),
        Column("part", ColumnType.INTEGER, "Which unit, or position counted row by row."),
        Column("target", ColumnType.INTEGER, "Which target, counted from 0."),
        Column("sample", ColumnType.INTEGER, "Which sample, counted from 0."),
        Column("value", ColumnType.NUMBER, "The target's value with the part changed."),
        Column("effect", ColumnType.NUMBER, "How much the part did for the target."),
    ),
)


class TracedPart(StrEnum):
    """What is changed at a time; as `hooke.v1.TracedPart`."""

    LAYER = "layer"
    UNIT = "unit"
    POSITION = "position"


class TracingDirection(StrEnum):
    """Whether parts are put out or put back; as `hooke.v1.TracingDirection`."""

    DAMAGE = "damage"
    RESTORE = "restore"


def _effort(*, part: TracedPart, **_: object) -> Effort:
    def rows(layer: Layer, shape: Sequence[int]) -> int:
        return _count(part, layer, shape)

    return Effort(rows=rows, gradients=False, keeps_scores=True)


@method(
    title="Causal tracing",
    source="Vig et al.: Investigating Gender Bias in Language Models Using Causal Mediation "
    "Analysis, NeurIPS 2020, https://arxiv.org/abs/2004.12265; Meng, Bau, Andonian, Belinkov: "
    "Locating and Editing Factual Associations in GPT, NeurIPS 2022, "
    "https://arxiv.org/abs/2202.05262",
    effort=_effort,
    places=anywhere,
    tables=True,
)
def causal_tracing(
    question: Question,
    *,
    part: Annotated[TracedPart, "What is changed at a time."] = TracedPart.LAYER,
    direction: Annotated[
        TracingDirection, "Put parts out, or put them back into the baseline's run."
    ] = TracingDirection.DAMAGE,
    baselines: Baselines = (),
) -> Answers:
    """The effect on the target of changing each layer, unit or position, as a table and a chart.

    With `damage`, parts of the sample's run become what they are for the baseline: what is needed?
    With `restore`, parts of the baseline's run become what they are for the sample: what suffices?
    The first baseline counts. Effects at one layer need not sum up to anything.
    """
    inquiry = question.inquiry
    start = question.starts(baselines)[0]
    from_baseline = inquiry.about(inquiry.model, start, inquiry.seed)
    restoring = direction is TracingDirection.RESTORE
    base = from_baseline if restoring else inquiry
    total = sum(_count(part, p.layer, p.value.shape) for p in question.places)
    yield EFFECTS
    done, by_layer = 0, []
    for place in question.places:
        other = question.starts_at(place, baselines)[0]
        old, new = (other, place.value) if restoring else (place.value, other)
        found = []
        for masks in _masks(part, place, inquiry):
            yield Progress(step=done, total=total)
            found.append(_measured(base, place, old, new, masks))
            done += len(masks)
        values = torch.cat(found)  # [parts, samples, targets]
        before = base.measure(place.id, old, base.samples)
        effects = (values - before) * (1.0 if restoring else -1.0)
        yield from _rows(place, part, values, effects)
        yield _array(place, part, effects)
        by_layer.append(effects)
        if part is not TracedPart.LAYER:
            yield from _drawn(question, place, part, effects)
    if part is TracedPart.LAYER:
        yield from _layers(question, torch.cat(by_layer))


def _count(part: TracedPart, layer: Layer, shape: Sequence[int]) -> int:
    match part:
        case TracedPart.LAYER:
            return 1
        case TracedPart.UNIT:
            return int(shape[layer.unit_axis % len(shape)])
        case TracedPart.POSITION:
            extents = [shape[axis] for axis in layer.position_axes]
            return int(torch.Size(extents).numel())


def _masks(part: TracedPart, place: Place, inquiry: Inquiry) -> Iterator[Tensor]:
    """Some parts at a time as masks [parts, 1, ...] of the place's value."""
    shape, layer = place.value.shape, place.layer
    count = _count(part, layer, shape)
    each = max(1, inquiry.rows // inquiry.batch)
    axes = {
        TracedPart.LAYER: [],
        TracedPart.UNIT: [layer.unit_axis % len(shape)],
        TracedPart.POSITION: list(layer.position_axes),
    }[part]
    own = [extent if axis in axes else 1 for axis, extent in enumerate(shape)]
    for begin in range(0, count, each):
        numbers = torch.arange(begin, min(begin + each, count))
        masks = torch.zeros(len(numbers), count, dtype=torch.bool)
        masks[torch.arange(len(numbers)), numbers] = True
        yield masks.reshape(len(numbers), *own).to(place.value.device)


def _measured(base: Inquiry, place: Place, old: Tensor, new: Tensor, masks: Tensor) -> Tensor:
    """[parts, samples, targets] where each mask's part of `old` is that of `new`."""
    rows = torch.where(masks, new[None], old[None])
    samples = base.samples.repeat(len(masks))
    scores = base.measure(place.id, rows.flatten(0, 1), samples)
    return scores.reshape(len(masks), base.batch, -1)


def _rows(place: Place, part: TracedPart, values: Tensor, effects: Tensor) -> Iterator[Rows]:
    for number, (value, effect) in enumerate(zip(values.tolist(), effects.tolist(), strict=True)):
        yield Rows(
            EFFECTS,
            [
                (place.id, None if part is TracedPart.LAYER else number, target, sample,
                 value[sample][target], effect[sample][target])
                for sample in range(len(value))
                for target in range(len(value[sample]))
            ],
        )  # fmt: skip


def _array(place: Place, part: TracedPart, effects: Tensor) -> Array:
    return Array(
        name="effects",
        value=effects.permute(2, 1, 0).float(),
        axes=("target", "batch", str(part)),
        layer=place.id,
    )


def _drawn(
    question: Question, place: Place, part: TracedPart, effects: Tensor
) -> Iterator[Picture]:
    """For each target and sample bars of units, or a map of positions."""
    extents = [place.value.shape[axis] for axis in place.layer.position_axes]
    for target, sample, values in _each(effects):
        title = f"{place.id}: what each {part} does for {_name(question, target, sample)}"
        scale = float(values.abs().max())
        if part is TracedPart.POSITION and len(extents) == 2:
            rows, columns = ([str(number) for number in range(extent)] for extent in extents)
            grid = values.reshape(extents).numpy()
            pixels = heat_map(grid, rows, columns, title, scale=scale or 1.0)
        elif len(values) <= MAX_DRAWN:
            low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
            chart = Chart(title, [str(number) for number in range(len(values))], linear(low, high))
            chart.bars(values.tolist())
            pixels = chart.pixels()
        else:
            continue
        yield Picture(
            name="effects", pixels=pixels, sample=sample, target=target, layer=place.id,
            caption=f"{title}; the largest is {scale:.3g}",
        )  # fmt: skip


def _layers(question: Question, effects: Tensor) -> Iterator[Picture]:
    """For each target and sample a curve along the layers."""
    names = [place.id for place in question.places]
    for target, sample, values in _each(effects):
        title = f"what each layer does for {_name(question, target, sample)}"
        low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
        chart = Chart(title, names, linear(low, high))
        chart.curve(values.tolist())
        yield Picture(
            name="effects", pixels=chart.pixels(), sample=sample, target=target, caption=title
        )


def _each(effects: Tensor) -> Iterator[tuple[int, int, Tensor]]:
    for target in range(effects.shape[2]):
        for sample in range(effects.shape[1]):
            yield target, sample, effects[:, sample, target].float().cpu()


def _name(question: Question, target: int, sample: int) -> str:
    return question.inquiry.targets[target].name(question.model, sample)
