"""From an ONNX graph to a graph of torch functions, one call for each node.

Each node is first run on meta tensors, which have shapes and no memory, so it is
known before anything is computed how large every value will be. Three kinds of
values are told apart:

constants   weights and what is computed of them alone: folded, and held as buffers
numbers     shapes and what is computed of them: always on the CPU, where they are read
the rest    what depends on the inputs' elements
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from hooke_server.errors import HookeError
from hooke_server.models import onnx_ops
from hooke_server.models.bounded import Bounded
from hooke_server.models.graph import Origin
from hooke_server.models.limits import Limits, shown
from hooke_server.models.onnx_model.nodes import NUMBERS, attributes, captured, known
from hooke_server.models.onnx_model.origins import Sources, clean

Opaque = Callable[[Any, Tensor], Callable[..., Any] | None]
"""Given a node and the first input, what stands for an operator that is not there."""

_LITERAL = 64


class UnconvertibleError(Exception):
    """Operators without a torch function, each with the reason."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__(f"operators {', '.join(sorted(reasons))}")
        self.reasons = reasons


def literal(values: Any, dtype: torch.dtype) -> Tensor:
    """A small constant that is read as numbers."""
    return torch.tensor(values, dtype=dtype)


def beside(x: Tensor, like: Tensor) -> Tensor:
    """Numbers where the tensors are that they meet."""
    return x.to(like.device)


@dataclass(frozen=True, slots=True)
class _Value:
    """A value of the file. A constant has its tensor; else `tensor` is an example."""

    tensor: Tensor
    node: fx.Node | None = None

    @property
    def constant(self) -> bool:
        return self.node is None


@dataclass(frozen=True)
class Converted:
    """A functional graph, its learned tensors by their names in the file, and what is opaque."""

    module: fx.GraphModule
    weights: Mapping[str, Tensor]
    opaque: Mapping[str, str]


def convert(
    graph: Any,
    opset: int,
    initializers: Mapping[str, Tensor],
    example: Mapping[str, Tensor],
    origins: Sources,
    limits: Limits,
    opaque: Opaque | None = None,
) -> Converted:
    """The functional graph of an ONNX graph.

    Every node has its `origin`, and in `meta["values"]` the file's names of what it
    yields; placeholders have theirs in `meta["input_name"]`.

    Parameters
    ----------
    initializers : tensors by name, on the device.
    example : an input for each of the graph's, by name.
    opaque : what stands for nodes that cannot be converted.

    Raises
    ------
    UnconvertibleError : for an operator that is not there, or does not run, and for
        which nothing stands.
    ResourceExhaustedError : LIMIT_EXCEEDED, for values that are too large.
    """
    converter = _Converter(opset, limits, opaque)
    for name, tensor in example.items():
        converter.add_input(name, tensor)
    for name, tensor in initializers.items():
        converter.values.setdefault(name, _Value(tensor))
    unknown = {clean(n.op_type): "unknown" for n in graph.node if not known(n)}
    if unknown and opaque is None:
        raise UnconvertibleError(unknown)
    for node, origin, folded in zip(graph.node, origins.nodes, origins.folded, strict=True):
        converter.add(node, origin, folded)
    return converter.finish([value.name for value in graph.output])


class _Converter:
    def __init__(self, opset: int, limits: Limits, opaque: Opaque | None) -> None:
        self.values: dict[str, _Value] = {}
        self._opset = opset
        self._limits = limits
        self._opaque = opaque
        self._reasons: dict[str, str] = {}
        self._root = nn.Module()
        self._graph = fx.Graph()
        self._weights: dict[str, Tensor] = {}
        self._held: dict[int, fx.Node] = {}

    def add_input(self, name: str, tensor: Tensor) -> None:
        # fx pastes names of placeholders into its code; this one is not the file's.
        node = self._graph.placeholder(f"input_{len(self.values)}")
        node.meta = {
            "origin": Origin(op="input"),
            "input_name": clean(name),
            "values": (name,),
        }
        self.values[name] = _Value(tensor.to("meta"), node)

    def add(self, node: Any, origin: Origin, folded: Origin | None) -> None:
        given = [self.values[name] if name else None for name in node.input]
        outputs = list(node.output)
        while outputs and not outputs[-1]:
            outputs.pop()
        if not outputs:
            return
        if known(node) and all(value is None or value.constant for value in given):
            results = self._fold(node, [value.tensor if value else None for value in given])
            pairs = zip(outputs, results, strict=False)
            self.values.update({name: _Value(tensor) for name, tensor in pairs if name})
            return
        called, value = self._call(node, given, origin)
        single = isinstance(value, Tensor)
        called.meta["values"] = tuple(outputs)
        if folded:
            called = self._record(onnx_ops.find("Identity"), (called,), {}, folded)
            called.meta["values"] = tuple(outputs)
        for index, name in enumerate(outputs):
            if name and single:
                self.values[name] = _Value(value, called)
            elif name:
                item = self._record(
                    operator.getitem, (called, index), {}, replace(origin, op="getitem")
                )
                self.values[name] = _Value(value[index], item)

    def finish(self, outputs: Sequence[str]) -> Converted:
        returned = {
            clean(name): self._node(name, self.values[name], numbers=False) for name in outputs
        }
        self._graph.output(returned)
        self._graph.eliminate_dead_code()
        module = fx.GraphModule(self._root, self._graph)
        left = {str(node.target) for node in module.graph.nodes if node.op == "get_attr"}
        for name in list(dict(self._root.named_buffers())):
            if name not in left and name in module._buffers:
                delattr(module, name)
        held = {id(tensor) for tensor in module.buffers()}
        weights = {name: tensor for name, tensor in self._weights.items() if id(tensor) in held}
        return Converted(module, weights, self._reasons)

    def _record(
        self, target: Callable[..., Any], args: Any, kwargs: Any, origin: Origin
    ) -> fx.Node:
        node = self._graph.call_function(target, args, kwargs)
        node.meta = {"origin": origin}
        return node

    def _fold(self, node: Any, tensors: Sequence[Tensor | None]) -> Sequence[Tensor]:
        try:
            with torch.no_grad(), Bounded(self._limits.tensor_bytes):
                result = onnx_ops.find(node.op_type)(*tensors, **self._keywords(node))
        except HookeError:
            raise
        except Exception:  # whatever torch raises for wrong arguments
            raise UnconvertibleError({node.op_type: "does not run"}) from None
        return [result] if isinstance(result, Tensor) else result

    def _call(
        self, node: Any, given: Sequence[_Value | None], origin: Origin
    ) -> tuple[fx.Node, Any]:
        """Run a node on examples and record it."""
        reason = f"there is no operator {shown(node.op_type)}"
        if known(node):
            numeric = NUMBERS.get(node.op_type, frozenset())
            arguments = list(self._arguments(node, given, numeric, origin))
            function, keywords = onnx_ops.find(node.op_type), self._keywords(node)
            try:
                with torch.no_grad(), Bounded(self._limits.tensor_bytes):
                    value = function(*(tensor for _, tensor in arguments), **keywords)
                nodes = {key: self._attribute(item) for key, item in keywords.items()}
                return self._record(function, tuple(n for n, _ in arguments), nodes, origin), value
            except HookeError as error:
                reason = error.message
                if "LIMIT" in error.reason:
                    raise
            except Exception:  # whatever torch raises for wrong or missing numbers
                reason = f"{node.op_type} does not run here"
        self._reasons[clean(node.op_type)] = reason
        return self._stand_in(node, given, origin)

    def _stand_in(
        self, node: Any, given: Sequence[_Value | None], origin: Origin
    ) -> tuple[fx.Node, Any]:
        first = next(n for n in self._graph.nodes if n.op == "placeholder")
        example = next(v.tensor for v in self.values.values() if v.node is first)
        function = self._opaque(node, example) if self._opaque else None
        if function is None:
            raise UnconvertibleError(self._reasons)
        sources = [v for v in given if v and v.node is not None and not v.constant]
        sources += [self.values[name] for name in captured(node) if name in self.values]
        sources = [value for value in sources if value.node is not None] or [_Value(example, first)]
        value = function(example, *(source.tensor for source in sources))
        nodes = (first, *(source.node for source in sources))
        return self._record(function, nodes, {}, origin), value

    def _keywords(self, node: Any) -> dict[str, Any]:
        context = {"opset": self._opset, "outputs": len(node.output)}
        wanted = onnx_ops.operators[node.op_type].context
        return {**attributes(node), **{key: context[key] for key in wanted}}

    def _arguments(
        self, node: Any, given: Sequence[_Value | None], numeric: frozenset[int], origin: Origin
    ) -> Iterator[tuple[fx.Node | None, Tensor | None]]:
        """Nodes and examples, with what is not read as numbers brought to the device."""
        others = [v for i, v in enumerate(given) if v and i not in numeric]
        device = next((v for v in others if not v.constant and v.tensor.is_meta), None)
        for index, (name, value) in enumerate(zip(node.input, given, strict=True)):
            if value is None:
                yield None, None
            elif value.constant:
                numbers = index in numeric or device is None
                tensor = value.tensor.cpu() if numbers else value.tensor.to("meta")
                # Running means and variances are kept, not learned.
                learned = node.op_type != "BatchNormalization" or index < 3
                yield self._node(name, value, numbers=numbers, learned=learned), tensor
            elif device and index not in numeric and not value.tensor.is_meta and device.node:
                inside = Origin(op="to", calls=origin.calls)
                moved = self._record(beside, (value.node, device.node), {}, inside)
                yield moved, value.tensor.to("meta")
            else:
                yield value.node, value.tensor

    def _node(self, name: str, value: _Value, *, numbers: bool, learned: bool = False) -> fx.Node:
        """The node of a value; of a constant one made for it, small ones as literals."""
        if value.node is not None:
            return value.node
        tensor = value.tensor
        if numbers and tensor.numel() <= _LITERAL:
            return self._literal(tensor)
        if id(tensor) not in self._held:
            key = f"w{len(self._held)}"
            self._root.register_buffer(key, tensor)
            self._held[id(tensor)] = self._graph.get_attr(key)
            self._held[id(tensor)].meta = {"origin": Origin(op="get_attr")}
            if learned and tensor.is_floating_point() and tensor.ndim:
                self._weights[clean(name)] = tensor
        return self._held[id(tensor)]

    def _literal(self, tensor: Tensor) -> fx.Node:
        return self._record(literal, (tensor.tolist(), tensor.dtype), {}, Origin(op="constant"))

    def _attribute(self, value: Any) -> Any:
        return self._literal(value) if isinstance(value, Tensor) else value
