"""Neuron groups: a layer's activations for a photograph as a few groups of units."""

from __future__ import annotations

import colorsys
import warnings
from typing import Annotated

import torch
from torch import Tensor

from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.techniques.frames import Array, Estimate, Frames, Picture
from hooke_server.techniques.objectives.algebra import of
from hooke_server.techniques.objectives.measures import CosinePower, Direction
from hooke_server.techniques.overlays import colored_maps
from hooke_server.techniques.parameters import Range
from hooke_server.techniques.plans import View
from hooke_server.techniques.targets import Photograph, Site
from hooke_server.techniques.technique import TechniqueKind, technique
from hooke_server.techniques.visualization.ascent import Ascent, check_ascent
from hooke_server.techniques.visualization.cost import ascent_estimate
from hooke_server.techniques.visualization.optimization import Finished, Optimization
from hooke_server.techniques.visualization.photographs import Seen, as_vector
from hooke_server.techniques.visualization.requirements import map_obstacle, with_photograph
from hooke_server.techniques.visualization.sight import Subject, placeholders

DEFAULTS = Ascent(size=96, steps=128)
ITERATIONS = 1000


def factorize(activations: Tensor, groups: int, seed: int) -> tuple[Tensor, Tensor]:
    """Non-negative factors of [units, height, width], the group that explains most first.

    Returns
    -------
    groups : [group, unit], each of length 1.
    maps : [group, height, width], where each is active.
    """
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    _, height, width = activations.shape
    rows = activations.clamp(min=0).flatten(1).T.double().cpu().numpy()
    start = "nndsvda" if groups <= min(rows.shape) else "random"
    model = NMF(groups, init=start, random_state=seed % 2**32, max_iter=ITERATIONS, tol=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near enough for a picture
        maps = torch.from_numpy(model.fit_transform(rows)).T.reshape(groups, height, width)
    parts = torch.from_numpy(model.components_)
    lengths = parts.norm(dim=1).clamp(min=1e-12)
    parts, maps = parts / lengths[:, None], maps * lengths[:, None, None]
    order = maps.flatten(1).sum(1).argsort(descending=True)
    return parts[order].float(), maps[order].float()


def colours(count: int) -> list[tuple[float, float, float]]:
    """Hues far from each other."""
    return [colorsys.hsv_to_rgb(number / count, 0.85, 0.95) for number in range(count)]


def subjects(
    view: View, photograph: Photograph, groups: int, cosine_power: float
) -> tuple[list[Subject], list[tuple[Tensor, Tensor]]]:
    """A direction for each group of each item, and the items' factors."""
    wanted: list[Subject] = []
    factors = []
    seen = Seen.of(view.model, photograph)
    for index, item in enumerate(view.items):
        site = item.site or Site(layer="")
        parts, maps = factorize(seen.activations(site), groups, view.seed)
        factors.append((parts, maps))
        for number, part in enumerate(parts):
            if float(part.norm()) == 0:
                continue
            direction = Direction(location=site, vector=as_vector(part), cosine_power=cosine_power)
            strongest = ", ".join(map(str, part.argsort(descending=True)[:3].tolist()))
            wanted.append(
                Subject(
                    objective=of(direction),
                    item=index,
                    site=site,
                    samples=(number,),
                    numbered=True,
                    caption=f"group {number}: units {strongest} ...",
                )
            )
    return wanted, factors


def estimate(
    view: View, *, photograph: Photograph, ascent: Ascent, groups: int, cosine_power: float
) -> Estimate:
    """What a run would cost."""
    return ascent_estimate(view, placeholders(view, groups), ascent)


def check(view: View, *, ascent: Ascent, groups: int, **_: object) -> None:
    """Raise for more groups than the layer has units."""
    check_ascent(view, ascent=ascent)
    for item in view.items:
        units = view.model.layer(item.site.layer).unit_count if item.site else groups
        if groups > units:
            message = f"{groups} groups are more than the layer's {units} units"
            raise InvalidArgumentError(Reason.INVALID_FIELD, message, field="neuron_groups.groups")


@technique(
    kind=TechniqueKind.VISUALIZATION,
    title="Neuron groups",
    source="Olah et al.: The Building Blocks of Interpretability, Distill 2018, "
    "https://doi.org/10.23915/distill.00010",
    obstacle=with_photograph(map_obstacle),
    estimate=estimate,
    check=check,
    resumable=True,
)
def neuron_groups(
    view: View,
    *,
    photograph: Annotated[Photograph, "The picture that the layer looks at."],
    ascent: Annotated[Ascent, "How each icon is made."] = DEFAULTS,
    groups: Annotated[int, Range(1, 32), "Number of groups."] = 6,
    cosine_power: CosinePower = 2.0,
) -> Frames:
    """A layer's activations for a photograph as a few groups of units that act together.

    The activations, cut off at zero, are factorized into non-negative parts: which units
    (an icon shows what they stand for) and where (in its colour over the photograph).
    """
    wanted, factors = subjects(view, photograph, groups, cosine_power)
    run = Optimization(view, wanted, ascent, first_noise=True)
    for frame in run:
        yield frame.frame("icon") if isinstance(frame, Finished) else frame
    picture = Seen.of(view.model, photograph).picture
    for index, (parts, maps) in enumerate(factors):
        site = view.items[index].site
        layer = site.layer if site else ""
        yield Picture(
            name="group_maps",
            pixels=colored_maps(picture, maps, colours(groups)),
            site=site,
            item=index,
            caption="where each group is active, in the colours of the hues from red on",
        )
        yield Array(name="groups", value=parts, axes=("group", "unit"), layer=layer, item=index)
        axes = ("group", "height", "width")
        yield Array(name="maps", value=maps, axes=axes, layer=layer, item=index)
    yield run.result()
