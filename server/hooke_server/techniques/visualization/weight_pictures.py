"""Weight pictures: filters as pictures, and the expanded weights between two layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hooke_server.errors import FailedPreconditionError, InvalidArgumentError, Reason
from hooke_server.models.model import Model
from hooke_server.techniques.frames import Array, Estimate, Frames, Picture, Progress, Result, Tile
from hooke_server.techniques.parameters import Range
from hooke_server.techniques.pictures import GUTTER, Pixels, diverging
from hooke_server.techniques.plans import Item, View
from hooke_server.techniques.reach import upstream
from hooke_server.techniques.targets import Site
from hooke_server.techniques.technique import TechniqueKind, technique
from hooke_server.techniques.visualization.cost import pass_estimate
from hooke_server.techniques.visualization.linear import expanded_weights

GAP = 2


def obstacle(model: Model, site: Site) -> str:
    """Why a place has no weights that can be shown; `check` knows what is asked for."""
    layer = model.layer(site.layer)
    if site.position:
        return "weights are the same everywhere; leave out the position"
    if layer.unit_count == 0:
        return "it has no units"
    if filters_of(model, site.layer) is None and model.graph is None:
        return f"it is no convolution, and its model has no graph: {model.obstacle}"
    if filters_of(model, site.layer) is None and len(layer.position_axes) != 2:
        return "it needs a convolution of the model's input, or a map of height and width"
    return ""


def filters_of(model: Model, layer_id: str) -> Tensor | None:
    """The filters [units, channels, height, width] of a convolution of the model's input."""
    layer = model.layer(layer_id)
    weight = next((each for each in layer.weights if len(each.shape) == 4), None)
    channels = model.inputs[0].shape[1] if len(model.inputs[0].shape) == 4 else 0
    if weight is None or weight.shape[1] != channels or weight.shape[0] != layer.unit_count:
        return None
    return model.weights[weight.key].detach().float()


def units_of(model: Model, item: Item) -> list[int]:
    """The item's unit, or all of its layer."""
    site = item.site or Site(layer="")
    return [site.unit] if site.unit is not None else list(range(model.layer(site.layer).unit_count))


def check(view: View, *, source: Site | None, **_: object) -> None:
    """Raise for layers without filters, and for a source that does not lead to them."""
    for index, item in enumerate(view.items):
        layer = item.site.layer if item.site else ""
        if source is None and filters_of(view.model, layer) is None:
            raise FailedPreconditionError(
                Reason.TECHNIQUE_NOT_APPLICABLE,
                f"layer {layer!r} is no convolution of the model's input; name a source layer"
                " to see the weights that lead from there",
                field=f"items[{index}]",
            )
        if source is not None:
            _check_source(view.model, layer, source)


def _check_source(model: Model, layer: str, source: Site) -> None:
    field = "weight_pictures.source"
    if model.graph is None:
        raise FailedPreconditionError(
            Reason.TECHNIQUE_NOT_APPLICABLE,
            f"expanded weights need the model's graph: {model.obstacle}",
            field=field,
        )
    reached = {each.id for each in upstream(model, [layer])}
    inner = {each.id for each in upstream(model, [source.layer])}
    maps = all(len(model.layer(each).position_axes) == 2 for each in (layer, source.layer))
    if not (inner < reached) or not maps or source.unit is not None:
        raise InvalidArgumentError(
            Reason.INVALID_FIELD,
            f"the source must be a whole layer with a map, before {layer!r}, which needs a map too",
            field=field,
        )


def estimate(view: View, *, source: Site | None, **_: object) -> Estimate:
    """What a run would cost."""
    layers = tuple(item.site.layer for item in view.items if item.site)
    return pass_estimate(view.model, tuple(dict.fromkeys(layers)))


@technique(
    kind=TechniqueKind.VISUALIZATION,
    title="Weight pictures",
    source="Voss, Cammarata, Goh, Petrov, Schubert, Egan, Lim, Olah: Visualizing Weights, "
    "Distill 2021, https://doi.org/10.23915/distill.00024.007",
    obstacle=obstacle,
    estimate=estimate,
    check=check,
)
def weight_pictures(
    view: View,
    *,
    source: Annotated[
        Site | None, "The layer that weights lead from; unset: the layer's own weights."
    ] = None,
    source_units: Annotated[int, Range(1, 256), "Most source units shown for each unit."] = 12,
    tile_size: Annotated[int, Range(8, 256), "Edge of a tile in pixels."] = 48,
) -> Frames:
    """Weights as pictures.

    A convolution of the model's own input shows its filters in the input's colours, grey
    being zero. With a source layer, the weights from each of its units to a unit, with
    everything between taken as linear: red for positive, blue for negative.
    """
    total = sum(len(units_of(view.model, item)) for item in view.items)
    done = 0
    for index, item in enumerate(view.items):
        site, units = item.site or Site(layer=""), units_of(view.model, item)
        rows = _weights(view.model, site, units, source)
        kept: list[Tensor] = []
        for unit, weights in rows:
            kept.append(weights)
            done += 1
            yield Progress(step=done, total=total, items_done=done, total_items=total)
            place = Site(layer=site.layer, unit=unit)
            if source is None:
                yield _filter(weights, place, index, tile_size)
            else:
                yield _expanded(weights, place, source, index, source_units, tile_size)
        yield Array(
            name="weights",
            value=torch.stack(kept),
            axes=("unit", "source_unit", "height", "width"),
            layer=site.layer,
            item=index,
        )
    yield Result()


def _weights(
    model: Model, site: Site, units: Sequence[int], source: Site | None
) -> Iterator[tuple[int, Tensor]]:
    """For each unit its weights [source unit, height, width]."""
    if source is not None:
        yield from expanded_weights(model, site.layer, source.layer, units)
        return
    filters = filters_of(model, site.layer)
    for unit in units if filters is not None else ():
        yield unit, filters[unit]  # type: ignore[index]


def _filter(weights: Tensor, place: Site, item: int, tile_size: int) -> Picture:
    """A filter with zero as mid-grey and its largest weight as the brightest or darkest."""
    scale = float(weights.abs().max()) or 1.0
    colours = (0.5 + 0.5 * weights / scale).movedim(0, -1).cpu().numpy()
    if colours.shape[2] != 3:
        colours = np.repeat(colours.mean(2, keepdims=True), 3, axis=2)
    return Picture(
        name="filter",
        pixels=_large(np.rint(colours * 255).astype(np.uint8), tile_size),
        site=place,
        item=item,
        caption=f"unit {place.unit}: the strongest weight is {scale:.3g}",
    )


def _expanded(
    weights: Tensor, place: Site, source: Site, item: int, count: int, tile_size: int
) -> Picture:
    """The source units with the strongest weights, in a row, all on one scale."""
    strength = weights.flatten(1).norm(dim=1)
    shown = strength.argsort(descending=True)[:count].tolist()
    scale = float(weights.abs().max()) or 1.0
    edge = tile_size + GAP
    canvas = np.full((tile_size + 2 * GAP, len(shown) * edge + GAP, 3), GUTTER, np.uint8)
    tiles = []
    for number, unit in enumerate(shown):
        pixels = _large(diverging(weights[unit].cpu().numpy(), scale), tile_size)
        left = GAP + number * edge
        canvas[GAP : GAP + pixels.shape[0], left : left + pixels.shape[1]] = pixels
        tiles.append(
            Tile(
                x=left,
                y=GAP,
                width=pixels.shape[1],
                height=pixels.shape[0],
                site=Site(layer=source.layer, unit=unit),
                item=item,
                caption=f"from unit {unit} of {source.layer}",
            )
        )
    return Picture(
        name="expanded_weights",
        pixels=canvas,
        site=place,
        item=item,
        caption=f"unit {place.unit} from {', '.join(map(str, shown))} of {source.layer};"
        f" full colour is {scale:.3g}",
        tiles=tuple(tiles),
    )


def _large(pixels: Pixels, edge: int) -> Pixels:
    """The longer edge as long as asked, pixels as sharp squares."""
    height, width = pixels.shape[:2]
    factor = edge / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST))
