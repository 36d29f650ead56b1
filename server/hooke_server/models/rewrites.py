"""Changes to a probe's own copy of the graph; frozen values, so that probes can be kept.

`StartAt` makes a network from a layer on: the layer's value becomes an input.

    tail = model.probe(["fc"], StartAt(model.graph, "layer4"))
    tail(picture, value)["fc"]    what the rest makes of that value

A model is `tail . head`, so whatever explains an input explains a layer too. What goes
around the layer (a skip connection) is still computed from the model's inputs.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, fx

from hooke_server.models.graph import Graph
from hooke_server.models.probe import Rewrite


@dataclass(frozen=True)
class StartAt:
    """A rewrite of a probe's graph that gives it one input more, the value of `layer`."""

    graph: Graph = field(compare=False, repr=False)
    layer: str

    def __call__(self, graph: fx.Graph) -> None:
        """Let all readers of the layer read the new input."""
        place = self.graph.places[self.layer]
        by_name = {node.name: node for node in graph.nodes}
        node = by_name[place.node]
        last = [each for each in graph.nodes if each.op == "placeholder"][-1]
        with graph.inserting_after(last):
            value = graph.placeholder("value")
        given = value
        if place.keys:
            with graph.inserting_after(node):
                given = graph.call_function(with_part, (node, place.keys, value))
        for user in list(node.users):
            if user is not given:
                user.replace_input_with(node, given)


@dataclass(frozen=True)
class InOrder:
    """Several changes, one after another."""

    rewrites: tuple[Rewrite, ...]

    def __call__(self, graph: fx.Graph) -> None:
        """All of them."""
        for rewrite in self.rewrites:
            rewrite(graph)


def with_part(value: Any, keys: tuple[int | str, ...], part: Tensor) -> Any:
    """A nested value with one tensor of it replaced; its tuples and dicts keep their types."""
    if not keys:
        return part
    key, *rest = keys
    inner = with_part(value[key], tuple(rest), part)
    if isinstance(value, Mapping):
        changed: Any = copy.copy(value)
        changed[key] = inner
        return changed
    items = [inner if index == key else each for index, each in enumerate(value)]
    kind: Any = type(value)
    return kind._make(items) if hasattr(kind, "_make") else kind(items)
