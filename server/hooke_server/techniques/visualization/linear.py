"""A network taken as linear: what one layer's units weigh in another's.

Nonlinearities let everything through, max pooling averages, batch norms are what they are
with fixed statistics; then a unit's value is a weighted sum of an earlier layer's, and the
weights are its gradient (Voss et al.: "Visualizing Weights", Distill 2021).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from hooke_server.models.model import Model
from hooke_server.techniques.objectives.scene import units_first
from hooke_server.techniques.visualization.sight import channels, declared_size

IDENTITY = frozenset(
    {"relu", "relu6", "hardtanh", "clamp", "silu", "gelu", "elu", "leaky_relu", "hardswish"}
    | {"hardsigmoid", "sigmoid", "tanh", "mish", "softplus", "prelu", "selu", "celu"}
)
"""Nonlinearities that let everything through."""


def let_through(value: Tensor, *_: Any, **__: Any) -> Tensor:
    """The value itself."""
    return value


def average(value: Tensor, kernel: Any, stride: Any, padding: Any) -> Tensor:
    """Average pooling in the place of max pooling; borders count as nothing."""
    return F.avg_pool2d(value, kernel, stride, padding, count_include_pad=False)


def linearize(graph: fx.Graph) -> None:
    """Put linear operations in the place of a graph's nonlinear ones."""
    for node in list(graph.nodes):
        op = node.meta["origin"].op if "origin" in node.meta else ""
        if op in IDENTITY and node.op in {"call_module", "call_function", "call_method"}:
            node.op, node.target = "call_function", let_through
            node.args, node.kwargs = (node.args[0],), {}
        elif op == "max_pool2d" and (settings := _pooling(graph, node)):
            node.op, node.target = "call_function", average
            node.args, node.kwargs = (node.args[0], *settings), {}


def _pooling(graph: fx.Graph, node: fx.Node) -> tuple[Any, Any, Any] | None:
    """Kernel, stride and padding of a max pooling."""
    if node.op == "call_module":
        root: Any = graph.owning_module
        pool = root.get_submodule(str(node.target))
        return pool.kernel_size, pool.stride, pool.padding
    names = ("kernel_size", "stride", "padding")
    given = dict(zip(names, node.args[1:], strict=False)) | node.kwargs
    if "kernel_size" not in given:
        return None
    return (
        given["kernel_size"],
        given.get("stride") or given["kernel_size"],
        given.get("padding", 0),
    )


def expanded_weights(
    model: Model, layer_id: str, source_id: str, units: Sequence[int]
) -> Iterator[tuple[int, Tensor]]:
    """For each unit, at the centre of its map, the weights [source units, height, width].

    All are cropped to the places where any unit asked for has weights at all.
    """
    layer, source = model.layer(layer_id), model.layer(source_id)
    size = declared_size(model) or (224, 224)
    dtype, batch = model.inputs[0].dtype, model.fixed_batch or 1
    blank = torch.zeros(batch, channels(model), *size, dtype=dtype, device=model.device)
    probe = model.probe([source_id, layer_id], linearize)
    with torch.enable_grad():
        values = probe(blank.requires_grad_())
        mapped = units_first(layer, values)[0]
        row, column = (extent // 2 for extent in mapped.shape[1:])
        box: tuple[slice, slice] | None = None
        for unit in units:
            [gradient] = torch.autograd.grad(
                mapped[unit, row, column], [values[source_id]], retain_graph=True
            )
            weights = units_first(source, {source_id: gradient})[0].float()
            box = box or support(weights)
            yield unit, weights[:, box[0], box[1]].clone()


def support(weights: Tensor) -> tuple[slice, slice]:
    """The smallest box of [units, height, width] that holds all that is not zero."""
    present = weights.abs().sum(0) > 0
    rows, columns = present.any(1).nonzero(), present.any(0).nonzero()
    if not len(rows):
        return slice(0, 1), slice(0, 1)
    return (
        slice(int(rows[0]), int(rows[-1]) + 1),
        slice(int(columns[0]), int(columns[-1]) + 1),
    )
