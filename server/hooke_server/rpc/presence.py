"""Fields of messages that tell whether they were set."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message


def optional(message: Message, field: str) -> Any:
    """The value of an `optional` field; None where it is not set."""
    return getattr(message, field) if message.HasField(field) else None


def yes_if_unset(message: Message, field: str) -> bool:
    """The value of an `optional bool` that is true where it is not set."""
    return bool(getattr(message, field)) or not message.HasField(field)


def given(message: Message, *fields: str) -> dict[str, Any]:
    """Those of the fields that are set, by name: keyword arguments that leave defaults alone."""
    return {field: getattr(message, field) for field in fields if message.HasField(field)}
