"""From a graph to a model: the whole layer table, from one more run of the graph."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx

from hooke_server.models.graph import Graph, Place
from hooke_server.models.layer import LayerKind
from hooke_server.models.model import Model, ModelFormat, Runtime, frozen
from hooke_server.models.ops import op_name
from hooke_server.models.preprocessing import Preprocessing
from hooke_server.models.table import LayerTable


def assemble(
    graph: Graph,
    example: tuple[Tensor, ...],
    *,
    source: str,
    format: ModelFormat,  # noqa: A002  # the field's name
    weights: Mapping[str, Tensor] | None = None,
    input_names: Sequence[str] | None = None,
    digest: str | None = None,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] = (),
    runtime: Runtime | None = None,
    obstacle: str = "",
    parity_error: float | None = None,
    fixed_batch: int | None = None,
    notes: Sequence[str] = (),
) -> Model:
    """A model with its layer table.

    Parameters
    ----------
    graph : what to tabulate.
    example : inputs that the graph runs on, of batch 1 unless the batch is fixed.
    weights : the learned tensors by name, the same that the graph holds; by default
        its parameters. Which layer has which is found by identity.
    input_names : what the inputs are called, where the graph could not say it.
    digest : of graph and weights; by default computed here.
    labels : of the units of the first output; dropped where their number differs.

    The other parameters are the fields of `Model`.
    """
    if input_names is not None:
        graph = _with_input_names(graph, input_names)
    if weights is None:
        weights = dict(graph.module.named_parameters())
    table = LayerTable(graph, example, weights, fixed_batch)
    layers = frozen(table.layers())
    first = layers[table.output_layer]
    return Model(
        source=source,
        format=format,
        digest=digest or digest_of(graph.module),
        layers=layers,
        inputs=tuple(
            replace(layer.output, name=layer.id)
            for layer in layers.values()
            if layer.kind is LayerKind.INPUT
        ),
        outputs=table.outputs(),
        output_layer=first.id,
        weights=weights,
        device=example[0].device,
        graph=graph,
        runtime=runtime,
        obstacle=obstacle,
        parity_error=parity_error,
        preprocessing=preprocessing,
        labels=tuple(labels) if len(labels) == first.unit_count else (),
        fixed_batch=table.fixed_batch,
        notes=tuple(notes),
    )


def digest_of(module: fx.GraphModule) -> str:
    """`sha256:` of the graph's text and the bytes of all that it holds."""
    sha = hashlib.sha256()
    for node in module.graph.nodes:
        target: Any = node.target
        if node.op == "call_module":
            target = (target, repr(module.get_submodule(target)))
        elif node.op == "call_function":
            target = (getattr(target, "__module__", ""), op_name(target))
        sha.update(repr((node.op, target, _text(node.args), _text(node.kwargs))).encode())
    for key, tensor in sorted(module.state_dict().items()):
        sha.update(repr((key, tensor.dtype, tuple(tensor.shape))).encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        sha.update(memoryview(flat.view(torch.uint8).numpy()) if flat.numel() else b"")
    return f"sha256:{sha.hexdigest()}"


def _text(value: Any) -> str:
    """Arguments as text: nodes by their names, functions without addresses."""
    if isinstance(value, Mapping):
        return str([(str(key), _text(item)) for key, item in value.items()])
    if isinstance(value, list | tuple):
        return str([_text(item) for item in value])
    if isinstance(value, slice):
        return _text((value.start, value.stop, value.step))
    if callable(value) and not isinstance(value, fx.Node):
        return op_name(value)
    return str(value)


def _with_input_names(graph: Graph, names: Sequence[str]) -> Graph:
    """Call the inputs by other names, unless a layer is called so."""
    places: dict[str, Place] = {}
    left = list(names)
    placeholders = set(graph.input_names)
    for layer_id, place in graph.places.items():
        if place.node in placeholders and not place.module_class and left:
            name = left.pop(0)
            while name != layer_id and (name in graph.places or name in places):
                name = f"input.{name}"
            layer_id = name
        places[layer_id] = place
    return replace(graph, places=places)
