"""What optimizing pictures costs, and how many share a pass because of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hooke_server.errors import memory_exceeded
from hooke_server.models.layer import Layer
from hooke_server.models.model import Model
from hooke_server.techniques.frames import Estimate
from hooke_server.techniques.objectives.algebra import Objective
from hooke_server.techniques.passes import (
    ALLOCATOR,
    SHARE,
    kept_bytes,
    largest_bytes,
    macs_of,
    most_in_a_pass,
)
from hooke_server.techniques.plans import View
from hooke_server.techniques.reach import upstream
from hooke_server.techniques.visualization.ascent import Ascent, gradient_free
from hooke_server.techniques.visualization.sight import Size, Subject, channels

PICTURE_COPIES = 12
"""Copies of a picture that transforms, colours, their gradients and the optimizer hold together."""


def ascent_estimate(
    view: View,
    subjects: Sequence[Subject],
    ascent: Ascent,
    *,
    size: Size | None = None,
    model: int = 0,
) -> Estimate:
    """What an optimization of these costs."""
    size, seen = size or ascent.picture_size(), view.models[model]
    memory, macs, layers, largest = 0, 0, dict[str, None](), 0
    for batch in batches(view, seen, penalized(subjects, ascent), ascent, size):
        cost, count = ascent_cost(seen, batch, ascent, size), sum(s.pictures for s in batch)
        memory = max(memory, cost.beside + count * cost.each)
        macs += cost.macs * count * ascent.steps
        largest = max(largest, count)
        layers |= dict.fromkeys(i for s in batch for i in s.objective.layers(seen))
    return Estimate(memory_bytes=memory, macs=macs, layers=tuple(layers), batch_size=largest)


def batches(
    view: View, model: Model, subjects: Sequence[Subject], ascent: Ascent, size: Size
) -> list[list[Subject]]:
    """Subjects that share passes: as many as the memory allows, all seen at one size.

    ResourceExhaustedError where the pictures of one subject do not fit alone.
    """
    groups: dict[Size | None, list[Subject]] = {}
    for subject in subjects:
        groups.setdefault(subject.seen_at(model, size), []).append(subject)
    made: list[list[Subject]] = []
    for group in groups.values():
        made += _split(view, model, group, ascent, size)
    return made


def _split(
    view: View, model: Model, group: Sequence[Subject], ascent: Ascent, size: Size
) -> list[list[Subject]]:
    cost = ascent_cost(model, group, ascent, size)
    limit = most_in_a_pass(model)
    if view.memory is not None:
        limit = min(limit, int((view.memory * SHARE - cost.beside) // cost.each))
    made: list[list[Subject]] = []
    for subject in group:
        needed = cost.beside + subject.pictures * cost.each
        if view.memory is not None and needed > view.memory:
            less = "smaller or fewer pictures or an earlier layer"
            raise memory_exceeded("one item", needed, view.memory, less)
        count = sum(each.pictures for each in made[-1]) if made else limit
        if count + subject.pictures > limit:
            made.append([])
        made[-1].append(subject)
    return made


def penalized(subjects: Sequence[Subject], ascent: Ascent) -> list[Subject]:
    """The subjects with the ascent's penalty added to their objectives."""
    penalty = ascent.penalty or Objective()
    return [replace(each, objective=each.objective + penalty) for each in subjects]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What pictures take: bytes each while they climb, bytes beside, and MACs a step each."""

    each: int
    beside: int
    macs: int


def ascent_cost(model: Model, subjects: Sequence[Subject], ascent: Ascent, size: Size) -> Cost:
    """What it takes to raise what the subjects are about, in pictures of that size.

    Memory: every value on the way to their layers is kept for the way back, where
    gradients of the largest and what a convolution works in are held beside; weights
    are copied once, folded. Operations: a pass forward and one back
    to the picture.
    """
    height, width = (ascent.transforms.grown(edge) for edge in size)
    seen_at = subjects[0].seen_at(model, size)
    layers = tuple(dict.fromkeys(i for s in subjects for i in s.objective.layers(model)))
    needed = upstream(model, layers)
    area = _area(model, seen_at or (height, width))
    free = gradient_free(ascent, model)
    passes = ascent.transforms.copies * (model.fixed_batch or 1)
    network = int(
        ALLOCATOR * passes * (largest_bytes(needed, area) if free else kept_bytes(needed, area))
    )
    picture = PICTURE_COPIES * 4 * (channels(model) + 1) * height * width * ascent.transforms.copies
    references = len({each for s in subjects for each in s.objective.photographs})
    runs = 24 if free else 2
    return Cost(
        each=network + picture,
        beside=references * (network + picture) + (0 if free else folded_bytes(model, needed)),
        macs=int(runs * passes * macs_of(needed, area)),
    )


def pass_estimate(model: Model, layers: tuple[str, ...]) -> Estimate:
    """What one pass to some layers and back costs, at the model's own size."""
    needed, batch = upstream(model, layers), model.fixed_batch or 1
    memory = int(batch * kept_bytes(needed, 1.0)) + 4 * PICTURE_COPIES * model.inputs[0].count()
    return Estimate(memory_bytes=memory, macs=int(2 * batch * macs_of(needed, 1.0)), layers=layers)


def forward_estimate(model: Model, layers: tuple[str, ...], batch: int, count: int) -> Estimate:
    """What `count` pictures cost that are only looked at, in batches, at the model's size."""
    needed = upstream(model, layers)
    pictures = PICTURE_COPIES * 4 * model.inputs[0].count()
    memory = (
        int(batch * (largest_bytes(needed, 1.0) + pictures)) + count * pictures // PICTURE_COPIES
    )
    return Estimate(memory_bytes=memory, macs=int(count * macs_of(needed, 1.0)), layers=layers)


def folded_bytes(model: Model, layers: Sequence[Layer]) -> int:
    """Copies of convolutions' weights that quick probes use."""
    keys = {weight.key for layer in layers if layer.op == "conv2d" for weight in layer.weights}
    return sum(model.weights[key].nbytes for key in keys)


def _area(model: Model, size: Size) -> float:
    """The area of a picture, in areas of the picture that the layer table was made for."""
    return size[0] * size[1] * channels(model) / model.inputs[0].count()
