"""The device that computes: which, how exactly, and how much memory there is for work on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from hooke_server.errors import InvalidArgumentError, Reason, ResourceExhaustedError

T = TypeVar("T")

LEAST_WORK_MEMORY = 2 << 30
"""Bytes for the work of all requests together, where nobody said another number."""


def find_device(name: str) -> torch.device:
    """The device of that name; `auto` is the first GPU or else the CPU.

    InvalidArgumentError if it is not there.
    """
    found = torch.cuda.device_count()
    if name == "auto":
        name = "cuda" if found else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= found:
        message = f"there is no device {name}: torch finds {found} GPUs"
        raise InvalidArgumentError(Reason.INVALID_FIELD, message, field="--device")
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else device


def compute_exactly(exactly: bool) -> None:
    """Whether GPUs compute convolutions and matrix products in full 32-bit floats.

    Otherwise they may round the factors to 10 bits (TF32), as torch lets convolutions do by
    default: quicker, and wrong in the fourth digit. For the whole process; CPUs are always exact.
    """
    precision = "ieee" if exactly else "tf32"
    torch.backends.cudnn.conv.fp32_precision = precision  # type: ignore[attr-defined]  # stubs lack it
    torch.backends.cudnn.rnn.fp32_precision = precision  # type: ignore[attr-defined]  # stubs lack it
    torch.backends.cuda.matmul.fp32_precision = precision


def computes_exactly() -> bool:
    """What `compute_exactly` was told, or what torch does by itself."""
    exact: bool = torch.backends.cudnn.conv.fp32_precision == "ieee"  # type: ignore[attr-defined]  # as above
    return exact


def work_memory(device: torch.device, model_memory: int) -> int:
    """Bytes for work where nobody said a number: on a GPU half of what models leave."""
    if device.type != "cuda":
        return LEAST_WORK_MEMORY
    total = torch.cuda.get_device_properties(device).total_memory
    return max(LEAST_WORK_MEMORY, (total - model_memory) // 2)


def within_memory(function: Callable[[], T]) -> T:
    """What a function returns; ResourceExhaustedError where the device's memory ends."""
    try:
        return function()
    except torch.OutOfMemoryError:
        error = ResourceExhaustedError(
            Reason.MEMORY_BUDGET_EXCEEDED,
            "the device has no memory left for this: ask for less at once, or give the server"
            " less by --model-memory and --work-memory",
        )
    # Here nothing refers any more to what the function held.
    torch.cuda.empty_cache()
    raise error
