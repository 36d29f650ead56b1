"""Probes: compiled, pure functions from a model's inputs to the tensors of chosen layers.

A probe is cut from the model's graph: only what the chosen layers need is kept,
so execution stops at the deepest of them, and it is compiled to plain Python, so
no hook and no interpreter is in the way. Any number of threads may call it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock

import torch
from torch import Tensor, fx

from hooke_server.models.graph import Graph

Rewrite = Callable[[fx.Graph], None]
"""A change to a probe's own copy of the graph, before what is not needed is cut away."""


Polish = Callable[[fx.GraphModule], None]
"""A change to a probe's own module, after that."""


class Probe:
    """From the model's inputs to a dict from layer id to tensor.

    Differentiable with respect to the inputs. The dict has the layers in the
    order asked for; tensors are those the model computed, not copies.
    """

    def __init__(
        self,
        graph: Graph,
        layers: tuple[str, ...],
        rewrite: Rewrite | None = None,
        polish: Polish | None = None,
    ) -> None:
        self.layers = layers
        self._places = [graph.places[layer] for layer in layers]
        self._module = cut(graph.module, [place.node for place in self._places], rewrite)
        if polish:
            polish(self._module)

    def __call__(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Run the graph as far as the deepest layer."""
        # Not by the module's own call, which prints a traceback of what goes wrong.
        values = self._module.forward(*inputs)
        return {
            layer: place.pick(value)
            for layer, place, value in zip(self.layers, self._places, values, strict=True)
        }


def cut(
    module: fx.GraphModule, wanted: list[str], rewrite: Rewrite | None = None
) -> fx.GraphModule:
    """The part of `module` that the wanted nodes need, returning their values as a tuple.

    All inputs stay, needed or not, so that every probe is called alike. Weights
    are shared with `module`.
    """
    graph = fx.Graph(owning_module=module)
    copies: dict[fx.Node, fx.Node] = {}
    graph.graph_copy(module.graph, copies)
    by_name = {node.name: copy for node, copy in copies.items()}
    for node in list(graph.nodes):
        if node.op == "call_function" and node.target is torch._assert:
            graph.erase_node(node)
    if rewrite:
        rewrite(graph)
    graph.output(tuple(by_name[name] for name in wanted))
    # Placeholders are impure to fx, so this keeps them.
    graph.eliminate_dead_code()
    return fx.GraphModule(module, graph)


class ProbeCache:
    """The probes used last. Cutting takes milliseconds, which is long for a small request."""

    def __init__(self, size: int = 64) -> None:
        self._size = size
        self._lock = Lock()
        self._probes: OrderedDict[Hashable, Probe] = OrderedDict()

    def get(
        self,
        graph: Graph,
        layers: tuple[str, ...],
        rewrite: Rewrite | None = None,
        polish: Polish | None = None,
        version: Hashable = None,
    ) -> Probe:
        """The probe of these layers, cut now if it is not there.

        Parameters
        ----------
        version : tells polished probes of different weights apart.
        """
        key = layers, rewrite, polish is None, version
        with self._lock:
            probe = self._probes.get(key) or Probe(graph, layers, rewrite, polish)
            self._probes[key] = probe
            self._probes.move_to_end(key)
            while len(self._probes) > self._size:
                self._probes.popitem(last=False)
            return probe
