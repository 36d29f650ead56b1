"""The layer table of a graph: shapes, neighbours, weights and costs of every place.

A node that is no layer (a constant, a reshaped weight, a step inside a torch
module) belongs to the first layer that needs it: with its cost, its weights, and
what it reads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, fx

from hooke_server.errors import FailedPreconditionError, Reason
from hooke_server.models.graph import Graph, Place
from hooke_server.models.layer import Layer, LayerKind, TensorSpec, Weight
from hooke_server.models.measure import Keys, Measured, measure
from hooke_server.models.ops import op_name, snake_case
from hooke_server.models.places import resolve
from hooke_server.models.specs import Specs


@dataclass
class _Row:
    """What is known of a layer before its consumers are."""

    reads: dict[str, None] = field(default_factory=dict)
    macs: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)


class LayerTable:
    """Makes the layers of a graph.

    Parameters
    ----------
    graph : the graph.
    example : inputs of one batch size; the graph is measured at another one too, to
        learn which dimensions are dynamic.
    weights : learned tensors by key; they are found in the graph by identity.
    fixed_batch : the only batch size that the graph takes, if that is known.
    """

    def __init__(
        self,
        graph: Graph,
        example: tuple[Tensor, ...],
        weights: Mapping[str, Tensor],
        fixed_batch: int | None,
    ) -> None:
        self._graph = graph
        self._nodes = {node.name: node for node in graph.module.graph.nodes}
        batch = example[0].shape[0] if example[0].ndim else 1
        self._here = _measured(graph, example)
        there = _measured_beside(graph, example, batch) if fixed_batch is None else None
        self.fixed_batch = None if there else fixed_batch or batch
        self._batch = self.fixed_batch or batch
        self._specs = Specs(self._here, there, batch)
        self._keys = {_identity(tensor): key for key, tensor in weights.items()}
        self._ids: dict[str, dict[Keys, str]] = defaultdict(dict)
        for layer_id, place in graph.places.items():
            if layer_id not in graph.blocks:
                self._ids[place.node].setdefault(place.keys, layer_id)
        self._claimed: set[fx.Node] = set()
        self._rows = self._all_rows()
        self._consumers: dict[str, dict[str, None]] = defaultdict(dict)
        for layer_id, row in self._rows.items():
            if layer_id not in graph.blocks:
                for read in row.reads:
                    self._consumers[read][layer_id] = None

    def layers(self) -> list[Layer]:
        """Every layer, in the order in which they run."""
        return [self._layer(layer_id, place) for layer_id, place in self._graph.places.items()]

    def outputs(self) -> tuple[TensorSpec, ...]:
        """The tensors that the model returns, members of a dict by their keys."""
        specs = []
        for keys, name, inner in self._returned():
            label = ".".join(map(str, keys))
            label = label if keys and isinstance(keys[0], str) else f"output.{label}".strip(".")
            specs.append(self._specs.spec(name, inner, label))
        return tuple(specs)

    @cached_property
    def output_layer(self) -> str:
        """Id of the layer that yields the first output that depends on an input."""
        for _, name, keys in self._returned():
            if keys in self._ids[name]:
                return self._ids[name][keys]
        raise FailedPreconditionError(
            Reason.MODEL_UNSUPPORTED, "this model returns no tensor that depends on its inputs"
        )

    def _returned(self) -> Iterator[tuple[Keys, str, Keys]]:
        """Keys in the model's output, and node and keys of each tensor there."""
        end = next(node for node in self._nodes.values() if node.op == "output")
        for keys, node in _node_leaves(end.args[0], ()):
            for inner, _ in self._here[node.name].tensors():
                yield (*keys, *inner), *resolve(node, inner, self._here)

    def _all_rows(self) -> dict[str, _Row]:
        rows: dict[str, _Row] = {}
        for layer_id, place in self._graph.places.items():
            if layer_id in self._graph.blocks:
                rows[layer_id] = self._block_row(layer_id, rows)
            elif (owner := self._ids[place.node][place.keys]) != layer_id:
                # A module that returned what it was given.
                rows[layer_id] = _Row(reads={owner: None})
            else:
                rows[layer_id] = self._own_row(self._nodes[place.node])
        self._add_inner_weights(rows)
        return rows

    def _own_row(self, node: fx.Node) -> _Row:
        row = _Row()
        if node.op != "placeholder":
            first = node not in self._claimed
            self._gather(node, row)
            if not first:
                # A further value of the same node: the cost stands at the first.
                row.weights.clear()
        return row

    def _gather(self, top: fx.Node, row: _Row) -> None:
        """Add a node, and those it needs that are no layers, to a row."""
        waiting, seen = [top], {top}
        while waiting:
            node = waiting.pop()
            ids = self._ids_in(node)
            if ids and node is not top:
                row.reads.update(dict.fromkeys(ids))
                continue
            if node.op == "placeholder" or not any(self._here[node.name].tensors()):
                continue  # a shape is not a value that is read
            if node not in self._claimed:
                self._claimed.add(node)
                row.macs += self._here[node.name].macs
            row.weights.update(self._weights_at(node))
            fresh = [source for source in node.all_input_nodes if source not in seen]
            seen.update(fresh)
            waiting.extend(reversed(fresh))

    def _ids_in(self, node: fx.Node) -> list[str]:
        """Ids of the layers among a node's tensors."""
        name, keys = resolve(node, (), self._here)
        found = self._ids.get(name, {})
        return [found[path] for path in found if path[: len(keys)] == keys]

    def _weights_at(self, node: fx.Node) -> dict[str, Tensor]:
        held: Any = ()
        if node.op == "call_module":
            held = self._graph.module.get_submodule(str(node.target)).state_dict(keep_vars=True)
            held = held.values()
        elif node.op == "get_attr":
            held = [_attribute(self._graph.module, str(node.target))]
        keyed = ((self._keys.get(_identity(t)), t) for t in held if isinstance(t, Tensor))
        return {key: tensor for key, tensor in keyed if key is not None}

    def _block_row(self, layer_id: str, rows: Mapping[str, _Row]) -> _Row:
        inside = self._graph.blocks[layer_id]
        row = _Row()
        for inner in (i for i in rows if i in inside and i not in self._graph.blocks):
            row.macs += rows[inner].macs
            row.weights.update(rows[inner].weights)
            row.reads.update(dict.fromkeys(r for r in rows[inner].reads if r not in inside))
        return row

    def _add_inner_weights(self, rows: Mapping[str, _Row]) -> None:
        """A module has the weights of the operations inside it too."""
        for layer_id, place in self._graph.places.items():
            inner = not place.module_class and place.parent in rows
            if inner and place.parent not in self._graph.blocks:
                rows[place.parent].weights.update(rows[layer_id].weights)

    def _layer(self, layer_id: str, place: Place) -> Layer:
        row, node = self._rows[layer_id], self._nodes[place.node]
        inside = self._graph.blocks.get(layer_id, frozenset())
        value = self._ids[place.node].get(place.keys, layer_id)
        trace = self._specs.seen(place.node, place.keys).trace
        weights = tuple(_weight(key, t, place.module_path) for key, t in row.weights.items())
        return Layer(
            id=layer_id,
            kind=self._kind(layer_id, place),
            op=self._op(layer_id, place, node),
            module_class=place.module_class,
            depth=place.depth,
            parent=place.parent,
            producers=tuple(row.reads),
            consumers=tuple(c for c in self._consumers[value] if c not in inside and c != layer_id),
            inputs=tuple(self._spec_of(read) for read in row.reads),
            output=self._specs.spec(place.node, place.keys),
            parameter_count=sum(tensor.numel() for tensor in row.weights.values()),
            macs=row.macs // self._batch,
            receptive_fields=trace.receptive_fields if trace else (),
            unit_axis=self._specs.unit_axis(place.node, place.keys),
            weights=weights,
            occurrence=place.occurrence,
        )

    def _kind(self, layer_id: str, place: Place) -> LayerKind:
        if layer_id in self._graph.blocks:
            return LayerKind.BLOCK
        if place.module_class:
            return LayerKind.MODULE
        is_input = self._nodes[place.node].op == "placeholder"
        return LayerKind.INPUT if is_input else LayerKind.OPERATION

    def _op(self, layer_id: str, place: Place, node: fx.Node) -> str:
        if layer_id in self._graph.blocks:
            return snake_case(place.module_class)
        if place.module_class:
            return op_name(place.module_class)
        return "input" if node.op == "placeholder" else str(node.meta["origin"].op)

    def _spec_of(self, layer_id: str) -> TensorSpec:
        place = self._graph.places[layer_id]
        return self._specs.spec(place.node, place.keys)


def _measured(graph: Graph, example: tuple[Tensor, ...]) -> Mapping[str, Measured]:
    """What the tracer has measured, if it was for inputs of these shapes."""
    nodes = list(graph.module.graph.nodes)
    inputs = [node.meta.get("measured") for node in nodes if node.op == "placeholder"]
    shapes = [known.value.shape if known else None for known in inputs]
    if shapes == [tuple(tensor.shape) for tensor in example]:
        return {node.name: node.meta["measured"] for node in nodes}
    return measure(graph.module, example)


def _measured_beside(
    graph: Graph, example: tuple[Tensor, ...], batch: int
) -> Mapping[str, Measured] | None:
    """The graph measured with one more sample; None where it does not run so."""
    more = tuple(torch.cat([t, t[:1]]) if t.ndim and t.shape[0] == batch else t for t in example)
    try:
        return measure(graph.module, more)
    except Exception:  # a batch size that is baked in fails in any way
        return None


def _identity(tensor: Tensor) -> tuple[int, int, torch.Size]:
    """Equal for tensors on the same memory, whatever wraps them."""
    return tensor.untyped_storage()._cdata, int(tensor.storage_offset()), tensor.shape


def _attribute(module: fx.GraphModule, target: str) -> Any:
    path, _, name = target.rpartition(".")
    return getattr(module.get_submodule(path), name)


def _weight(key: str, tensor: Tensor, path: str) -> Weight:
    name = key.removeprefix(f"{path}.") if path else key
    return Weight(name=name, key=key, dtype=tensor.dtype, shape=tuple(tensor.shape))


def _node_leaves(value: Any, keys: Keys) -> Iterator[tuple[Keys, fx.Node]]:
    if isinstance(value, fx.Node):
        yield keys, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _node_leaves(item, (*keys, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _node_leaves(item, (*keys, index))
