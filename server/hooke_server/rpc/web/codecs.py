"""Messages as Connect sends them: protobuf's bytes, or its JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from connectrpc.errors import ConnectError
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from hooke_server.errors import HookeError, InvalidArgumentError, Reason
from hooke_server.rpc.errors import shortened, status_code, to_status
from hooke_server.rpc.limits import MAX_ENTRIES, MAX_NUMBERS
from hooke_server.rpc.web.call import connect_error

_REASON_BYTES = 512


@dataclass(frozen=True, slots=True)
class Framed:
    """A message whose bytes a servicer has made already."""

    kind: type[Message]
    data: bytes


class BinaryCodec:
    """Protobuf's own encoding."""

    def name(self) -> str:
        """How it is called in a content type."""
        return "proto"

    def encode(self, message: Message | Framed) -> bytes:
        """The message's bytes."""
        return message.data if isinstance(message, Framed) else message.SerializeToString()

    def decode(self, data: bytes | bytearray, message_class: type[Any]) -> Any:
        """A message; ConnectError if it is none."""
        try:
            return message_class.FromString(bytes(data))
        except DecodeError as error:
            raise _unreadable(message_class, "bytes", error) from None


class JsonCodec:
    """Protobuf's JSON, for people: a field that does not exist is an error."""

    def name(self) -> str:
        """How it is called in a content type."""
        return "json"

    def encode(self, message: Message | Framed) -> bytes:
        """The message on one line."""
        if isinstance(message, Framed):
            message = message.kind.FromString(message.data)
        return json_format.MessageToJson(message, indent=None).encode()

    def decode(self, data: bytes | bytearray, message_class: type[Any]) -> Any:
        """A message; ConnectError if it is none.

        What is taken apart holds no more values than a request may have, since that is slow.
        """
        if data.count(b",") > MAX_NUMBERS + MAX_ENTRIES:
            problem = f"a request may hold {MAX_NUMBERS} numbers and {MAX_ENTRIES} entries"
            raise _unreadable(message_class, "JSON", ValueError(problem))
        try:
            return json_format.Parse(bytes(data) or b"{}", message_class())
        except (json_format.ParseError, ValueError, RecursionError) as error:
            raise _unreadable(message_class, "JSON", error) from None


def as_connect(error: HookeError) -> ConnectError:
    """The error as a client sees it."""
    status = to_status(error)
    return connect_error(status_code(error), status.message, status.details)


def _unreadable(kind: type[Message], form: str, error: Exception) -> ConnectError:
    name = kind.DESCRIPTOR.full_name
    problem = shortened(str(error), _REASON_BYTES)
    message = f"the {form} of the request is no {name}: {problem}"
    return as_connect(InvalidArgumentError(Reason.INVALID_FIELD, message, expected=name))
