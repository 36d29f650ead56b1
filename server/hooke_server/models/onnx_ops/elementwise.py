"""Arithmetic, comparison, logic: one element out of one element of each input."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable

import torch
from torch import Tensor

from hooke_server.models.onnx_ops.table import operator, unsupported


def _unary(name: str, function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def apply(x: Tensor) -> Tensor:
        return function(x)

    # The name it is assigned to below: graphs are printed with it.
    called = function.__name__ + ("_" if hasattr(builtins, function.__name__) else "")
    apply.__name__ = apply.__qualname__ = called
    return operator(name)(apply)


abs_ = _unary("Abs", torch.abs)
acos = _unary("Acos", torch.acos)
acosh = _unary("Acosh", torch.acosh)
asin = _unary("Asin", torch.asin)
asinh = _unary("Asinh", torch.asinh)
atan = _unary("Atan", torch.atan)
atanh = _unary("Atanh", torch.atanh)
bitwise_not = _unary("BitwiseNot", torch.bitwise_not)
ceil = _unary("Ceil", torch.ceil)
cos = _unary("Cos", torch.cos)
cosh = _unary("Cosh", torch.cosh)
erf = _unary("Erf", torch.erf)
exp = _unary("Exp", torch.exp)
floor = _unary("Floor", torch.floor)
isnan = _unary("IsNaN", torch.isnan)
log = _unary("Log", torch.log)
logical_not = _unary("Not", torch.logical_not)
neg = _unary("Neg", torch.neg)
reciprocal = _unary("Reciprocal", torch.reciprocal)
round_ = _unary("Round", torch.round)
sign = _unary("Sign", torch.sign)
sin = _unary("Sin", torch.sin)
sinh = _unary("Sinh", torch.sinh)
sqrt = _unary("Sqrt", torch.sqrt)
tan = _unary("Tan", torch.tan)
tanh = _unary("Tanh", torch.tanh)


@operator("Identity")
def identity(x: Tensor) -> Tensor:
    """`x` itself, not a copy: nothing writes into values."""
    return x


def along(b: Tensor, rank: int, axis: int | None) -> Tensor:
    """`b` shaped to broadcast from `axis` of a tensor of `rank`, as before opset 7."""
    if axis is None:
        return b
    return b.reshape(*b.shape, *[1] * (rank - axis % rank - b.ndim))


def _binary(
    name: str, function: Callable[[Tensor, Tensor], Tensor]
) -> Callable[[Tensor, Tensor], Tensor]:
    def apply(a: Tensor, b: Tensor, *, axis: int | None = None, broadcast: int = 0) -> Tensor:
        return function(a, along(b, a.ndim, axis if broadcast else None))

    apply.__name__ = apply.__qualname__ = function.__name__
    return operator(name)(apply)


add = _binary("Add", torch.add)
bitwise_and = _binary("BitwiseAnd", torch.bitwise_and)
bitwise_or = _binary("BitwiseOr", torch.bitwise_or)
bitwise_xor = _binary("BitwiseXor", torch.bitwise_xor)
eq = _binary("Equal", torch.eq)
ge = _binary("GreaterOrEqual", torch.ge)
gt = _binary("Greater", torch.gt)
le = _binary("LessOrEqual", torch.le)
logical_and = _binary("And", torch.logical_and)
logical_or = _binary("Or", torch.logical_or)
logical_xor = _binary("Xor", torch.logical_xor)
lt = _binary("Less", torch.lt)
mul = _binary("Mul", torch.mul)
sub = _binary("Sub", torch.sub)


@operator("Div")
def div(a: Tensor, b: Tensor, *, axis: int | None = None, broadcast: int = 0) -> Tensor:
    """Quotient; of integers, cut towards zero."""
    b = along(b, a.ndim, axis if broadcast else None)
    if a.is_floating_point():
        return a / b
    return torch.div(a, b, rounding_mode="trunc")


@operator("Pow")
def pow_(a: Tensor, b: Tensor, *, axis: int | None = None, broadcast: int = 0) -> Tensor:
    """`a` to the power of `b`, in the type of `a` whatever that of `b`."""
    return torch.pow(a, along(b, a.ndim, axis if broadcast else None)).to(a.dtype)


@operator("Mod")
def mod(a: Tensor, b: Tensor, *, fmod: int = 0) -> Tensor:
    """Remainder with the sign of `b`, or of `a` when `fmod`."""
    return torch.fmod(a, b) if fmod else torch.remainder(a, b)


@operator("BitShift")
def bit_shift(a: Tensor, b: Tensor, *, direction: str) -> Tensor:
    """`a` times or over two to the `b`; `b` may be the width of the type, or more."""
    bits = 8 * a.element_size()
    if direction == "RIGHT" and a.is_signed():
        return torch.bitwise_right_shift(a, b.clamp(max=bits - 1))
    shifted = torch.bitwise_left_shift if direction == "LEFT" else torch.bitwise_right_shift
    return torch.where(b < bits, shifted(a, b.clamp(max=bits - 1)), torch.zeros_like(a))


@operator("Sum")
def sum_(*inputs: Tensor) -> Tensor:
    """Sum of all inputs."""
    return functools.reduce(torch.add, inputs)


@operator("Mean")
def mean(*inputs: Tensor) -> Tensor:
    """Mean of all inputs, element by element."""
    return functools.reduce(torch.add, inputs) / len(inputs)


@operator("Max")
def max_(*inputs: Tensor) -> Tensor:
    """The largest of all inputs, element by element."""
    return functools.reduce(torch.maximum, inputs)


@operator("Min")
def min_(*inputs: Tensor) -> Tensor:
    """The smallest of all inputs, element by element."""
    return functools.reduce(torch.minimum, inputs)


def _bound(value: Tensor | float | None) -> float | None:
    return value.item() if isinstance(value, Tensor) else value


@operator("Clip")
def clip(
    x: Tensor,
    low: Tensor | None = None,
    high: Tensor | None = None,
    *,
    min: float | None = None,  # noqa: A002  # ONNX's name, before opset 11
    max: float | None = None,  # noqa: A002
) -> Tensor:
    """`x` between two bounds, either of which may be absent.

    The bounds are passed on as numbers: the gradient is then 0 at a bound, as of
    relu and relu6, and not the half it would be of tensors.
    """
    lowest, highest = _bound(min if low is None else low), _bound(max if high is None else high)
    if lowest is None and highest is None:
        return x
    return torch.clamp(x, lowest, highest)


@operator("IsInf")
def isinf(x: Tensor, *, detect_negative: int = 1, detect_positive: int = 1) -> Tensor:
    """Where `x` is an infinity of the signs asked for."""
    positive, negative = torch.isposinf(x), torch.isneginf(x)
    none = torch.zeros_like(positive)
    return (positive if detect_positive else none) | (negative if detect_negative else none)


@operator("Where")
def where(condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`x` where the condition holds, else `y`."""
    return torch.where(condition, x, y)


@operator("Dropout")
def dropout(
    x: Tensor,
    ratio: Tensor | None = None,
    training_mode: Tensor | None = None,
    *,
    outputs: int = 1,
    **_: object,
) -> Tensor | tuple[Tensor, ...]:
    """`x` itself, and a mask of ones: models are read, not trained."""
    if training_mode is not None and bool(training_mode) and (ratio is None or float(ratio) > 0):
        raise unsupported("dropout in training mode is random; export the model for inference")
    return x if outputs == 1 else (x, torch.ones_like(x, dtype=torch.bool))
