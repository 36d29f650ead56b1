"""Concepts that a layer has by itself: what crops of the samples have in common.

    A = U W,  U, W >= 0      A: what the layer says to crops, the mean over positions [crops, units]

A row of W is a concept, a direction of the units; what it has at each position of a sample is its
map. How much a target depends on it is told by fading concepts at random: total Sobol indices.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from hooke_server.techniques.attribution.drawing import as_maps, clipped, shown_picture
from hooke_server.techniques.attribution.method import Effort, method
from hooke_server.techniques.attribution.methods.class_activation import last_maps, mapped
from hooke_server.techniques.attribution.methods.sensitivity import SobolDesign, SobolOrder
from hooke_server.techniques.attribution.methods.tcav import target_name
from hooke_server.techniques.attribution.question import Answer, Answers, Place, Question
from hooke_server.techniques.frames import Array, Picture, Progress
from hooke_server.techniques.overlays import heat
from hooke_server.techniques.parameters import Range
from hooke_server.techniques.reach import picture_obstacle
from hooke_server.techniques.tables import Column, ColumnType, Finding, Rows, Table
from hooke_server.techniques.targets import Site

STRIDE = 0.8
"""Of crops, as a share of their edge."""

ITERATIONS = 1000

DRAWN = 256
"""Pictures of a place at most."""

TABLE = Table(
    name="craft",
    caption="how much targets depend on what a layer's crops have in common",
    columns=(
        Column("concept", ColumnType.INTEGER, "Which, from the most important, counted from 0."),
        Column("layer", ColumnType.TEXT, "Where it was found."),
        Column("target", ColumnType.INTEGER, "Which target, counted from 0."),
        Column("name", ColumnType.TEXT, "What the target is."),
        Column("importance", ColumnType.NUMBER, "Its total Sobol index, the mean over samples."),
    ),
)


def _windows(size: Sequence[int], crop: float) -> list[tuple[int, int, int, int]]:
    """Top, left, height and width of the crops of a picture."""
    starts = []
    for extent in size:
        edge = max(1, round(crop * extent))
        stride = max(1, round(STRIDE * edge))
        starts.append([(begin, edge) for begin in range(0, extent - edge + 1, stride)])
    return [(top, left, h, w) for (top, h), (left, w) in itertools.product(*starts)]


def _effort(*, concepts: int, crop: float, designs: int) -> Effort:
    crops = len(_windows((1000, 1000), crop))
    return Effort(rows=crops + designs * (concepts + 2), gradients=False, keeps_scores=True)


@method(
    title="Concepts of a layer (CRAFT)",
    source="Fel, Picard, Béthune, Boissin, Vigouroux, Colin, Cadène, Serre: CRAFT: Concept "
    "Recursive Activation FacTorization for Explainability, CVPR 2023, "
    "https://arxiv.org/abs/2211.10154",
    effort=_effort,
    places=mapped,
    default=last_maps,
    target=lambda model, site: picture_obstacle(model),
    tables=True,
)
def craft(
    question: Question,
    *,
    concepts: Annotated[int, Range(1, 64), "Concepts; fewer where there are fewer crops."] = 10,
    crop: Annotated[float, Range(0.05, 1), "Edge of a crop, as a share of the picture's."] = 0.3,
    designs: Annotated[int, Range(2, 4096), "Pairs of random points of the indices."] = 32,
) -> Answers:
    """What crops of the samples have in common in a layer, where it is, and how much it matters.

    Crops that the layer answers alike make a concept. Importance is the share of the target's
    variance that is due to a concept where concepts fade at random, between 0 and 1. Best with many
    samples of one class, and a layer behind a rectifier: what is negative is cut.
    """
    seen = yield from _seen(question, crop)
    yield TABLE
    for place in question.places:
        values = _units_last(place, place.value)
        found = _factors(seen[place.id], concepts, question.inquiry.seed)
        shares = found.shares(values)
        importance = yield from _importance(question, place, found.directions, shares, designs)
        order = importance.mean((0, 1)).argsort(descending=True, stable=True)
        ordered = _Found(found.directions[order], shares[..., order], importance[..., order])
        yield from ordered.arrays(place)
        yield Rows(TABLE, list(ordered.rows(question, place)))
        yield from ordered.pictures(question, place)
        yield ordered.finding(question, place, values)


def _seen(question: Question, crop: float) -> Generator[Progress, None, dict[str, Tensor]]:
    """What the places say to crops, stretched to the size of the sample: [crops, units]."""
    inquiry, layers = question.inquiry, [place.id for place in question.places]
    [given] = inquiry.inputs
    windows = list(itertools.product(range(inquiry.batch), _windows(given.shape[2:], crop)))
    parts: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    for begin in range(0, len(windows), inquiry.rows):
        some = windows[begin : begin + inquiry.rows]
        cut = [
            F.interpolate(
                given[sample : sample + 1, :, top : top + height, left : left + width],
                given.shape[2:],
                mode="bilinear",
            )
            for sample, (top, left, height, width) in some
        ]
        said = inquiry.said_to(layers, [torch.cat(cut)])
        for place in question.places:
            parts[place.id].append(_units_last(place, said[place.id]).flatten(1, -2).mean(1))
        yield Progress(step=begin + len(some), total=len(windows))
    return {layer: torch.cat(some) for layer, some in parts.items()}


def _units_last(place: Place, values: Tensor) -> Tensor:
    """[samples, *positions, units], without what is negative."""
    return F.relu(values.float()).movedim(place.layer.unit_axis % values.ndim, -1)


@dataclass(frozen=True)
class _Factors:
    """A factorization.

    Attributes
    ----------
    directions : [concepts, units]
    """

    fitted: NMF
    directions: Tensor

    def shares(self, values: Tensor) -> Tensor:
        """What of each concept there is, [..., units] to [..., concepts]."""
        with _unfinished():
            found = self.fitted.transform(values.flatten(0, -2).cpu().numpy())
        return torch.from_numpy(found).to(values).reshape(*values.shape[:-1], -1)


def _factors(seen: Tensor, concepts: int, seed: int) -> _Factors:
    count = min(concepts, *seen.shape)
    nmf = NMF(count, init="nndsvda", random_state=seed % 2**32, max_iter=ITERATIONS, tol=1e-4)
    with _unfinished():
        nmf.fit(seen.cpu().numpy())
    return _Factors(nmf, torch.from_numpy(nmf.components_).to(seen))


@contextmanager
def _unfinished() -> Iterator[None]:
    """Where it isn't at its end, a factorization is still one; the finding tells how good."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _importance(
    question: Question, place: Place, directions: Tensor, shares: Tensor, designs: int
) -> Generator[Progress, None, Tensor]:
    """Total indices, [targets, samples, concepts]."""
    inquiry = question.inquiry
    design = SobolDesign(len(directions), designs, SobolOrder.TOTAL, question.generator())
    indices = []
    for sample, whole in enumerate(shares):
        scores = []
        for begin in range(0, design.count, inquiry.rows):
            numbers = torch.arange(begin, min(begin + inquiry.rows, design.count))
            masks = design.keep(numbers).to(whole)
            faded = whole * masks.reshape(len(masks), *[1] * (whole.ndim - 1), -1)
            rows = (faded @ directions).movedim(-1, place.layer.unit_axis % place.value.ndim)
            which = torch.full((len(rows),), sample)
            scores.append(inquiry.measure(place.id, rows.contiguous().to(place.value), which))
            done = sample * design.count + begin + len(rows)
            yield Progress(step=done, total=design.count * inquiry.batch)
        indices.append(design.estimate(torch.cat(scores).double().cpu()).values.float())
    return torch.stack(indices).permute(2, 0, 1)


@dataclass(frozen=True)
class _Found:
    """Concepts of a place, the most important first.

    Attributes
    ----------
    directions : [concepts, units]
    shares : [samples, *positions, concepts]
    importance : [targets, samples, concepts]
    """

    directions: Tensor
    shares: Tensor
    importance: Tensor

    def arrays(self, place: Place) -> Iterator[Array]:
        """All numbers."""
        axes = place.layer.output.axes
        positions = [axes[axis] for axis in place.layer.position_axes]
        yield Array(
            name="craft_importance",
            value=self.importance,
            axes=("target", "batch", "concept"),
            layer=place.id,
        )
        yield Array(
            name="craft_concepts",
            value=self.directions,
            axes=("concept", "unit"),
            layer=place.id,
        )
        yield Array(
            name="craft_maps",
            value=self.shares.movedim(-1, 0),
            axes=("concept", "batch", *positions),
            layer=place.id,
        )

    def rows(self, question: Question, place: Place) -> Iterator[tuple[str | int | float, ...]]:
        """Of the table."""
        for number, target in enumerate(question.inquiry.targets):
            name = target_name(target, question.model)
            for concept, value in enumerate(self.importance[number].mean(0).tolist()):
                yield concept, place.id, number, name, value

    def pictures(self, question: Question, place: Place) -> Iterator[Picture]:
        """Where each concept is, over each sample."""
        maps = as_maps(Answer(place=place, values=self.shares.movedim(-1, 0)))
        if maps is None:
            return
        pairs = itertools.product(range(len(maps)), range(question.inquiry.batch))
        for concept, sample in itertools.islice(pairs, DRAWN):
            shown = shown_picture(question.model, question.inquiry.inputs[0][sample])
            value = float(self.importance[:, sample, concept].mean())
            yield Picture(
                name=f"concept_{concept}",
                pixels=heat(shown, clipped(maps[concept, sample])),
                site=Site(layer=place.id),
                sample=sample,
                layer=place.id,
                objective=value,
                caption=f"concept {concept} of {place.id}: importance {value:.2f}",
            )

    def finding(self, question: Question, place: Place, values: Tensor) -> Finding:
        """How good the factorization is, and what matters most."""
        rest = (self.shares @ self.directions - values).square().sum()
        told = 1 - float(rest / values.square().sum().clamp(min=1e-12))
        cut = float(F.relu(-place.value.float()).sum() / place.value.float().abs().sum())
        most = [
            f"for {target_name(target, question.model)} concept {int(each.argmax())} matters most"
            f" ({float(each.max()):.2f})"
            for target, each in zip(question.inquiry.targets, self.importance.mean(1), strict=True)
        ]
        text = (
            f"{len(self.directions)} concepts make up {told:.0%} of what {place.id} says to the"
            f" samples, by its squares; {'; '.join(most)}."
        )
        if cut > 0.01:
            text += (
                f" {cut:.0%} of the layer was negative and is cut: choose one behind a rectifier."
            )
        return Finding(kind="craft", text=text, sites=(Site(layer=place.id),), layer=place.id)
