"""Spatial attribution: which places of a photograph speak for an answer."""

from __future__ import annotations

from typing import Annotated

from hooke_server.techniques.frames import Array, Estimate, Frames, Picture, Progress, Result
from hooke_server.techniques.overlays import heat
from hooke_server.techniques.plans import View
from hooke_server.techniques.targets import Photograph, Site
from hooke_server.techniques.technique import TechniqueKind, technique
from hooke_server.techniques.visualization.attribution import (
    attribute,
    check_target,
    pass_cost,
    target_name,
)
from hooke_server.techniques.visualization.photographs import Seen
from hooke_server.techniques.visualization.requirements import map_obstacle, with_photograph


def estimate(view: View, *, photograph: Photograph, target: Site | None) -> Estimate:
    """What a run would cost."""
    return pass_cost(view, target)


def check(view: View, *, photograph: Photograph, target: Site | None) -> None:
    """Raise for a target that cannot be explained by the items."""
    check_target(view, target=target, technique="spatial_attribution")


@technique(
    kind=TechniqueKind.VISUALIZATION,
    title="Spatial attribution",
    source="Olah et al.: The Building Blocks of Interpretability, Distill 2018, "
    "https://doi.org/10.23915/distill.00010",
    obstacle=with_photograph(map_obstacle),
    estimate=estimate,
    check=check,
)
def spatial_attribution(
    view: View,
    *,
    photograph: Annotated[Photograph, "The picture that is explained."],
    target: Annotated[
        Site | None, "A unit behind the layer; unset: the strongest of the output."
    ] = None,
) -> Frames:
    """Which places of a layer's map speak for (red) or against (blue) an answer.

    Activation times gradient at the layer, summed over its units: by how much the answer
    would fall, to first order, without what the layer says there.
    """
    picture = Seen.of(view.model, photograph).picture
    total = len(view.items)
    for index, item in enumerate(view.items):
        site = item.site or Site(layer="")
        found = attribute(view.model, photograph, site, target)
        values = found.values.sum(0)
        yield Progress(step=index + 1, total=total, items_done=index + 1, total_items=total)
        yield Picture(
            name="attribution",
            pixels=heat(picture, values),
            site=site,
            item=index,
            objective=found.response,
            caption=f"what speaks for {target_name(view.model, found.target)}: red for,"
            f" blue against; full colour is {float(values.abs().max()):.3g}",
        )
        axes = ("height", "width")
        yield Array(name="attribution", value=values, axes=axes, layer=site.layer, item=index)
    yield Result()
