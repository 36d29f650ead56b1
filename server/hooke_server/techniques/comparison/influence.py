"""What edits of a model reach: the values that they change, and all that is computed from those."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from torch import fx

from hooke_server.models.graph import Graph, Place
from hooke_server.models.model import Model


class Influence:
    """The layers of a model that its edited layers reach.

    A block has the value of the last layer inside it, so an edit of either is one of both.

    Parameters
    ----------
    layers : ids of the edited layers.
    """

    def __init__(self, model: Model, layers: Sequence[str]) -> None:
        self.layers = tuple(layers)
        self._places = model.given_graph().places if layers else {}
        self._computed = {each: _computed_from(model.given_graph(), each) for each in layers}

    def __bool__(self) -> bool:
        return bool(self.layers)

    def at(self, layer: str) -> tuple[str, ...]:
        """The edited layers whose value a layer has."""
        return tuple(each for each in self.layers if self._value(each) == self._value(layer))

    def upon(self, layer: str) -> tuple[str, ...]:
        """The edited layers whose value a layer has or is computed from."""
        at = self.at(layer)
        return tuple(
            each
            for each in self.layers
            if each in at or self._places[layer].node in self._computed[each]
        )

    def _value(self, layer: str) -> tuple[str, tuple[int | str, ...]]:
        place = self._places[layer]
        return place.node, place.keys


def _computed_from(graph: Graph, layer: str) -> set[str]:
    """Names of the nodes that are computed from a layer's value."""
    place = graph.places[layer]
    node = next(each for each in graph.module.graph.nodes if each.name == place.node)
    waiting = [each for each in node.users if not _takes_another_part(each, place)]
    found: set[str] = set()
    while waiting:
        each = waiting.pop()
        if each.name not in found:
            found.add(each.name)
            waiting.extend(each.users)
    return found


def _takes_another_part(node: fx.Node, place: Place) -> bool:
    """Whether a node reads of a layer's tuple something else than the layer."""
    if not place.keys or node.target is not operator.getitem:
        return False
    return bool(node.args[1] != place.keys[0])
