"""Measures of an attribution: whether it can be trusted.

A measure is a generator about a `Case`: what was answered at one place, and means to ask again.
It ends in a number for each target and sample, what that number says, and perhaps curves; between
two of its steps it tells its progress, so that it can be stopped there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor

from hooke_server.techniques.attribution.case import Case, Measured, Measuring
from hooke_server.techniques.attribution.drawing import as_maps
from hooke_server.techniques.attribution.evidence import EvidenceMeasure
from hooke_server.techniques.attribution.question import Place
from hooke_server.techniques.attribution.randomizing import randomized
from hooke_server.techniques.attribution.ranking import deletion, insertion
from hooke_server.techniques.frames import Progress

SMALL = 1e-12

RESOLUTION = 1e-5
"""Changes of a number below this share of it are what float32 rounds."""

PATCHES = 8
"""Patches along an axis, of which disturbances move some."""


ACCOUNTS = {
    True: ", so it accounts for it",
    False: "; it is no division of the target",
    None: ", which it does not set out to share",
}


def completeness(case: Case) -> Measuring:
    """|sum of the attribution - (f(x) - f(x'))| / |f(x) - f(x')| (Sundararajan et al. 2017).

    Told of every method, and judged of those that set out to share the target's change.
    """
    yield Progress(step=1, total=1)
    before, after = case.ends
    change = after - before
    # Where nothing changes, rounding alone would be a miss of any size.
    still = change.abs() <= RESOLUTION * after.abs().clamp(min=SMALL)
    total = case.answer.shares.flatten(2).sum(2).to(change)
    error = ((total - change).abs() / change.abs()).masked_fill(still, math.nan)
    return Measured(
        values=error,
        good=error < 0.05 if case.complete else None,
        verdict=lambda level: (
            f"its sum misses the change of the target by {level.value:.1%}" + ACCOUNTS[level.good]
        ),
        missing="the target is the same for the baseline and the sample: nothing can be shared out",
    )


def infidelity(case: Case) -> Measuring:
    """How badly its shares predict what disturbances do (after Yeh et al., NeurIPS 2019).

    u moves random patches a fifth of the way to the baseline, and the shares A say that the target
    falls by u.A: E[(b u.A - fall)^2] / E[fall^2] with the scale b >= 0 that fits best. 0 is a
    perfect prediction, 1 as good as none.
    """
    inquiry, place, generator = case.inquiry, case.place, case.question.generator()
    total, each = case.evidence.samples, max(1, case.inquiry.rows // case.inquiry.batch)
    predicted, happened = [], []
    for begin in range(0, total, each):
        count = min(each, total - begin)
        yield Progress(step=begin + count, total=total)
        moved = torch.stack([0.2 * _patches(place, generator) for _ in range(count)])
        value = torch.lerp(place.value, case.start, moved.expand(count, *place.value.shape))
        after = inquiry.measure(place.id, value.flatten(0, 1), inquiry.samples.repeat(count))
        happened.append(inquiry.scores - after.reshape(count, inquiry.batch, -1))
        predicted += [(case.shares * each).flatten(2).sum(2).to(after) for each in moved]
    said, was = torch.stack(predicted), torch.cat(happened).transpose(1, 2)
    still = was.abs().amax(0) <= RESOLUTION * inquiry.scores.T.abs().clamp(min=SMALL)
    # Shares that say the contrary of what happens predict nothing, however they are scaled.
    scale = ((said * was).sum(0) / said.square().sum(0).clamp(min=SMALL)).clamp(min=0)
    error = (scale * said - was).square().sum(0) / was.square().sum(0)
    error = error.masked_fill(still, math.nan)
    return Measured(
        values=error,
        good=error < 0.5,
        verdict=lambda level: (
            f"its shares leave {level.value:.0%} of what small disturbances do unexplained"
        ),
        missing="small disturbances do nothing that could be predicted",
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
    size = case.answer.values.flatten(2).norm(dim=2)
    size = size.masked_fill(size < SMALL, math.nan)
    largest = 0 * size
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
        good=largest < 0.5,
        verdict=lambda level: (
            f"it changes by {level.value:.0%} at most in the {case.evidence.samples} disturbances"
            " tried, of 2 % of the input's range"
            + (": steady" if level.good else ": unsteady, do not read its details")
        ),
        missing="it is zero everywhere",
    )


def _within(value: Tensor, generator: torch.Generator) -> Tensor:
    flat = value.flatten(1)
    extent = (flat.amax(1) - flat.amin(1)).reshape(-1, *[1] * (value.ndim - 1))
    drawn = torch.rand(value.shape, generator=generator, dtype=value.dtype).to(value.device)
    return (drawn * 2 - 1) * extent * 0.02


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
    whole = positive.sum((2, 3))
    share = (positive * inside).sum((2, 3)) / whole.masked_fill(whole < SMALL, math.nan)
    even = float(inside.float().mean())
    return Measured(
        values=share,
        good=share > even,
        verdict=lambda level: (
            f"{level.value:.0%} of what speaks for it lies in the region,"
            f" which is {level.chance:.0%} of the picture"
        ),
        missing="nothing speaks for it",
        chance=torch.full_like(share, even),
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
        good=correlation.abs() < 0.5,
        verdict=lambda level: (
            f"with shuffled weights the answer correlates by {level.value:.2f}"
            + (": it needs this network" if level.good else ": it hardly needs this network")
        ),
        missing="with shuffled weights or without, it is the same everywhere: nothing correlates",
    )


def _rank_correlation(one: Tensor, other: Tensor) -> Tensor:
    """Spearman's, along the last axis; NaN where one of them is the same everywhere."""
    ranks = [torch.from_numpy(stats.rankdata(each.cpu().numpy(), axis=-1)) for each in (one, other)]
    first, second = (each - each.mean(-1, keepdim=True) for each in ranks)
    below = first.norm(dim=-1) * second.norm(dim=-1)
    correlation: Tensor = (first * second).sum(-1) / below.masked_fill(below == 0, math.nan)
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
        good=share < 0.3,
        verdict=lambda level: (
            "it is the same with every seed"
            if level.value < SMALL
            else f"another seed changes it by {level.value:.0%}"
            + ("" if level.good else "; take more samples before you read its details")
        ),
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
