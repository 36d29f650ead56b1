"""Measures of an attribution: whether it can be trusted.

A measure is a generator about a `Case`: what was answered at one place, and means to ask again.
It ends in a number for each target and sample, what that number says, and perhaps curves; between
two of its steps it tells its progress, so that it can be stopped there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from hooke_server.techniques.attribution.case import Case, Measured, Measuring
from hooke_server.techniques.attribution.drawing import as_maps
from hooke_server.techniques.attribution.evidence import EvidenceMeasure
from hooke_server.techniques.attribution.question import Place
from hooke_server.techniques.attribution.randomizing import randomized
from hooke_server.techniques.frames import Progress

SMALL = 1e-12

RESOLUTION = 1e-5
"""Changes of a number below this share of it are what float32 rounds."""

PATCHES = 8
"""Patches along an axis, of which disturbances move some."""


def completeness(case: Case) -> Measuring:
    """|sum of the attribution - (f(x) - f(x'))| / |f(x) - f(x')| (Sundararajan et al. 2017)."""
    yield Progress(step=1, total=1)
    before, after = case.ends
    change = after - before
    # Where nothing changes, rounding alone would be a miss of any size.
    still = change.abs() <= RESOLUTION * after.abs().clamp(min=SMALL)
    if still.all():
        return None
    total = case.answer.shares.flatten(2).sum(2).to(change)
    error = ((total - change).abs() / change.abs()).masked_fill(still, math.nan)
    return Measured(
        values=error,
        verdict=lambda value: (
            f"its sum misses the change of the target by {value:.1%}"
            + (", so it accounts for it" if value < 0.05 else "; it is no division of the target")
        ),
        good=lambda value: value < 0.05,
    )


def infidelity(case: Case) -> Measuring:
    """How badly its shares predict what disturbances do (after Yeh et al., NeurIPS 2019).

    u moves random patches a fifth of the way to the baseline, and the shares A say that the target
    falls by u.A: E[(b u.A - fall)^2] / E[fall^2] with the scale b that fits best. 0 is a perfect
    prediction, 1 as good as none.
    """
    inquiry, place, generator = case.inquiry, case.place, case.question.generator()
    predicted, happened = [], []
    for done in range(case.evidence.samples):
        yield Progress(step=done + 1, total=case.evidence.samples)
        moved = 0.2 * _patches(place, generator)
        value = torch.lerp(place.value, case.start, moved.expand_as(place.value))
        after = inquiry.measure(place.id, value, inquiry.samples)
        happened.append((inquiry.scores - after).T)
        predicted.append((case.shares * moved).flatten(2).sum(2).to(after))
    said, was = torch.stack(predicted), torch.stack(happened)
    scale = (said * was).sum(0) / said.square().sum(0).clamp(min=SMALL)
    error = (scale * said - was).square().sum(0) / was.square().sum(0).clamp(min=SMALL)
    return Measured(
        values=error,
        verdict=lambda value: (
            f"its shares leave {value:.0%} of what small disturbances do unexplained"
        ),
        good=lambda value: value < 0.5,
    )


def _patches(place: Place, generator: torch.Generator) -> Tensor:
    """Half of a place's positions, in patches, as 1; half of its numbers where it has none."""
    shape, axes = place.value.shape, place.layer.position_axes
    cells = [min(extent, PATCHES) if axis in axes else 1 for axis, extent in enumerate(shape)]
    if not axes:
        cells = list(shape)
    drawn = (torch.rand([shape[0], *cells[1:]], generator=generator) < 0.5).to(place.value)
    for axis in axes:
        index = torch.arange(shape[axis], device=drawn.device) * cells[axis] // shape[axis]
        drawn = drawn.index_select(axis, index)
    return drawn


def max_sensitivity(case: Case) -> Measuring:
    """The largest relative change of the answer for inputs within 0.02 of the range (Yeh 2019)."""
    inquiry, generator = case.inquiry, case.question.generator()
    size = case.answer.values.flatten(2).norm(dim=2).clamp(min=SMALL)
    largest = torch.zeros_like(size)
    for _ in range(case.evidence.samples):
        other = [
            each + _within(each, generator) if each.is_floating_point() else each
            for each in inquiry.inputs
        ]
        moved = yield from case.again(inquiry.about(inquiry.model, other, inquiry.seed))
        change = (moved - case.answer.values).flatten(2).norm(dim=2) / size
        largest = torch.maximum(largest, change)
    return Measured(
        values=largest,
        verdict=lambda value: (
            f"it changes by {value:.0%} at most when the input changes by 2 %"
            + (": steady" if value < 0.5 else ": unsteady, do not read its details")
        ),
        good=lambda value: value < 0.5,
    )


def _within(value: Tensor, generator: torch.Generator) -> Tensor:
    flat = value.flatten(1)
    extent = (flat.amax(1) - flat.amin(1)).reshape(-1, *[1] * (value.ndim - 1))
    drawn = torch.rand(value.shape, generator=generator, dtype=value.dtype).to(value.device)
    return (drawn * 2 - 1) * extent * 0.02


def deletion(case: Case) -> Measuring:
    """The area under the target as the most important positions go first (Petsiuk et al. 2018)."""
    curves = yield from _curves(case, case.place.value, case.start)
    return Measured(
        values=curves.mean(2),
        verdict=lambda value: (
            f"taking away what it ranks first leaves {value:.0%} of the target on average"
            + (": it ranks what matters" if value < 0.4 else "")
        ),
        good=lambda value: value < 0.4,
        curves=curves,
    )


def insertion(case: Case) -> Measuring:
    """The area under the target as the most important positions come first (Petsiuk 2018)."""
    curves = yield from _curves(case, case.start, case.place.value)
    return Measured(
        values=curves.mean(2),
        verdict=lambda value: (
            f"showing what it ranks first brings {value:.0%} of the target on average"
            + (": it ranks what matters" if value > 0.6 else "")
        ),
        good=lambda value: value > 0.6,
        curves=curves,
    )


def _curves(case: Case, first: Tensor, second: Tensor) -> Generator[Progress, None, Tensor]:
    """[targets, samples, points]: the target from `first` to `second`, in shares of its change.

    At each point as many positions as its share have been replaced, the highest ranked first.
    """
    inquiry, steps, ranks = case.inquiry, case.evidence.steps, _ranks(case)
    before, after = case.ends
    span = torch.where((after - before).abs() < SMALL, 1.0, after - before)
    points = [(target, step) for target in range(len(ranks)) for step in range(steps + 1)]
    each, found = max(1, inquiry.rows // inquiry.batch), []
    for begin in range(0, len(points), each):
        some = points[begin : begin + each]
        yield Progress(step=begin + len(some), total=len(points))
        rows = [torch.where(ranks[target] < step / steps, second, first) for target, step in some]
        said = inquiry.measure(case.place.id, torch.cat(rows), inquiry.samples.repeat(len(some)))
        of_point = said.reshape(len(some), inquiry.batch, -1)
        for (target, _), scores in zip(some, of_point, strict=True):
            found.append((scores[:, target] - before[target]) / span[target])
    return torch.stack(found).reshape(len(ranks), steps + 1, -1).transpose(1, 2)


def _ranks(case: Case) -> Tensor:
    """[targets, samples, ...]: each position's rank in 0..1, 0 for the most important."""
    place = case.place
    unit = place.layer.unit_axis % place.value.ndim + 1
    values = case.spread.sum(unit, keepdim=True) if place.layer.position_axes else case.spread
    flat = values.flatten(2)
    order = flat.argsort(dim=2, descending=True, stable=True).argsort(dim=2)
    return (order / flat.shape[2]).reshape(values.shape)


def pointing(case: Case) -> Measuring:
    """The share of what speaks for the target that lies in the region (after Zhang et al. 2016)."""
    yield Progress(step=1, total=1)
    shares = replace(case.answer, values=case.answer.shares)
    maps, region = as_maps(shares), case.evidence.region
    if maps is None or region is None:
        return None
    height, width = maps.shape[2:]
    rows = (torch.arange(height) + 0.5) / height
    columns = (torch.arange(width) + 0.5) / width
    inside = ((rows >= region.top) & (rows < region.bottom))[:, None] & (
        (columns >= region.left) & (columns < region.right)
    )
    positive = F.relu(maps).cpu()
    share = (positive * inside).sum((2, 3)) / positive.sum((2, 3)).clamp(min=SMALL)
    even = float(inside.float().mean())
    return Measured(
        values=share,
        verdict=lambda value: (
            f"{value:.0%} of what speaks for it lies in the region,"
            f" which is {even:.0%} of the picture"
        ),
        good=lambda value: value > even,
    )


def parameter_randomization(case: Case) -> Measuring:
    """Rank correlation with the answer of a network whose weights were shuffled (Adebayo 2018).

    An explanation of this network must not be one of any network: near 0 is good.
    """
    inquiry = case.inquiry
    shuffled = randomized(inquiry.model, inquiry.seed)
    found = yield from case.again(inquiry.about(shuffled, inquiry.inputs, inquiry.seed))
    correlation = _rank_correlation(case.answer.values.flatten(2).abs(), found.flatten(2).abs())
    return Measured(
        values=correlation,
        verdict=lambda value: (
            f"with shuffled weights the answer correlates by {value:.2f}"
            + (": it needs this network" if abs(value) < 0.5 else ": it hardly needs this network")
        ),
        good=lambda value: abs(value) < 0.5,
    )


def _rank_correlation(one: Tensor, other: Tensor) -> Tensor:
    """Spearman's, along the last axis."""
    ranks = [each.argsort(2).argsort(2).double() for each in (one, other)]
    first, second = (each - each.mean(2, keepdim=True) for each in ranks)
    below = first.norm(dim=2) * second.norm(dim=2)
    correlation: Tensor = (first * second).sum(2) / below.clamp(min=SMALL)
    return correlation


def seed_interval(case: Case) -> Measuring:
    """How much seeds differ: the norm of the answer's deviation over that of its mean."""
    inquiry = case.inquiry
    mean, squares = case.answer.values, torch.zeros_like(case.answer.values)
    for more in range(1, case.evidence.seeds):  # Welford 1962, so that no answer is kept
        found = yield from case.again(
            inquiry.about(inquiry.model, inquiry.inputs, inquiry.seed + more)
        )
        apart = found - mean
        mean = mean + apart / (more + 1)
        squares = squares + apart * (found - mean)
    deviation = (squares / (case.evidence.seeds - 1)).sqrt().flatten(2).norm(dim=2)
    share = deviation / mean.flatten(2).norm(dim=2).clamp(min=SMALL)
    return Measured(
        values=share,
        verdict=lambda value: (
            "it is the same with every seed"
            if value < SMALL
            else f"another seed changes it by {value:.0%}"
            + ("" if value < 0.3 else "; take more samples before you read its details")
        ),
        good=lambda value: value < 0.3,
    )


MEASURES: dict[EvidenceMeasure, Callable[[Case], Measuring]] = {
    EvidenceMeasure.COMPLETENESS: completeness,
    EvidenceMeasure.INFIDELITY: infidelity,
    EvidenceMeasure.MAX_SENSITIVITY: max_sensitivity,
    EvidenceMeasure.DELETION: deletion,
    EvidenceMeasure.INSERTION: insertion,
    EvidenceMeasure.POINTING: pointing,
    EvidenceMeasure.PARAMETER_RANDOMIZATION: parameter_randomization,
    EvidenceMeasure.SEED_INTERVAL: seed_interval,
}
