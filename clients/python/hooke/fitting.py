"""Pictures among the parameters of a method, made small enough for a request to hold them all."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import Message

from hooke.inputs import MESSAGE_BYTES
from hooke.v1.image_pb2 import EncodedImage

EDGES = (1024, 768, 512, 384, 256, 128)
"""Pixels along the longest edge that are tried, one after another."""


def fit(request: Message, part: Message | Any) -> None:
    """Scale pictures in a part of a request down until all of it fits into a message.

    Small pictures stay as they are; ValueError where there are too many of them.
    """
    if request.ByteSize() <= MESSAGE_BYTES:
        return
    images = list(_images(part))
    sizes = [len(each.data) for each in images]
    share = _share(sizes, MESSAGE_BYTES - request.ByteSize() + sum(sizes))
    for image in images:
        if len(image.data) > share:
            image.data = _smaller(image.data, share, len(images))


def _images(part: Message | Any) -> Iterator[EncodedImage]:
    if isinstance(part, EncodedImage):
        yield part
    elif isinstance(part, Message):
        for field, value in part.ListFields():
            if field.message_type is not None:
                yield from _images(value)
    else:  # several
        for each in part:
            yield from _images(each)


def _share(sizes: list[int], room: int) -> int:
    """Bytes that each may have; what small ones leave over goes to the large ones."""
    share = room // max(len(sizes), 1)
    small = [size for size in sizes if size <= share]
    large = len(sizes) - len(small)
    return (room - sum(small)) // large if large else share


def _smaller(data: bytes, share: int, count: int) -> bytes:
    try:
        from PIL import Image
    except ImportError as error:
        message = f"{count} pictures are too large for a request; pip install pillow scales them"
        raise ValueError(message) from error
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    for edge in EDGES:
        picture.thumbnail((edge, edge))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=90)
        if buffer.tell() <= share:
            return buffer.getvalue()
    raise ValueError(
        f"{count} pictures do not fit into a request of {MESSAGE_BYTES} bytes; give fewer"
    )
