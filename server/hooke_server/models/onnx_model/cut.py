"""The part of an ONNX graph that some of its values need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import onnx

from hooke_server.models.onnx_model.screening import subgraphs


def makers_of(model: Any) -> dict[str, Any]:
    """The node that computes each value, by the value's name."""
    return {name: node for node in model.graph.node for name in node.output if name}


def cut_model(model: Any, wanted: Sequence[str], makers: Mapping[str, Any]) -> Any:
    """The part of a model that computes the wanted values, which are its outputs."""
    needed, nodes = _needed(wanted, makers)
    part = onnx.ModelProto()
    part.ir_version = model.ir_version
    part.opset_import.extend(model.opset_import)
    part.functions.extend(model.functions)
    graph = part.graph
    graph.name = "part"
    graph.node.extend(node for node in model.graph.node if id(node) in nodes)
    held = {tensor.name for tensor in model.graph.initializer}
    graph.initializer.extend(t for t in model.graph.initializer if t.name in needed)
    graph.sparse_initializer.extend(model.graph.sparse_initializer)
    graph.input.extend(i for i in model.graph.input if i.name in needed and i.name not in held)
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    return part


def _needed(wanted: Sequence[str], makers: Mapping[str, Any]) -> tuple[set[str], set[int]]:
    """Names of all values that the wanted ones need, and the nodes that make them."""
    waiting, names, nodes = list(wanted), set(wanted), set()
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and id(node) not in nodes:
            nodes.add(id(node))
            fresh = set(_reads(node)) - names
            names |= fresh
            waiting.extend(fresh)
    return names, nodes


def _reads(node: Any) -> Iterator[str]:
    """What a node reads, the graphs inside it too."""
    yield from node.input
    for graph in subgraphs(node):
        yield from (value.name for value in graph.output)
        for inner in graph.node:
            yield from _reads(inner)
