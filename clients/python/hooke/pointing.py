"""What a request points at: places, all units of a layer, or objectives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from hooke.filling import fill
from hooke.messages import layer_name, model_name
from hooke.objectives import Algebra, as_objective
from hooke.places import Place, location_message, place_locations
from hooke.v1 import attribution_service_pb2, location_pb2, visualization_service_pb2

T = TypeVar(
    "T", visualization_service_pb2.VisualizationItem, attribution_service_pb2.AttributionTarget
)


def pointed_at(kind: type[T], model: str, options: Mapping[str, Any]) -> list[T]:
    """A message for each place or objective among a call's options, or one for all units.

    ValueError where there are places and objectives.
    """
    place: Place = {key: options[key] for key in Place.__annotations__ if key in options}  # type: ignore[assignment]  # mypy wants a literal
    if (objective := options.get("objective")) is not None:
        if place:
            raise ValueError("give a place or an objective, not both")
        several = [objective] if isinstance(objective, Algebra) else objective
        made = [kind() for _ in several]
        for message, each in zip(made, several, strict=True):
            fill(message.objective, as_objective(each), model)
        return made
    if place.get("unit") == "all":
        layer = place.get("layer")
        name = model_name(model) if layer is None else layer_name(model, layer)
        return [kind(units=location_pb2.UnitSelection(layer=name))]
    places = place_locations(**place)
    return [kind(location=location_message(each, model)) for each in places]
