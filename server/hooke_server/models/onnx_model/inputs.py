"""What an ONNX model takes: shapes, examples, and how pictures become its input."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.models.limits import Limits, broken, check_limit, shown, unsupported
from hooke_server.models.onnx_ops.table import DTYPES
from hooke_server.models.preprocessing import Preprocessing, customary_preprocessing
from hooke_server.models.sources import Source

_CUSTOMARY_EDGE = 224
"""Of a picture whose file does not say its size."""


@dataclass(frozen=True)
class Inputs:
    """The inputs in their order: shape of one sample with its batch dimension, and dtype.

    `batch` is 1, or the only batch size that the file declares.
    """

    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, torch.dtype]
    batch: int

    def example(self, batch: int, device: torch.device) -> dict[str, Tensor]:
        """Normal numbers, or zeros where the input is of integers, for a batch size."""
        generator = torch.Generator().manual_seed(0)
        tensors = {}
        for name, shape in self.shapes.items():
            sized = (batch, *shape[1:]) if self.has_batch(name) else shape
            values = torch.randn(sized, generator=generator)
            if not self.dtypes[name].is_floating_point:
                values = torch.zeros(sized)
            tensors[name] = values.to(device, self.dtypes[name])
        return tensors

    def has_batch(self, name: str) -> bool:
        """Whether the first dimension of an input is the batch."""
        return bool(self.shapes[name]) and self.shapes[name][0] == self.batch


def read_inputs(model: Any, source: Source, limits: Limits) -> Inputs:
    """The inputs of a model; `?input=3x224x224` says sizes that the file leaves open.

    Raises
    ------
    FailedPreconditionError : MODEL_UNSUPPORTED, for an input that is no tensor.
    InvalidArgumentError : INVALID_FIELD, for sizes that contradict the file.
    """
    held = {tensor.name for tensor in model.graph.initializer}
    values = [value for value in model.graph.input if value.name not in held]
    if not values:
        raise unsupported("this network has no inputs")
    given = _given(source, len(values))
    shapes: dict[str, tuple[int, ...]] = {}
    dtypes: dict[str, torch.dtype] = {}
    batches: set[int] = set()
    for value, sizes in zip(values, given, strict=True):
        tensor = value.type.tensor_type
        if not value.type.HasField("tensor_type") or tensor.elem_type not in DTYPES:
            raise unsupported(f"its input {shown(value.name)} is no tensor of numbers")
        dims = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
        if any(d is not None and not 0 <= d < 1 << 32 for d in dims) or len(dims) > 16:
            raise broken(f"its input {shown(value.name)} has no shape")
        shape = _shape(dims, sizes)
        check_limit("bytes of input", prod(shape) * 4, limits.tensor_bytes)
        shapes[value.name], dtypes[value.name] = shape, DTYPES[tensor.elem_type]
        batches.update(shape[:1])
    batch = batches.pop() if len(batches) == 1 else 1
    return Inputs(shapes, dtypes, batch or 1)


def _given(source: Source, count: int) -> list[list[int]]:
    text = source.options.get("input", "")
    if not text:
        return [[]] * count
    shapes = [[int(n) for n in part.split("x")] for part in text.split(",") if _WELL(part)]
    if len(shapes) != count:
        raise InvalidArgumentError(
            Reason.INVALID_FIELD,
            f"input={text} does not give the sizes of one sample for each of {count} inputs, "
            "such as 3x224x224, with commas between",
            field="source",
        )
    return shapes


_WELL = re.compile(r"\d{1,6}(x\d{1,6}){0,7}").fullmatch


def _shape(dims: Sequence[int | None], sizes: Sequence[int]) -> tuple[int, ...]:
    """Sizes of the file, else those given, else the customary ones."""
    if sizes and (not dims or len(sizes) == len(dims) - 1):
        dims = dims or [None] * (len(sizes) + 1)
        chosen = [(d or 1) if i == 0 else d or sizes[i - 1] for i, d in enumerate(dims)]
        if chosen[1:] == list(sizes):
            return tuple(chosen)
    if sizes:
        raise InvalidArgumentError(
            Reason.INVALID_FIELD,
            f"input={'x'.join(map(str, sizes))} contradicts the shape {list(dims)} in the file",
            field="source",
        )
    spatial = len(dims) - 2 if len(dims) > 3 else 0
    edges = [_CUSTOMARY_EDGE if i >= len(dims) - spatial else 16 for i in range(len(dims))]
    channels = 3 if len(dims) == 4 else 16
    customary = [1, channels, *edges[2:]]
    return tuple(d or custom for d, custom in zip(dims, customary, strict=False))


def read_preprocessing(model: Any, shape: Sequence[int]) -> Preprocessing | None:
    """As the file declares it, else by custom; None where the input is no picture.

    Two declarations are read: `hooke.preprocessing`, a JSON object with the fields of
    `Preprocessing`, and ONNX's own `Image.NominalPixelRange`.
    """
    custom = customary_preprocessing(shape)
    told = {entry.key: entry.value for entry in model.metadata_props}
    if custom is None:
        return None
    if "hooke.preprocessing" in told:
        return _declared(told["hooke.preprocessing"], custom)
    ranges = {
        "Normalized_0_1": (0.0, 1.0),
        "Normalized_1_1": (0.5, 0.5),
        "NominalRange_0_255": (0.0, 1 / 255),
    }
    if told.get("Image.NominalPixelRange") in ranges:
        mean, std = ranges[told["Image.NominalPixelRange"]]
        return _with(custom, {"mean": [mean] * custom.channels, "std": [std] * custom.channels})
    return custom


def _declared(text: str, custom: Preprocessing) -> Preprocessing:
    try:
        fields = json.loads(text)
        return _with(custom, fields)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise broken("its hooke.preprocessing is not the fields of a preprocessing") from None


def _with(custom: Preprocessing, fields: Mapping[str, Any]) -> Preprocessing:
    mean = tuple(float(value) for value in fields.get("mean", custom.mean))
    std = tuple(float(value) for value in fields.get("std", custom.std))
    interpolation = fields.get("interpolation", custom.interpolation)
    fits = len(mean) == len(std) == custom.channels and all(std)
    if not fits or interpolation not in {"nearest", "bilinear", "bicubic"}:
        raise ValueError
    resize = int(fields.get("resize_shorter_side", custom.resize_shorter_side))
    if not 0 <= resize <= 1 << 14:
        raise ValueError
    return Preprocessing(
        channels=custom.channels,
        resize_shorter_side=resize,
        interpolation=interpolation,
        crop_height=custom.crop_height,
        crop_width=custom.crop_width,
        mean=mean,
        std=std,
    )
