"""Computing with arguments that nobody vouches for: no value may be larger than allowed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from hooke_server.models.costs import macs_of
from hooke_server.models.limits import check_limit

_FOLDED_MACS = 10**11


class Bounded(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch does not type it
    """Runs every aten operation on meta tensors first, and refuses a value that is too large.

    Operations whose values depend on numbers (`nonzero`, `item`) cannot be run so;
    what they yield is no larger than what they are given.

    Raises
    ------
    ResourceExhaustedError : LIMIT_EXCEEDED, at the operation.
    """

    def __init__(self, value_bytes: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self._bytes = value_bytes
        self._macs = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        placed = any(argument.name == "device" for argument in func._schema.arguments)
        device = {"device": torch.device("meta")} if placed else {}
        try:
            value = func(*_on_meta(args), **{**_on_meta(kwargs), **device})
        except (RuntimeError, NotImplementedError, ValueError):
            value = None
        for tensor in pytree.tree_leaves(value):
            if isinstance(tensor, Tensor):
                check_limit("bytes in one value", tensor.nbytes, self._bytes)
        given = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if value is not None and not any(tensor.is_meta for tensor in given):
            self._macs += macs_of(name, args, value)
            check_limit("operations to compute its constants", self._macs, _FOLDED_MACS)
        return func(*args, **kwargs)


def _on_meta(values: Any) -> Any:
    def move(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            shape, stride = leaf.shape, leaf.stride()
            return torch.empty_strided(shape, stride, dtype=leaf.dtype, device="meta")
        return leaf

    return pytree.tree_map(move, values)
