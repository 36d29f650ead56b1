"""What an operation costs: multiply-accumulates, counted on aten operations.

Every format comes down to these few; whatever is not here (additions, norms,
activations) costs nothing by custom. Equal to torch's FlopCounterMode / 2, which
needs triton to be imported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from torch import Tensor

Count = Callable[[Sequence[Any], Any], int]


def macs_of(name: str, args: Sequence[Any], out: Any) -> int:
    """Multiply-accumulates of one aten operation, by its name (`convolution`)."""
    count = _COUNTS.get(name)
    return count(args, out) if count else 0


def _convolution(args: Sequence[Any], out: Tensor) -> int:
    source, weight, transposed = args[0], args[1], args[6]
    # Each element of the smaller side meets every weight of its group once.
    return int(prod((source if transposed else out).shape) * prod(weight.shape[1:]))


def _product(first: int) -> Count:
    """Of matrices [..., m, k] and [..., k, n]; `first` is the left one's place in the arguments."""
    return lambda args, out: prod(out.shape) * int(args[first].shape[-1])


def _attention(args: Sequence[Any], out: Any) -> int:
    query, key, value = args[:3]
    pairs = prod(query.shape[:-1]) * key.shape[-2]
    return int(pairs * (query.shape[-1] + value.shape[-1]))


def _recurrent(args: Sequence[Any], out: Any) -> int:
    """The fused recurrent layer of the CPU: [time, batch, in] and its two matrices."""
    time, batch = args[0].shape[:2]
    return int(time * batch * (prod(args[1].shape) + prod(args[2].shape)))


_COUNTS: dict[str, Count] = {
    "convolution": _convolution,
    "mm": _product(0),
    "bmm": _product(0),
    "mv": _product(0),
    "linear": _product(0),
    "addmm": _product(1),
    "baddbmm": _product(1),
    "addmv": _product(1),
    "addbmm": lambda args, out: prod(args[1].shape) * int(args[2].shape[-1]),
    "dot": lambda args, out: int(args[0].numel()),
    "mkldnn_rnn_layer": _recurrent,
    "_scaled_dot_product_flash_attention": _attention,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_efficient_attention": _attention,
    "_scaled_dot_product_cudnn_attention": _attention,
    "_scaled_dot_product_fused_attention_overrideable": _attention,
}
