"""A functional graph, grown from a program that may overwrite its tensors.

Each operation is first run on meta tensors, which have shapes and no memory. So it
is known before anything is computed how large every value will be, and which
tensors share their memory. Where one is overwritten, a new value takes its place;
who reads a tensor that shares memory with it afterwards reads it anew:

    y = x[1]; y.fill_(0); f(x)    becomes    y = x[1]; z = fill(y, 0); f(select_scatter(x, z, 0, 1))
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from hooke_server.models.aten import LOOPS, name_of, twin, writes
from hooke_server.models.graph import Origin
from hooke_server.models.limits import Limits, broken, check_limit, unsupported

aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class Ref:
    """An argument that is an earlier value, by its name in the file."""

    name: str


@dataclass(frozen=True, slots=True)
class _Call:
    """An operation with arguments in which `Ref`s stand for values."""

    operation: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    origin: Origin


@dataclass(slots=True)
class _Value:
    """A value: its node, its meta tensor (or number), and for a view what it is a view of.

    `version` counts the writes to its memory that `node` has seen; `item` picks one
    of several values of a call.
    """

    node: fx.Node
    meta: Any
    version: int = 0
    parent: str = ""
    call: _Call | None = None
    item: int | None = None


class Program:
    """Takes a program's inputs, weights and calls in their order."""

    def __init__(self, device: torch.device, limits: Limits) -> None:
        self.graph = fx.Graph()
        self._root = nn.Module()
        self._device = device
        self._limits = limits
        self._values: dict[str, _Value] = {}
        self._writes: Counter[int] = Counter()
        self._steps = 0

    def add_input(self, name: str, example: Tensor) -> None:
        """An input of the example's shape and dtype."""
        # fx pastes names of placeholders into its code; this one is not the file's.
        node = self.graph.placeholder(f"input_{len(self._values)}")
        node.meta = {"origin": Origin(op="input"), "input_name": name}
        self._add(name, _Value(node, _on_meta(example)))

    def add_weight(self, name: str, tensor: Tensor) -> None:
        """A tensor that the program holds."""
        key = f"w{len(self._values)}"
        self._root.register_buffer(key, tensor)
        node = self.graph.get_attr(key)
        node.meta = {"origin": Origin(op="get_attr")}
        self._add(name, _Value(node, _on_meta(tensor)))

    def call(
        self,
        operation: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        outputs: Sequence[str],
        origin: Origin,
    ) -> None:
        """Run an operation; `outputs` name its value or, where there are several, its items."""
        call = _Call(operation, tuple(args), dict(kwargs), origin)
        if writes(operation):
            self._overwrite(call, outputs)
            return
        node, meta = self._node(call), self._measured(call)
        single = not isinstance(meta, list | tuple)
        if len(outputs) != (1 if single else len(meta)):
            raise broken(f"it names not all values of {name_of(operation)}")
        for item, name in enumerate(outputs):
            value = _Value(node, meta) if single else self._item(node, meta[item], item, origin)
            value.parent = self._parent(call, value.meta)
            value.call = call
            value.item = None if single else item
            value.version = self._writes[_memory(value.meta)]
            self._add(name, value)

    def is_number(self, ref: Ref) -> bool:
        """Whether a value is a number, such as a size, and no tensor."""
        return isinstance(self._values[ref.name].meta, int | float)

    def finish(self, outputs: Any) -> fx.GraphModule:
        """The graph with these outputs, a nest in which `Ref`s stand for values."""
        self.graph.output(self._nodes(outputs))
        self.graph.eliminate_dead_code()
        return fx.GraphModule(self._root, self.graph)

    def _add(self, name: str, value: _Value) -> None:
        if name in self._values:
            raise broken("two of its values have one name")
        self._values[name] = value

    def _item(self, node: fx.Node, meta: Any, item: int, origin: Origin) -> _Value:
        picked = self.graph.call_function(operator.getitem, (node, item))
        picked.meta = {"origin": replace(origin, op="getitem")}
        return _Value(picked, meta)

    def _read(self, name: str) -> fx.Node:
        """The node with the present content of a value."""
        value = self._values[name]
        now = self._writes[_memory(value.meta)]
        if value.version < now:
            if not value.parent or value.call is None:
                raise unsupported(
                    "the program overwrites a tensor through a view that is not followed"
                )
            value.node = self._node(value.call)
            if value.item is not None:
                value.node = self._item(value.node, None, value.item, value.call.origin).node
            value.version = now
        return value.node

    def _nodes(self, arguments: Any) -> Any:
        return pytree.tree_map_only(Ref, lambda ref: self._read(ref.name), arguments)

    def _node(self, call: _Call) -> fx.Node:
        check_limit("operations", len(self.graph.nodes), 4 * self._limits.entries)
        args, kwargs = self._nodes(call.args), self._nodes(dict(call.kwargs))
        if "device" in kwargs:
            kwargs["device"] = self._device
        node = self.graph.call_function(call.operation, args, kwargs)
        node.meta = {"origin": call.origin}
        return node

    def _measured(self, call: _Call) -> Any:
        """What a call yields, on meta tensors.

        Raises
        ------
        FailedPreconditionError : MODEL_UNSUPPORTED, if it cannot run.
        ResourceExhaustedError : LIMIT_EXCEEDED, if a value is too large.
        """
        args, kwargs = pytree.tree_map_only(
            Ref, lambda ref: self._values[ref.name].meta, (call.args, dict(call.kwargs))
        )
        if "device" in kwargs:
            kwargs["device"] = torch.device("meta")
        self._count_steps(name_of(call.operation), args)
        try:
            with torch.no_grad():
                value = call.operation(*args, **kwargs)
        except Exception:  # whatever torch raises for wrong arguments
            what = name_of(call.operation)
            raise unsupported(f"an operation {what} of the program does not run") from None
        for leaf in pytree.tree_leaves(value):
            if isinstance(leaf, Tensor):
                check_limit(
                    "bytes in one value", leaf.numel() * leaf.itemsize, self._limits.tensor_bytes
                )
            elif isinstance(leaf, int | float) and not abs(leaf) < 1 << 62:
                raise broken("a number in it is out of all bounds")
        return value

    def _count_steps(self, name: str, args: Sequence[Any]) -> None:
        if name in LOOPS and isinstance(args[0], Tensor):
            self._steps += LOOPS[name] * max(args[0].shape, default=0)
            check_limit("steps", self._steps, 10 * self._limits.entries)

    def _parent(self, call: _Call, meta: Any) -> str:
        """The first argument that a value shares its memory with."""
        refs = (a for a in pytree.tree_leaves(call.args) if isinstance(a, Ref))
        memory = _memory(meta)
        same = (r.name for r in refs if memory and _memory(self._values[r.name].meta) == memory)
        return next(same, "")

    def _overwrite(self, call: _Call, outputs: Sequence[str]) -> None:
        """Give a new value to a tensor, and to those that it is a view of."""
        target = call.args[0] if call.args else None
        if not isinstance(target, Ref) or len(outputs) > 1:
            raise unsupported("the program overwrites something else than one tensor")
        pure = replace(call, operation=twin(call.operation))
        new, meta = self._node(pure), self._measured(pure)
        before = self._values[target.name].meta
        if (meta.shape, meta.dtype) != (before.shape, before.dtype):
            raise unsupported("the program changes the shape or dtype of a tensor in place")
        path = [target.name]
        while parent := self._values[path[-1]].parent:
            path.append(parent)
        old = [self._read(name) for name in path]
        self._writes[_memory(before)] += 1
        for index, name in enumerate(path):
            value = self._values[name]
            value.node, value.version = new, self._writes[_memory(before)]
            around = self._put(value, old[index + 1], new) if value.parent else None
            if around is None:
                break
            new = around
        for name in outputs:
            copy = replace(self._values[target.name])
            copy.parent, copy.item = target.name, None
            copy.call = _Call(aten.alias.default, (target,), {}, call.origin)
            self._add(name, copy)

    def _put(self, view: _Value, around: fx.Node, new: fx.Node) -> fx.Node | None:
        """What a view is a part of, with a new value there; None if that is not known."""
        assert view.call  # noqa: S101  # views have one
        whole = self._values[view.parent].meta
        name, rest = name_of(view.call.operation), self._nodes(view.call.args[1:])
        if view.meta.shape == whole.shape and view.meta.stride() == whole.stride():
            return new
        inverse: tuple[Any, tuple[Any, ...]] | None = None
        if name in {"slice", "select"}:
            scatter = aten.slice_scatter if name == "slice" else aten.select_scatter
            inverse = scatter.default, (around, new, *rest)
        elif name in {"transpose", "swapaxes"}:
            inverse = aten.transpose.int, (new, *rest)
        elif name in {"view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze"}:
            inverse = aten.reshape_as.default, (new, around)
        elif name == "permute":
            order = [axis % whole.ndim for axis in rest[0]]
            inverse = aten.permute.default, (new, [order.index(axis) for axis in range(whole.ndim)])
        if inverse is None or view.call.kwargs:
            return None
        node = self.graph.call_function(*inverse)
        node.meta = {"origin": replace(view.call.origin, op=name_of(inverse[0]))}
        return node


def _on_meta(tensor: Tensor) -> Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


def _memory(value: Any) -> int:
    """A number for the memory of a tensor; values stay, so it is never given twice."""
    return value.untyped_storage()._cdata if isinstance(value, Tensor) else 0
