"""DeepDream: a whole layer, made as strong as can be."""

from __future__ import annotations

from typing import Annotated

from hooke_server.techniques.frames import Estimate, Frames
from hooke_server.techniques.objectives.algebra import of
from hooke_server.techniques.objectives.measures import LayerEnergy
from hooke_server.techniques.plans import View
from hooke_server.techniques.technique import TechniqueKind, technique
from hooke_server.techniques.visualization.ascent import Ascent, check_ascent
from hooke_server.techniques.visualization.cost import ascent_estimate
from hooke_server.techniques.visualization.optimization import Optimization
from hooke_server.techniques.visualization.requirements import whole_layer_obstacle
from hooke_server.techniques.visualization.sight import Subject, layer_subjects

DEFAULTS = Ascent(size=224, steps=256)


def subjects(view: View) -> list[Subject]:
    """Each item's layer, to be made strong."""
    return layer_subjects(view, lambda site: of(LayerEnergy(location=site)))


def estimate(view: View, *, ascent: Ascent) -> Estimate:
    """What a run would cost."""
    return ascent_estimate(view, subjects(view), ascent)


@technique(
    kind=TechniqueKind.VISUALIZATION,
    title="DeepDream",
    source="Mordvintsev, Olah, Tyka: Inceptionism: Going Deeper into Neural Networks, 2015, "
    "https://research.google/blog/inceptionism-going-deeper-into-neural-networks/",
    obstacle=whole_layer_obstacle,
    estimate=estimate,
    check=check_ascent,
    resumable=True,
)
def deep_dream(
    view: View, *, ascent: Annotated[Ascent, "How the picture is made."] = DEFAULTS
) -> Frames:
    """A whole layer, made as strong as can be: the mean of its squared values is raised.

    From noise it shows what the layer as a whole looks for, as in OpenAI Microscope; from
    a picture (`ascent.image.start`) it exaggerates what the layer sees there.
    """
    yield from Optimization(view, subjects(view), ascent).frames("deep_dream")
