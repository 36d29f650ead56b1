"""Comparison: two units side by side, of one model or of two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from hooke_server.errors import FailedPreconditionError, Reason
from hooke_server.techniques.frames import Array, Estimate, Frames, Picture, Progress, Result, Tile
from hooke_server.techniques.objectives.algebra import of
from hooke_server.techniques.objectives.measures import Response
from hooke_server.techniques.overlays import to_pixels
from hooke_server.techniques.plans import View
from hooke_server.techniques.targets import Site
from hooke_server.techniques.technique import TechniqueKind, technique
from hooke_server.techniques.visualization.ascent import Ascent, check_ascent
from hooke_server.techniques.visualization.cost import ascent_estimate
from hooke_server.techniques.visualization.optimization import Finished, Optimization
from hooke_server.techniques.visualization.requirements import unit_obstacle
from hooke_server.techniques.visualization.sight import Sight, Subject, channels

DEFAULTS = Ascent()
HEAD, GAP = 44, 6


def subjects(sites: Sequence[Site]) -> list[Subject]:
    """Each unit, to be raised."""
    return [
        Subject(objective=of(Response(location=site)), item=index, site=site)
        for index, site in enumerate(sites)
    ]


def mine(view: View) -> list[Site]:
    """The units of the items."""
    return [item.site for item in view.items if item.site is not None]


def estimate(view: View, *, other: Site, ascent: Ascent) -> Estimate:
    """What a run would cost: the larger of the two models' parts."""
    first = ascent_estimate(view, subjects(mine(view)), ascent)
    second = ascent_estimate(view, subjects([other]), ascent, model=other.model)
    return max(first, second, key=lambda each: each.memory_bytes)


def check(view: View, *, other: Site, ascent: Ascent) -> None:
    """Raise for a unit that cannot be compared with."""
    check_ascent(view, ascent=ascent)
    model = view.models[other.model]
    reason = unit_obstacle(model, other)
    if not reason and channels(model) != channels(view.model):
        reason = f"its pictures have {channels(model)} channels, not {channels(view.model)}"
    if reason:
        raise FailedPreconditionError(
            Reason.TECHNIQUE_NOT_APPLICABLE,
            f"layer {other.layer!r} cannot be compared with: {reason}",
            field="comparison.other",
            layer=other.layer,
        )


@technique(
    kind=TechniqueKind.VISUALIZATION,
    title="Comparison",
    source="Olah et al.: The Building Blocks of Interpretability, Distill 2018, "
    "https://doi.org/10.23915/distill.00010",
    obstacle=unit_obstacle,
    estimate=estimate,
    check=check,
    resumable=True,
    several_models=True,
)
def comparison(
    view: View,
    *,
    other: Annotated[Site, "What each item is compared with, perhaps in another model."],
    ascent: Annotated[Ascent, "How the pictures are made."] = DEFAULTS,
) -> Frames:
    """Two units side by side: what each responds to, and what each says to the other's picture.

    Each picture is made for one unit; both units look at both, without transforms.
    """
    sites = mine(view)
    runs = (
        Optimization(view, subjects(sites), ascent, stage=0, stages=2),
        Optimization(view, subjects([other]), ascent, stage=1, stages=2, model=other.model),
    )
    made: list[list[Finished]] = [[], []]
    for number, run in enumerate(runs):
        for frame in run:
            if isinstance(frame, Finished):
                made[number].append(frame)
            elif isinstance(frame, Progress):
                yield frame
    for finished in made[0] if made[1] else ():
        pair = (finished, made[1][0])
        place = finished.subject.site or Site(layer="")
        table = responses(view, (place, other), [each.picture for each in pair])
        yield draw(pair, (place, other), table, finished.subject.item)
        axes = ("picture", "unit")
        yield Array(name="responses", value=table, axes=axes, item=finished.subject.item)
    complete = all(run.complete for run in runs)
    yield Result(metrics={"steps": min(run.steps for run in runs)}, complete=complete)


def responses(view: View, sites: Sequence[Site], pictures: Sequence[Tensor]) -> Tensor:
    """What each unit says to each picture, [picture, unit]."""
    columns = []
    for site in sites:
        model = view.models[site.model]
        shown = torch.stack([each[: channels(model)] for each in pictures]).to(model.device)
        subject = Subject(objective=of(Response(location=site)), samples=(0, 1))
        sight = Sight(model, [subject], (shown.shape[2], shown.shape[3]))
        with torch.no_grad():
            columns.append(sight(shown).cpu())
    return torch.stack(columns, dim=1)


def draw(pair: Sequence[Finished], sites: Sequence[Site], table: Tensor, item: int) -> Picture:
    """Both pictures with what each unit says to them above."""
    pixels = [to_pixels(each.picture[:3]) for each in pair]
    height, width = pixels[0].shape[:2]
    column = max(width, 200)
    canvas = Image.new("RGB", (2 * column + 3 * GAP, HEAD + height + GAP), "white")
    pen = ImageDraw.Draw(canvas)
    tiles = []
    for number, (site, shown) in enumerate(zip(sites, pixels, strict=True)):
        left = GAP + number * (column + GAP)
        canvas.paste(Image.fromarray(shown), (left, HEAD))
        own, others = float(table[number, number]), float(table[number, 1 - number])
        caption = f"unit {site.unit} of {site.layer}"
        pen.text((left, 2), caption[-32:], fill="black")
        pen.text((left, 16), f"says {own:.3g} to this", fill="black")
        pen.text((left, 30), f"the other says {others:.3g}", fill="black")
        tiles.append(
            Tile(
                x=left,
                y=HEAD,
                width=width,
                height=height,
                site=site,
                item=item,
                objective=own,
                caption=caption,
            )
        )
    return Picture(
        name="comparison",
        pixels=np.asarray(canvas),
        site=sites[0],
        item=item,
        step=pair[0].step,
        caption=" beside ".join(tile.caption for tile in tiles),
        tiles=tuple(tiles),
    )
