"""How much of everything a client may ask for."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from hooke_server.errors import InvalidArgumentError, Reason

MAX_ENTRIES = 1000
"""Names and messages in all lists of a request together: each may be compared with every layer."""

MAX_NUMBERS = 65536
"""Numbers in all lists of a request together, such as units."""

_ANY_NUMBER = {"hooke.v1.ImageBatch.images"}
"""Bounded by what they become (`Limits.input_bytes`)."""

_NUMERIC = {
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
    FieldDescriptor.CPPTYPE_FLOAT,
    FieldDescriptor.CPPTYPE_DOUBLE,
}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of one server.

    Attributes
    ----------
    message_bytes : size of the largest message, in and out.
    calls : how many calls may be under way at once.
    watches : how many streams may be open at once that only watch (health, reflection).
    stall_seconds : how long a message may wait for a reader that takes nothing.
    input_bytes : what the inputs of one call may hold at once, decoded.
    """

    message_bytes: int = 4 << 20
    calls: int = 256
    watches: int = 64
    stall_seconds: float = 60.0
    input_bytes: int = 1 << 30

    @property
    def open_calls(self) -> int:
        """What grpc may hold open: all of these, and as much again.

        Health checks come beside them, and grpc keeps a call whose reader stalls until it
        reads on or leaves, while for us it has ended.
        """
        return 2 * self.calls + 2 * self.watches

    @property
    def all_input_bytes(self) -> int:
        """What the inputs of all calls may hold at once: two calls can use all they may."""
        return 2 * self.input_bytes


def check_lists(request: Message) -> None:
    """InvalidArgumentError where a request's lists hold more than is gone through at once."""
    left = {True: MAX_NUMBERS, False: MAX_ENTRIES}
    for path, field, length in _lists(request, ""):
        numeric = field.cpp_type in _NUMERIC
        left[numeric] -= length
        if left[numeric] < 0:
            limit, what = (MAX_NUMBERS, "numbers") if numeric else (MAX_ENTRIES, "entries")
            raise InvalidArgumentError(
                Reason.INVALID_FIELD,
                f"{path} has {length} {what}; all lists of a request together may hold"
                f" {limit}, so ask in several requests",
                field=path,
                count=length,
                limit=limit,
            )


def _lists(message: Message, path: str) -> Iterator[tuple[str, FieldDescriptor, int]]:
    """Path, field and length of every list, those of a list's entries after its own."""
    for field in _fields(message.DESCRIPTOR):
        here = f"{path}{field.name}"
        if not field.is_repeated:
            if message.HasField(field.name):
                yield from _lists(getattr(message, field.name), f"{here}.")
            continue
        entries = getattr(message, field.name)
        if field.full_name not in _ANY_NUMBER:
            yield here, field, len(entries)
        if field.message_type is not None and _fields(field.message_type):
            for index, entry in enumerate(entries):
                yield from _lists(entry, f"{here}[{index}].")


@functools.cache
def _fields(kind: Descriptor) -> tuple[FieldDescriptor, ...]:
    """The fields that are lists or may hold some."""
    return tuple(f for f in kind.fields if f.is_repeated or f.message_type is not None)
