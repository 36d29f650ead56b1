"""Techniques as messages, and their parameters from requests."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from hooke.v1 import technique_service_pb2, visualization_service_pb2
from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.techniques.parameters import Parameter
from hooke_server.techniques.technique import Technique

TYPES = {int: "integer", float: "number", bool: "boolean"}
"""The contract's words for types of parameters; all others are choices."""


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
    )


def _parameter(parameter: Parameter) -> technique_service_pb2.TechniqueParameter:
    kind = TYPES.get(parameter.type, "choice")
    bounds = parameter.bounds
    return technique_service_pb2.TechniqueParameter(
        name=parameter.name,
        type=technique_service_pb2.ParameterType.Value(f"PARAMETER_TYPE_{kind.upper()}"),
        description=parameter.description,
        default_value=technique_service_pb2.ParameterValue(**{kind: parameter.default}),
        minimum=bounds.low if bounds else None,
        maximum=bounds.high if bounds else None,
        choices=parameter.choices,
    )


def read_technique(
    request: visualization_service_pb2.VisualizeRequest,
) -> tuple[str, dict[str, Any]]:
    """Name of the technique that was chosen, and the parameters that were given."""
    name = request.WhichOneof("technique")
    if name is None:
        raise InvalidArgumentError(
            Reason.INVALID_FIELD,
            "choose a technique; ListTechniques names them",
            field="technique",
        )
    chosen: Message = getattr(request, name)
    given = {field.name: _value(field, value) for field, value in chosen.ListFields()}
    return name, {key: value for key, value in given.items() if value is not None}


def _value(field: FieldDescriptor, value: Any) -> Any:
    """A parameter's value; a choice is the last part of its enum value's name, in lower case.

    An enum's zero stands for the default, as a field left out does; a number that
    the enum lacks stays a number, which no choice equals.
    """
    if field.enum_type is None:
        return value
    if value == 0:
        return None
    known = field.enum_type.values_by_number.get(value)
    prefix = _screaming(field.enum_type.name)
    return known.name.removeprefix(f"{prefix}_").lower() if known else value


def _screaming(name: str) -> str:
    """`ImageParameterization` as `IMAGE_PARAMETERIZATION`."""
    return "".join(f"_{c}" if c.isupper() else c.upper() for c in name).removeprefix("_")
