"""Attributions as pictures: over the sample, as heat, with their signs, the strongest parts.

All take a picture [channels, height, width] in 0..1 and values of some height and width.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from hooke_server.models.layer import Layer
from hooke_server.models.model import Model
from hooke_server.techniques.attribution.baselines import is_picture
from hooke_server.techniques.attribution.question import Answer
from hooke_server.techniques.overlays import enlarged, heat
from hooke_server.techniques.pictures import Pixels, diverging


class Drawing(StrEnum):
    """What is drawn of an attribution; as `hooke.v1.AttributionDrawing`."""

    OVERLAY = "overlay"
    HEAT_MAP = "heat_map"
    SIGNED_MAP = "signed_map"
    TOP_REGIONS = "top_regions"


TOP_SHARE = 0.1
"""Of a picture, how much stays bright when its strongest parts are shown."""

REGION = 0.02
"""Deviation, as a share of the picture's edge, of the blur that makes regions of pixels."""

CLIPPED = 0.99
"""Share of the values that have a colour of their own: single pixels may be much larger."""


def as_maps(answer: Answer) -> Tensor | None:
    """[targets, samples, height, width] summed over units; None where there is no such thing.

    Tokens that come from a square of patches are put back there, without those that stand for
    no place (a class token).
    """
    place = answer.place
    values = answer.values if answer.collapsed else place.without_units(answer.values)
    positions = len(place.layer.position_axes)
    if positions == 2:
        return values
    if positions == 1:
        return _square(values)
    return None


def _square(values: Tensor) -> Tensor | None:
    count = values.shape[-1]
    edge = math.isqrt(count)
    if edge < 2 or count - edge * edge > 2:  # a class token, perhaps one of distillation
        return None
    return values[..., count - edge * edge :].reshape(*values.shape[:-1], edge, edge)


def shown_picture(model: Model, sample: Tensor) -> Tensor:
    """What a sample looks like, [3, height, width] in 0..1."""
    if model.preprocessing:
        mean, std = (
            torch.tensor(numbers).reshape(-1, 1, 1)
            for numbers in (model.preprocessing.mean, model.preprocessing.std)
        )
        picture = (sample.float().cpu() * std + mean).clamp(0, 1)
    else:
        picture = sample.float().cpu()
        low, high = float(picture.min()), float(picture.max())
        picture = (picture - low) / ((high - low) or 1.0)
    return picture.mean(0, keepdim=True).expand(3, -1, -1) if len(picture) != 3 else picture


def has_pictures(model: Model, layer: Layer) -> bool:
    """Whether what is found at a layer can be laid over what the model is shown."""
    return is_picture(model.layer(model.inputs[0].name)) and len(layer.position_axes) in {1, 2}


def drawn(drawing: Drawing, picture: Tensor, values: Tensor) -> Pixels:
    """One of the drawings of a map [height, width]."""
    return _DRAWINGS[drawing](picture, values.float().cpu())


def clipped(values: Tensor) -> Tensor:
    """Values with the few largest cut, so that the others can be seen."""
    limit = float(values.abs().flatten().quantile(CLIPPED)) or float(values.abs().max())
    return values.clamp(-limit, limit)


def _overlay(picture: Tensor, values: Tensor) -> Pixels:
    return heat(picture, clipped(values))


def _heat_map(picture: Tensor, values: Tensor) -> Pixels:
    _, large = enlarged(picture, clipped(values).abs())
    share = np.clip(large / (large.max() or 1.0), 0, 1)[..., None]
    # Black, red, yellow, white: each third of the way opens a colour.
    colours = np.clip(share * 3 - np.arange(3), 0, 1)
    return np.asarray(np.rint(colours * 255), np.uint8)


def _signed_map(picture: Tensor, values: Tensor) -> Pixels:
    _, large = enlarged(picture, clipped(values))
    return diverging(large, float(np.abs(large).max()))


def _top_regions(picture: Tensor, values: Tensor) -> Pixels:
    shown, large = enlarged(picture, values)
    large = ndimage.gaussian_filter(large, REGION * max(large.shape))
    limit = np.quantile(large, 1 - TOP_SHARE)
    inside = (large >= limit) & (large > large.min())
    dark = shown.mean(2, keepdims=True) * 0.35
    return np.asarray(np.rint(np.where(inside[..., None], shown, dark)), np.uint8)


_DRAWINGS: dict[Drawing, Callable[[Tensor, Tensor], Pixels]] = {
    Drawing.OVERLAY: _overlay,
    Drawing.HEAT_MAP: _heat_map,
    Drawing.SIGNED_MAP: _signed_map,
    Drawing.TOP_REGIONS: _top_regions,
}
