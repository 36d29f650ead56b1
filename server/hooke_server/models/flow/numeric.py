"""Operations that mix elements: windows, reductions, norms, matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from hooke_server.models.axes import (
    Atom,
    Dim,
    Role,
    Trace,
    blurred,
    customary,
    extent,
    has_positions,
    window,
)
from hooke_server.models.flow.rules import Find, axes_of, rule, trace_of


@rule("convolution")
def _convolution(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    _, weight, _, stride, padding, dilation, transposed = args[:7]
    rank = weight.ndim - 2
    every = [list(v) * rank if len(v) == 1 else v for v in (stride, padding, dilation)]
    moved = window(trace_of(find, args[0]), out, weight.shape[2:], *every, units=True)
    if not transposed:
        return moved
    return replace(moved, dims=tuple(map(blurred, moved.dims)))


@rule("max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool2d", "avg_pool3d")
@rule("avg_pool1d", "max_pool1d", "max_pool2d", "max_pool3d")
def _pool(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    rank = out.ndim - 2 if isinstance(args[1], int) else len(args[1])
    given = [*args[1:4], *([[], 0] if len(args) == 2 else [0] if len(args) == 3 else [])]
    kernel, stride, padding = (_each(value, rank) for value in given)
    dilation = (
        _each(args[4], rank) if len(args) > 4 and not isinstance(args[4], bool) else [1] * rank
    )
    return window(
        trace_of(find, args[0]), out, kernel, stride or kernel, padding, dilation, units=False
    )


def _each(value: Any, rank: int) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * rank if len(values) == 1 else values


@rule("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool2d", "adaptive_max_pool3d")
@rule("adaptive_avg_pool1d", "adaptive_max_pool1d")
def _adaptive(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = trace_of(find, args[0])
    rank = len(args[1])
    pairs = [(extent(trace.dims[i]), out.shape[i]) for i in range(-rank, 0)]
    kernel = [before // after for before, after in pairs]
    moved = window(trace, out, kernel, kernel, [0] * rank, [1] * rank, units=False)
    uneven = any(before % after for before, after in pairs)
    everything = any(before > 1 and after == 1 for before, after in pairs)
    return replace(moved, whole=trace.whole or uneven or everything)


@rule("mean", "sum", "amax", "amin", "max", "min", "prod", "var", "std", "var_mean", "argmax")
@rule("linalg_vector_norm", "norm", "logsumexp", "any", "all", "std_mean", "argmin", "median")
def _reduce(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = trace_of(find, args[0])
    rank = len(trace.dims)
    given = next(
        (a for a in args[1:] if isinstance(a, list | int) and not isinstance(a, bool)), None
    )
    axes = set(axes_of(given, rank))
    whole = trace.whole or has_positions(trace.dims[axis] for axis in axes)
    if out.ndim == rank:
        kept = [blurred(d, 1) if axis in axes else d for axis, d in enumerate(trace.dims)]
    else:
        kept = [d for axis, d in enumerate(trace.dims) if axis not in axes]
    return Trace(tuple(kept), whole)


@rule("_softmax", "_log_softmax", "cumsum", "sort", "roll", "flip", "cumprod")
def _along(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = trace_of(find, args[0])
    axes = axes_of(args[2] if len(args) > 2 and isinstance(args[2], list) else args[1], out.ndim)
    return replace(trace, whole=trace.whole or has_positions(trace.dims[axis] for axis in axes))


@rule("native_layer_norm", "_fused_rms_norm", "rms_norm")
def _layer_norm(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = trace_of(find, args[0])
    mixed = trace.dims[-len(args[1]) :]
    return replace(trace, whole=trace.whole or has_positions(mixed))


@rule("native_group_norm")
def _group_norm(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = trace_of(find, args[0])
    return replace(trace, whole=trace.whole or has_positions(trace.dims[1:]))


@rule("native_batch_norm", "_native_batch_norm_legit", "cudnn_batch_norm")
@rule("_native_batch_norm_legit_no_training", "miopen_batch_norm", "_batch_norm_with_update")
def _batch_norm(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = trace_of(find, args[0])
    training = len(args) > 7 and args[5] is True
    return replace(trace, whole=trace.whole or (training and has_positions(trace.dims[2:])))


@rule("scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu")
@rule("_scaled_dot_product_flash_attention", "_scaled_dot_product_efficient_attention")
def _attention(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = trace_of(find, args[0])
    return replace(trace, whole=True)


PRODUCTS = {"mm": 0, "bmm": 0, "mv": 0, "addmm": 1, "baddbmm": 1, "addmv": 1}
"""Matrix products, and where the left matrix stands in their arguments."""

GATHERS = {"embedding", "_embedding_bag"}
"""Look-ups: of the table's rows by indices."""


def product(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    """Of a matrix product: rows come from the left, columns from the right."""
    left, right = find(args[0]), find(args[1])
    whole = any(trace.whole for trace in (left, right) if trace)
    columns: Dim = (Atom(Role.UNIT, out.shape[-1]),)
    if left is not None:
        whole = whole or has_positions(left.dims[-1:])
        rows = left.dims[:-1]
        if right is not None and len(right.dims) == out.ndim:
            # Each element sees the fields of two positions.
            columns, whole = right.dims[-1], whole or has_positions(right.dims)
        return Trace((*rows, columns)[: out.ndim], whole)
    if right is None or len(right.dims) != out.ndim:
        return customary(out.shape)
    whole = whole or has_positions(right.dims[-2:-1])
    return Trace(
        (*right.dims[:-2], columns[:0] or (Atom(Role.UNIT, out.shape[-2]),), right.dims[-1]), whole
    )


def gather(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    """Of a look-up: units are new."""
    index = find(args[1])
    if index is None or len(index.dims) != out.ndim - 1:
        return customary(out.shape)
    return Trace((*index.dims, (Atom(Role.UNIT, out.shape[-1]),)), index.whole)
