"""Which places each kind of lens can be pointed at."""

from __future__ import annotations

from hooke_server.models.model import Model
from hooke_server.techniques.reach import (
    gradient_obstacle,
    layer_obstacle,
    photograph_obstacle,
)
from hooke_server.techniques.targets import Site
from hooke_server.techniques.technique import Obstacle


def with_photograph(obstacle: Obstacle) -> Obstacle:
    """The same for techniques that are given a photograph too."""
    return lambda model, site: obstacle(model, site) or photograph_obstacle(model)


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
