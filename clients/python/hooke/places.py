"""Where a technique is pointed at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypedDict

from hooke.messages import layer_name, listed, model_name
from hooke.v1.location_pb2 import Location, Position


class Place(TypedDict, total=False):
    """Where a technique is pointed at, as keyword arguments.

    layer : a layer's id; left out, the layer that yields the model's first output.
    unit : a unit of it, or several, each for itself.
    label : a class of the model, or several; only at its output.
    position : indices of a neuron, for an image row and column.
    """

    layer: str
    unit: int | Sequence[int]
    label: str | Sequence[str]
    position: Sequence[int]


def locations(
    model: str,
    *,
    layer: str | None = None,
    unit: int | Sequence[int] | None = None,
    label: str | Sequence[str] | None = None,
    position: Sequence[int] = (),
) -> list[Location]:
    """One message for each unit or label; the whole layer where there is neither."""
    if unit is not None and label is not None:
        raise ValueError("a place has a unit or a label, not both")
    where = Position(indices=position) if len(position) else None
    name = model_name(model) if layer is None else layer_name(model, layer)
    if label is not None:
        return [Location(layer=name, label=each, position=where) for each in listed(label)]
    if unit is None:
        return [Location(layer=name, position=where)]
    units = unit if isinstance(unit, Iterable) else [unit]
    return [Location(layer=name, unit=each, position=where) for each in units]
