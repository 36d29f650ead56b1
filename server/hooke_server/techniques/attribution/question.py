"""What a method is asked, and what it answers.

    @method(title="...", source="...")
    def saliency(question: Question, *, absolute: ... = True) -> Answers:
        yield Progress(step=1, total=1)
        for place in question.places:
            yield Answer(place=place, values=...)

A method is a generator of `Progress`, of unfinished and finished `Answer`s, and of frames of
its own (a `Picture` that only it can draw). Between two items lies at most one step of work.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from hooke_server.models.layer import Layer
from hooke_server.models.model import Model
from hooke_server.techniques.attribution.baselines import Baseline, ZeroBaseline, begins_at
from hooke_server.techniques.attribution.inquiry import Inquiry
from hooke_server.techniques.frames import Array, Picture, Progress
from hooke_server.techniques.tables import Finding, Rows, Table


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an answer is looked for: an input of the model, or a layer.

    Attributes
    ----------
    value : what it says to the samples, [samples, ...].
    """

    layer: Layer
    value: Tensor = field(repr=False)

    @property
    def id(self) -> str:
        """The layer's id."""
        return self.layer.id

    def without_units(self, values: Tensor) -> Tensor:
        """[targets, samples, ...] summed over the place's units."""
        return values.sum(self.layer.unit_axis % self.value.ndim + 1)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How much each part of a place has to do with each target.

    Attributes
    ----------
    values : [targets, samples, *the place's other axes], or without the unit axis where
        units are not told apart; a coarser map where it is of patches.
    deviation : their standard errors, where they were drawn.
    labels : which numbers of a sample come and go together, so that each is the value of them as
        a whole, [samples or 1, ...]; broadcast to the values. None: each stands for itself.
    final : whether this is more than a look at unfinished work.
    """

    place: Place
    values: Tensor
    deviation: Tensor | None = None
    labels: Tensor | None = None
    final: bool = True

    @property
    def shares(self) -> Tensor:
        """The values, where numbers with one value in common share it: their sum counts it once."""
        if self.labels is None:
            return self.values
        along = self.values[0, 0].numel() // self.labels[0].numel()  # axes that labels lack
        return self.values / (_sizes_of(self.labels) * along).to(self.values)

    @property
    def collapsed(self) -> bool:
        """Whether units are not told apart."""
        return self.values.ndim == self.place.value.ndim

    def stretched(self) -> Answer:
        """With a number for each position where it has one for each patch."""
        extents = [self.place.value.shape[axis] for axis in self.place.layer.position_axes]
        if not self.collapsed or list(self.values.shape[2:]) == extents:
            return self
        coarse = self.values.shape[2:]
        patches = torch.arange(math.prod(coarse), dtype=torch.float64).reshape(1, 1, *coarse)
        labels = F.interpolate(patches, extents, mode="nearest")[0].long()
        values = F.interpolate(self.values, extents, mode="nearest")
        return replace(self, values=values, labels=labels)


def _sizes_of(labels: Tensor) -> Tensor:
    """How many numbers of a sample have the label that each has, [samples, ...]."""
    return torch.stack([each.flatten().bincount()[each] for each in labels])


Answers = Iterator[Progress | Answer | Array | Picture | Table | Rows | Finding]
"""What a method yields."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a method is asked: about these places, in this inquiry."""

    inquiry: Inquiry
    places: tuple[Place, ...]

    @classmethod
    def of(cls, inquiry: Inquiry, layers: Sequence[str]) -> Question:
        """The question about some of the inquiry's layers."""
        values = inquiry.values
        return cls(
            inquiry=inquiry,
            places=tuple(Place(layer=inquiry.model.layer(i), value=values[i]) for i in layers),
        )

    @property
    def model(self) -> Model:
        """The model that is asked about."""
        return self.inquiry.model

    def nothing(self, place: Place) -> Tensor:
        """Zeros to add answers to, [targets, samples, ...]."""
        return place.value.new_zeros(len(self.inquiry.targets), *place.value.shape)

    def unfolded(self, rows: Tensor) -> Tensor:
        """[targets, rows, ...] as [targets, versions, samples, ...]."""
        return rows.reshape(rows.shape[0], -1, self.inquiry.batch, *rows.shape[2:])

    def generator(self) -> torch.Generator:
        """A source of random numbers that begins anew at the request's seed."""
        return torch.Generator().manual_seed(self.inquiry.seed % (1 << 63))

    def starts(self, baselines: Sequence[Baseline]) -> list[list[Tensor]]:
        """For each baseline the model's inputs; what is not made of real numbers stays."""
        generator = self.generator()
        return [
            [
                baseline(each, self.model.layer(spec.name), self.model, generator)
                if each.is_floating_point()
                else each
                for spec, each in zip(self.model.inputs, self.inquiry.inputs, strict=True)
            ]
            for baseline in baselines or (ZeroBaseline(),)
        ]

    def starts_at(self, place: Place, baselines: Sequence[Baseline]) -> list[Tensor]:
        """For each baseline the value of a place, where the others count.

        It is what the place says to the baseline; where no real numbers are given that lead to the
        place, the baseline is made of what it says to the samples.
        """
        if begins_at(self.model, place.layer) == [place.layer]:
            generator = self.generator()
            return [
                baseline(place.value, place.layer, self.model, generator)
                for baseline in baselines or (ZeroBaseline(),)
            ]
        starts = self.starts(baselines)
        names = [spec.name for spec in self.model.inputs]
        if place.id in names:
            return [inputs[names.index(place.id)] for inputs in starts]
        return [self.inquiry.said_to([place.id], inputs)[place.id] for inputs in starts]
