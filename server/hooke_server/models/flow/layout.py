"""Operations that move elements: views, slices, padding, concatenation."""

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
    combined,
    extent,
    regrouped,
    slid,
)
from hooke_server.models.flow.rules import Find, axes_of, rule, trace_of


@rule("clone", "_to_copy", "alias", "detach", "lift_fresh", "native_dropout", "contiguous")
def _same(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    return trace_of(find, args[0])


@rule("view", "_unsafe_view", "reshape", "_reshape_alias", "view_copy")
def _view(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    return regrouped(trace_of(find, args[0]), out.shape)


@rule("permute", "transpose", "t")
def _permute(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = trace_of(find, args[0])
    order = list(range(len(trace.dims)))
    if len(args) == 2:
        order = axes_of(args[1], len(order))
    elif order:
        a, b = (args[1], args[2]) if len(args) == 3 else (0, -1)
        order[a], order[b] = order[b], order[a]
    return replace(trace, dims=tuple(trace.dims[axis] for axis in order))


@rule("unsqueeze")
def _unsqueeze(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = trace_of(find, args[0])
    dims = list(trace.dims)
    dims.insert(args[1] % out.ndim, (Atom(Role.OTHER, 1, _pixel_of(trace)),))
    return replace(trace, dims=tuple(dims))


def _pixel_of(trace: Trace) -> Any:
    """A field for a new axis, so that convolutions along it are followed too."""
    fields = [atom.field for dim in trace.dims for atom in dim if atom.field]
    return replace(fields[0], size=1, jump=1, start=0.5) if fields else None


@rule("squeeze")
def _squeeze(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = trace_of(find, args[0])
    asked = axes_of(args[1] if len(args) > 1 else None, len(trace.dims))
    gone = {axis for axis in asked if extent(trace.dims[axis]) == 1}
    return replace(trace, dims=tuple(d for axis, d in enumerate(trace.dims) if axis not in gone))


@rule("expand")
def _expand(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    return combined([trace_of(find, args[0])], out.shape)


@rule("select")
def _select(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = trace_of(find, args[0])
    axis = args[1] % len(trace.dims)
    return replace(trace, dims=tuple(d for i, d in enumerate(trace.dims) if i != axis))


@rule("slice")
def _slice(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    given = [*args[1:], *[None] * (5 - len(args))]
    axis, start, step = given[0] or 0, given[1] or 0, given[3] or 1
    trace = trace_of(find, args[0])
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


@rule("split", "split_with_sizes", "chunk")
def _split(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace = trace_of(find, args[0])
    axis = (args[2] if len(args) > 2 else 0) % len(trace.dims)
    if trace.dims[axis][0].role is Role.POSITION:
        # Which part this is, and so where it begins, is not known here.
        dim = blurred(trace.dims[axis], out.shape[axis])
        return replace(trace, dims=(*trace.dims[:axis], dim, *trace.dims[axis + 1 :]))
    return _resized(trace, axis, out.shape[axis], 0)


@rule("unbind")
def _unbind(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    return _select((args[0], args[1] if len(args) > 1 else 0), out, find)


@rule("constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d")
@rule("replication_pad1d", "replication_pad2d", "replication_pad3d")
def _pad(args: Sequence[Any], out: Tensor, find: Find) -> Trace:
    trace, pads = trace_of(find, args[0]), args[1]
    for i in range(len(pads) // 2):
        axis = len(trace.dims) - 1 - i
        trace = _resized(trace, axis, out.shape[axis], -pads[2 * i])
    return trace


@rule("cat", "stack")
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
