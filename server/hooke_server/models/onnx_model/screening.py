"""What an ONNX graph claims, checked before any checker, inliner or runtime sees it.

Everything here is counting: nothing is computed, and nothing takes longer than the
graph is large.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import onnx

from hooke_server.errors import FailedPreconditionError, Reason
from hooke_server.models.limits import Limits, broken, check_limit, shown

_LOOPS = frozenset({"Loop", "Scan", "SequenceMap"})
_DEFAULT_DOMAIN = frozenset({"", "ai.onnx"})


def screen(model: Any, limits: Limits) -> None:
    """Refuse a parsed model that is damaged or would hang or exhaust whoever runs it.

    Raises
    ------
    FailedPreconditionError : MODEL_INVALID, for a graph that is cyclic or names what
        there is not; MODEL_UNSUPPORTED, for loops, whose end nobody can tell.
    ResourceExhaustedError : LIMIT_EXCEEDED, for a graph that unfolds to too many nodes.
    """
    if not model.opset_import:
        raise broken("it says no version of its operators")
    functions = {(f.domain, f.name): f for f in model.functions}
    if len(functions) < len(model.functions):
        raise broken("two of its functions have one name")
    sizes = _Sizes(functions, limits)
    check_limit("operations when unfolded", sizes.of(model.graph.node), limits.entries)
    for function in model.functions:
        _check_order(function.node, set(function.input))
    _check_graph(model.graph, set())
    for node in [*model.graph.node, *(n for f in model.functions for n in f.node)]:
        _check_node(node)


def default_opset(model: Any) -> int:
    """Version of the standard operators that the model is written in."""
    versions = [o.version for o in model.opset_import if o.domain in _DEFAULT_DOMAIN]
    if not versions or not 1 <= versions[0] <= 1000:
        raise broken("it says no version of its operators")
    return int(versions[0])


def subgraphs(node: Any) -> Iterator[Any]:
    """The graphs in a node's attributes."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


class _Sizes:
    """How many nodes functions and graphs unfold to."""

    def __init__(self, functions: Mapping[tuple[str, str], Any], limits: Limits) -> None:
        self._functions = functions
        self._limit = limits.entries
        self._known: dict[tuple[str, str], int] = {}
        self._open: set[tuple[str, str]] = set()

    def of(self, nodes: Any) -> int:
        total = 0
        for node in nodes:
            total += self._function(node.domain, node.op_type)
            total += sum(self.of(graph.node) for graph in subgraphs(node))
            if total > self._limit:
                break  # large enough to be refused; sums of sums could be endless
        return total

    def _function(self, domain: str, name: str) -> int:
        key = domain, name
        if key not in self._functions:
            return 1
        if key in self._open or len(self._open) > 64:
            raise broken("its functions call each other in a circle, or too deeply")
        if key not in self._known:
            self._open.add(key)
            self._known[key] = self.of(self._functions[key].node)
            self._open.remove(key)
        return self._known[key]


def _check_graph(graph: Any, outside: set[str]) -> None:
    given = {value.name for value in graph.input} | {t.name for t in graph.initializer}
    given |= {tensor.values.name for tensor in graph.sparse_initializer}
    known = _check_order(graph.node, outside | given)
    missing = [value.name for value in graph.output if value.name not in known]
    if missing:
        raise broken(f"its output {shown(missing[0])} is computed nowhere")


def _check_order(nodes: Any, known: set[str]) -> set[str]:
    """Each value is computed once, and before it is used; all names at the end."""
    known = known | {""}
    for node in nodes:
        for name in node.input:
            if name not in known:
                raise broken(
                    f"a node {shown(node.op_type)} uses {shown(name)}, which is not computed "
                    "before it: the graph is cyclic, unsorted or cut"
                )
        for graph in subgraphs(node):
            _check_graph(graph, known)
        for name in node.output:
            if name and name in known:
                raise broken(f"the value {shown(name)} is computed twice")
            known.add(name)
    return known


def _check_node(node: Any) -> None:
    if node.op_type in _LOOPS and node.domain in _DEFAULT_DOMAIN:
        raise FailedPreconditionError(
            Reason.MODEL_UNSUPPORTED,
            f"this network has a {node.op_type}, which may never end; export it with a fixed "
            "number of steps, so that the steps are written out",
            operator=node.op_type,
        )
    for attribute in node.attribute:
        held = [attribute.t] if attribute.type == onnx.AttributeProto.TENSOR else []
        _check_inline([*held, *attribute.tensors])
    for graph in subgraphs(node):
        _check_inline(graph.initializer)
        for inner in graph.node:
            _check_node(inner)


def _check_inline(tensors: Any) -> None:
    for tensor in tensors:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise broken("a constant of it lies in another file; only weights may")
