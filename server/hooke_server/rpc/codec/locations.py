"""Locations: from what a client points at to a place that exists."""

from __future__ import annotations

from hooke.v1 import location_pb2
from hooke_server.errors import InvalidArgumentError, OutOfRangeError, Reason
from hooke_server.models.layer import Layer
from hooke_server.models.model import Model
from hooke_server.registry import not_found
from hooke_server.rpc.errors import about
from hooke_server.rpc.names import check_text, layer_name, parse_place
from hooke_server.techniques.targets import Site


def model_of(location: location_pb2.Location, field: str) -> str:
    """Id of the location's model."""
    return parse_place(location.layer, f"{field}.layer")[0]


def read_site(model: Model, location: location_pb2.Location, field: str) -> Site:
    """The place in the model, found to exist."""
    model_id, layer_id = parse_place(location.layer, f"{field}.layer")
    with about(model_id):
        layer = model.layer(model.output_layer if layer_id is None else layer_id)
    unit: int | None = None
    if location.HasField("unit"):
        unit = _unit(layer, location.unit, f"{field}.unit")
    elif location.HasField("label"):
        unit = _unit_of_label(model, layer, location.label, f"{field}.label")
    return Site(layer=layer.id, unit=unit, position=_position(layer, location, f"{field}.position"))


def location_message(model_id: str, site: Site) -> location_pb2.Location:
    """The place as a client would name it, a label as its unit."""
    position = location_pb2.Position(indices=site.position) if site.position else None
    message = location_pb2.Location(layer=layer_name(model_id, site.layer), position=position)
    if site.unit is not None:
        message.unit = site.unit
    return message


def _unit(layer: Layer, unit: int, field: str) -> int:
    if not 0 <= unit < layer.unit_count:
        units = f"units 0 to {layer.unit_count - 1}" if layer.unit_count else "no units"
        raise OutOfRangeError(
            Reason.UNIT_OUT_OF_RANGE,
            f"layer {layer.id!r} has {units}, not {unit}",
            field=field,
            layer=layer.id,
            unit=unit,
            unit_count=layer.unit_count,
        )
    return unit


def _unit_of_label(model: Model, layer: Layer, label: str, field: str) -> int:
    check_text(label, field)
    if layer.id != model.output_layer:
        raise InvalidArgumentError(
            Reason.INVALID_FIELD,
            f"labels name the units of {model.output_layer!r}, the model's output;"
            f" for {layer.id!r} give a unit",
            field=field,
            layer=layer.id,
            label=label,
        )
    units = [u for u, known in enumerate(model.labels) if known.lower() == label.lower()]
    if not units:
        hint = "GetModel names them" if model.labels else "this model has no labels; give a unit"
        raise not_found("label", label, model.labels, Reason.LABEL_NOT_FOUND, hint, field=field)
    if len(units) > 1:
        numbers = ", ".join(map(str, units))
        raise InvalidArgumentError(
            Reason.LABEL_AMBIGUOUS,
            f"the units {numbers} all have the label {label!r}; give a unit",
            field=field,
            label=label,
            units=numbers,
        )
    return units[0]


def _position(layer: Layer, location: location_pb2.Location, field: str) -> tuple[int, ...]:
    position, shape = tuple(location.position.indices), layer.output.shape
    if not location.HasField("position"):
        return ()
    extents = [shape[axis] for axis in layer.position_axes]
    if len(position) != len(extents):
        raise InvalidArgumentError(
            Reason.INVALID_FIELD,
            f"layer {layer.id!r} has {len(extents)} position axes; {len(position)} indices came",
            field=field,
            layer=layer.id,
        )
    for index, extent in zip(position, extents, strict=True):
        if index < 0 or (isinstance(extent, int) and index >= extent):
            raise OutOfRangeError(
                Reason.POSITION_OUT_OF_RANGE,
                f"layer {layer.id!r} has {extents} positions; {list(position)} is beyond them",
                field=field,
                layer=layer.id,
                position=list(position),
            )
    return position
