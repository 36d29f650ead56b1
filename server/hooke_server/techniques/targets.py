"""What a technique is pointed at: places in models, and pictures that come with a request."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hooke_server.models.preprocessing import BYTES_PER_PIXEL, open_picture, picture_size

_COPIES = 3
"""Of a picture while it is decoded: as it lies in the file, turned, and in another mode."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """A place that was asked about and found to exist: a layer, a unit, a neuron.

    `model` is its model's index among those that the request names.
    """

    layer: str
    unit: int | None = None
    position: tuple[int, ...] = ()
    model: int = 0


@dataclass(frozen=True)
class Photograph:
    """A picture's file that a client sent, known by its digest.

    `field` is where in the request it came, for messages.
    """

    data: bytes = field(repr=False)
    field: str = field(default="image", compare=False)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def decoding_bytes(self) -> int:
        """Memory that decoding takes for a while, by the file's header."""
        width, height = picture_size(self.data, self.field)
        return _COPIES * BYTES_PER_PIXEL * width * height

    def pixels(self, longer_edge: int, channels: int = 3) -> Tensor:
        """A tensor [channels, height, width] in 0..1, resized with its proportions kept."""
        return self.cropped(self.fitted(longer_edge), channels)

    def fitted(self, longer_edge: int) -> tuple[int, int]:
        """Height and width with its proportions."""
        width, height = picture_size(self.data, self.field)
        factor = longer_edge / max(width, height)
        return max(1, round(height * factor)), max(1, round(width * factor))

    def cropped(self, size: tuple[int, int], channels: int = 3) -> Tensor:
        """A tensor [channels, height, width] in 0..1 of that height and width, of its middle."""
        picture = open_picture(self.data, self.field)
        height, width = size
        factor = max(width / picture.width, height / picture.height)
        across, down = width / factor, height / factor
        left, top = (picture.width - across) / 2, (picture.height - down) / 2
        box = (left, top, left + across, top + down)
        return _tensor(picture.convert(_mode(channels)), (width, height), box)


def photographs(value: object) -> Iterator[Photograph]:
    """All that a value holds: a request's parameters, an item, a tuple of such."""
    if isinstance(value, Photograph):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from photographs(each)
    elif is_dataclass(value):
        for part in fields(value):
            yield from photographs(getattr(value, part.name))


def decoding_bytes(value: object) -> int:
    """Memory that decoding the pictures in a value takes: one is decoded at a time."""
    return max((each.decoding_bytes for each in photographs(value)), default=0)


def _mode(channels: int) -> str:
    return "L" if channels == 1 else "RGB"


def _tensor(
    picture: Image.Image,
    size: tuple[int, int],
    box: tuple[float, float, float, float] | None = None,
) -> Tensor:
    resized = picture.resize(size, Image.Resampling.BICUBIC, box)
    pixels = np.atleast_3d(np.asarray(resized, np.float32)) / 255
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
