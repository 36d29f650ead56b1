"""The weights of attention, where a network keeps them inside one fused operation.

    passed = inquiry.differentiate(start, values, samples, layers, explicit_attention)
    passed.values[layer]       [rows, heads, tokens, tokens]
    passed.gradients[layer]    [targets, rows, heads, tokens, tokens]

`explicit_attention` is a change of a probe's own graph after which an attention's layer says its
weights, and what it said before is computed from them: softmax(q k^T / sqrt(d)) v. So weights and
their gradients are read like any layer's, and the model stays as it is. Where a network computes
the softmax by itself (an ONNX export), that is the layer and there is nothing to change, though
the product with the values behind it may be called as the fused operation was in torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from hooke_server.models.layer import Layer
from hooke_server.models.model import Model
from hooke_server.techniques.attribution.backwards import operation
from hooke_server.techniques.reach import gradient_obstacle, upstream
from hooke_server.techniques.targets import Site

FUSED = "scaled_dot_product_attention"
MODULE = "multihead_attention"
SOFTMAX = "softmax"


def attentions(model: Model, targets: Sequence[str]) -> list[Layer]:
    """The layers of self-attention before the targets, in the order in which they run."""
    before = {layer.id for layer in upstream(model, targets)}
    return [each for each in model.layers.values() if each.id in before and is_attention(each)]


def is_attention(layer: Layer) -> bool:
    """Whether tokens look at each other there."""
    if layer.op == MODULE or (layer.op == FUSED and len(layer.inputs) > 2):
        return True
    shape = layer.output.shape
    return layer.op == SOFTMAX and len(shape) == 4 and shape[2] == shape[3]


def tokens(model: Model, layer: Layer) -> int | None:
    """How many tokens look at each other; None where that is not one number for each sample."""
    shapes = [spec.shape for spec in (layer.output, *layer.inputs)]
    if any(shape[:1] != model.inputs[0].shape[:1] for shape in shapes):
        return None
    axis = 1 if layer.op == MODULE else 2
    counts = {shape[axis] for shape in shapes if len(shape) > axis}
    count = counts.pop()
    return count if isinstance(count, int) and not counts else None


def attention_obstacle(model: Model, site: Site) -> str:
    """Why what a place says is not explained by attention; empty where it is."""
    if reason := gradient_obstacle(model):
        return reason
    given = model.inputs[0].shape
    found = attentions(model, [site.layer])
    if not found:
        return "no self-attention that Hooke can look into comes before it"
    if len(given) != 4:
        return "the model's first input is no picture"
    places = model.given_graph().places
    if places[site.layer].node in {places[each.id].node for each in found}:
        return "it is an attention itself; explain what comes behind it"
    counts = {tokens(model, each) for each in found}
    if len(counts) > 1 or None in counts:
        return (
            "not all tokens of a sample look at each other in every attention before it (windows,"
            " or attention to others), so there is nothing to multiply"
        )
    [count] = counts
    if patch_grid(count or 0, given[2:]) is None:
        return f"its {count} tokens are no grid of patches"
    return ""


def patch_grid(count: int, size: Sequence[Any]) -> tuple[int, int] | None:
    """Rows and columns of the patches among `count` tokens, by the picture's proportions.

    Tokens that stand for no patch (of the class, of distillation, registers) come first; they are
    taken to be as few as can be.
    """
    proportion = size[0] / size[1] if all(isinstance(each, int) for each in size) else 1.0
    for patches in range(count, count // 2, -1):
        rows = round(math.sqrt(patches * proportion))
        if rows and patches % rows == 0 and math.isclose(rows / (patches // rows), proportion):
            return rows, patches // rows
    return None


def explicit_attention(graph: fx.Graph) -> None:
    """Let every fused attention say its weights, and compute from them what it said."""
    for node in list(graph.nodes):
        op = operation(node)
        if node.op == "call_function" and op == FUSED and _is_fused(node):
            _split(graph, node, (), _weights, _mixed)
        elif node.op == "call_module" and op == MODULE and graph.owning_module is not None:
            module = graph.owning_module.get_submodule(str(node.target))
            _split(graph, node, (module,), _module_weights, _module_mixed)


def _is_fused(node: fx.Node) -> bool:
    """Whether it is given queries, keys and values."""
    return len(node.args) + len(node.kwargs.keys() & {"query", "key", "value"}) > 2


def _split(graph: fx.Graph, node: fx.Node, first: tuple[Any, ...], weigh: Any, mix: Any) -> None:
    """The node becomes the weights; whoever read it reads what is made of them."""
    value = node.args[2] if len(node.args) > 2 else node.kwargs["value"]
    with graph.inserting_after(node):
        mixed = graph.call_function(_Bound(mix, first), (node, value))
    node.replace_all_uses_with(mixed, delete_user_cb=lambda user: user is not mixed)
    node.op, node.target = "call_function", _Bound(weigh, first)


class _Bound:
    """A function with its first arguments, under the one name that generated code calls it by."""

    __name__ = "bound"

    def __init__(self, function: Any, first: tuple[Any, ...]) -> None:
        self._function, self._first = function, first

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function's value."""
        return self._function(*self._first, *args, **kwargs)


def _weights(query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """What attention makes of the identity is its weights; masks and scales are its own."""
    one = torch.eye(value.shape[-2], dtype=value.dtype, device=value.device)
    each = one.expand(*value.shape[:-2], -1, -1)
    return F.scaled_dot_product_attention(query, key, each, *args, **kwargs)


def _mixed(weights: Tensor, value: Tensor) -> Tensor:
    """Values by their weights; heads of values may be shared by several of queries."""
    return weights @ value.repeat_interleave(weights.shape[1] // value.shape[1], 1)


def _module_weights(
    module: nn.MultiheadAttention, *args: Any, **kwargs: Any
) -> tuple[Tensor, Tensor | None]:
    asked = {"need_weights": True, "average_attn_weights": False}
    _, weights = module(*args, **kwargs | asked)
    return weights, None


def _module_mixed(
    module: nn.MultiheadAttention, said: tuple[Tensor, None], value: Tensor
) -> tuple[Tensor, None]:
    """The rest of the module: values of the heads by their weights, and the last projection."""
    weights, _ = said
    last = slice(-module.embed_dim, None)
    matrix = module.v_proj_weight if module.in_proj_weight is None else module.in_proj_weight[last]
    bias = None if module.in_proj_bias is None else module.in_proj_bias[last]
    projected = F.linear(value, matrix, bias)
    heads = projected.reshape(*projected.shape[:2], module.num_heads, -1).transpose(1, 2)
    return module.out_proj((weights @ heads).transpose(1, 2).flatten(2)), None
