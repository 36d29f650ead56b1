"""Techniques as messages, and their parameters from requests.

The contract's messages and the server's dataclasses have the same names and fields, so one
function reads all of them: see `hooke_server.techniques.parameters`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.descriptor import OneofDescriptor
from google.protobuf.message import Message

from hooke.v1 import (
    attribution_service_pb2,
    image_pb2,
    location_pb2,
    technique_service_pb2,
    visualization_service_pb2,
)
from hooke_server.errors import InvalidArgumentError, Reason, invalid
from hooke_server.rpc.codec.items import MAX_ITEMS, Places
from hooke_server.techniques.objectives.algebra import Objective
from hooke_server.techniques.parameters import (
    REQUIRED,
    Parameter,
    ParameterType,
    check_all,
    snake,
)
from hooke_server.techniques.plans import Item
from hooke_server.techniques.signatures import message_fields
from hooke_server.techniques.targets import Photograph
from hooke_server.techniques.technique import Technique

Choosing = visualization_service_pb2.VisualizeRequest | attribution_service_pb2.AttributionMethod
"""Messages that choose a technique."""

Targeting = visualization_service_pb2.VisualizationItem | attribution_service_pb2.AttributionTarget
"""Messages that say what is looked at."""

SIMPLE = {
    ParameterType.INTEGER,
    ParameterType.NUMBER,
    ParameterType.BOOLEAN,
    ParameterType.CHOICE,
}


def technique_message(
    technique: Technique, applicability: technique_service_pb2.Applicability | None = None
) -> technique_service_pb2.Technique:
    """A technique as `TechniqueService` tells of it."""
    return technique_service_pb2.Technique(
        name=technique.name,
        title=technique.title,
        description=technique.description,
        source=technique.source,
        kind=technique_service_pb2.TechniqueKind.Value(f"TECHNIQUE_KIND_{technique.kind.upper()}"),
        parameters=map(_parameter, technique.parameters.values()),
        applicability=applicability,
        takes_objectives=technique.takes_objectives,
    )


def _parameter(parameter: Parameter) -> technique_service_pb2.TechniqueParameter:
    bounds = parameter.bounds
    parts: Mapping[str, Parameter] = parameter.fields
    return technique_service_pb2.TechniqueParameter(
        name=parameter.name,
        type=technique_service_pb2.ParameterType.Value(f"PARAMETER_TYPE_{parameter.type.upper()}"),
        description=parameter.description,
        default_value=_default(parameter),
        minimum=bounds.low if bounds else None,
        maximum=bounds.high if bounds else None,
        choices=parameter.choices,
        repeated=parameter.repeated,
        max_values=parameter.most if parameter.repeated else None,
        fields=[_part(name, part) for name, part in parts.items()],
    )


def _part(name: str, part: Parameter) -> technique_service_pb2.TechniqueParameter:
    message = _parameter(part)
    message.name = name  # an alternative has no name of its own
    return message


def _default(parameter: Parameter) -> technique_service_pb2.ParameterValue | None:
    if parameter.default is REQUIRED:
        return None
    simple = parameter.type in SIMPLE and not parameter.repeated and parameter.default is not None
    if simple:
        return technique_service_pb2.ParameterValue(**{parameter.type.value: parameter.default})
    return technique_service_pb2.ParameterValue(json=json.dumps(parameter.plain(parameter.default)))


def read_technique(request: Choosing, places: Places, path: str = "") -> tuple[str, dict[str, Any]]:
    """Name of the technique that was chosen, and the parameters that were given.

    Parameters
    ----------
    path : of the message that chooses, with a dot behind it.
    """
    name = chosen_technique(request, path)
    return name, read_message(getattr(request, name), f"{path}{name}", places)


def chosen_technique(request: Choosing, path: str = "") -> str:
    """Name of the technique that was chosen."""
    name = request.WhichOneof("technique")
    if name is None:
        message = "choose a technique; ListTechniques names them"
        raise InvalidArgumentError(Reason.INVALID_FIELD, message, field=f"{path}technique")
    return str(name)


def read_items(messages: Iterable[Targeting], path: str, places: Places) -> list[Item]:
    """What to look at, each unit of a selection for itself.

    Parameters
    ----------
    path : of the field that holds the messages.
    """
    items: list[Item] = []
    for index, item in enumerate(messages):
        field = f"{path}[{index}]"
        match item.WhichOneof("target"):
            case "location":
                items.append(Item(site=places.site(item.location, f"{field}.location")))
            case "units":
                items += (Item(site=s) for s in places.units(item.units, f"{field}.units"))
            case "objective":
                items.append(
                    Item(objective=_objective(item.objective, f"{field}.objective", places))
                )
            case _:
                raise invalid("name a location, units or an objective", field)
    if len(items) > MAX_ITEMS:
        raise invalid(f"{len(items)} items are more than {MAX_ITEMS}", path)
    return items


def _objective(message: Message, field: str, places: Places) -> Objective:
    given = read_message(message, field, places)
    return Objective(**check_all(message_fields(Objective), given, field))


def read_message(message: Message, path: str, places: Places) -> dict[str, Any]:
    """The parts of a message that were given, by name; a oneof by its own name, as a pair.

    Lists are always given: an empty one is empty.
    """
    parts: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        here, value = f"{path}.{field.name}", getattr(message, field.name)
        if field.is_repeated:
            parts[field.name] = [
                _value(field, each, f"{here}[{index}]", places) for index, each in enumerate(value)
            ]
        elif message.HasField(field.name):
            read = _value(field, value, here, places)
            if (group := real_oneof(field)) is not None:
                parts[group.name] = field.name, read
            elif read is not None:
                parts[field.name] = read
    return parts


def _value(field: Any, value: Any, path: str, places: Places) -> Any:
    match value:
        case location_pb2.Location():
            return places.site(value, path)
        case image_pb2.EncodedImage():
            return Photograph(value.data, path)
        case Message():
            read = read_message(value, path, places)
            if (alone := _wrapped(value.DESCRIPTOR)) is None:
                return read
            if alone not in read:
                raise invalid(f"choose a {alone}", path)
            return read[alone]
    return _choice(field, value) if field.enum_type else value


def _wrapped(kind: Any) -> str | None:
    """The name of the oneof that a message consists of, if it does."""
    groups = {real_oneof(field) for field in kind.fields}
    group = next(iter(groups)) if len(groups) == 1 else None
    return group.name if group is not None else None


def real_oneof(field: Any) -> OneofDescriptor | None:
    """The oneof that a field is a member of; none is written for `optional` ones."""
    group = field.containing_oneof
    return None if group is None or group.name.startswith("_") else group


def _choice(field: Any, value: int) -> Any:
    """The last part of an enum value's name, in lower case.

    An enum's zero stands for the default, as a field left out does; a number that
    the enum lacks stays a number, which no choice equals.
    """
    if value == 0:
        return None
    known = field.enum_type.values_by_number.get(value)
    prefix = snake(field.enum_type.name).upper()
    return known.name.removeprefix(f"{prefix}_").lower() if known else value
