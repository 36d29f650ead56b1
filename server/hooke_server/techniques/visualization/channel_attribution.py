"""Channel attribution: which units speak for an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from hooke_server.techniques.frames import Array, Estimate, Frames, Picture, Tile
from hooke_server.techniques.objectives.algebra import of
from hooke_server.techniques.objectives.measures import Response
from hooke_server.techniques.overlays import to_pixels
from hooke_server.techniques.parameters import Range
from hooke_server.techniques.pictures import diverging
from hooke_server.techniques.plans import View
from hooke_server.techniques.targets import Photograph, Site
from hooke_server.techniques.technique import TechniqueKind, technique
from hooke_server.techniques.visualization.ascent import Ascent, check_ascent
from hooke_server.techniques.visualization.attribution import (
    Attribution,
    attribute,
    check_target,
    pass_cost,
    target_name,
)
from hooke_server.techniques.visualization.cost import ascent_estimate
from hooke_server.techniques.visualization.optimization import Finished, Optimization
from hooke_server.techniques.visualization.requirements import whole_layer_obstacle, with_photograph
from hooke_server.techniques.visualization.sight import Subject, placeholders

DEFAULTS = Ascent(size=96, steps=128)
BAR, LINE, GAP = 200, 16, 4
"""Pixels of the longest bar, of a line of text, and between rows."""


def strongest(values: Tensor, count: int) -> list[int]:
    """The units that speak most for, then those that speak most against, strongest first."""
    order = values.argsort(descending=True).tolist()
    speaking_for = [unit for unit in order[:count] if values[unit] > 0]
    against = [unit for unit in reversed(order[-count:]) if values[unit] < 0]
    return [*speaking_for, *against]


def by_unit(found: Attribution) -> Tensor:
    """Attribution of each unit, [units]."""
    return found.values.flatten(1).sum(1) if found.values.ndim > 1 else found.values


def subjects(view: View, found: Sequence[Attribution], units: int) -> list[Subject]:
    """A unit for each icon."""
    return [
        Subject(
            objective=of(Response(location=Site(layer=item.site.layer, unit=unit))),
            item=index,
            site=Site(layer=item.site.layer, unit=unit),
            caption=f"unit {unit}: {float(by_unit(each)[unit]):+.3g}",
        )
        for index, (item, each) in enumerate(zip(view.items, found, strict=True))
        if item.site is not None
        for unit in strongest(by_unit(each), units)
    ]


def attributions(view: View, photograph: Photograph, target: Site | None) -> list[Attribution]:
    """Those of the items."""
    return [
        attribute(view.model, photograph, item.site or Site(layer=""), target)
        for item in view.items
    ]


def estimate(
    view: View, *, photograph: Photograph, target: Site | None, units: int, ascent: Ascent
) -> Estimate:
    """What a run would cost: the larger of a pass for the attribution and of the icons."""
    once = pass_cost(view, target)
    icons = ascent_estimate(view, placeholders(view, 2 * units), ascent)
    return max(once, icons, key=lambda each: each.memory_bytes)


def check(
    view: View, *, photograph: Photograph, target: Site | None, units: int, ascent: Ascent
) -> None:
    """Raise for a target that cannot be explained by the items."""
    check_ascent(view, ascent=ascent)
    check_target(view, target=target, technique="channel_attribution")


@technique(
    kind=TechniqueKind.VISUALIZATION,
    title="Channel attribution",
    source="Olah et al.: The Building Blocks of Interpretability, Distill 2018, "
    "https://doi.org/10.23915/distill.00010",
    obstacle=with_photograph(whole_layer_obstacle),
    estimate=estimate,
    check=check,
    resumable=True,
)
def channel_attribution(
    view: View,
    *,
    photograph: Annotated[Photograph, "The picture that is explained."],
    target: Annotated[
        Site | None, "A unit behind the layer; unset: the strongest of the output."
    ] = None,
    units: Annotated[int, Range(1, 32), "Units shown for, and as many against."] = 5,
    ascent: Annotated[Ascent, "How each icon is made."] = DEFAULTS,
) -> Frames:
    """Which units of a layer speak for (red) or against (blue) an answer, with their icons.

    Activation times gradient at the layer, summed over positions.
    """
    found = attributions(view, photograph, target)
    run = Optimization(view, subjects(view, found, units), ascent)
    icons: dict[int, list[Finished]] = {index: [] for index in range(len(found))}
    for frame in run:
        if isinstance(frame, Finished):
            icons[frame.subject.item].append(frame)
            yield frame.frame("icon")
        else:
            yield frame
    for index, each in enumerate(found):
        site, values = view.items[index].site, by_unit(each)
        caption = f"what speaks for {target_name(view.model, each.target)}"
        yield draw_chart(icons[index], values, site, index, caption, each.response)
        layer = site.layer if site else ""
        yield Array(name="attribution", value=values, axes=("unit",), layer=layer, item=index)
    yield run.result()


def draw_chart(
    icons: Sequence[Finished],
    values: Tensor,
    site: Site | None,
    item: int,
    caption: str,
    response: float,
) -> Picture:
    """A row for each unit: icon, number, and a bar as long as its attribution."""
    edge = max((max(icon.picture.shape[1:]) for icon in icons), default=LINE)
    row = edge + GAP
    canvas = Image.new("RGB", (edge + 3 * GAP + BAR, LINE + row * len(icons) + GAP), "white")
    pen = ImageDraw.Draw(canvas)
    pen.text((GAP, 2), caption[:48], fill="black")
    longest = float(values.abs().max()) or 1.0
    tiles = []
    for number, icon in enumerate(icons):
        place = icon.subject.site
        value = float(values[place.unit]) if place and place.unit is not None else 0.0
        top = LINE + number * row
        canvas.paste(Image.fromarray(to_pixels(icon.picture[:3])), (GAP, top))
        left, middle = edge + 2 * GAP, top + edge // 2
        colour = tuple(int(c) for c in diverging(Tensor([value]).sign().numpy(), 1.0)[0])
        width = max(1, round(BAR * abs(value) / longest))
        pen.rectangle((left, middle, left + width, middle + LINE), fill=colour)
        pen.text((left, middle - LINE), icon.subject.caption, fill="black")
        tiles.append(
            Tile(
                x=GAP,
                y=top,
                width=icon.picture.shape[2],
                height=icon.picture.shape[1],
                site=place,
                item=item,
                objective=value,
                caption=icon.subject.caption,
            )
        )
    return Picture(
        name="channel_attribution",
        pixels=np.asarray(canvas),
        site=site,
        item=item,
        objective=response,
        caption=caption,
        tiles=tuple(tiles),
    )
