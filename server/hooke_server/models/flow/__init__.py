"""Following a `Trace` through aten operations.

An operation without a rule is elementwise if its value has the broadcast shape of
its arguments; else its axes are customary and it may see the whole input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from hooke_server.models.axes import Trace, combined, customary
from hooke_server.models.flow import layout, numeric
from hooke_server.models.flow.rules import RULES, Find

__all__ = ["follow", "layout", "numeric"]


def follow(name: str, args: Sequence[Any], out: Tensor, find: Find) -> Trace | None:
    """The trace of `out`, computed by aten operation `name`; None: no argument has one.

    `find` tells the trace of a tensor, and `args` are the operation's, by position.
    """
    if name in _FRESH:
        return None
    tensors = [arg for arg in _flat(args) if isinstance(arg, Tensor)]
    traces = [trace for trace in map(find, tensors) if trace is not None]
    if not traces:
        return None
    trace: Trace | None = None
    if name in RULES and any(find(subject) for subject in _flat(args[:1])):
        trace = RULES[name](args, out, find)
    elif name in numeric.PRODUCTS:
        trace = numeric.product(args[numeric.PRODUCTS[name] :], out, find)
    elif name in numeric.GATHERS:
        trace = numeric.gather(args, out, find)
    elif _broadcast(tensors) == list(out.shape):
        trace = combined(traces, out.shape)
    return trace if trace and len(trace.dims) == out.ndim else customary(out.shape)


# These take a tensor for its shape alone.
_FRESH = frozenset({
    *("new_zeros", "new_ones", "new_empty", "new_full", "new_empty_strided"),
    *("zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like"),
})  # fmt: skip


def _flat(args: Sequence[Any]) -> list[Any]:
    nested = (_flat(arg) if isinstance(arg, list | tuple) else [arg] for arg in args)
    return [leaf for leaves in nested for leaf in leaves]


def _broadcast(tensors: Sequence[Tensor]) -> list[int] | None:
    """The common shape of tensors; None where they have none."""
    rank = max(tensor.ndim for tensor in tensors)
    shape = [1] * rank
    for tensor in tensors:
        for axis, size in enumerate(tensor.shape, rank - tensor.ndim):
            if size != 1 and shape[axis] not in {1, size}:
                return None
            shape[axis] = size if shape[axis] == 1 else shape[axis]
    return shape
