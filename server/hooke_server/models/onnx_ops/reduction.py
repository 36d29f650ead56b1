"""Many elements to one, along axes.

Axes are an input for ReduceSum from opset 13 and for the others from 18, an
attribute before.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hooke_server.models.onnx_ops.table import Ints, integers, operator

Reduce = Callable[[Tensor, list[int], bool], Tensor]


def _reduce(name: str, called: str, function: Reduce) -> Callable[..., Tensor]:
    def apply(
        x: Tensor,
        where: Tensor | None = None,
        *,
        axes: Ints = None,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
    ) -> Tensor:
        chosen = integers(axes if where is None else where)
        if not chosen and noop_with_empty_axes:
            # Still the function of each element: ReduceL1 gives absolute values.
            return function(x.unsqueeze(-1), [-1], False)
        if x.ndim == 0:
            return function(x.unsqueeze(0), [0], False)
        return function(x, chosen or list(range(x.ndim)), bool(keepdims))

    apply.__name__ = apply.__qualname__ = called
    return operator(name)(apply)


def _sum(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return torch.sum(x, axes, keep, dtype=x.dtype)


def _product(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
        x = torch.prod(x, axis, keep, dtype=x.dtype)
    return x


def _empty(x: Tensor, axes: list[int], keep: bool, value: float) -> Tensor | None:
    """What the extremum of nothing is: the least or the greatest value of the type."""
    if all(x.shape[axis] for axis in axes):
        return None
    if x.dtype == torch.bool:
        value = value > 0
    elif not x.is_floating_point():
        limits = torch.iinfo(x.dtype)
        value = limits.max if value > 0 else limits.min
    return torch.sum(x, axes, keep, dtype=x.dtype).fill_(value)


def _maximum(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    # amax shares the gradient between ties, as a mean would.
    of_nothing = _empty(x, axes, keep, -torch.inf)
    return torch.amax(x, axes, keep) if of_nothing is None else of_nothing


def _minimum(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    of_nothing = _empty(x, axes, keep, torch.inf)
    return torch.amin(x, axes, keep) if of_nothing is None else of_nothing


def _norm(order: int) -> Reduce:
    # Not the root of a sum of squares, whose gradient at 0 is NaN.
    def norm(x: Tensor, axes: list[int], keep: bool) -> Tensor:
        values = x if x.is_floating_point() else x.double()
        result: Tensor = torch.linalg.vector_norm(values, order, axes, keep)
        return result.to(x.dtype)

    return norm


def _log_sum(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return torch.log(torch.sum(x, axes, keep))


def _log_sum_exp(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return torch.logsumexp(x, axes, keep)


def _mean(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return torch.mean(x, axes, keep)


def _sum_square(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return torch.sum(x * x, axes, keep, dtype=x.dtype)


reduce_l1 = _reduce("ReduceL1", "reduce_l1", _norm(1))
reduce_l2 = _reduce("ReduceL2", "reduce_l2", _norm(2))
reduce_log_sum = _reduce("ReduceLogSum", "reduce_log_sum", _log_sum)
reduce_log_sum_exp = _reduce("ReduceLogSumExp", "reduce_log_sum_exp", _log_sum_exp)
reduce_max = _reduce("ReduceMax", "reduce_max", _maximum)
reduce_mean = _reduce("ReduceMean", "reduce_mean", _mean)
reduce_min = _reduce("ReduceMin", "reduce_min", _minimum)
reduce_prod = _reduce("ReduceProd", "reduce_prod", _product)
reduce_sum = _reduce("ReduceSum", "reduce_sum", _sum)
reduce_sum_square = _reduce("ReduceSumSquare", "reduce_sum_square", _sum_square)


def _arg(find: Callable[..., Tensor], x: Tensor, axis: int, keepdims: int, last: int) -> Tensor:
    # torch answers the first of several equal.
    index = find(x.flip(axis) if last else x, axis, keepdim=bool(keepdims))
    return x.shape[axis] - 1 - index if last else index


@operator("ArgMax")
def argmax(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
    """Index of the largest element along an axis."""
    return _arg(torch.argmax, x, axis, keepdims, select_last_index)


@operator("ArgMin")
def argmin(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
    """Index of the smallest element along an axis."""
    return _arg(torch.argmin, x, axis, keepdims, select_last_index)


def _cumulate(
    function: Callable[..., Tensor], x: Tensor, dim: int, start: int, exclusive: int, reverse: int
) -> Tensor:
    x = x.flip(dim) if reverse else x
    if exclusive:
        head = torch.full_like(x.narrow(dim, 0, 1), start)
        x = torch.cat([head, x.narrow(dim, 0, x.shape[dim] - 1)], dim)
    result = function(x, dim, dtype=x.dtype)
    return result.flip(dim) if reverse else result


@operator("CumSum")
def cumsum(x: Tensor, axis: Tensor, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    """Sums of all elements so far along an axis, without the element itself if `exclusive`."""
    return _cumulate(torch.cumsum, x, integers(axis)[0], 0, exclusive, reverse)


@operator("CumProd")
def cumprod(x: Tensor, axis: Tensor, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    """Products of all elements so far along an axis."""
    return _cumulate(torch.cumprod, x, integers(axis)[0], 1, exclusive, reverse)
