"""What a place can be reached by from the input, and why it cannot."""

from __future__ import annotations

from collections.abc import Sequence

from hooke_server.models.layer import Layer, LayerKind
from hooke_server.models.model import Model
from hooke_server.techniques.targets import Site


def upstream(model: Model, wanted: Sequence[str]) -> list[Layer]:
    """The layers that the wanted ones are computed from by real numbers, and they themselves.

    A block stands for the layer inside it that yields its value.
    """
    found: dict[str, Layer] = {}
    waiting = [_inmost(model, layer) for layer in wanted]
    while waiting:
        layer = model.layers[waiting.pop()]
        if layer.id not in found and layer.output.dtype.is_floating_point:
            found[layer.id] = layer
            waiting.extend(layer.producers)
    return list(found.values())


def _inmost(model: Model, layer_id: str) -> str:
    if model.graph is None or layer_id not in model.graph.blocks:
        return layer_id
    places = model.graph.places
    same = (places[layer_id].node, places[layer_id].keys)
    inner = (i for i in model.graph.blocks[layer_id] if i not in model.graph.blocks)
    return next((i for i in inner if (places[i].node, places[i].keys) == same), layer_id)


def picture_obstacle(model: Model) -> str:
    """Why no picture can be shown to a model; empty where one can."""
    given = model.inputs[0]
    is_picture = len(given.shape) == 4 and isinstance(given.shape[1], int)
    if len(model.inputs) != 1 or not is_picture or not given.dtype.is_floating_point:
        return "it needs a model with one picture as its input, [batch, channels, height, width]"
    return ""


def gradient_obstacle(model: Model) -> str:
    """Why a model has no gradients; empty where it has."""
    if model.graph is None:
        return f"it needs gradients, and this model has none: {model.obstacle}"
    return ""


def photograph_obstacle(model: Model) -> str:
    """Why no photograph can be shown to a model that takes pictures; empty where one can."""
    channels = model.inputs[0].shape[1]
    if channels in {1, 3}:
        return ""
    return f"it looks at a photograph, and this model's pictures have {channels} channels"


def layer_obstacle(model: Model, site: Site) -> str:
    """Why no picture can be optimized for a layer; empty where one can."""
    if reason := picture_obstacle(model):
        return reason
    layer, given = model.layer(site.layer), model.inputs[0]
    if layer.output.shape[:1] != given.shape[:1]:
        return "its first axis is not the batch"
    if not layer.output.dtype.is_floating_point:
        return "its values are not real numbers"
    way = upstream(model, [layer.id])
    if not any(found.kind is LayerKind.INPUT for found in way):
        return "its value does not depend on the picture, or not by real numbers"
    if layer.unit_count == 0 or layer.unit_axis % len(layer.output.shape) == 0:
        return "it has no units; choose a layer that ListLayers gives a unit_count"
    return ""
