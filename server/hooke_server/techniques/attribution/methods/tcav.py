"""Concepts that a client shows, and whether what speaks for a target points their way.

v = normal of the plane between examples of a concept and counter-examples, in a layer
score = share of the samples where the target grows along v
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from hooke_server.errors import FailedPreconditionError, Reason, invalid
from hooke_server.models.layer import Layer
from hooke_server.models.model import Model
from hooke_server.techniques.attribution.baselines import prepared
from hooke_server.techniques.attribution.directions import (
    Space,
    accuracy,
    classified,
    direction,
    p_value,
)
from hooke_server.techniques.attribution.method import Effort, inner, method
from hooke_server.techniques.attribution.methods.class_activation import last_maps
from hooke_server.techniques.attribution.question import Answers, Place, Question
from hooke_server.techniques.attribution.targets import Target
from hooke_server.techniques.frames import Array, Progress
from hooke_server.techniques.parameters import Range
from hooke_server.techniques.tables import Column, ColumnType, Finding, Rows, Table
from hooke_server.techniques.targets import Photograph, Site

LEAST = 4
"""Pictures of a concept; half of them are held out in each run."""

SURE = 0.05
"""A p-value below which, divided by the number of tests, a score is told from random ones."""

TABLE = Table(
    name="tcav",
    caption="how often targets grow towards concepts",
    columns=(
        Column("concept", ColumnType.TEXT, "Its name."),
        Column("layer", ColumnType.TEXT, "Where its direction was found."),
        Column("target", ColumnType.INTEGER, "Which target, counted from 0."),
        Column("name", ColumnType.TEXT, "What the target is."),
        Column("score", ColumnType.NUMBER, "Share of samples where the target grows towards it."),
        Column("random_score", ColumnType.NUMBER, "The same towards random directions."),
        Column("p_value", ColumnType.NUMBER, "Of the two being alike, two-sided; never 0."),
        Column("accuracy", ColumnType.NUMBER, "Of the classifier, for pictures held out."),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Concept:
    """What some pictures have in common."""

    name: Annotated[str, "What it is called."]
    images: Annotated[tuple[Photograph, ...], "Pictures that show it, at least 4; best 30 or more."]


def _check(
    model: Model,
    field: str,
    *,
    concepts: tuple[Concept, ...],
    counter_examples: tuple[Photograph, ...],
    **_: object,
) -> None:
    prepared(model)
    if len(model.inputs) != 1:
        message = "concepts are pictures, and this model takes more than one input"
        raise FailedPreconditionError(Reason.TECHNIQUE_NOT_APPLICABLE, message, field=field)
    names = [each.name for each in concepts]
    if not names or len(set(names)) < len(names) or not all(names):
        raise invalid("name at least one concept, each by a name of its own", f"{field}.concepts")
    for index, each in enumerate(concepts):
        if len(each.images) < LEAST:
            few = f"{each.name!r} has {len(each.images)} pictures; show at least {LEAST}"
            raise invalid(few, f"{field}.concepts[{index}].images")
    if len(counter_examples) < 2 * LEAST:
        few = f"show at least {2 * LEAST} pictures of anything else, not {len(counter_examples)}"
        raise invalid(few, f"{field}.counter_examples")


def _effort(
    *, concepts: tuple[Concept, ...], counter_examples: tuple[Photograph, ...], **_: object
) -> Effort:
    count = sum(len(each.images) for each in concepts) + len(counter_examples)

    def scratch(layer: Layer, shape: Sequence[int]) -> int:
        """What a layer says to the pictures, and the space that this spans."""
        return 4 * 4 * count * math.prod(shape[1:])

    return Effort(rows=1 + count, scratch=scratch)


@method(
    title="Concept directions (TCAV)",
    source="Kim, Wattenberg, Gilmer, Cai, Wexler, Viégas, Sayres: Interpretability Beyond Feature "
    "Attribution: Quantitative Testing with Concept Activation Vectors, ICML 2018, "
    "https://arxiv.org/abs/1711.11279",
    effort=_effort,
    places=inner,
    default=last_maps,
    check=_check,
    tables=True,
)
def tcav(
    question: Question,
    *,
    concepts: Annotated[tuple[Concept, ...], "What is looked for."],
    counter_examples: Annotated[
        tuple[Photograph, ...], "Pictures of anything else, at least 8; best twice a concept's."
    ],
    runs: Annotated[int, Range(4, 1000), "Random choices of pictures to train on."] = 20,
    pooled: Annotated[
        bool, "Directions of the units' means over positions, in place of all numbers of the layer."
    ] = False,
) -> Answers:
    """Whether a concept that pictures show speaks for a target: a score in 0..1 and its p-value.

    The score is the share of the samples, which are to be examples of one class, where the target
    grows towards the concept. It means something where it differs from that of random
    directions, between counter-examples alone, and where the classifier is accurate. Each run draws
    half of the concept's pictures; the p-value takes into account that runs share them.
    """
    seen = yield from _seen(question, [*(e for c in concepts for e in c.images), *counter_examples])
    gradients = question.inquiry.gradients.gradients
    yield TABLE
    for place in question.places:
        space = Space.of(place, seen[place.id], gradients[place.id], pooled=pooled)
        tests = yield from _tests(question, space, concepts, runs)
        vectors = torch.stack([each.direction for each in tests])
        yield Array(name="tcav", value=vectors, axes=space.axes, layer=place.id)
        yield Rows(TABLE, [row for each in tests for row in each.rows(question, place)])
        yield from _findings(question, place, tests)


def _seen(
    question: Question, pictures: Sequence[Photograph]
) -> Generator[Progress, None, dict[str, Tensor]]:
    """What the places say to pictures."""
    inquiry, steps = question.inquiry, prepared(question.model)
    layers = [place.id for place in question.places]
    parts, shown = [], []
    for number, each in enumerate(pictures, 1):
        shown.append(steps.decode(each.data, each.field))
        if len(shown) == inquiry.rows or number == len(pictures):
            parts.append(inquiry.said_to(layers, [torch.stack(shown).to(inquiry.inputs[0])]))
            shown = []
        yield Progress(step=number, total=len(pictures))
    return {layer: torch.cat([part[layer] for part in parts]).float() for layer in layers}


@dataclass(frozen=True, kw_only=True)
class _Test:
    """A concept at a place: scores are [targets] each."""

    concept: str
    score: np.ndarray
    random_score: np.ndarray
    p_value: np.ndarray
    accuracy: float
    direction: Tensor

    def rows(self, question: Question, place: Place) -> Iterator[tuple[str | int | float, ...]]:
        """Of the table."""
        for number, target in enumerate(question.inquiry.targets):
            name = target_name(target, question.model)
            numbers = (self.score[number], self.random_score[number], self.p_value[number])
            found = (*map(float, numbers), self.accuracy)
            yield self.concept, place.id, number, name, *found


def _tests(
    question: Question, space: Space, concepts: Sequence[Concept], runs: int
) -> Generator[Progress, None, list[_Test]]:
    """Each run trains on half of a concept's pictures, and is judged by the other half."""
    generator, tests, begin = question.generator(), [], 0
    others = np.arange(sum(len(each.images) for each in concepts), len(space.examples))
    for number, concept in enumerate(concepts):
        theirs = np.arange(begin, begin + len(concept.images))
        begin += len(theirs)
        size = min(len(theirs), len(others)) // 2
        found, random, accuracies = [], [], []
        for run in range(runs):
            mine, rest = _drawn(theirs, size, generator)
            one, other = _drawn(others, size, generator)
            classifier = classified(space, mine, one)
            accuracies.append(accuracy(classifier, space, rest, other))
            found.append(direction(classifier))
            random.append(direction(classified(space, other[:size], one)))
            yield Progress(step=number * runs + run + 1, total=len(concepts) * runs)
        overlap = size / (len(theirs) - size)
        tests.append(_test(space, concept.name, (found, random), overlap, np.mean(accuracies)))
    return tests


def _drawn(
    which: np.ndarray, size: int, generator: torch.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """So many at random, and the others."""
    order = which[torch.randperm(len(which), generator=generator).numpy()]
    return order[:size], order[size:]


def _test(
    space: Space,
    name: str,
    directions: tuple[Sequence[np.ndarray], Sequence[np.ndarray]],
    overlap: float,
    accurate: np.floating,
) -> _Test:
    """Of a concept's directions and random ones."""
    scores, by_chance = (
        np.stack([(space.gradients @ vector > 0).mean(1) for vector in several])
        for several in directions
    )
    mean = torch.from_numpy(np.mean(directions[0], 0)).float().to(space.basis.device) @ space.basis
    pairs = zip(scores.T, by_chance.T, strict=True)
    return _Test(
        concept=name,
        score=scores.mean(0),
        random_score=by_chance.mean(0),
        p_value=np.array([p_value(*pair, overlap) for pair in pairs]),
        accuracy=float(accurate),
        direction=(mean / mean.norm().clamp(min=1e-12)).reshape(space.shape),
    )


def target_name(target: Target, model: Model) -> str:
    """Of a target, for all samples."""
    return "each sample's strongest output" if target.strongest else target.name(model)


def _findings(question: Question, place: Place, tests: Sequence[_Test]) -> Iterator[Finding]:
    """For each target what every concept does, corrected for the number of tests (Bonferroni)."""
    targets = question.inquiry.targets
    limit = SURE / (len(tests) * len(targets) * len(question.places))
    for number, target in enumerate(targets):
        words = [_words(each, number, limit) for each in tests]
        text = f"At {place.id}, for {target_name(target, question.model)}: {'; '.join(words)}."
        yield Finding(
            kind="tcav",
            text=text,
            sites=(Site(layer=place.id),),
            target=number,
            layer=place.id,
        )


def _words(test: _Test, target: int, limit: float) -> str:
    score, p_value = test.score[target], test.p_value[target]
    numbers = f"score {score:.2f}, {test.random_score[target]:.2f} at random, p = {p_value:.2g}"
    if p_value >= limit:
        return f"{test.concept!r} cannot be told from a random direction ({numbers})"
    side = "for" if score > test.random_score[target] else "against"
    return f"{test.concept!r} speaks {side} it ({numbers}; accuracy {test.accuracy:.2f})"
