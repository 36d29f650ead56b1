"""The graph inside a traced TorchScript module: each call of a module, each operation.

A traced module is a straight line of operations, sorted into the methods of its
submodules; those lines are followed here. A *scripted* one may branch and loop by
what its tensors hold, for which there is no graph.
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from hooke_server.models.graph import ModuleCall, Origin
from hooke_server.models.limits import Limits, unsupported
from hooke_server.models.ops import op_name
from hooke_server.models.program import Program, Ref

_NUMBERS: dict[str, Callable[..., Any]] = {
    "aten::size": torch.ops.aten.sym_size.int,
    "aten::add": operator.add,
    "aten::sub": operator.sub,
    "aten::mul": operator.mul,
    "aten::floor_divide": operator.floordiv,
    "aten::div": operator.truediv,
    "aten::remainder": operator.mod,
    "aten::neg": operator.neg,
    "aten::rsub": lambda a, b: b - a,
    "aten::pow": operator.pow,
}
_CONTAINERS: dict[str, Callable[[list[Any]], Any]] = {
    "prim::ListConstruct": list,
    "prim::TupleConstruct": tuple,
    "prim::DictConstruct": lambda items: dict(zip(items[::2], items[1::2], strict=True)),
}
_SAME = frozenset({"prim::NumToTensor", "aten::Int", "aten::ScalarImplicit", "aten::IntImplicit"})


def script_graph(
    network: torch.jit.ScriptModule, example: tuple[Tensor, ...], limits: Limits
) -> fx.GraphModule:
    """The functional graph of a traced module, every node with its origin.

    Raises
    ------
    FailedPreconditionError : MODEL_UNSUPPORTED, if it branches, loops or is otherwise
        no straight line.
    """
    walk = _Walk(Program(example[0].device, limits), network)
    inputs = [value.debugName() for value in network.graph.inputs()][1:]
    if len(inputs) != len(example):
        raise unsupported(f"this TorchScript takes {len(inputs)} inputs")
    names = [re.sub(r"\W", "_", re.sub(r"\.\d+$", "", name)) for name in inputs]
    for name, tensor in zip(names, example, strict=True):
        walk.program.add_input(name, tensor)
    given = [Ref(name) for name in names]
    return walk.program.finish(walk.method(network, "forward", given, ()))


@dataclass(frozen=True)
class _Pending:
    """A call that yields a list, whose length is known when it is taken apart."""

    target: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    origin: Origin


class _Walk:
    """Follows methods into methods; values are `Ref`s, modules, and plain data."""

    def __init__(self, program: Program, network: torch.jit.ScriptModule) -> None:
        self.program = program
        self._paths = {id(part): path for path, part in network.named_modules()}
        self._weights: set[str] = set()
        self._runs: Counter[str] = Counter()
        self._values = 0

    def method(
        self, module: Any, name: str, given: Sequence[Any], calls: tuple[ModuleCall, ...]
    ) -> Any:
        """What a method of a module returns."""
        graph = getattr(module, name).graph
        names = [value.debugName() for value in graph.inputs()]
        values: dict[str, Any] = dict(zip(names, [module, *given], strict=True))
        for node in graph.nodes():
            arguments = [values[value.debugName()] for value in node.inputs()]
            outputs = [value.debugName() for value in node.outputs()]
            result = self._node(node, arguments, len(outputs), calls)
            if len(outputs) == 1:
                result = (result,)
            values.update(zip(outputs, result, strict=True))
        (returned,) = graph.outputs()
        return values[returned.debugName()]

    def _node(self, node: Any, args: list[Any], count: int, calls: tuple[ModuleCall, ...]) -> Any:
        kind = node.kind()
        if kind == "prim::Constant":
            value = node.output().toIValue()
            return self._constant(value) if isinstance(value, Tensor) else value
        if kind == "prim::GetAttr":
            return self._attribute(args[0], node.s("name"))
        if kind == "prim::CallMethod":
            return self._call(args[0], node.s("name"), args[1:], calls)
        if kind in _CONTAINERS:
            return _CONTAINERS[kind](args)
        if kind in _SAME:
            return args[0]
        if kind in {"prim::TupleUnpack", "prim::ListUnpack"}:
            items = self._items(args[0], count)
            return items[0] if count == 1 else items
        return self._operation(node, kind, args, calls)

    def _constant(self, value: Tensor) -> Any:
        if not value.ndim:
            return value.item()
        self._values += 1
        return self._weight(f"constant {self._values}", value)

    def _weight(self, key: str, tensor: Tensor) -> Ref:
        if key not in self._weights:
            self._weights.add(key)
            self.program.add_weight(key, tensor.detach())
        return Ref(key)

    def _attribute(self, module: Any, name: str) -> Any:
        value = getattr(module, name)
        key = f"{self._paths.get(id(module))}.{name}"
        return self._weight(key, value) if isinstance(value, Tensor) else value

    def _call(self, module: Any, name: str, args: list[Any], calls: tuple[ModuleCall, ...]) -> Any:
        path = self._paths[id(module)]
        if name != "forward" or not path:
            return self.method(module, name, args, calls)
        call = ModuleCall(
            path=path, module_class=str(module.original_name), occurrence=self._runs[path]
        )
        self._runs[path] += 1
        return self.method(module, name, args, (*calls, call))

    def _operation(
        self, node: Any, kind: str, args: list[Any], calls: tuple[ModuleCall, ...]
    ) -> Any:
        if not kind.startswith("aten::"):
            raise unsupported(f"it is no straight line of operations, but has a {kind}")
        schema = torch._C.parse_schema(node.schema())
        # A tracer writes numbers made of sizes as tensors.
        if kind == "aten::size" or (kind in _NUMBERS and self._is_number(args[0])):
            rounded = kind == "aten::div" and len(args) == 3  # sizes are positive
            target = operator.floordiv if rounded else _NUMBERS[kind]
            return self._record(target, args[:2], {}, 1, Origin(op=op_name(target), calls=calls))
        if kind == "aten::_convolution":
            args, schema = args[:9], torch.ops.aten.convolution.default._schema
        packet = getattr(torch.ops.aten, schema.name.removeprefix("aten::"))
        target = getattr(packet, schema.overload_name or "default")
        pairs = list(zip(schema.arguments, args, strict=True))
        plain = [value for argument, value in pairs if not argument.kwarg_only]
        named = {argument.name: value for argument, value in pairs if argument.kwarg_only}
        origin = Origin(op=op_name(target), calls=calls)
        if str(schema.returns[0].type) == "List[Tensor]":
            return _Pending(target, plain, named, origin)
        return self._record(target, plain, named, len(schema.returns), origin)

    def _is_number(self, value: Any) -> bool:
        if isinstance(value, Ref):
            return self.program.is_number(value)
        return isinstance(value, int | float)

    def _items(self, value: Any, count: int) -> Any:
        if isinstance(value, _Pending):
            items = self._record(value.target, value.args, value.kwargs, count, value.origin)
            return (items,) if count == 1 else items
        return value

    def _record(
        self,
        target: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        count: int,
        origin: Origin,
    ) -> Any:
        """Add a call to the program; a reference to its value, or a tuple of them."""
        names = [f"value {self._values + index}" for index in range(count)]
        self._values += count
        self.program.call(target, args, kwargs, names, origin)
        return Ref(names[0]) if count == 1 else tuple(map(Ref, names))
