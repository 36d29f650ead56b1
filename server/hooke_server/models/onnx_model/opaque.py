"""Stand-ins for operators that have no torch function: values of the right shapes.

They are run on meta tensors alone, to tabulate the layers of a network that ONNX
Runtime computes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Shapes = Mapping[str, tuple[torch.dtype, tuple[int, ...]]]
"""Dtype and shape of each value, by its name in the file."""


@torch.library.custom_op("hooke::opaque", mutates_args=())
def _opaque(sources: list[Tensor], shape: list[int], dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, dtype=dtype, device=sources[0].device)


@_opaque.register_fake
def _(sources: list[Tensor], shape: list[int], dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, dtype=dtype, device=sources[0].device)


def stand_ins(shapes: Mapping[int, Shapes]) -> Callable[[Any, Tensor], Callable[..., Any] | None]:
    """What gives a node's stand-in, by the shapes that were seen at some batch sizes."""

    def stand_in(node: Any, first: Tensor) -> Callable[..., Any] | None:
        names = [name for name in node.output if name]
        seen = {size: by for size, by in shapes.items() if all(name in by for name in names)}
        if first.shape[0] not in seen:
            return None
        return _function(node.op_type, names, seen)

    return stand_in


def _function(op_type: str, names: Sequence[str], seen: Mapping[int, Shapes]) -> Callable[..., Any]:
    def opaque(first: Tensor, *sources: Tensor) -> Any:
        known = seen[first.shape[0]]  # KeyError: not a batch size that it was seen to run on
        values = [_opaque([first, *sources], list(known[n][1]), known[n][0]) for n in names]
        return values[0] if len(values) == 1 else tuple(values)

    opaque.__name__ = opaque.__qualname__ = re.sub(r"\W", "_", op_type.lower()) + "_"
    return opaque
