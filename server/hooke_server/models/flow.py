"""How each aten operation moves a `Trace`: a rule for each family, registered by name.

An operation without a rule is elementwise if its value has the broadcast shape of
its arguments; else its axes are customary and it may see the whole input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from hooke_server.models.axes import (
    Atom,
    Dim,
    Role,
    Trace,
    blurred,
    combined,
    customary,
    extent,
    has_positions,
    regrouped,
    slid,
    union,
    window,
)

Find = Callable[[Any], Trace | None]
Rule = Callable[[Sequence[Any], Tensor, Find], Trace]

_RULES: dict[str, Rule] = {}


def follow(name: str, args: Sequence[Any], out: Tensor, find: Find) -> Trace | None:
    """The trace of `out`, computed by aten operation `name`; None: no argument has one.

    `find` tells the trace of a tensor, and `args` are the operation's, by position.
    """
    tensors = [arg for arg in _flat(args) if isinstance(arg, Tensor)]
    traces = [trace for trace in map(find, tensors) if trace is not None]
    if not traces:
        return None
    rule = _RULES.get(name)
    if rule is not None and find(_first(args)) is not None:
        return rule(args, out, find)
    if name in _PRODUCTS:
        return _product(args[_PRODUCTS[name] :], out, find)
    if name in _GATHERS:
        return _gather(args, out, find)
    if _broadcast(tensors) == tuple(out.shape):
        return combined(traces, out.shape)
    return customary(out.shape)


def _flat(args: Sequence[Any]) -> list[Any]:
    return [
        leaf for arg in args for leaf in (_flat(arg) if isinstance(arg, list | tuple) else [arg])
    ]


def _first(args: Sequence[Any]) -> Any:
    return args[0][0] if isinstance(args[0], list | tuple) else args[0]


def _broadcast(tensors: Sequence[Tensor]) -> tuple[int, ...] | None:
    try:
        return tuple(torch.broadcast_shapes(*(t.shape for t in tensors)))
    except RuntimeError:
        return None


def _rule(*names: str) -> Callable[[Rule], Rule]:
    def add(rule: Rule) -> Rule:
        _RULES.update(dict.fromkeys(names, rule))
        return rule

    return add


def _trace(find: Find, tensor: Any) -> Trace:
    trace = find(tensor)
    assert trace is not None  # noqa: S101  # `follow` has looked
    return trace


def _axes(dims: Any, rank: int) -> list[int]:
    if dims is None or dims == []:
        return list(range(rank))
    return [d % rank for d in (dims if isinstance(dims, list | tuple) else [dims])] if rank else []


@_rule("clone", "_to_copy", "alias", "detach", "lift_fresh", "native_dropout", "contiguous")
def _same(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    return _trace(find, args[0])


@_rule("view", "_unsafe_view", "reshape", "_reshape_alias", "view_copy")
def _view(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    return regrouped(_trace(find, args[0]), out.shape)


@_rule("permute", "transpose", "t")
def _permute(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = _trace(find, args[0])
    order = list(range(len(trace.dims)))
    if len(args) == 2:
        order = _axes(args[1], len(order))
    elif order:
        a, b = (args[1], args[2]) if len(args) == 3 else (0, -1)
        order[a], order[b] = order[b], order[a]
    return replace(trace, dims=tuple(trace.dims[axis] for axis in order))


@_rule("unsqueeze")
def _unsqueeze(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = _trace(find, args[0])
    dims = list(trace.dims)
    dims.insert(args[1] % out.ndim, (Atom(Role.OTHER, 1, _pixel_of(trace)),))
    return replace(trace, dims=tuple(dims))


def _pixel_of(trace: Trace) -> Any:
    """A field for a new axis, so that convolutions along it are followed too."""
    fields = [atom.field for dim in trace.dims for atom in dim if atom.field]
    return replace(fields[0], size=1, jump=1, start=0.5) if fields else None


@_rule("squeeze")
def _squeeze(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = _trace(find, args[0])
    asked = _axes(args[1] if len(args) > 1 else None, len(trace.dims))
    gone = {axis for axis in asked if extent(trace.dims[axis]) == 1}
    return replace(trace, dims=tuple(d for axis, d in enumerate(trace.dims) if axis not in gone))


@_rule("expand")
def _expand(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    return combined([_trace(find, args[0])], out.shape)


@_rule("select")
def _select(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = _trace(find, args[0])
    axis = args[1] % len(trace.dims)
    return replace(trace, dims=tuple(d for i, d in enumerate(trace.dims) if i != axis))


@_rule("slice")
def _slice(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    axis, start, _, step = (*args[1:], *(0, None, None, 1)[len(args) - 1 :])
    start, step = start or 0, step or 1
    trace = _trace(find, args[0])
    axis %= len(trace.dims)
    size = extent(trace.dims[axis])
    first = min(start + size if start < 0 else start, size)
    return _resized(trace, axis, out.shape[axis], first, step)


def _resized(trace: Trace, axis: int, size: int, first: int, step: int = 1) -> Trace:
    """A range of an axis: the field of its first element moves by `first` positions."""
    dim = trace.dims[axis]
    if len(dim) == 1 and (field := slid(dim[0].field, 1, step, -first)):
        dim = (Atom(dim[0].role, size, field),)
    else:
        dim = blurred(dim, size)
    return replace(trace, dims=(*trace.dims[:axis], dim, *trace.dims[axis + 1 :]))


@_rule("split", "split_with_sizes", "chunk")
def _split(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = _trace(find, args[0])
    axis = (args[2] if len(args) > 2 else 0) % len(trace.dims)
    if trace.dims[axis][0].role is Role.POSITION:
        # Which part this is, and so where it begins, is not known here.
        dim = blurred(trace.dims[axis], out.shape[axis])
        return replace(trace, dims=(*trace.dims[:axis], dim, *trace.dims[axis + 1 :]))
    return _resized(trace, axis, out.shape[axis], 0)


@_rule("unbind")
def _unbind(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    return _select((args[0], args[1] if len(args) > 1 else 0), out, find)


@_rule("constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d")
@_rule("replication_pad1d", "replication_pad2d", "replication_pad3d")
def _pad(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace, pads = _trace(find, args[0]), args[1]
    for i in range(len(pads) // 2):
        axis = len(trace.dims) - 1 - i
        trace = _resized(trace, axis, out.shape[axis], -pads[2 * i])
    return trace


@_rule("cat", "stack")
def _cat(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    traces = [trace for trace in map(find, args[0]) if trace is not None and trace.dims]
    whole = any(trace.whole for trace in traces)
    axis = (args[1] if len(args) > 1 else 0) % out.ndim
    if len(traces[0].dims) < out.ndim:  # stack
        new: Dim = (Atom(Role.OTHER, out.shape[axis]),)
        return Trace((*traces[0].dims[:axis], new, *traces[0].dims[axis:]), whole)
    like = combined(traces, [*out.shape[:axis], -1, *out.shape[axis + 1 :]])
    role = traces[0].dims[axis][0].role
    moved = role is Role.POSITION and len(args[0]) > 1
    dim: Dim = (Atom(role, out.shape[axis]),)
    return Trace((*like.dims[:axis], dim, *like.dims[axis + 1 :]), whole or moved)


@_rule("convolution")
def _convolution(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    _, weight, _, stride, padding, dilation, transposed = args[:7]
    rank = weight.ndim - 2
    every = [list(v) * rank if len(v) == 1 else v for v in (stride, padding, dilation)]
    moved = window(_trace(find, args[0]), out, weight.shape[2:], *every, units=True)
    if not transposed:
        return moved
    return replace(moved, dims=tuple(map(blurred, moved.dims)))


@_rule("max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool2d", "avg_pool3d")
@_rule("avg_pool1d", "max_pool1d", "max_pool2d", "max_pool3d")
def _pool(args: Sequence[Any], out: Tensor, find: Find, name: str = "") -> Trace:
    rank = out.ndim - 2 if isinstance(args[1], int) else len(args[1])
    given = [*args[1:4], *([[], 0] if len(args) == 2 else [0] if len(args) == 3 else [])]
    kernel, stride, padding = (_each(value, rank) for value in given)
    dilation = (
        _each(args[4], rank) if len(args) > 4 and not isinstance(args[4], bool) else [1] * rank
    )
    return window(
        _trace(find, args[0]), out, kernel, stride or kernel, padding, dilation, units=False
    )


def _each(value: Any, rank: int) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * rank if len(values) == 1 else values


@_rule("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool2d", "adaptive_max_pool3d")
@_rule("adaptive_avg_pool1d", "adaptive_max_pool1d")
def _adaptive(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = _trace(find, args[0])
    rank = len(args[1])
    pairs = [(extent(trace.dims[i]), out.shape[i]) for i in range(-rank, 0)]
    kernel = [before // after for before, after in pairs]
    moved = window(trace, out, kernel, kernel, [0] * rank, [1] * rank, units=False)
    uneven = any(before % after for before, after in pairs)
    everything = any(before > 1 and after == 1 for before, after in pairs)
    return replace(moved, whole=trace.whole or uneven or everything)


@_rule("mean", "sum", "amax", "amin", "max", "min", "prod", "var", "std", "var_mean", "argmax")
@_rule("linalg_vector_norm", "norm", "logsumexp", "any", "all", "std_mean", "argmin", "median")
def _reduce(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = _trace(find, args[0])
    rank = len(trace.dims)
    given = next(
        (a for a in args[1:] if isinstance(a, list | int) and not isinstance(a, bool)), None
    )
    axes = set(_axes(given, rank))
    whole = trace.whole or has_positions(trace.dims[axis] for axis in axes)
    if out.ndim == rank:
        kept = [blurred(d, 1) if axis in axes else d for axis, d in enumerate(trace.dims)]
    else:
        kept = [d for axis, d in enumerate(trace.dims) if axis not in axes]
    return Trace(tuple(kept), whole) if len(kept) == out.ndim else customary(out.shape)


@_rule("_softmax", "_log_softmax", "cumsum", "sort", "roll", "flip", "cumprod")
def _along(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = _trace(find, args[0])
    axes = _axes(args[2] if len(args) > 2 and isinstance(args[2], list) else args[1], out.ndim)
    return replace(trace, whole=trace.whole or has_positions(trace.dims[axis] for axis in axes))


@_rule("native_layer_norm", "_fused_rms_norm", "rms_norm")
def _layer_norm(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = _trace(find, args[0])
    if len(trace.dims) != out.ndim:  # mean and rstd
        return customary(out.shape)
    mixed = trace.dims[-len(args[1]) :]
    return replace(trace, whole=trace.whole or has_positions(mixed))


@_rule("native_group_norm")
def _group_norm(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = _trace(find, args[0])
    if len(trace.dims) != out.ndim:
        return customary(out.shape)
    return replace(trace, whole=trace.whole or has_positions(trace.dims[1:]))


@_rule("native_batch_norm", "_native_batch_norm_legit", "cudnn_batch_norm")
@_rule("_native_batch_norm_legit_no_training", "miopen_batch_norm", "_batch_norm_with_update")
def _batch_norm(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = _trace(find, args[0])
    if len(trace.dims) != out.ndim:
        return customary(out.shape)
    training = len(args) > 7 and args[5] is True
    return replace(trace, whole=trace.whole or (training and has_positions(trace.dims[2:])))


_PRODUCTS = {"mm": 0, "bmm": 0, "mv": 0, "addmm": 1, "baddbmm": 1, "addmv": 1}


def _product(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
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


_GATHERS = {"embedding", "_embedding_bag"}


def _gather(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    index = find(args[1])
    if index is None or len(index.dims) != out.ndim - 1:
        return customary(out.shape)
    return Trace((*index.dims, (Atom(Role.UNIT, out.shape[-1]),)), index.whole)


@_rule("scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu")
@_rule("_scaled_dot_product_flash_attention", "_scaled_dot_product_efficient_attention")
def _attention(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = _trace(find, args[0])
    return replace(trace, whole=True) if len(trace.dims) == out.ndim else customary(out.shape)


assert union  # noqa: S101
