"""File formats of pictures that are sent; see `hooke.v1.ImageFormat`."""

from __future__ import annotations

from typing import Literal

from hooke.v1 import image_pb2
from hooke_server.errors import InvalidArgumentError, Reason

FORMATS: dict[int, Literal["png", "jpeg", "webp"]] = {
    image_pb2.IMAGE_FORMAT_UNSPECIFIED: "png",
    image_pb2.IMAGE_FORMAT_PNG: "png",
    image_pb2.IMAGE_FORMAT_JPEG: "jpeg",
    image_pb2.IMAGE_FORMAT_WEBP: "webp",
}
"""Formats of finished pictures."""


def read_format(wanted: int, field: str) -> Literal["png", "jpeg", "webp"]:
    """The format in which finished pictures are wanted."""
    if wanted not in FORMATS:
        message = f"{field} must be PNG, JPEG or WEBP"
        raise InvalidArgumentError(Reason.INVALID_FIELD, message, field=field, format=wanted)
    return FORMATS[wanted]
