"""Caricature: a picture drawn anew as a layer sees it, only more so."""

from __future__ import annotations

from typing import Annotated

from hooke_server.techniques.frames import Estimate, Frames
from hooke_server.techniques.objectives.algebra import of
from hooke_server.techniques.objectives.measures import CosinePower, ImageDirection
from hooke_server.techniques.plans import View
from hooke_server.techniques.targets import Photograph
from hooke_server.techniques.technique import TechniqueKind, technique
from hooke_server.techniques.visualization.ascent import Ascent, check_ascent
from hooke_server.techniques.visualization.cost import ascent_estimate
from hooke_server.techniques.visualization.optimization import Optimization
from hooke_server.techniques.visualization.requirements import whole_layer_obstacle, with_photograph
from hooke_server.techniques.visualization.sight import Subject, layer_subjects

DEFAULTS = Ascent(size=224, steps=256)


def subjects(view: View, photograph: Photograph, cosine_power: float) -> list[Subject]:
    """Each item's layer, to see what it sees in the photograph."""
    return layer_subjects(
        view,
        lambda site: of(ImageDirection(location=site, image=photograph, cosine_power=cosine_power)),
    )


def estimate(
    view: View, *, photograph: Photograph, ascent: Ascent, cosine_power: float
) -> Estimate:
    """What a run would cost."""
    wanted = subjects(view, photograph, cosine_power)
    return ascent_estimate(view, wanted, ascent, size=ascent.picture_size(photograph))


@technique(
    kind=TechniqueKind.VISUALIZATION,
    title="Caricature",
    source="Lucid's recipe `caricature`; Schubert et al.: OpenAI Microscope, 2020, "
    "https://openai.com/index/microscope/",
    obstacle=with_photograph(whole_layer_obstacle),
    estimate=estimate,
    check=check_ascent,
    resumable=True,
)
def caricature(
    view: View,
    *,
    photograph: Annotated[Photograph, "The picture that is drawn anew."],
    ascent: Annotated[Ascent, "How the picture is made."] = DEFAULTS,
    cosine_power: CosinePower = 1.0,
) -> Frames:
    """A picture drawn anew so that a layer sees in it what it sees in a given one, only more so.

    The activations of each place are pushed along those of the photograph at that
    place; the photograph goes through the same transforms.
    """
    wanted = subjects(view, photograph, cosine_power)
    size = ascent.picture_size(photograph)
    yield from Optimization(view, wanted, ascent, size=size).frames("caricature")
