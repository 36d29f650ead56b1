"""Feature visualization: the input that a channel, a neuron or a class responds to most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from torch import Tensor

from hooke_server.models.model import Model
from hooke_server.techniques.frames import Estimate, Frames
from hooke_server.techniques.objectives.algebra import Objective, Term, of
from hooke_server.techniques.objectives.measures import Diversity, Response
from hooke_server.techniques.objectives.scene import Scene
from hooke_server.techniques.parameters import Range
from hooke_server.techniques.plans import Item, View
from hooke_server.techniques.reach import upstream
from hooke_server.techniques.targets import Site
from hooke_server.techniques.technique import TechniqueKind, technique
from hooke_server.techniques.visualization.ascent import Ascent, check_ascent
from hooke_server.techniques.visualization.cost import ascent_estimate
from hooke_server.techniques.visualization.optimization import Optimization
from hooke_server.techniques.visualization.requirements import unit_obstacle
from hooke_server.techniques.visualization.sight import Subject


class VisualizationSign(StrEnum):
    """Strongest or weakest response; as `hooke.v1.VisualizationSign`."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    BOTH = "both"


@dataclass(frozen=True)
class Magnitude:
    """How large an objective is now, as a constant: other terms can be shares of it."""

    objective: Objective

    def __call__(self, scene: Scene) -> Tensor:
        """Its absolute value for each picture; no gradient leads through it."""
        return self.objective(scene).detach().abs()


def subjects(
    view: View, *, sign: VisualizationSign, pictures: int, diversity: float
) -> list[Subject]:
    """For each item the pictures that raise it, those that lower it, or both."""
    return [
        subject
        for index, item in enumerate(view.items)
        for subject in _subjects(view.model, item, index, sign, pictures, diversity)
    ]


def _subjects(
    model: Model,
    item: Item,
    index: int,
    sign: VisualizationSign,
    pictures: int,
    diversity: float,
) -> Iterator[Subject]:
    objective = item.objective or of(Response(location=item.site))  # type: ignore[arg-type]
    places = [item.site] if item.site else objective.sites
    if pictures > 1 and diversity and places:
        textures = Diversity(location=Site(layer=_last_map(model, places[0].layer)))
        share = Term(weight=diversity, factors=(Magnitude(objective), textures))  # type: ignore[arg-type]
        objective += Objective(terms=(share,))
    signs = [each for each in (1, -1) if sign in {SIGNS[each], VisualizationSign.BOTH}]
    for number, factor in enumerate(signs):
        first = number * pictures
        yield Subject(
            objective=objective * factor,
            item=index,
            samples=tuple(range(first, first + pictures)),
            numbered=pictures * len(signs) > 1,
            site=item.site,
            caption="least" if factor < 0 else "",
        )


def _last_map(model: Model, layer: str) -> str:
    """The layer itself, or the last on the way to it whose units have positions."""
    if model.layer(layer).position_axes:
        return layer
    maps = {found.id for found in upstream(model, [layer]) if found.position_axes}
    return next((each for each in reversed(list(model.layers)) if each in maps), layer)


SIGNS = {1: VisualizationSign.POSITIVE, -1: VisualizationSign.NEGATIVE}


DEFAULTS = Ascent()


def estimate(
    view: View, *, ascent: Ascent, sign: VisualizationSign, pictures: int, diversity: float
) -> Estimate:
    """What a run would cost."""
    wanted = subjects(view, sign=sign, pictures=pictures, diversity=diversity)
    return ascent_estimate(view, wanted, ascent)


@technique(
    kind=TechniqueKind.VISUALIZATION,
    title="Feature visualization",
    source="Olah, Mordvintsev, Schubert: Feature Visualization, Distill 2017, "
    "https://doi.org/10.23915/distill.00007",
    obstacle=unit_obstacle,
    estimate=estimate,
    check=check_ascent,
    takes_objectives=True,
    resumable=True,
)
def feature_visualization(
    view: View,
    *,
    ascent: Annotated[Ascent, "How the pictures are made."] = DEFAULTS,
    sign: Annotated[VisualizationSign, "Strongest or weakest response, or both."] = (
        VisualizationSign.POSITIVE
    ),
    pictures: Annotated[int, Range(1, 16), "Pictures of each item."] = 1,
    diversity: Annotated[
        float, Range(0, 100), "How much they shall differ, as a share of the unit's response."
    ] = 1.0,
) -> Frames:
    """The input that a channel, a neuron or a class responds to most.

    Gradient ascent from noise, with Lucid's image, transforms and defaults. A unit
    without a position shows a channel, its mean over all positions; with a position
    a neuron; at the model's output a class. Each finished picture tells the
    objective measured on itself, without transforms.
    """
    wanted = subjects(view, sign=sign, pictures=pictures, diversity=diversity)
    yield from Optimization(view, wanted, ascent).frames()
