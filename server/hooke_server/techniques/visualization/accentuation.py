"""Accentuation: what in a picture a unit responds to, made stronger."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from hooke_server.models.layer import LayerKind
from hooke_server.techniques.frames import Estimate, Frames
from hooke_server.techniques.objectives.algebra import Objective, of
from hooke_server.techniques.objectives.checking import check_objective
from hooke_server.techniques.objectives.measures import (
    ActivationComparison,
    ActivationDifference,
    Response,
)
from hooke_server.techniques.parameters import Range
from hooke_server.techniques.plans import Item, View
from hooke_server.techniques.targets import Photograph, Site
from hooke_server.techniques.technique import TechniqueKind, technique
from hooke_server.techniques.visualization.ascent import Ascent, check_ascent
from hooke_server.techniques.visualization.cost import ascent_estimate
from hooke_server.techniques.visualization.optimization import Optimization
from hooke_server.techniques.visualization.requirements import (
    gradient_unit_obstacle,
    with_photograph,
)
from hooke_server.techniques.visualization.sight import Subject

DEFAULTS = Ascent(size=224, steps=64, learning_rate=0.02)


def subjects(
    view: View, photograph: Photograph, faithfulness: float, anchor: Site | None
) -> list[Subject]:
    """Each item's unit, raised as far as the picture stays near the photograph."""
    near = 1 - faithfulness * of(
        ActivationDifference(
            location=anchor or input_site(view),
            image=photograph,
            comparison=ActivationComparison.RELATIVE_SQUARED,
        )
    )
    return [
        # A product, so that one faithfulness does for units of every scale.
        Subject(objective=raised(item) * near, item=index, site=item.site)
        for index, item in enumerate(view.items)
    ]


def raised(item: Item) -> Objective:
    """What an item raises."""
    if item.objective is not None:
        return item.objective
    return of(Response(location=item.site))  # type: ignore[arg-type]


def input_site(view: View) -> Site:
    """The model's input as a place."""
    layers = view.model.layers.values()
    return Site(layer=next(each.id for each in layers if each.kind is LayerKind.INPUT))


def started(ascent: Ascent, photograph: Photograph) -> Ascent:
    """An ascent that starts from the photograph."""
    return replace(ascent, image=replace(ascent.image, start=photograph))


def estimate(
    view: View,
    *,
    photograph: Photograph,
    ascent: Ascent,
    faithfulness: float,
    anchor: Site | None,
) -> Estimate:
    """What a run would cost."""
    wanted = subjects(view, photograph, faithfulness, anchor)
    return ascent_estimate(view, wanted, started(ascent, photograph))


def check(
    view: View,
    *,
    photograph: Photograph,
    ascent: Ascent,
    faithfulness: float,
    anchor: Site | None,
) -> None:
    """Raise for an anchor that cannot be compared."""
    check_ascent(view, ascent=started(ascent, photograph))
    if anchor is not None:
        wanted = of(ActivationDifference(location=anchor, image=photograph))
        check_objective(view.model, wanted, "accentuation.anchor")


@technique(
    kind=TechniqueKind.VISUALIZATION,
    title="Accentuation",
    source="Hamblin, Fel, Saha, Konkle, Alvarez: Feature Accentuation, 2024, "
    "https://arxiv.org/abs/2402.10039",
    obstacle=with_photograph(gradient_unit_obstacle),
    estimate=estimate,
    check=check,
    takes_objectives=True,
    resumable=True,
)
def accentuation(
    view: View,
    *,
    photograph: Annotated[Photograph, "The picture that is changed."],
    ascent: Annotated[Ascent, "How it climbs."] = DEFAULTS,
    faithfulness: Annotated[
        float, Range(0, 1000), "How much it has to stay like the given picture."
    ] = 5.0,
    anchor: Annotated[Site | None, "A layer at which it has to; unset: the picture itself."] = None,
) -> Frames:
    """A given picture changed a little so that a unit responds more.

    It climbs from the photograph; its response counts less the further the picture's
    activations at the anchor are from the photograph's.
    """
    wanted = subjects(view, photograph, faithfulness, anchor)
    run = Optimization(view, wanted, started(ascent, photograph))
    yield from run.frames("accentuation")
