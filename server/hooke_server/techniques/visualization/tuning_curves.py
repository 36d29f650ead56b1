"""Tuning curves: how units respond to families of synthetic stimuli."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from hooke_server.models.model import Model
from hooke_server.techniques.frames import Array, Estimate, Frames, Picture, Progress, Result
from hooke_server.techniques.objectives.scene import source, units_first
from hooke_server.techniques.overlays import to_pixels
from hooke_server.techniques.parameters import Range
from hooke_server.techniques.plans import View
from hooke_server.techniques.targets import Site
from hooke_server.techniques.technique import TechniqueKind, technique
from hooke_server.techniques.visualization.cost import forward_estimate
from hooke_server.techniques.visualization.photographs import FALLBACK_SIZE
from hooke_server.techniques.visualization.plots import curve_plot, map_plot
from hooke_server.techniques.visualization.requirements import unit_obstacle
from hooke_server.techniques.visualization.sight import channels, declared_size, normalize
from hooke_server.techniques.visualization.stimuli import Canvas, Family, StimulusFamily, family

BATCH = 16
SHOWN = 12
"""Stimuli shown beneath a curve at most."""


def canvas(model: Model) -> Canvas:
    """Where stimuli for a model are drawn: pictures of its own size."""
    height, width = declared_size(model) or FALLBACK_SIZE
    return Canvas(channels(model), height, width)


def stimuli(model: Model, wanted: Family) -> Iterator[Tensor]:
    """All stimuli of a family, the last axis' values fastest."""
    drawn = canvas(model)
    for numbers in itertools.product(*(axis.values for axis in wanted.axes)):
        yield wanted.draw(drawn, numbers)


def responses(model: Model, sites: Sequence[Site], pictures: Sequence[Tensor]) -> Tensor:
    """What each site says to each picture, [sites, pictures].

    A unit counts at the centre of its map, where the stimulus is; a neuron at its position.
    """
    layers = [source(model, site) for site in sites]
    inputs = normalize(model, torch.stack(list(pictures)).to(model.device))
    batch = model.fixed_batch or len(inputs)
    rows = []
    for part in torch.split(inputs, 1 if model.fixed_batch else len(inputs)):
        given = part.expand(batch, -1, -1, -1) if model.fixed_batch else part
        values = model.forward(list(dict.fromkeys(layer.id for layer in layers)), [given])
        count = len(part)
        rows.append(
            torch.stack(
                [
                    _at(units_first(layer, values)[:count, site.unit], site).float().cpu()
                    for layer, site in zip(layers, sites, strict=True)
                ]
            )
        )
    return torch.cat(rows, dim=1)


def _at(value: Tensor, site: Site) -> Tensor:
    """Of [batch, *positions] the site's position, or the centre."""
    for axis in range(value.ndim - 1):
        index = site.position[axis] if site.position else value.shape[1] // 2
        value = value[:, index]
    return value


def estimate(view: View, *, families: tuple[StimulusFamily, ...], resolution: int) -> Estimate:
    """What a run would cost."""
    layers = tuple(
        dict.fromkeys(source(view.model, item.site).id for item in view.items if item.site)
    )
    wanted = [family(name, resolution) for name in families or tuple(StimulusFamily)]
    count = sum(int(np.prod([len(axis.values) for axis in each.axes])) for each in wanted)
    return forward_estimate(view.model, layers, BATCH, count)


@technique(
    kind=TechniqueKind.VISUALIZATION,
    title="Tuning curves",
    source="Cammarata, Goh, Carter, Schubert, Petrov, Olah: Curve Detectors, Distill 2020, "
    "https://doi.org/10.23915/distill.00024.003",
    obstacle=unit_obstacle,
    estimate=estimate,
)
def tuning_curves(
    view: View,
    *,
    families: Annotated[tuple[StimulusFamily, ...], "Which families; none: all."] = (),
    resolution: Annotated[int, Range(2, 64), "Values along the first parameter."] = 24,
) -> Frames:
    """How units respond to lines, curves, colours and gratings that we draw.

    Each stimulus lies at the centre of the picture, and a unit's response is its value at
    the centre of its map (a neuron's, at its position). Needs no gradients.
    """
    model = view.model
    sites = [item.site for item in view.items if item.site is not None]
    wanted = {name: family(name, resolution) for name in families or tuple(StimulusFamily)}
    counts = [int(np.prod([len(axis.values) for axis in each.axes])) for each in wanted.values()]
    total, done = sum(-(-count // BATCH) for count in counts), 0
    for name, each in wanted.items():
        parts: list[Tensor] = []
        samples: list[Tensor] = []
        drawn = stimuli(model, each)
        while pictures := list(itertools.islice(drawn, BATCH)):
            parts.append(responses(model, sites, pictures))
            samples += pictures
            done += 1
            yield Progress(step=done, total=total, message=name)
        shape = [len(axis.values) for axis in each.axes]
        table = torch.cat(parts, dim=1).reshape(len(sites), *shape)
        yield from _frames(name, each, sites, table, samples)
    yield Result()


def _frames(
    name: str, wanted: Family, sites: Sequence[Site], table: Tensor, samples: Sequence[Tensor]
) -> Frames:
    names = tuple(axis.name for axis in wanted.axes)
    for item, (site, values) in enumerate(zip(sites, table, strict=True)):
        yield Picture(
            name="tuning_curve",
            pixels=_plot(wanted, values, samples, f"{name}: unit {site.unit} of {site.layer}"),
            site=site,
            item=item,
            caption=f"{name}: responses of unit {site.unit} by {' and '.join(names)}",
        )
        yield Array(name=f"{name}_responses", value=values, axes=names, layer=site.layer, item=item)
        for axis in wanted.axes:
            numbers = torch.tensor(axis.values, dtype=torch.float32)
            yield Array(
                name=f"{name}_{axis.name}",
                value=numbers,
                axes=(axis.name,),
                layer=site.layer,
                item=item,
            )


def _plot(wanted: Family, values: Tensor, samples: Sequence[Tensor], title: str) -> np.ndarray:
    first = wanted.axes[0]
    others = len(samples) // len(first.values)
    step = max(1, -(-len(first.values) // SHOWN))
    if len(wanted.axes) == 1:
        shown = [to_pixels(sample) for sample in samples[::step]]
        return curve_plot(first, values.numpy(), shown, title)
    # Beneath each value of the first axis, the stimulus to which the unit responds most.
    best = values.argmax(1).tolist()
    shown = [
        to_pixels(samples[number * others + best[number]])
        for number in range(0, len(first.values), step)
    ]
    return map_plot(first, wanted.axes[1], values.numpy(), shown, title)
