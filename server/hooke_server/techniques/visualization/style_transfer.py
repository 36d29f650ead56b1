"""Style transfer: the things of one picture in the manner of another."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from hooke_server.models.model import Model
from hooke_server.techniques.frames import Estimate, Frames
from hooke_server.techniques.objectives.algebra import Objective, of
from hooke_server.techniques.objectives.checking import check_objective
from hooke_server.techniques.objectives.measures import (
    ActivationComparison,
    ActivationDifference,
)
from hooke_server.techniques.parameters import Range
from hooke_server.techniques.plans import View
from hooke_server.techniques.reach import upstream
from hooke_server.techniques.targets import Photograph, Site
from hooke_server.techniques.technique import TechniqueKind, technique
from hooke_server.techniques.visualization.ascent import Ascent, check_ascent
from hooke_server.techniques.visualization.cost import ascent_estimate
from hooke_server.techniques.visualization.optimization import Optimization
from hooke_server.techniques.visualization.requirements import map_obstacle, with_photograph
from hooke_server.techniques.visualization.sight import Subject, layer_subjects
from hooke_server.techniques.visualization.transforms import Jitter, TransformSequence

STYLE_LAYERS = 4
"""How many layers see the manner, where none are named."""

DEFAULTS = Ascent(size=224, steps=256, transforms=TransformSequence(transforms=(Jitter(pixels=4),)))


def subjects(
    view: View,
    content: Photograph,
    style: Photograph,
    style_locations: tuple[Site, ...],
    style_weight: float,
) -> list[Subject]:
    """Each item's layer keeps the things of the one, other layers the manner of the other."""

    def objective(site: Site) -> Objective:
        places = style_locations or on_the_way(view.model, site)
        manners = (_apart(place, style, ActivationComparison.GRAM) for place in places)
        manner = sum(manners, Objective()) * (style_weight / len(places))
        return -_apart(site, content, ActivationComparison.RELATIVE_SQUARED) - manner

    return layer_subjects(view, objective)


def _apart(site: Site, photograph: Photograph, comparison: ActivationComparison) -> Objective:
    return of(ActivationDifference(location=site, image=photograph, comparison=comparison))


def on_the_way(model: Model, site: Site) -> tuple[Site, ...]:
    """Maps evenly spaced between the input and a layer, the layer itself the last."""
    on_path = {layer.id for layer in upstream(model, [site.layer])}
    maps = [
        layer.id
        for layer in model.layers.values()
        if layer.id in on_path and len(layer.position_axes) == 2 and layer.producers
    ]
    if not maps:
        return (site,)
    last = len(maps) - 1
    picked = dict.fromkeys(maps[round(last * (i + 1) / STYLE_LAYERS)] for i in range(STYLE_LAYERS))
    return tuple(Site(layer=each) for each in picked)


def started(ascent: Ascent, content: Photograph) -> Ascent:
    """An ascent that starts from the content, unless it has a start of its own."""
    return replace(ascent, image=replace(ascent.image, start=ascent.image.start or content))


def estimate(
    view: View,
    *,
    content: Photograph,
    style: Photograph,
    style_locations: tuple[Site, ...],
    style_weight: float,
    ascent: Ascent,
) -> Estimate:
    """What a run would cost."""
    wanted = subjects(view, content, style, style_locations, style_weight)
    size = ascent.picture_size(content)
    return ascent_estimate(view, wanted, started(ascent, content), size=size)


def check(
    view: View,
    *,
    content: Photograph,
    style_locations: tuple[Site, ...],
    ascent: Ascent,
    **_: object,
) -> None:
    """Raise for style layers that cannot be compared."""
    check_ascent(view, ascent=started(ascent, content))
    for index, site in enumerate(style_locations):
        path = f"style_transfer.style_locations[{index}]"
        check_objective(view.model, _apart(site, content, ActivationComparison.GRAM), path)


@technique(
    kind=TechniqueKind.VISUALIZATION,
    title="Style transfer",
    source="Gatys, Ecker, Bethge: Image Style Transfer Using Convolutional Neural Networks, "
    "CVPR 2016, https://doi.org/10.1109/CVPR.2016.265",
    obstacle=with_photograph(map_obstacle),
    estimate=estimate,
    check=check,
    resumable=True,
)
def style_transfer(
    view: View,
    *,
    content: Annotated[Photograph, "The picture whose things are kept."],
    style: Annotated[Photograph, "The picture whose manner is taken."],
    style_locations: Annotated[
        tuple[Site, ...], "Layers that see the manner; none: four on the way to the item's."
    ] = (),
    style_weight: Annotated[float, Range(0, 1e6), "Of the manner beside the things."] = 10.0,
    ascent: Annotated[Ascent, "How the picture is made."] = DEFAULTS,
) -> Frames:
    """The things of one picture in the manner of another.

    From the content picture, two distances are lowered: that of the item's layer to its
    activations for the content, and those of the Gram matrices of style layers to theirs
    for the style picture.
    """
    wanted = subjects(view, content, style, style_locations, style_weight)
    size = ascent.picture_size(content)
    run = Optimization(view, wanted, started(ascent, content), size=size)
    yield from run.frames("style_transfer")
