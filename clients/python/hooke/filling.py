"""From Python values to messages whose names and fields are the same."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from hooke.inputs import picture_file
from hooke.messages import number, whole
from hooke.objectives import as_objective
from hooke.places import location_message
from hooke.v1 import image_pb2, location_pb2, objective_pb2


def fill(message: Message, value: Any, model: str) -> None:
    """Set a message to a value; places that name no model lie in `model`."""
    message.SetInParent()
    known = message.DESCRIPTOR.fields_by_name
    for each in fields(value):
        part = getattr(value, each.name)
        if part is None:
            continue
        if each.name in known:
            _set(message, known[each.name], part, model)
        elif each.name in message.DESCRIPTOR.oneofs_by_name:
            fill(_member(message, each.name, part), part, model)
        else:  # a parameter of the ascent, which Python's techniques have themselves
            # The stubs of `Message` do not know what a lens's message has.
            inner = known["ascent"].message_type.fields_by_name[each.name]  # type: ignore[union-attr]
            _set(message.ascent, inner, part, model)  # type: ignore[attr-defined]


def _member(message: Any, oneof: str, value: Any) -> Any:
    """The oneof's field that is of the value's class."""
    kind = type(value).__name__
    choices = message.DESCRIPTOR.oneofs_by_name[oneof].fields
    for field in choices:
        if field.message_type and field.message_type.name == kind:
            return getattr(message, field.name)
    known = ", ".join(field.message_type.name for field in choices if field.message_type)
    raise TypeError(f"{oneof} is one of {known}, not {kind}")


def _set(message: Message, field: Any, value: Any, model: str) -> None:
    target = getattr(message, field.name)
    if field.message_type is None:
        if field.is_repeated:
            target.extend(_plain(field, each) for each in value)
        else:
            setattr(message, field.name, _plain(field, value))
    elif field.is_repeated:
        for each in value:
            _put(target.add(), each, model)
    else:
        _put(target, value, model)


def _plain(field: FieldDescriptor, value: Any) -> Any:
    """A value as a field without a message holds it."""
    if field.enum_type:
        return number(field.enum_type, value, field.name)
    return whole(value, field.name) if field.type == FieldDescriptor.TYPE_INT32 else value


def _put(message: Any, value: Any, model: str) -> None:
    match message:
        case image_pb2.EncodedImage():
            message.data = picture_file(value)
        case location_pb2.Location():
            message.CopyFrom(location_message(value, model))
        case objective_pb2.Objective():
            fill(message, as_objective(value), model)
        case _ if (oneof := _wrapped(message)) is not None:
            fill(_member(message, oneof, value), value, model)
        case _:
            fill(message, value, model)


def _wrapped(message: Message) -> str | None:
    """The name of the oneof that a message consists of, if it does."""
    groups = {field.containing_oneof for field in message.DESCRIPTOR.fields}
    [group] = groups if len(groups) == 1 else [None]
    return None if group is None or group.name.startswith("_") else group.name
