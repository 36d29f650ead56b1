"""Where a technique is pointed at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypedDict

from hooke.messages import layer_id, layer_name, listed, model_id, model_name, whole, wholes
from hooke.v1 import location_pb2 as pb


@dataclass(frozen=True)
class Location:
    """A place: a layer, a unit of it, or a neuron.

    Parameters
    ----------
    layer : a layer's id; None: the layer that yields the model's first output.
    unit : a unit of it.
    label : a class of the model; only at its output.
    position : indices of a neuron, for an image row and column.
    model : where it is not that of the call.
    """

    layer: str | None = None
    unit: int | None = None
    label: str | None = None
    position: Sequence[int] = ()
    model: str | None = None

    @classmethod
    def read(cls, message: pb.Location) -> Location:
        """The value of a message."""
        return cls(
            layer_id(message.layer) or None,
            unit=message.unit if message.HasField("unit") else None,
            position=tuple(message.position.indices),
            model=model_id(message.layer),
        )


class Place(TypedDict, total=False):
    """Where a technique is pointed at, as keyword arguments.

    layer : a layer's id; left out, the layer that yields the model's first output.
    unit : a unit of it, or several, each for itself, or "all".
    label : a class of the model, or several; only at its output.
    position : indices of a neuron, for an image row and column.
    """

    layer: str
    unit: int | Sequence[int] | str
    label: str | Sequence[str]
    position: Sequence[int]


def place_locations(
    *,
    layer: str | None = None,
    unit: int | Sequence[int] | str | None = None,
    label: str | Sequence[str] | None = None,
    position: Sequence[int] = (),
) -> list[Location]:
    """One place for each unit or label; the whole layer where there is neither."""
    if unit is not None and label is not None:
        raise ValueError("a place has a unit or a label, not both")
    if isinstance(unit, str):
        raise TypeError(f"unit is a number or several, not {unit!r}")
    if label is not None:
        return [Location(layer, label=each, position=position) for each in listed(label)]
    if unit is None:
        return [Location(layer, position=position)]
    units = unit if isinstance(unit, Iterable) else [unit]
    return [Location(layer, unit=each, position=position) for each in units]


def position_messages(positions: Iterable[Sequence[int]]) -> list[pb.Position]:
    """The messages of positions."""
    return [pb.Position(indices=wholes(each, "position")) for each in positions]


def location_message(place: Location, model: str) -> pb.Location:
    """The message of a place, in that model where it names none."""
    model = place.model or model
    message = pb.Location(
        layer=model_name(model) if place.layer is None else layer_name(model, place.layer)
    )
    if len(place.position):
        message.position.indices.extend(wholes(place.position, "position"))
    if place.unit is not None:
        message.unit = whole(place.unit, "unit")
    elif place.label is not None:
        message.label = place.label
    return message
