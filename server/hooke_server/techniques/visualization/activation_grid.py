"""Activation grid: what a layer sees at each place of a photograph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hooke_server.techniques.frames import Array, Estimate, Frames, Picture, Progress, Tile
from hooke_server.techniques.objectives.algebra import of
from hooke_server.techniques.objectives.measures import CosinePower, Direction
from hooke_server.techniques.overlays import to_pixels
from hooke_server.techniques.parameters import Range
from hooke_server.techniques.plans import View
from hooke_server.techniques.targets import Photograph, Site
from hooke_server.techniques.technique import TechniqueKind, technique
from hooke_server.techniques.visualization.ascent import Ascent, check_ascent
from hooke_server.techniques.visualization.cost import ascent_estimate
from hooke_server.techniques.visualization.optimization import Finished, Optimization
from hooke_server.techniques.visualization.photographs import Seen, as_vector, blank, pooled
from hooke_server.techniques.visualization.requirements import map_obstacle, with_photograph
from hooke_server.techniques.visualization.sight import Subject, placeholders

DEFAULTS = Ascent(size=64, steps=96)
SMALLEST = 0.4
"""Edge of the tile of the weakest place, in edges of the strongest's."""


def subjects(
    view: View, photograph: Photograph, cells: int, cosine_power: float
) -> tuple[list[Subject], list[Tensor]]:
    """A direction for each cell of each item's map, and the magnitudes of the maps."""
    wanted: list[Subject] = []
    magnitudes = []
    seen = Seen.of(view.model, photograph)
    for index, item in enumerate(view.items):
        site = item.site or Site(layer="")
        cell_values = pooled(seen.activations(site), cells)
        lengths = cell_values.norm(dim=0)
        magnitudes.append(lengths)
        for number, vector in enumerate(cell_values.flatten(1).T):
            if float(vector.norm()) > 0:  # a place where nothing is has no direction
                direction = Direction(
                    location=site, vector=as_vector(vector), cosine_power=cosine_power
                )
                wanted.append(
                    Subject(objective=of(direction), item=index, site=site, samples=(number,))
                )
    return wanted, magnitudes


def estimate(
    view: View, *, photograph: Photograph, ascent: Ascent, cells: int, cosine_power: float
) -> Estimate:
    """What a run would cost."""
    return ascent_estimate(view, placeholders(view, cells**2), ascent)


@technique(
    kind=TechniqueKind.VISUALIZATION,
    title="Activation grid",
    source="Olah et al.: The Building Blocks of Interpretability, Distill 2018, "
    "https://doi.org/10.23915/distill.00010",
    obstacle=with_photograph(map_obstacle),
    estimate=estimate,
    check=check_ascent,
    resumable=True,
)
def activation_grid(
    view: View,
    *,
    photograph: Annotated[Photograph, "The picture that the layer looks at."],
    ascent: Annotated[Ascent, "How each tile is made."] = DEFAULTS,
    cells: Annotated[int, Range(1, 32), "Most tiles along an edge; larger maps are averaged."] = 7,
    cosine_power: CosinePower = 2.0,
) -> Frames:
    """For each place of a layer's map, a picture of what its activations there stand for.

    The activations of a place are a direction in the space of units; each tile is the
    feature visualization of one. Tiles of stronger activations are larger.
    """
    wanted, magnitudes = subjects(view, photograph, cells, cosine_power)
    run = Optimization(view, wanted, ascent, first_noise=True)
    finished: dict[int, list[Finished]] = {index: [] for index in range(len(view.items))}
    for frame in run:
        if isinstance(frame, Finished):
            finished[frame.subject.item].append(frame)
        elif isinstance(frame, Progress):
            yield frame
    for index, lengths in enumerate(magnitudes):
        yield draw_grid(finished[index], lengths, view.items[index].site, index, ascent.size)
        yield Array(
            name="magnitudes",
            value=lengths,
            axes=("row", "column"),
            layer=getattr(view.items[index].site, "layer", ""),
            item=index,
        )
    yield run.result()


def draw_grid(
    tiles: Sequence[Finished], lengths: Tensor, site: Site | None, item: int, edge: int
) -> Picture:
    """Tiles at their places, each as large as its activations are strong."""
    rows, columns = lengths.shape
    canvas = blank(rows * edge, columns * edge)
    shares = (lengths / lengths.max().clamp(min=1e-12)).sqrt().cpu()
    index = []
    for tile in tiles:
        row, column = divmod(tile.sample, columns)
        share = SMALLEST + (1 - SMALLEST) * float(shares[row, column])
        size = max(1, round(edge * share))
        top, left = (place * edge + (edge - size) // 2 for place in (row, column))
        pixels = Image.fromarray(to_pixels(tile.picture[:3])).resize((size, size))
        canvas[top : top + size, left : left + size] = np.asarray(pixels)
        index.append(
            Tile(
                x=left,
                y=top,
                width=size,
                height=size,
                site=site,
                item=item,
                sample=tile.sample,
                objective=tile.objective,
                caption=f"row {row}, column {column}",
            )
        )
    return Picture(
        name="activation_grid",
        pixels=canvas,
        site=site,
        item=item,
        step=max((tile.step for tile in tiles), default=0),
        caption=f"{rows} x {columns} places; the strongest has a magnitude of "
        f"{float(torch.max(lengths)):.3g}",
        tiles=tuple(index),
    )
