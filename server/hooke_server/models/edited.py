"""Edited models: the same network, but for what some layers yield.

    silent = Edit(layer="blocks.4.2", units=(7,), change=Ablation())
    edited(model, [silent]).forward(["classifier"], inputs)

An edited model is a `Model` of its own on the same weights, so nothing else needs to know of
edits. In its graph each edited layer is followed by the functions of `edit_operations`, which
all that read the layer read in its place; the layer's place is the last of them.

Neighbouring edits with one change, of different samples of one layer, become one operation.
"""

from __future__ import annotations

import hashlib
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import torch
from torch import Tensor, fx

from hooke_server.errors import FailedPreconditionError, Reason
from hooke_server.models import edit_operations as operations
from hooke_server.models.edit_operations import Region, Where
from hooke_server.models.edits import (
    Ablation,
    Change,
    Clamping,
    DirectionAddition,
    Edit,
    Patch,
    Replacement,
    Scaling,
    depend_on_place,
    edits_json,
)
from hooke_server.models.folding import Folded
from hooke_server.models.graph import Graph
from hooke_server.models.kept import Kept
from hooke_server.models.layer import extent_at
from hooke_server.models.model import Model
from hooke_server.models.probe import ProbeCache
from hooke_server.models.rewrites import with_part

HELD = "edit_"
"""What names of tensors begin with that a module holds for edits."""


def edited(model: Model, edits: Sequence[Edit]) -> Model:
    """The model with edits, which apply in the order given; itself where there are none.

    Parameters
    ----------
    edits : of existing layers, units, positions; a `Patch` counts as zeros until `resolved`.

    Raises
    ------
    FailedPreconditionError : MODEL_UNSUPPORTED, if the model has no graph.
    """
    if not edits:
        return model
    content = f"{model.state_digest}\0{edits_json(edits)}"
    return replace(
        model,
        graph=_rewritten(model, edits),
        runtime=None,
        digest=f"sha256:{hashlib.sha256(content.encode()).hexdigest()}",
        mixes_samples=dict.fromkeys(model.layers, True) if depend_on_place(edits) else {},
        edited=Kept(),
        _probes=ProbeCache(),
        _folded=Folded(),
    )


def kept(model: Model, edits: Sequence[Edit]) -> Model:
    """As `edited`, but one value for all who have the same edits.

    Its probes are cut once, and such requests can share passes. Edits that hold tensors are
    not kept, which would take memory that nobody counts.
    """
    if not edits or any(isinstance(each.change, Replacement | Patch) for each in edits):
        return edited(model, edits)
    key = model.state_digest, edits_json(edits)
    return model.edited.get(key, lambda: edited(model, edits))


def resolved(model: Model, edits: Sequence[Edit]) -> list[Edit]:
    """The edits with every patch computed, those of the same inputs in one pass."""
    by_inputs: dict[str, list[Edit]] = {}
    for each in edits:
        if isinstance(each.change, Patch):
            by_inputs.setdefault(each.change.digest, []).append(each)
    plain, values = replace(model, runtime=None), {}
    for digest, some in by_inputs.items():
        wanted: Any = some[0].change
        found = plain.forward(list(dict.fromkeys(each.layer for each in some)), wanted.inputs)
        # Copies are no inference tensors, which gradients could not pass.
        values[digest] = {layer: value.clone() for layer, value in found.items()}
    return [
        replace(
            each, change=Replacement(each.change.digest, values[each.change.digest][each.layer])
        )
        if isinstance(each.change, Patch)
        else each
        for each in edits
    ]


def of_edit(name: str) -> bool:
    """Whether a tensor of an edited model's module came with an edit."""
    return re.fullmatch(HELD + r"\d+", name) is not None


def check_editable(model: Model) -> Graph:
    """The model's graph, or FailedPreconditionError."""
    if model.graph is None:
        raise FailedPreconditionError(
            Reason.MODEL_UNSUPPORTED,
            f"edits need the model's graph, and this model has none: {model.obstacle}",
            field="edits",
        )
    return model.graph


def _rewritten(model: Model, edits: Sequence[Edit]) -> Graph:
    writing = _Writing(check_editable(model))
    for layer_id, change, regions in _operations(edits):
        writing.add(model, layer_id, change, regions)
    return writing.graph()


def _operations(edits: Sequence[Edit]) -> Iterator[tuple[str, Change, tuple[Region, ...]]]:
    """Layer, change and regions of each operation that is needed."""
    last: tuple[str, Change] | None = None
    regions: list[Region] = []
    taken: set[int] = set()
    for each in edits:
        samples = set(each.samples)
        if (each.layer, each.change) != last or not samples or not taken or samples & taken:
            if last is not None:
                yield *last, tuple(regions)
            last, regions, taken = (each.layer, each.change), [], set()
        regions.append((each.units, each.positions, each.samples))
        taken |= samples
    if last is not None:
        yield *last, tuple(regions)


class _Writing:
    """A copy of a graph while edits are written into it."""

    def __init__(self, graph: Graph) -> None:
        self._given = graph
        copied = fx.Graph(owning_module=graph.module)
        nodes: dict[fx.Node, fx.Node] = {}
        copied.output(copied.graph_copy(graph.module.graph, nodes))
        self._module = fx.GraphModule(graph.module, copied)
        # What readers of each node of the given graph read now.
        self._read = {old.name: new for old, new in nodes.items()}

    def add(self, model: Model, layer_id: str, change: Change, regions: tuple[Region, ...]) -> None:
        """Let all that read the layer read an edited value."""
        place, graph = self._given.places[layer_id], self._module.graph
        before = self._read[place.node]
        readers = list(before.users)
        with graph.inserting_before(before.next):
            leaf = before
            for key in place.keys:
                leaf = graph.call_function(operator.getitem, (leaf, key))
            after = self._changed(leaf, model, _where(model, layer_id, regions), change)
            if place.keys:
                after = graph.call_function(with_part, (before, place.keys, after))
        for reader in readers:
            reader.replace_input_with(before, after)
        self._read[place.node] = after

    def graph(self) -> Graph:
        """The graph as it is now."""
        self._module.recompile()
        places = {
            layer_id: replace(place, node=self._read[place.node].name)
            for layer_id, place in self._given.places.items()
        }
        return Graph(module=self._module, places=places, blocks=self._given.blocks)

    def _changed(self, leaf: fx.Node, model: Model, where: Where, change: Change) -> fx.Node:
        function: Callable[..., Tensor]
        arguments: tuple[Any, ...]
        match change:
            case Ablation(value):
                function, arguments = operations.ablated, (value == "mean",)
            case Scaling(factor):
                function, arguments = operations.scaled, (factor,)
            case Clamping(low, high):
                function, arguments = operations.clamped, (low, high)
            case DirectionAddition(vector, strength):
                numbers = torch.tensor(vector, dtype=torch.float64, device="cpu") * strength
                dtype = model.layers[where.layer].output.dtype
                function = operations.moved
                arguments = (self._held(numbers.to(model.device, dtype)),)
            case Replacement(_, tensor):
                function, arguments = operations.replaced, (self._held(tensor.to(model.device)),)
            case Patch():
                blank = _blank(model, where.layer, change.batch)
                function, arguments = operations.replaced, (self._held(blank),)
        return self._module.graph.call_function(function, (leaf, where, *arguments))

    def _held(self, value: Tensor) -> fx.Node:
        """A node for a tensor that the module holds."""
        names = (f"{HELD}{number}" for number in count())
        name = next(each for each in names if not hasattr(self._module, each))
        self._module.register_buffer(name, value.detach())
        return self._module.graph.get_attr(name)


def _where(model: Model, layer_id: str, regions: tuple[Region, ...]) -> Where:
    layer = model.layers[layer_id]
    extents = (layer.output.shape[axis] for axis in layer.position_axes)
    return Where(
        layer=layer_id,
        unit_axis=layer.unit_axis % max(len(layer.output.shape), 1),
        position_axes=layer.position_axes,
        extents=tuple(extent if isinstance(extent, int) else None for extent in extents),
        regions=regions,
    )


def _blank(model: Model, layer_id: str, batch: int) -> Tensor:
    """Zeros in the layer's shape that take no memory."""
    spec = model.layers[layer_id].output
    shape = [extent_at(extent, batch) for extent in spec.shape]
    return torch.zeros((), dtype=spec.dtype, device=model.device).expand(shape)
