"""Which compared layers the value of a layer is computed from, and which ones read it.

Layers between that are not compared are looked through. A block's value is that of the
last layer inside it, so either stands for the other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from hooke_server.models.model import Model


class Lineage:
    """The neighbours of a model's layers among some of them.

    Parameters
    ----------
    compared : ids of the layers that count.
    """

    def __init__(self, model: Model, compared: Collection[str]) -> None:
        self._model = model
        self._standing = self._names(compared)

    def sources(self, layer: str) -> tuple[str, ...]:
        """The nearest compared layers that a layer is computed from, in running order."""
        return self._nearest(layer, lambda each: self._model.layers[each].producers)

    def readers(self, layer: str) -> tuple[str, ...]:
        """The nearest compared layers that are computed from a layer, in running order."""
        return self._nearest(layer, lambda each: self._model.layers[each].consumers)

    def _names(self, compared: Collection[str]) -> dict[str, str]:
        """For each layer whose value is compared, under which id; its own first."""
        places = self._model.graph.places if self._model.graph else {}
        by_value = {
            (places[each].node, places[each].keys): each for each in compared if each in places
        }
        names = {
            each: by_value[place.node, place.keys]
            for each, place in places.items()
            if (place.node, place.keys) in by_value
        }
        return names | {each: each for each in compared}

    def _nearest(self, layer: str, step: Callable[[str], tuple[str, ...]]) -> tuple[str, ...]:
        found: set[str] = set()
        seen: set[str] = {layer}
        frontier = list(step(layer))
        while frontier:
            each = frontier.pop()
            if each in seen or each not in self._model.layers:
                continue
            seen.add(each)
            if each in self._standing:
                found.add(self._standing[each])
            else:
                frontier += step(each)
        return tuple(each for each in self._model.layers if each in found - {layer})
