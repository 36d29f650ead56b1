"""Tensors out of the bytes of a file, each claim about them checked first.

A blob is a stretch of a file, mapped and not read, so that a large one costs
nothing until it is used. Its pages are private: writing changes no file.
"""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from hooke_server.models.limits import broken

MAX_RANK = 16


def map_file(path: Path) -> memoryview:
    """The bytes of a file, which may be deleted meanwhile."""
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            raise broken("it is empty")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))


def storage(blob: memoryview, dtype: torch.dtype) -> Tensor:
    """All elements of a blob in a row; what is left over at its end is dropped."""
    count = len(blob) // dtype.itemsize
    if not count:
        return torch.empty(0, dtype=dtype)
    raw = torch.frombuffer(blob[: count * dtype.itemsize], dtype=torch.uint8)
    if dtype is torch.bool:
        return raw != 0  # a bool of any other byte is undefined behaviour
    return (raw.clone() if raw.data_ptr() % dtype.itemsize else raw).view(dtype)


def strided(
    elements: Tensor, offset: object, shape: Sequence[object], stride: Sequence[object]
) -> Tensor:
    """A tensor on a storage.

    Raises
    ------
    FailedPreconditionError : MODEL_INVALID, for numbers that are no extents, or lead
        out of the storage, or claim more elements than it has.
    """
    sizes, steps = extents(shape), extents(stride)
    (start,) = extents([offset])
    if len(sizes) != len(steps):
        raise broken("a tensor has not one stride for each dimension")
    count = math.prod(sizes)
    last = start + sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
    if count > elements.numel() or (count and last >= elements.numel()):
        raise broken("a tensor is larger than what is stored of it")
    return elements.as_strided(sizes, steps, start if count else 0)


def extents(values: Sequence[object]) -> list[int]:
    """The same, if each is a whole number from 0 to 2^62 and there are not too many."""
    checked = [value for value in values if type(value) is int and 0 <= value < 1 << 62]
    if len(checked) != len(values) or len(values) > MAX_RANK:
        raise broken("a tensor's shape, stride or offset is no row of sizes")
    return checked
