"""Feature inversion: what a layer keeps of a picture."""

from __future__ import annotations

from typing import Annotated

from hooke_server.techniques.frames import Estimate, Frames
from hooke_server.techniques.objectives.algebra import of
from hooke_server.techniques.objectives.measures import (
    ActivationComparison,
    ActivationDifference,
)
from hooke_server.techniques.objectives.penalties import TotalVariation
from hooke_server.techniques.plans import View
from hooke_server.techniques.targets import Photograph
from hooke_server.techniques.technique import TechniqueKind, technique
from hooke_server.techniques.visualization.ascent import Ascent, check_ascent
from hooke_server.techniques.visualization.cost import ascent_estimate
from hooke_server.techniques.visualization.optimization import Optimization
from hooke_server.techniques.visualization.requirements import whole_layer_obstacle, with_photograph
from hooke_server.techniques.visualization.sight import Subject, layer_subjects
from hooke_server.techniques.visualization.transforms import Jitter, TransformSequence

DEFAULTS = Ascent(
    size=224,
    steps=256,
    transforms=TransformSequence(transforms=(Jitter(pixels=4),)),
    penalty=-0.2 * of(TotalVariation()),
)
"""Little jitter, since the picture shall be found where it was."""


def subjects(view: View, photograph: Photograph) -> list[Subject]:
    """Each item's layer, to have the photograph's activations."""
    return layer_subjects(
        view,
        lambda site: (
            -of(
                ActivationDifference(
                    location=site,
                    image=photograph,
                    comparison=ActivationComparison.RELATIVE_SQUARED,
                )
            )
        ),
    )


def estimate(view: View, *, photograph: Photograph, ascent: Ascent) -> Estimate:
    """What a run would cost."""
    size = ascent.picture_size(photograph)
    return ascent_estimate(view, subjects(view, photograph), ascent, size=size)


@technique(
    kind=TechniqueKind.VISUALIZATION,
    title="Feature inversion",
    source="Mahendran, Vedaldi: Understanding Deep Image Representations by Inverting Them, "
    "CVPR 2015, https://arxiv.org/abs/1412.0035",
    obstacle=with_photograph(whole_layer_obstacle),
    estimate=estimate,
    check=check_ascent,
    resumable=True,
)
def feature_inversion(
    view: View,
    *,
    photograph: Annotated[Photograph, "The picture whose activations are kept."],
    ascent: Annotated[Ascent, "How the picture is made."] = DEFAULTS,
) -> Frames:
    """A picture made from nothing but a layer's activations for a given one.

    The squared difference of activations, in units of the photograph's mean square, is
    lowered together with the total variation: what comes back is what the layer keeps.
    """
    size = ascent.picture_size(photograph)
    run = Optimization(view, subjects(view, photograph), ascent, size=size)
    yield from run.frames("inversion")
