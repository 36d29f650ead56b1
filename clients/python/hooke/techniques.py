"""Techniques with their parameters, one class for each message of the contract.

A parameter that is left None takes the server's default, which
`Client.techniques()` tells.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from hooke.messages import number
from hooke.v1 import visualization_service_pb2 as pb


@dataclass(frozen=True, kw_only=True)
class FeatureVisualization:
    """The input that a channel, a neuron or a class responds to most; gradient ascent.

    Parameters
    ----------
    steps : optimization steps.
    size : edge of the square picture in pixels.
    learning_rate : step width of Adam.
    parameterization : how the picture is stored: `fourier` or `pixel`.
    decorrelate : store colours where those of natural pictures are uncorrelated.
    transforms : pad, jitter, scale, rotate before each pass.
    negative : look for the least response instead.
    """

    steps: int | None = None
    size: int | None = None
    learning_rate: float | None = None
    parameterization: str | None = None
    decorrelate: bool | None = None
    transforms: bool | None = None
    negative: bool | None = None


Lens = FeatureVisualization
"""A technique with its parameters; any of the classes above."""

LENSES: dict[str, type[Lens]] = {"feature_visualization": FeatureVisualization}
"""The classes by the names of their techniques."""


def set_technique(request: pb.VisualizeRequest, technique: Lens) -> None:
    """Put a technique into a request: its class and fields are named as in the contract."""
    kind = type(technique).__name__
    [member] = [
        field
        for field in request.DESCRIPTOR.oneofs_by_name["technique"].fields
        if field.message_type and field.message_type.name == kind
    ]
    message = getattr(request, member.name)
    message.SetInParent()
    for field in fields(technique):
        value = getattr(technique, field.name)
        if value is None:
            continue
        if choices := message.DESCRIPTOR.fields_by_name[field.name].enum_type:
            value = number(choices, value, field.name)
        setattr(message, field.name, value)
