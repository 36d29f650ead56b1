"""Where operators are registered, and what their functions share.

A function takes the node's inputs by position (None for one left out) and its
attributes by ONNX name. It may declare two keywords besides, which the graph fills in:

`opset` : the model's version of the default operator set.
`outputs` : how many outputs the node names. Functions that declare it answer one
    tensor for 1, else a tuple of that many: nobody pays for results nobody reads.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from hooke_server.errors import FailedPreconditionError, Reason
from hooke_server.registry import nearest

Function = TypeVar("Function", bound=Callable[..., Any])
Ints = Tensor | Sequence[int] | None


@dataclass(frozen=True)
class Operator:
    """One ONNX operator.

    Attributes
    ----------
    name : ONNX's name of it.
    function : computes it; pure, at module level, differentiable where the maths is.
    context : which of "opset" and "outputs" the function wants as keywords.
    """

    name: str
    function: Callable[..., Tensor | tuple[Tensor, ...]]
    context: frozenset[str]


operators: dict[str, Operator] = {}


def operator(*names: str) -> Callable[[Function], Function]:
    """Decorator: what it decorates computes the ONNX operators of these names."""

    def add(function: Function) -> Function:
        context = frozenset({"opset", "outputs"} & inspect.signature(function).parameters.keys())
        for name in names:
            if name in operators:
                raise ValueError(f"there are two functions for the operator {name!r}")
            operators[name] = Operator(name, function, context)
        return function

    return add


def find(op_type: str) -> Callable[..., Tensor | tuple[Tensor, ...]]:
    """The function of an operator of the default domain."""
    if op_type not in operators:
        near = nearest(op_type, operators)
        guess = f"; the nearest are {', '.join(near)}" if near else ""
        raise FailedPreconditionError(
            Reason.MODEL_UNSUPPORTED,
            f"no ONNX operator {op_type!r} among the {len(operators)} supported{guess}",
            operator=op_type,
        )
    return operators[op_type].function


def integers(values: Ints) -> list[int]:
    """A shape, a list of axes...: an attribute or a (mostly constant) tensor as a list."""
    if values is None:
        return []
    if isinstance(values, Tensor):
        return [int(value) for value in values.reshape(-1).tolist()]
    return list(values)


def unsupported(message: str, **facts: object) -> FailedPreconditionError:
    """The error for a legal use of an operator that no torch function offers."""
    return FailedPreconditionError(Reason.MODEL_UNSUPPORTED, message, **facts)  # type: ignore[arg-type]


DTYPES = {
    # onnx.TensorProto.DataType, without strings and types below a byte.
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    4: torch.uint16,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    12: torch.uint32,
    13: torch.uint64,
    14: torch.complex64,
    15: torch.complex128,
    16: torch.bfloat16,
}


def dtype_of(number: int) -> torch.dtype:
    """ONNX's number of an element type as torch's."""
    if number not in DTYPES:
        raise unsupported(f"element type {number} of ONNX has no torch counterpart", type=number)
    return DTYPES[number]
