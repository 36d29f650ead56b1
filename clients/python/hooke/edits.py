"""Edits: what the rest of the network would say if some layers said something else.

    Ablate("blocks.4.2", units=7)                  silence a unit
    Ablate("blocks.4.2", "mean", units=[7, 9])     let two no longer say where, only how much
    Scale("blocks.3", 0.5)                         halve a whole layer
    Clamp("conv_stem", low=0, high=1, positions=[(3, 4)])
    AddDirection("blocks.4.2", vector, strength=2)
    Replace("blocks.4.2", "dog.png", units=7)      as it is for another picture

Edits are for one call, which no other sees; those of a layer apply in the order given. See
`hooke.v1.Edit`, which explains each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from hooke.frames import Tensor
from hooke.inputs import MESSAGE_BYTES, Inputs, inline, prepare
from hooke.messages import number, wholes
from hooke.places import Location, location_message, position_messages
from hooke.tensors import fill as fill_tensor
from hooke.v1 import edit_pb2 as pb

_ABLATION_VALUE = pb.DESCRIPTOR.enum_types_by_name["AblationValue"]


@dataclass(frozen=True, eq=False)
class Edit(ABC):
    """A change to what a layer yields.

    Parameters
    ----------
    layer : its id; None: the layer that yields the model's first output.
    units : a unit or several; none: all.
    label : a class in place of units; only at the model's output.
    positions : indices of each position, for an image row and column; none: all.
    samples : which of the batch; none: all. For activations and comparisons only.
    model : where it is not that of the call.
    """

    layer: str | None
    units: int | Sequence[int] = field(default=(), kw_only=True)
    label: str | None = field(default=None, kw_only=True)
    positions: Sequence[Sequence[int]] = field(default=(), kw_only=True)
    samples: Sequence[int] = field(default=(), kw_only=True)
    model: str | None = field(default=None, kw_only=True)

    def message(self, model: str) -> pb.Edit:
        """The message of this value, in that model where it names none."""
        place = Location(self.layer, label=self.label, model=self.model)
        units = self.units if isinstance(self.units, Iterable) else [self.units]
        message = pb.Edit(
            location=location_message(place, model),
            units=wholes(units, "unit"),
            positions=position_messages(self.positions),
            samples=wholes(self.samples, "sample"),
        )
        self._fill(message)
        return message

    @abstractmethod
    def _fill(self, message: pb.Edit) -> None:
        """Set the message's change."""


@dataclass(frozen=True, eq=False)
class Ablate(Edit):
    """Take out what the place says: to `zero`, or to the unit's `mean` over positions."""

    value: str = "zero"

    def _fill(self, message: pb.Edit) -> None:
        message.ablation.value = number(_ABLATION_VALUE, self.value, "value")


@dataclass(frozen=True, eq=False)
class Scale(Edit):
    """Multiply by a factor."""

    factor: float

    def _fill(self, message: pb.Edit) -> None:
        message.scaling.factor = self.factor


@dataclass(frozen=True, eq=False)
class Clamp(Edit):
    """Keep values within bounds, at least one of them."""

    low: float | None = None
    high: float | None = None

    def _fill(self, message: pb.Edit) -> None:
        message.clamping.CopyFrom(pb.Clamping(low=self.low, high=self.high))


@dataclass(frozen=True, eq=False)
class AddDirection(Edit):
    """Add `strength` times a vector over units, at each position alike."""

    vector: Sequence[float] | np.ndarray
    strength: float = 1.0

    def _fill(self, message: pb.Edit) -> None:
        numbers = np.asarray(self.vector, float).reshape(-1)
        addition = pb.DirectionAddition(vector=numbers.tolist(), strength=self.strength)
        message.direction_addition.CopyFrom(addition)


@dataclass(frozen=True, eq=False)
class Replace(Edit):
    """Put what the layer says to other inputs in its place, or a given value.

    Parameters
    ----------
    inputs : as for `Client.activations`: one sample, or as many as the call has.
    value : what the layer would yield, in place of inputs.
    """

    inputs: Inputs = None
    value: np.ndarray | Tensor | None = None

    def _fill(self, message: pb.Edit) -> None:
        if (self.inputs is None) == (self.value is None):
            raise ValueError("a replacement has inputs or a value")
        if self.value is not None:
            array = self.value.value if isinstance(self.value, Tensor) else self.value
            fill_tensor(message.replacement.value, np.asarray(array))
        else:
            message.replacement.inputs.inputs.extend(inline(prepare(self.inputs)))


Edits = Edit | Iterable[Edit]
"""One edit or several."""


def edit_messages(edits: Edits, model: str) -> list[pb.Edit]:
    """The messages of edits; ValueError where they are too large for one."""
    messages = [each.message(model) for each in ([edits] if isinstance(edits, Edit) else edits)]
    if (total := sum(each.ByteSize() for each in messages)) > MESSAGE_BYTES:
        raise ValueError(
            f"these edits have {total} bytes, and a message holds {MESSAGE_BYTES}; replace by"
            " smaller pictures or by fewer of them"
        )
    return messages
