"""What pictures can be optimized for, and what is computed on the way there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from hooke_server.errors import FailedPreconditionError, InvalidArgumentError, Reason
from hooke_server.models.layer import Layer as ModelLayer
from hooke_server.models.layer import LayerKind
from hooke_server.models.model import Model
from hooke_server.techniques.targets import Site
from hooke_server.techniques.technique import Obstacle
from hooke_server.techniques.visualization.measures import Blend, Direction, Measure, Response
from hooke_server.techniques.visualization.objectives import Objective


def upstream(model: Model, wanted: Sequence[str]) -> list[ModelLayer]:
    """The layers that the wanted ones are computed from by real numbers, and they themselves.

    A block stands for the layer inside it that yields its value.
    """
    found: dict[str, ModelLayer] = {}
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


def with_photograph(obstacle: Obstacle) -> Obstacle:
    """The same for techniques that are given a photograph too."""
    return lambda model, site: obstacle(model, site) or photograph_obstacle(model)


def check_photographs(model: Model, path: str) -> None:
    """Raise where a photograph is given and cannot be shown to the model."""
    if reason := photograph_obstacle(model):
        raise _invalid(reason, path)


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


def whole_layer_obstacle(model: Model, site: Site) -> str:
    """The same for techniques whose items are layers, which need gradients."""
    if reason := gradient_obstacle(model) or layer_obstacle(model, site):
        return reason
    if site.unit is not None or site.position:
        return "it shows whole layers; leave out the unit and the position"
    return ""


def map_obstacle(model: Model, site: Site) -> str:
    """The same for techniques that show what is where: the layer must be a map."""
    if reason := whole_layer_obstacle(model, site):
        return reason
    axes = len(model.layer(site.layer).position_axes)
    if axes != 2:
        return f"it needs a map of height and width, and this layer has {axes} position axes"
    return ""


def unit_obstacle(model: Model, site: Site) -> str:
    """The same for techniques whose items are units, which work without gradients too."""
    if reason := layer_obstacle(model, site):
        return reason
    if site.unit is None:
        return "it shows one unit at a time; name a unit, or a label at the model's output"
    return ""


def gradient_unit_obstacle(model: Model, site: Site) -> str:
    """The same where gradients are needed."""
    return gradient_obstacle(model) or unit_obstacle(model, site)


def check_objective(model: Model, objective: Objective, path: str) -> None:
    """Raise for an objective that cannot be measured in this model."""
    if not objective.terms or not all(term.factors for term in objective.terms):
        raise _invalid("an objective needs at least one term, and a term at least one factor", path)
    for site in objective.sites:
        if site.model:
            raise _invalid("all places of an objective must lie in the model of the items", path)
        if reason := layer_obstacle(model, site):
            raise FailedPreconditionError(
                Reason.TECHNIQUE_NOT_APPLICABLE,
                f"layer {site.layer!r} cannot be optimized for: {reason}",
                field=path,
                layer=site.layer,
            )
    if objective.photographs:
        check_photographs(model, path)
    for measure in objective.measures:
        _check_measure(model, measure, path)


def _check_measure(model: Model, measure: Measure, path: str) -> None:
    if isinstance(measure, Response | Blend):
        return
    sites = [getattr(measure, each.name) for each in fields(measure)]
    for site in (each for each in sites if isinstance(each, Site)):
        positioned = site.position and not isinstance(measure, Direction)
        if site.unit is not None or positioned:
            name = type(measure).__name__
            raise _invalid(f"{name} reads a whole layer; leave out unit and position", path)
    if isinstance(measure, Direction):
        units = model.layer(measure.location.layer).unit_count
        if len(measure.vector) != units or not any(measure.vector):
            raise _invalid(
                f"the direction needs {units} numbers, one for each unit of"
                f" {measure.location.layer!r}, not all zero; {len(measure.vector)} came",
                path,
            )


def _invalid(message: str, field: str) -> InvalidArgumentError:
    return InvalidArgumentError(Reason.INVALID_FIELD, message, field=field)
