"""Methods that take one part away at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import torch
from torch import Tensor

from hooke_server.models.layer import Layer, extent_at
from hooke_server.models.model import Model
from hooke_server.techniques.attribution.baselines import Baselines
from hooke_server.techniques.attribution.features import Features, effort, undivided
from hooke_server.techniques.attribution.method import Effort, method
from hooke_server.techniques.attribution.perturbing import (
    PREVIEWS,
    Estimated,
    Mixture,
    by_design,
)
from hooke_server.techniques.attribution.question import Answers, Place, Question
from hooke_server.techniques.frames import Progress
from hooke_server.techniques.parameters import AtMost, Range

WINDOWS = 7
"""Windows side by side along an axis, where nobody said how large they are."""


def extents(
    window: Sequence[int], stride: Sequence[int], positions: Sequence[int]
) -> tuple[list[int], list[int]]:
    """The window and the stride along each axis."""
    axes = len(positions)
    sizes = list(window) * (axes // (len(window) or 1)) or [max(1, n // WINDOWS) for n in positions]
    steps = list(stride) * (axes // (len(stride) or 1)) or [max(1, size // 2) for size in sizes]
    return sizes, steps


def corners(
    window: Sequence[int], stride: Sequence[int], positions: Sequence[int]
) -> Iterator[tuple[int, ...]]:
    """Where windows begin; the last along an axis ends at the edge or is cut there."""
    counts = [
        math.ceil(max(0, n - size) / step) + 1
        for size, step, n in zip(window, stride, positions, strict=True)
    ]
    for at in itertools.product(*map(range, counts)):
        yield tuple(index * step for index, step in zip(at, stride, strict=True))


def _shape(layer: Layer, shape: Sequence[int]) -> list[int]:
    return [shape[axis] for axis in layer.position_axes]


def _misfit(
    model: Model, layer: Layer, *, window: Sequence[int], stride: Sequence[int], **_: Any
) -> str:
    axes = len(layer.position_axes)
    if not axes:
        return "it has no positions that a window could slide over; use feature_ablation"
    for name, given in (("window", window), ("stride", stride)):
        if len(given) not in {0, 1, axes}:
            return f"{name} has {len(given)} values; it needs one, or {axes}"
    positions = _shape(layer, [extent_at(extent, 1) for extent in layer.output.shape])
    for size, step in zip(*extents(window, stride, positions), strict=True):
        if step > size:
            return f"a stride of {step} leaves gaps between windows of {size}"
    return ""


def _effort(
    *, window: Sequence[int], stride: Sequence[int], baselines: Sequence[Any], **_: Any
) -> Effort:
    def rows(layer: Layer, shape: Sequence[int]) -> int:
        positions = _shape(layer, shape)
        sizes, steps = extents(window, stride, positions)
        return len(list(corners(sizes, steps, positions))) * max(1, len(baselines))

    return Effort(rows=rows, gradients=False)


@method(
    title="Occlusion",
    source="Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV 2014, "
    "https://arxiv.org/abs/1311.2901",
    effort=_effort,
    gradients=False,
    misfit=_misfit,
)
def occlusion(
    question: Question,
    *,
    window: Annotated[
        tuple[int, ...],
        Range(1, 4096),
        AtMost(3),
        "Extent along each position axis, or one for all; none: a seventh of the axis.",
    ] = (),
    stride: Annotated[
        tuple[int, ...],
        Range(1, 4096),
        AtMost(3),
        "Distance of neighbouring windows, at most their extent; none: half of it.",
    ] = (),
    baselines: Baselines = (),
) -> Answers:
    """By how much the target falls where a sliding window hides the place.

    Each position takes the mean over the windows that hid it, all units together.
    """
    slides = [_Slide(each, window, stride) for each in question.places]
    done, total = 0, sum(len(slide.corners) for slide in slides)
    for slide in slides:
        mixture = Mixture(question, slide.place, baselines)
        whole = question.inquiry.scores.flatten()
        fallen = torch.zeros(mixture.columns, math.prod(mixture.positions), dtype=torch.float64)
        hidden, shown = torch.zeros(fallen.shape[1], dtype=torch.float64), 0
        for begin in range(0, len(slide.corners), mixture.draws):
            windows = slide.windows(begin, mixture.draws)
            falls = (whole - mixture.through(1 - windows)).double().cpu()
            inside = windows.flatten(1).double()
            fallen, hidden = fallen + falls.T @ inside, hidden + inside.sum(0)
            values = (fallen / hidden.clamp(min=1)).reshape(-1, *mixture.positions)
            yield Progress(step=done + begin + len(windows), total=total)
            part = (begin + len(windows)) * PREVIEWS // len(slide.corners)
            if shown < part < PREVIEWS:
                shown = part
                yield mixture.answer(values, final=False)
        yield mixture.answer(values)
        done += len(slide.corners)


class _Slide:
    """The ways of a window over a place."""

    def __init__(self, place: Place, window: Sequence[int], stride: Sequence[int]) -> None:
        self.place, self._positions = place, _shape(place.layer, place.value.shape)
        self._window, steps = extents(window, stride, self._positions)
        self.corners = list(corners(self._window, steps, self._positions))

    def windows(self, begin: int, count: int) -> Tensor:
        """1 inside some of the windows, 0 elsewhere, [windows, *positions]."""
        chosen = self.corners[begin : begin + count]
        masks = torch.zeros(len(chosen), *self._positions)
        for mask, corner in zip(masks, chosen, strict=True):
            mask[tuple(slice(a, a + n) for a, n in zip(corner, self._window, strict=True))] = 1
        return masks


@method(
    title="Feature ablation",
    source="as in Captum, https://captum.ai/api/feature_ablation.html; Merrick: Randomized "
    "Ablation Feature Importance, 2019, https://arxiv.org/abs/1910.00174",
    effort=lambda *, features, baselines, **_: effort(
        features, baselines, lambda n: n + 1, errors=False
    ),
    gradients=False,
    misfit=undivided,
)
def feature_ablation(
    question: Question, *, features: Features = None, baselines: Baselines = ()
) -> Answers:
    """By how much the target falls without each feature; all of a feature holds its value."""
    yield from by_design(question, features, baselines, _OneByOne)


class _OneByOne:
    """First the whole, then without one feature after the other."""

    def __init__(self, features: int, generator: torch.Generator) -> None:
        self.count, self.least, self._features = features + 1, 2, features

    def keep(self, numbers: Tensor) -> Tensor:
        """All but one."""
        return torch.arange(self._features) != numbers[:, None] - 1

    def estimate(self, scores: Tensor) -> Estimated:
        """What was lost; nothing yet where nothing was tried."""
        lost = scores[0] - scores[1:]
        missing = lost.new_zeros(self._features - len(lost), lost.shape[1])
        return Estimated(torch.cat([lost, missing]))
