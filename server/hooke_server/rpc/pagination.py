"""Pages of a list (AIP-158).

A page token is opaque: base64url of a digest of all other arguments and the
offset of the next page. It needs no secret, since it grants nothing; the digest
only refuses a token that belongs to another question, or to another state of
the model that was asked about.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from typing import TypeVar

from google.protobuf.message import Message

from hooke_server.errors import InvalidArgumentError, Reason

DEFAULT_SIZE = 50
MAX_SIZE = 1000
MAX_BYTES = 3 << 20

_DIGEST_BYTES = 12
_OFFSET_BYTES = 4

T = TypeVar("T")
M = TypeVar("M", bound=Message)


def page(
    items: Sequence[T], encode: Callable[[T], M], size: int, token: str, *question: str
) -> tuple[list[M], str]:
    """The messages of one page of `items`, and the token of the next, empty on the last.

    A page ends early where it would not fit into a message of 4 MiB.

    Parameters
    ----------
    encode : makes the message of an item.
    size : how many at most; 0 stands for 50, more than 1000 for 1000.
    token : the last page's; empty for the first page.
    question : everything that decides what `items` are.
    """
    if size < 0:
        raise InvalidArgumentError(
            Reason.INVALID_FIELD,
            f"page_size must be at least 0, not {size}",
            field="page_size",
            page_size=size,
        )
    bound = hashlib.sha256("\0".join(question).encode()).digest()[:_DIGEST_BYTES]
    start = _offset(token, bound) if token else 0
    messages: list[M] = []
    room = MAX_BYTES
    for item in items[start : start + min(size or DEFAULT_SIZE, MAX_SIZE)]:
        message = encode(item)
        room -= message.ByteSize()
        if room < 0 and messages:
            break
        messages.append(message)
    end = start + len(messages)
    if end >= len(items):
        return messages, ""
    following = bound + end.to_bytes(_OFFSET_BYTES, "big")
    return messages, base64.urlsafe_b64encode(following).decode()


def _offset(token: str, bound: bytes) -> int:
    try:
        # validate: characters outside the alphabet would silently be skipped.
        content = base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        content = b""
    if len(content) != _DIGEST_BYTES + _OFFSET_BYTES or content[:_DIGEST_BYTES] != bound:
        raise InvalidArgumentError(
            Reason.INVALID_PAGE_TOKEN,
            "page_token is not one of this list; start again with an empty one"
            " and change no argument but page_size between pages",
            field="page_token",
        )
    return int.from_bytes(content[_DIGEST_BYTES:], "big")
