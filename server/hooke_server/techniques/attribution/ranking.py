"""What an attribution ranks first, taken away or put in: curves, beside those of random orders.

How far a target falls when a tenth of the positions go depends on the network, the baseline, and
whether the positions lie together or apart. So the same is done in orders that know nothing of the
network and are as coarse as the answer: where its values are of features (superpixels, patches),
features exchange them; else they are shifted along the positions and mirrored at their ends, so
that what lies together stays together.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence

import torch
from scipy import stats
from torch import Tensor

from hooke_server.techniques.attribution.case import Case, Level, Measured, Measuring
from hooke_server.techniques.attribution.evidence import RANDOM_ORDERS
from hooke_server.techniques.frames import Progress

LEAST_CHANGE = 0.05
"""A smaller share of the target is no change that curves could be shares of."""

REACH = float(stats.t.ppf(0.95, RANDOM_ORDERS - 1)) * (1 + 1 / RANDOM_ORDERS) ** 0.5
"""Deviations from the mean of the random orders beyond which one more lies once in twenty."""


def deletion(case: Case) -> Measuring:
    """The area under the target as the most important positions go first (Petsiuk et al. 2018)."""
    found = yield from _compared(case, case.place.value, case.start)
    areas, chance = found.mean(3)[0], found.mean(3)[1:]
    return Measured(
        values=areas,
        good=areas < chance.mean(0) - REACH * chance.std(0),
        verdict=lambda level: (
            f"taking away what it ranks first leaves {level.value:.0%} of the target on average,"
            f" a random order {level.chance:.0%}" + _judged(level)
        ),
        missing="the baseline scores as high as the sample: nothing can be deleted",
        chance=chance.mean(0),
        curves=found[0],
        chance_curves=found[1:].mean(0),
    )


def insertion(case: Case) -> Measuring:
    """The area under the target as the most important positions come first (Petsiuk 2018)."""
    found = yield from _compared(case, case.start, case.place.value)
    areas, chance = found.mean(3)[0], found.mean(3)[1:]
    return Measured(
        values=areas,
        good=areas > chance.mean(0) + REACH * chance.std(0),
        verdict=lambda level: (
            f"showing what it ranks first brings {level.value:.0%} of the target on average,"
            f" a random order {level.chance:.0%}" + _judged(level)
        ),
        missing="the baseline scores as high as the sample: nothing can be inserted",
        chance=chance.mean(0),
        curves=found[0],
        chance_curves=found[1:].mean(0),
    )


def _judged(level: Level) -> str:
    return ": it ranks what matters" if level.good else ": no better than chance"


def _compared(case: Case, first: Tensor, second: Tensor) -> Generator[Progress, None, Tensor]:
    """[1 + random orders, targets, samples, points]: the target from `first` to `second`.

    In shares of its change from the baseline to the sample; NaN where it does not rise.
    """
    before, after = case.ends
    scale = torch.maximum(before.abs(), after.abs())
    rise = (after - before).masked_fill(after - before <= LEAST_CHANGE * scale, math.nan)
    points = case.evidence.steps + 1
    if rise.isnan().all():
        return rise[None, ..., None].repeat(1 + RANDOM_ORDERS, 1, 1, points)
    ranks = torch.stack(list(_orders(case)))
    said = yield from _curves(case, first, second, ranks.flatten(0, 1))
    curves = said.reshape(*ranks.shape[:2], points, -1).transpose(2, 3)
    return (curves - before[..., None]) / rise[..., None]


def _curves(
    case: Case, first: Tensor, second: Tensor, ranks: Tensor
) -> Generator[Progress, None, Tensor]:
    """[orders x targets, points, samples]: each order's target from `first` to `second`.

    At each point as many positions as its share have been replaced, the highest ranked first.
    """
    inquiry, steps = case.inquiry, case.evidence.steps
    targets = len(inquiry.targets)
    points = [(order, step) for order in range(len(ranks)) for step in range(steps + 1)]
    each, found = max(1, inquiry.rows // inquiry.batch), []
    for begin in range(0, len(points), each):
        some = points[begin : begin + each]
        yield Progress(step=begin + len(some), total=len(points))
        rows = [torch.where(ranks[order] < step / steps, second, first) for order, step in some]
        said = inquiry.measure(case.place.id, torch.cat(rows), inquiry.samples.repeat(len(some)))
        of_point = said.reshape(len(some), inquiry.batch, -1)
        for (order, _), scores in zip(some, of_point, strict=True):
            found.append(scores[:, order % targets])
    return torch.stack(found).reshape(len(ranks), steps + 1, -1)


def _orders(case: Case) -> Iterator[Tensor]:
    """The answer's ranks, then those of random orders, [targets, samples, ...] each."""
    place = case.place
    unit = place.layer.unit_axis % place.value.ndim + 1
    axes = [axis + 1 for axis in place.layer.position_axes]
    values = case.spread.sum(unit, keepdim=True) if axes else case.spread
    labels, generator = _features(case, values), case.question.generator()
    yield _ranks(values)
    for _ in range(RANDOM_ORDERS):
        moved = (
            _moved(values, axes, generator)
            if labels is None
            else _exchanged(values, labels, generator)
        )
        yield _ranks(moved)


def _features(case: Case, values: Tensor) -> Tensor | None:
    """Which of the values belong together, [samples, numbers]; None where no features share them.

    What tells units apart is no longer there where positions are ranked.
    """
    labels, place = case.answer.labels, case.place
    if labels is None:
        return torch.arange(values[0, 0].numel())[None] if not place.layer.position_axes else None
    unit = place.layer.unit_axis % place.value.ndim
    labels = labels.unsqueeze(unit) if case.answer.collapsed else labels
    if place.layer.position_axes and labels.shape[unit] > 1:
        return None
    return labels.expand(-1, *values.shape[2:]).flatten(1)


def _exchanged(values: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Each feature with the value of another."""
    flat, found = values.flatten(2), []
    for sample, of_sample in enumerate(labels.to(flat.device).expand(flat.shape[1], -1)):
        count = int(of_sample.max()) + 1
        by_feature = flat.new_zeros(len(flat), count)
        by_feature[:, of_sample] = flat[:, sample]
        order = torch.randperm(count, generator=generator).to(flat.device)
        found.append(by_feature[:, order][:, of_sample])
    return torch.stack(found, 1).reshape(values.shape)


def _moved(values: Tensor, axes: Sequence[int], generator: torch.Generator) -> Tensor:
    """Shifted along the positions and mirrored at their ends, so that nothing is torn apart."""
    for axis in axes:
        extent = values.shape[axis]
        shift = int(torch.randint(2 * extent, (), generator=generator))
        there = (torch.arange(extent) + shift) % (2 * extent)
        there = torch.minimum(there, 2 * extent - 1 - there)
        values = values.index_select(axis, there.to(values.device))
    return values


def _ranks(values: Tensor) -> Tensor:
    """Each position's rank in 0..1, 0 for the most important."""
    flat = values.flatten(2)
    order = flat.argsort(dim=2, descending=True, stable=True).argsort(dim=2)
    return (order / flat.shape[2]).reshape(values.shape)
