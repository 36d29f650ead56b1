"""What optimizing pictures costs, from the layer table."""

from __future__ import annotations

from hooke_server.models.layer import LayerKind
from hooke_server.models.model import Model
from hooke_server.techniques.frames import Estimate
from hooke_server.techniques.technique import View
from hooke_server.techniques.visualization.sight import channels, entry_size, upstream

PICTURE_COPIES = 10
"""Copies of a picture that transforms, colours, their gradients and Adam hold together."""

WITHOUT_MEMORY = frozenset(
    {"dropout", "drop_path", "stochastic_depth", "identity"}
    | {"reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "permute", "transpose", "expand"}
    | {"getitem", "select", "slice", "split", "chunk", "unbind"}
)
"""Operations whose value lies in the memory of what they are given."""


def ascent_cost(
    view: View, layers: tuple[str, ...], *, steps: int, size: int, transforms: bool
) -> Estimate:
    """What `ascend` takes to raise a value of those layers for each site of the view.

    Memory: every value on the way to the layers is kept for the way back, where
    gradients of the largest are held beside. Operations: a pass forward and one
    back to the picture, each step. May run the model once, to see what size it takes.
    """
    model = view.model
    # Pad 12, jitter 8, scale by 1 on average and 1.1 at most, jitter 4.
    usual, largest = (size + 12, int((size + 16) * 1.1) - 4) if transforms else (size, size)
    fixed = entry_size(model, view.sites, layers, size)
    most, mean = (_area(model, fixed or (edge, edge)) for edge in (largest, usual))
    needed = [
        layer
        for layer in upstream(model.layers, layers).values()
        if layer.kind is not LayerKind.BLOCK
    ]
    kept = [
        layer.output.count() * layer.output.item_bytes * (most if layer.position_axes else 1)
        for layer in needed
        if layer.op not in WITHOUT_MEMORY
    ]
    passes = len(view.sites) * (model.fixed_batch or 1)
    pictures = PICTURE_COPIES * 4 * channels(model) * largest**2
    macs = sum(layer.macs * (mean if layer.position_axes else 1) for layer in needed)
    return Estimate(
        memory_bytes=int(passes * (sum(kept) + 2 * max(kept)) + len(view.sites) * pictures),
        macs=int(2 * passes * steps * macs),
        layers=layers,
    )


def _area(model: Model, size: tuple[int, int]) -> float:
    """The area of a picture, in areas of the picture that the layer table was made for."""
    return size[0] * size[1] * channels(model) / model.inputs[0].count()
