"""The rewrite of a graph by which relevance goes back through it, not a gradient.

A linear operation shares it out by a rule, a sum by its parts, an activation lets it pass, a
product gives it to the signal; what moves numbers about or chooses one goes back as ever.

A batch norm is merged into the convolution or dense layer before it, as deployed networks have it
and the literature assumes, so a network and its export give one answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from hooke_server.techniques.attribution.backwards import (
    ACTIVATIONS,
    Function,
    Replaced,
    computation,
    operation,
)
from hooke_server.techniques.attribution.relevance.flow import (
    ADDED,
    DENSE,
    ENDS,
    MOVED,
    NORMS,
    SUMS,
    Flow,
)
from hooke_server.techniques.attribution.relevance.linear import Call, Linear, call_of
from hooke_server.techniques.attribution.relevance.rules import Rule, box_rule, shares

Gate = Callable[[Function, Sequence[Tensor], Tensor], Sequence[Tensor]]
"""From an operation of signals alone, the signals and relevance to the relevance of each."""

KEPT = ("identity", "pad", "dropout", "contiguous", "clone", "to", "float")
"""After which numbers lie between the same bounds."""

FOLDABLE = ("conv1d", "conv2d", "conv3d", "conv2d_same", "linear")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules of a composite.

    Attributes
    ----------
    name : tells them apart, with their parameters.
    first : of the first operations with weights.
    boxed : of those that look at a picture, by the input that it is.
    epsilon : of sums without weights.
    biased : whether constants that are added take a share everywhere, not in dense layers alone.
    """

    name: str
    convolutional: Rule = field(compare=False, repr=False)
    dense: Rule = field(compare=False, repr=False)
    first: Rule | None = field(compare=False, repr=False)
    boxed: Mapping[str, Rule] = field(compare=False, repr=False)
    epsilon: float
    biased: bool


@dataclass(frozen=True)
class RelevanceWay:
    """The rewrite.

    Attributes
    ----------
    begin : nodes that relevance begins at, which is the value by its gradient.
    end : the nodes that are asked; a batch norm is not merged across it.
    """

    rules: Rules
    begin: frozenset[str]
    end: frozenset[str]

    def __call__(self, graph: fx.Graph) -> None:
        """Replace the operations."""
        flow = Flow(graph)
        changes = [
            change for node in list(graph.nodes) if (change := self._change(graph, flow, node))
        ]
        for node, args, function in changes:
            node.op, node.target = "call_function", Replaced(function)
            node.args, node.kwargs = args, {}
        for node in list(graph.nodes):
            if node.name in self.begin and node.op.startswith("call"):
                _begin(graph, node)

    def _change(self, graph: fx.Graph, flow: Flow, node: fx.Node) -> _Change | None:
        """What a node computes from now on, and from what; None where it stays."""
        op, values = operation(node), tuple(flow.receivers(node))
        if not values or op in MOVED or op in ENDS:
            return None
        if flow.is_weighted(node):
            function = self._weighted(flow, node, call_of(graph, node))
            return node, (values[0], node.args, node.kwargs), function
        gate = self._gate(flow, node, op)
        if gate is None:
            return None
        function = _gated(computation(graph, node), gate)
        if op in NORMS and (linear := self._merged(flow, node)):
            norm = computation(graph, node), function
            weighted = self._weighted(flow, linear, call_of(graph, linear), norm)
            given = linear.args, linear.kwargs, node.args[1:], node.kwargs
            return node, (*flow.receivers(linear), *given), _in_place_of(node, weighted)
        gates = tuple(each for each in flow.given(node) if each not in values)
        return node, (values, node.args, node.kwargs, gates), _in_place_of(node, function)

    def _gate(self, flow: Flow, node: fx.Node, op: str) -> Gate | None:
        if op in SUMS or (op in NORMS and self.rules.biased):
            return _shared(self.rules.epsilon)
        if op in NORMS or op in ACTIVATIONS or op in ("div", "neg"):
            return _passed
        if op == "mul":
            return _multiplied
        if op in ADDED:
            first, *others = flow.given(node)
            dense = operation(first) in DENSE and flow.is_weighted(first)
            return _shared(0.0) if others or dense or self.rules.biased else _passed
        return None

    def _merged(self, flow: Flow, norm: fx.Node) -> fx.Node | None:
        """The operation that a batch norm is merged into."""
        node = norm.args[0]
        if not isinstance(node, fx.Node) or operation(node) not in FOLDABLE:
            return None
        readers = [user for user in node.users if operation(user) not in ENDS]
        plain = node.kwargs.get("beta", 1.0) == 1.0 and flow.is_weighted(node)
        return node if readers == [norm] and plain and node.name not in self.end else None

    def _weighted(
        self,
        flow: Flow,
        node: fx.Node,
        call: Call,
        norm: tuple[Function, Function] | None = None,
    ) -> Function:
        """An operation with weights, perhaps with a norm behind it: as it is, and by its gate."""
        rules, [given] = self.rules, flow.receivers(node)
        dense = operation(node) in DENSE
        rule = rules.dense if dense else rules.convolutional
        if given not in flow.weighted and not flow.is_weighted(given):
            rule = _box(flow, given, rules.boxed) or rules.first or rule

        def function(
            x: Tensor, args: Any, kwargs: Any, others: Any = (), named: Any = MappingProxyType({})
        ) -> Any:
            linear = call(args, kwargs)
            if norm is None:
                return _shared_out(linear, rule, x)

            plain, own = norm
            if dense and x.ndim != 2:  # it norms tokens, not units
                value = _shared_out(linear, rule, x)
                return own((value,), (value, *others), named)
            merged = linear.merged(lambda value: _first(plain(value, *others, **named)), x.ndim)
            return _shared_out(merged, rule, x)

        return function


_Change = tuple[fx.Node, tuple[Any, ...], Function]


def _box(flow: Flow, given: fx.Node, boxed: Mapping[str, Rule]) -> Rule | None:
    """The rule of what looks at a picture; behind anything else its bounds are no longer known."""
    node, same = given, True
    while node.name not in boxed:
        before = flow.given(node)
        if len(before) != 1:
            return None
        same = same and operation(node) in KEPT
        [node] = before
    return boxed[node.name] if same else box_rule(None, None)


def _shared_out(linear: Linear, rule: Rule, x: Tensor) -> Tensor:
    def gate(_: Function, values: Sequence[Tensor], back: Tensor) -> list[Tensor]:
        return [rule(linear.operation, values[0], linear.weight, linear.bias, back)]

    result: Tensor = _Back.apply(linear, gate, (), x)
    return result


def _gated(computed: Function, gate: Gate) -> Function:
    """A function of signals, of all arguments, among which they are, and of gates among these."""

    def function(
        values: tuple[Any, ...], args: Any, kwargs: Any, gates: tuple[Any, ...] = ()
    ) -> Any:
        signals = [v for v in values if isinstance(v, Tensor) and v.is_floating_point()]

        def alone(*given: Tensor) -> Any:
            def put(value: Any) -> Any:
                places = [i for i, signal in enumerate(signals) if signal is value]
                return given[places[0]] if places else value

            changed_args, changed_kwargs = pytree.tree_map(put, (tuple(args), dict(kwargs)))
            return _first(computed(*changed_args, **changed_kwargs))

        return _Back.apply(alone, gate, gates, *signals, *gates) if signals else alone()

    return function


def _first(value: Any) -> Any:
    """Of what exporters' batch norms say the values, not the statistics."""
    return value[0] if isinstance(value, tuple | list) else value


def _in_place_of(node: fx.Node, function: Function) -> Function:
    """What says a tuple goes on to say one."""
    if "native_batch_norm" not in str(node.target):
        return function
    return lambda *args: (function(*args),)


def _passed(computed: Function, values: Sequence[Tensor], back: Tensor) -> list[Tensor]:
    return [back.sum_to_size(value.shape) for value in values]


def _multiplied(computed: Function, values: Sequence[Tensor], back: Tensor) -> list[Tensor]:
    """Two signals of one size have made it together; a smaller one only scales the larger."""
    most = max(value.numel() for value in values)
    largest = [value.numel() == most for value in values]
    return [
        back.sum_to_size(value.shape) / sum(largest) if large else torch.zeros_like(value)
        for value, large in zip(values, largest, strict=True)
    ]


def _shared(epsilon: float) -> Gate:
    return lambda computed, values, back: shares(computed, values, back, epsilon)


def _begin(graph: fx.Graph, node: fx.Node) -> None:
    """Let relevance begin at what a node says, as the value by the gradient that arrives."""
    with graph.inserting_before(node):
        inner = graph.create_node(node.op, node.target, node.args, node.kwargs)
    inner.meta = dict(node.meta)
    node.replace_all_uses_with(inner)
    node.op, node.target = "call_function", Replaced(_beginning)
    node.args, node.kwargs = (inner,), {}


def _beginning(value: Any) -> Any:
    def begun(each: Tensor) -> Any:
        gate: Gate = lambda _, values, back: [back * values[0]]  # noqa: E731
        return _Back.apply(torch.clone, gate, (), each) if each.is_floating_point() else each

    return pytree.tree_map_only(Tensor, begun, value)


class _Back(torch.autograd.Function):
    """Gates are given too, so that a question about one is answered, by zeros."""

    @staticmethod
    def forward(
        ctx: Any, computed: Function, gate: Gate, gates: tuple[Any, ...], *values: Tensor
    ) -> Any:
        signals = values[: len(values) - len(gates)]
        result = computed(*signals)
        if any(result is value for value in signals):  # a batch norm that an exporter has merged
            result = result.clone()
        ctx.save_for_backward(*signals)
        ctx.computed, ctx.gate, ctx.gates = computed, gate, len(gates)
        return result

    @staticmethod
    def backward(ctx: Any, *back: Tensor) -> tuple[Any, ...]:
        found = ctx.gate(ctx.computed, ctx.saved_tensors, back[0])
        return None, None, None, *found, *[None] * ctx.gates
