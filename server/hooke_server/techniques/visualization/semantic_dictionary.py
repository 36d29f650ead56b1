"""Semantic dictionary: which units see what at each place of a photograph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hooke_server.techniques.frames import Array, Estimate, Frames, Picture, Tile
from hooke_server.techniques.objectives.algebra import of
from hooke_server.techniques.objectives.measures import Response
from hooke_server.techniques.overlays import to_pixels
from hooke_server.techniques.parameters import Range
from hooke_server.techniques.pictures import Pixels
from hooke_server.techniques.plans import View
from hooke_server.techniques.targets import Photograph, Site
from hooke_server.techniques.technique import TechniqueKind, technique
from hooke_server.techniques.visualization.ascent import Ascent, check_ascent
from hooke_server.techniques.visualization.cost import ascent_estimate
from hooke_server.techniques.visualization.optimization import Finished, Optimization
from hooke_server.techniques.visualization.photographs import Seen, blank, pooled
from hooke_server.techniques.visualization.requirements import map_obstacle, with_photograph
from hooke_server.techniques.visualization.sight import Subject, placeholders

DEFAULTS = Ascent(size=64, steps=96)


@dataclass(frozen=True)
class Entries:
    """What a layer says to a photograph.

    Attributes
    ----------
    units : [height, width, rank], the strongest units of each place, strongest first.
    values : the same places, their activations.
    icons : the units that are shown, most important first.
    """

    units: Tensor
    values: Tensor
    icons: tuple[int, ...]


def look_up(activations: Tensor, ranks: int, icons: int) -> Entries:
    """The dictionary of [units, height, width]; a unit is as important as its values' sum."""
    ranks = min(ranks, len(activations))
    values, units = activations.movedim(0, -1).topk(ranks, dim=-1)
    weight = torch.zeros(len(activations))
    weight.index_add_(0, units.flatten().cpu(), values.clamp(min=0).flatten().cpu())
    first = torch.unique(units[..., 0]).cpu()
    weight[first] += weight.max()  # what is strongest somewhere goes before all others
    order = weight.argsort(descending=True)
    shown = [int(unit) for unit in order[:icons] if weight[unit] > 0]
    return Entries(units=units, values=values, icons=tuple(shown))


def entries(
    view: View, photograph: Photograph, units: int, icons: int, cells: int
) -> list[Entries]:
    """The dictionaries of the items."""
    seen = Seen.of(view.model, photograph)
    return [
        look_up(pooled(seen.activations(item.site), cells), units, icons)
        for item in view.items
        if item.site is not None
    ]


def subjects(view: View, found: list[Entries]) -> list[Subject]:
    """A unit for each icon."""
    return [
        Subject(
            objective=of(Response(location=Site(layer=item.site.layer, unit=unit))),
            item=index,
            site=Site(layer=item.site.layer, unit=unit),
            caption=f"unit {unit}",
        )
        for index, (item, each) in enumerate(zip(view.items, found, strict=True))
        if item.site is not None
        for unit in each.icons
    ]


def estimate(
    view: View, *, photograph: Photograph, ascent: Ascent, units: int, icons: int, cells: int
) -> Estimate:
    """What a run would cost."""
    return ascent_estimate(view, placeholders(view, icons), ascent)


@technique(
    kind=TechniqueKind.VISUALIZATION,
    title="Semantic dictionary",
    source="Olah et al.: The Building Blocks of Interpretability, Distill 2018, "
    "https://doi.org/10.23915/distill.00010",
    obstacle=with_photograph(map_obstacle),
    estimate=estimate,
    check=check_ascent,
    resumable=True,
)
def semantic_dictionary(
    view: View,
    *,
    photograph: Annotated[Photograph, "The picture that the layer looks at."],
    ascent: Annotated[Ascent, "How each icon is made."] = DEFAULTS,
    units: Annotated[int, Range(1, 32), "Units at each place."] = 4,
    icons: Annotated[int, Range(1, 256), "Most icons."] = 32,
    cells: Annotated[int, Range(1, 32), "Most places along an edge."] = 7,
) -> Frames:
    """The strongest units at each place of a photograph, each with an icon of what it looks for.

    In the picture each place shows the icon of its strongest unit; the tensors hold more
    units of each place, with their activations.
    """
    found = entries(view, photograph, units, icons, cells)
    run = Optimization(view, subjects(view, found), ascent)
    drawn: dict[tuple[int, int], Pixels] = {}
    for frame in run:
        if isinstance(frame, Finished):
            unit = frame.subject.site.unit if frame.subject.site else None
            drawn[frame.subject.item, unit or 0] = to_pixels(frame.picture[:3])
            yield frame.frame("icon")
        else:
            yield frame
    for index, each in enumerate(found):
        site = view.items[index].site
        layer = site.layer if site else ""
        own = {unit: pixels for (item, unit), pixels in drawn.items() if item == index}
        yield draw_dictionary(each, own, layer, index, ascent.size)
        axes = ("height", "width", "rank")
        yield Array(name="units", value=each.units, axes=axes, layer=layer, item=index)
        yield Array(name="values", value=each.values, axes=axes, layer=layer, item=index)
    yield run.result()


def draw_dictionary(
    found: Entries, icons: dict[int, Pixels], layer: str, item: int, edge: int
) -> Picture:
    """At each place the icon of its strongest unit that has one, paler where it is weaker."""
    rows, columns, _ = found.units.shape
    canvas = blank(rows * edge, columns * edge)
    strongest = float(found.values.max()) or 1.0
    index = []
    for row in range(rows):
        for column in range(columns):
            unit, value = int(found.units[row, column, 0]), float(found.values[row, column, 0])
            if unit not in icons or value <= 0:
                continue
            top, left = row * edge, column * edge
            icon = Image.fromarray(icons[unit]).resize((edge, edge))
            share = 0.4 + 0.6 * min(1.0, value / strongest) ** 0.5
            place = canvas[top : top + edge, left : left + edge]
            place[:] = np.rint(np.asarray(icon) * share + place * (1 - share))
            index.append(
                Tile(
                    x=left,
                    y=top,
                    width=edge,
                    height=edge,
                    item=item,
                    objective=value,
                    site=Site(layer=layer, unit=unit),
                    caption=f"unit {unit}",
                )
            )
    return Picture(
        name="semantic_dictionary",
        pixels=canvas,
        site=Site(layer=layer),
        item=item,
        caption="the strongest unit of each place; paler where weaker",
        tiles=tuple(index),
    )
