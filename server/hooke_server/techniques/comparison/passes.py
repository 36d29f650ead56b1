"""Running two models on the same samples, a group of layers and a part of the batch at a time.

    for group in grouped(pairs, sizes, limit):
        for part in duo.parts():
            values = duo.reference.run([pair.reads[0] for pair in group], part)

Not all activations of both models are held, but those of one group; the models run once
for each group and part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from hooke_server.models.edits import Edit, depend_on_place
from hooke_server.models.model import Model

GROUP_BYTES = 512 << 20
"""Activations that are held at once, where the memory allows it."""

PART = 16
"""Samples that pass through together."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Side:
    """A model and its inputs.

    Attributes
    ----------
    edits : those that the model is edited with, or will be before it runs.
    """

    model: Model
    inputs: tuple[Tensor, ...]
    edits: tuple[Edit, ...] = ()

    @property
    def samples(self) -> int:
        """How many there are."""
        return next((len(each) for each in self.inputs if each.ndim), 1)

    @property
    def splits(self) -> bool:
        """Whether a part of the samples can pass alone."""
        free = self.model.fixed_batch is None and self.model.by_sample
        return free and not depend_on_place(self.edits)

    @property
    def edited(self) -> tuple[str, ...]:
        """Ids of the edited layers."""
        return tuple(dict.fromkeys(each.layer for each in self.edits))

    def run(self, layers: Sequence[str], part: slice) -> dict[str, Tensor]:
        """The values of layers, some named twice perhaps, for a part of the samples."""
        whole = part.start == 0 and part.stop >= self.samples
        given = self.inputs if whole else tuple(each[part] for each in self.inputs)
        return self.model.forward(list(dict.fromkeys(layers)), given)

    def bytes_of(self, layer: str, samples: int) -> int:
        """What a layer's value takes for so many samples."""
        spec = self.model.layer(layer).output
        return spec.count(samples) * spec.item_bytes


@dataclass(frozen=True, slots=True)
class Duo:
    """What is compared: the candidate with the reference."""

    reference: Side
    candidate: Side

    @property
    def samples(self) -> int:
        """How many there are; as many on either side."""
        return self.reference.samples

    def parts(self) -> list[slice]:
        """The batch in parts; whole where a model cannot take a part of it."""
        return [slice(n, n + self.part) for n in range(0, self.samples, self.part)]

    @property
    def part(self) -> int:
        """Samples in the largest part."""
        splits = self.reference.splits and self.candidate.splits
        return min(self.samples, PART) if splits else self.samples


def grouped(items: Sequence[T], size: Callable[[T], int], memory: int | None) -> list[list[T]]:
    """Neighbours that are held together: at most a quarter of the memory, at least one item."""
    limit = min(GROUP_BYTES, memory // 4) if memory else GROUP_BYTES
    made: list[list[T]] = []
    held = 0
    for item in items:
        held += size(item)
        if not made or held > limit:
            made.append([])
            held = size(item)
        made[-1].append(item)
    return made
