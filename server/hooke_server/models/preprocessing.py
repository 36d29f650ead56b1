"""How a picture becomes a model's input; see `hooke.v1.Preprocessing`."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from hooke_server.errors import InvalidArgumentError, Reason

Interpolation = Literal["nearest", "bilinear", "bicubic"]

MAX_PIXELS = 64 * 1024 * 1024
"""Pixels of the largest picture taken: 8192 x 8192."""

MAX_EDGE = 65535
"""Pixels of the longest edge taken, as in a JPEG."""

BYTES_PER_PIXEL = 4
"""As Pillow holds colours."""

MAX_RESIZED = 16 * 1024 * 1024
"""Pixels of the largest picture that is resized as a whole before it is cropped."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

FORMATS = ("PNG", "JPEG", "WEBP")

_FILTER_RADIUS = 2
"""Pixels that the widest filter looks around, in those of the coarser side."""

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocessing:
    """Resize the shorter side, crop the centre, scale to 0..1, subtract mean, divide by std.

    With `resize_shorter_side` 0 the picture is resized to the crop's size itself.
    """

    channels: int = 3
    resize_shorter_side: int = 256
    interpolation: Interpolation = "bilinear"
    crop_height: int = 224
    crop_width: int = 224
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    declared: bool = True

    def decode(self, data: bytes, field: str = "images") -> Tensor:
        """PNG, JPEG or WebP bytes to a float tensor [channels, crop_height, crop_width]."""
        picture, mode = _eight_bit(open_picture(data, field)), "RGB" if self.channels == 3 else "L"
        if picture.mode != mode:  # else it would be copied
            picture = picture.convert(mode)
        pixels = np.asarray(self._crop(picture), dtype=np.float32) / 255
        pixels = np.atleast_3d(pixels)
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        normalized = (pixels - mean) / std
        return torch.from_numpy(np.ascontiguousarray(normalized.transpose(2, 0, 1)))

    def decoding_bytes(self, data: bytes, field: str = "images") -> int:
        """Memory that `decode` takes for a while, by the file's header."""
        width, height = picture_size(data, field)
        columns, rows = self._resized((width, height))
        if columns * rows > MAX_RESIZED:
            columns, rows = self.crop_width, self.crop_height
        # Decoded and in another mode; resized along one edge and along both.
        return BYTES_PER_PIXEL * (2 * width * height + columns * height + columns * rows)

    def _resized(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height before the crop."""
        if not self.resize_shorter_side:
            return self.crop_width, self.crop_height
        width, height = (edge * self.resize_shorter_side // min(size) for edge in size)
        return width, height

    def _crop(self, picture: Image.Image) -> Image.Image:
        """As torchvision's `Resize` and `CenterCrop`."""
        size = (self.crop_width, self.crop_height)
        width, height = self._resized(picture.size)
        resample = _FILTERS[self.interpolation]
        left, top = _offset(width, size[0]), _offset(height, size[1])
        box = (left, top, left + size[0], top + size[1])
        if width * height <= MAX_RESIZED:
            return picture.resize((width, height), resample).crop(box)
        inside = (max(left, 0), max(top, 0), min(box[2], width), min(box[3], height))
        part = _resize_part(picture, (width, height), inside, resample)
        return part.crop((min(left, 0), min(top, 0), min(left, 0) + size[0], min(top, 0) + size[1]))


def _offset(edge: int, wanted: int) -> int:
    """Where the middle `wanted` pixels of an edge begin; negative where it is too short."""
    return round((edge - wanted) / 2) if edge >= wanted else -((wanted - edge) // 2)


def _resize_part(
    picture: Image.Image,
    size: tuple[int, int],
    box: tuple[int, int, int, int],
    resample: Image.Resampling,
) -> Image.Image:
    """`picture.resize(size, resample).crop(box)` without the rest, which may be huge.

    Differs by rounding.
    """
    source, inner = [0.0] * 4, [0.0] * 4
    for axis in (0, 1):
        scale = picture.size[axis] / size[axis]
        low, high = box[axis] * scale, box[axis + 2] * scale
        # Pillow keeps places in single precision, so they must be small; filters look around.
        margin = math.ceil(_FILTER_RADIUS * max(scale, 1.0)) + 1
        source[axis] = max(0, math.floor(low) - margin)
        source[axis + 2] = min(picture.size[axis], math.ceil(high) + margin)
        inner[axis], inner[axis + 2] = low - source[axis], high - source[axis]
    part = picture.crop((int(source[0]), int(source[1]), int(source[2]), int(source[3])))
    wanted = (box[2] - box[0], box[3] - box[1])
    return part.resize(wanted, resample, (inner[0], inner[1], inner[2], inner[3]))


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Grey of 16 bits by its upper 8, as Pillow reads colours of 16; it would clip grey ones."""
    if not picture.mode.startswith("I"):
        return picture
    return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))


def customary_preprocessing(shape: Sequence[int | str]) -> Preprocessing | None:
    """For an input whose model tells nothing: ImageNet's values for colour pictures.

    Grey pictures keep their scale of 0 to 1. None for an input that is no picture
    [batch, 1 or 3 channels, height, width] of a known size.
    """
    if len(shape) != 4 or shape[1] not in {1, 3}:
        return None
    height, width = shape[2:]
    if not (isinstance(height, int) and isinstance(width, int)):
        return None
    # The customary 224 are cut from 256.
    resize = round(min(height, width) * 256 / 224) if height == width else 0
    colour = shape[1] == 3
    return Preprocessing(
        channels=3 if colour else 1,
        resize_shorter_side=resize if colour else 0,
        crop_height=height,
        crop_width=width,
        mean=IMAGENET_MEAN if colour else (0.0,),
        std=IMAGENET_STD if colour else (1.0,),
        declared=False,
    )


def open_picture(data: bytes, field: str) -> Image.Image:
    """Decode a picture after its format and size were found to be allowed."""
    with _refusing(data, field):
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
        _check_size(picture)
        picture.load()
        # As people see it: cameras write pictures lying on their side, and say so.
        return ImageOps.exif_transpose(picture)


def picture_size(data: bytes, field: str) -> tuple[int, int]:
    """Width and height, by the file's header; errors as for `open_picture`."""
    with _refusing(data, field), Image.open(io.BytesIO(data), formats=FORMATS) as picture:
        _check_size(picture)
        width, height = picture.size
        # Where the header has none, a PNG would be decoded to look for it.
        told = picture.getexif() if "exif" in picture.info else {}
        lying = told.get(ExifTags.Base.Orientation) in {5, 6, 7, 8}
        return (height, width) if lying else (width, height)


@contextmanager
def _refusing(data: bytes, field: str) -> Iterator[None]:
    """Tell Pillow's errors in our words."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures and refuses huge ones; ours is the one limit.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    except Image.DecompressionBombError:
        raise InvalidArgumentError(
            Reason.IMAGE_TOO_LARGE,
            f"the picture has more than {MAX_PIXELS} pixels or an edge of more than {MAX_EDGE};"
            " scale it down",
            field=field,
            max_pixels=MAX_PIXELS,
            max_edge=MAX_EDGE,
        ) from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        raise InvalidArgumentError(
            Reason.IMAGE_UNREADABLE,
            f"these {len(data)} bytes are no readable PNG, JPEG or WebP picture",
            field=field,
            size=len(data),
        ) from None


def _check_size(picture: Image.Image) -> None:
    if picture.width * picture.height > MAX_PIXELS or max(picture.size) > MAX_EDGE:
        raise Image.DecompressionBombError
