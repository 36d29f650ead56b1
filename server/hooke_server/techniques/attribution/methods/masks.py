"""RISE: what the target says through random soft masks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hooke_server.models.layer import Layer
from hooke_server.models.model import Model
from hooke_server.techniques.attribution.baselines import Baselines
from hooke_server.techniques.attribution.method import Effort, method
from hooke_server.techniques.attribution.perturbing import PREVIEWS, Mixture
from hooke_server.techniques.attribution.question import Answer, Answers, Question
from hooke_server.techniques.frames import Progress
from hooke_server.techniques.parameters import Range

SMOOTH = {1: "linear", 2: "bilinear", 3: "trilinear"}
"""How a mask is enlarged, by its axes."""


def _effort(*, masks: int, cells: int, baselines: Sequence[Any], **_: Any) -> Effort:
    def coarse(layer: Layer, shape: Sequence[int]) -> int:
        """Bytes of all masks before they are made smooth."""
        return 6 * masks * math.prod(min(cells, shape[axis]) for axis in layer.position_axes)

    rows = masks * max(1, len(baselines))
    return Effort(rows=rows, gradients=False, errors=True, scratch=coarse, copies=10)


def _misfit(model: Model, layer: Layer, **_: Any) -> str:
    if len(layer.position_axes) in SMOOTH:
        return ""
    return "it has no positions that a mask could be laid over; use kernel_shap or hsic"


@method(
    title="RISE",
    source="Petsiuk, Das, Saenko: RISE: Randomized Input Sampling for Explanation of Black-box "
    "Models, BMVC 2018, https://arxiv.org/abs/1806.07421",
    effort=_effort,
    gradients=False,
    misfit=_misfit,
)
def rise(
    question: Question,
    *,
    masks: Annotated[int, Range(2, 1_000_000), "Random masks."] = 4000,
    cells: Annotated[int, Range(1, 256), "Of a mask along each position axis."] = 7,
    probability: Annotated[float, Range(0.01, 0.99), "The chance that a cell is seen."] = 0.5,
    baselines: Baselines = (),
) -> Answers:
    """How much higher the target is where a position is seen, through random soft masks.

    The target's mean weighted by the masks, less its mean over all masks; the paper leaves
    that constant in.
    """
    done, total = 0, masks * len(question.places)
    for place in question.places:
        mixture, shown = Mixture(question, place, baselines), 0
        drawn = Masks(mixture.positions, masks, cells, probability, question.generator())
        sums = _Sums(mixture)
        for begin in range(0, masks, mixture.draws):
            some = drawn.smooth(begin, mixture.draws, place.value)
            sums.add(some, mixture.through(some))
            yield Progress(step=done + begin + len(some), total=total)
            part = (begin + len(some)) * PREVIEWS // masks
            if shown < part < PREVIEWS:
                shown = part
                yield sums.answer(final=False)
        yield sums.answer()
        done += masks


class Masks:
    """Coarse random masks, each made smooth and shifted by less than a cell when it is used."""

    def __init__(
        self,
        extents: Sequence[int],
        count: int,
        cells: int,
        probability: float,
        generator: torch.Generator,
    ) -> None:
        self._extents = list(extents)
        counts = [min(cells, extent) for extent in extents]
        self._cell = [math.ceil(n / count) for n, count in zip(extents, counts, strict=True)]
        self._large = [(n + 1) * size for n, size in zip(counts, self._cell, strict=True)]
        self.coarse = torch.rand(count, *counts, generator=generator) < probability
        self.shifts = torch.stack(
            [torch.randint(size, (count,), generator=generator) for size in self._cell], 1
        ).tolist()

    def smooth(self, begin: int, count: int, like: Tensor) -> Tensor:
        """Some of the masks, [masks, *extents] in 0..1, made on the device of `like`."""
        coarse = self.coarse[begin : begin + count, None].to(like)
        mode = SMOOTH[len(self._extents)]
        large = F.interpolate(coarse, self._large, mode=mode, align_corners=False)[:, 0]
        shifts = self.shifts[begin : begin + count]
        return torch.stack([self._cut(*each) for each in zip(large, shifts, strict=True)])

    def _cut(self, mask: Tensor, shift: Sequence[int]) -> Tensor:
        return mask[tuple(slice(a, a + n) for a, n in zip(shift, self._extents, strict=True))]


class _Sums:
    """Sums over masks m and targets f: of m, m^2, f, f^2, m f, m f^2, m^2 f and m^2 f^2.

    The targets are counted from their mean over the first masks, so that the sums stay small.
    """

    def __init__(self, mixture: Mixture) -> None:
        self._mixture, self._count = mixture, 0
        self._origin: Tensor | None = None
        self._sums: list[Tensor] = []

    def add(self, masks: Tensor, scores: Tensor) -> None:
        """Count some masks in."""
        if self._origin is None:
            self._origin = scores.mean(0)
        m, f = masks.flatten(1).float(), (scores - self._origin).float().T
        m2, f2 = m.square(), f.square()
        more = [m.sum(0), m2.sum(0), f.sum(1, keepdim=True), f2.sum(1, keepdim=True)]
        more += [f @ m, f2 @ m, f @ m2, f2 @ m2]
        before = self._sums or [torch.zeros_like(each) for each in more]
        self._sums = [a.add_(b) for a, b in zip(before, more, strict=True)]
        self._count += len(masks)

    def answer(self, *, final: bool = True) -> Answer:
        """The weighted mean r less the mean f, and its standard error.

        To first order r - f is the mean of a - b, a = m (f_i - r) / mean(m), b = f_i - f.
        """
        n, (m, m2, f, f2, mf, mf2, m2f, m2f2) = self._count, self._sums
        r, mean = mf / m.clamp(min=1e-6), f / n
        share = m.clamp(min=1e-6) / n
        aa = (m2f2 - 2 * r * m2f + r.square() * m2) / share.square()
        ab = (mf2 - (r + mean) * mf + r * mean * m) / share
        bb = f2 - mean.square() * n
        errors = (aa - 2 * ab + bb).clamp(min=0).sqrt() / n
        extents = self._mixture.positions
        values, errors = ((x.reshape(-1, *extents)) for x in (r - mean, errors))
        return self._mixture.answer(values, errors, final=final)
