"""What optimizing pictures costs, from the layer table."""

from __future__ import annotations

from hooke_server.models.layer import Layer, LayerKind
from hooke_server.techniques.frames import Estimate
from hooke_server.techniques.technique import View
from hooke_server.techniques.visualization.sight import channels, entry_size, upstream

PICTURE_COPIES = 16
"""Copies of a picture that transforms, colours, their gradients and Adam hold together."""


def ascent_cost(view: View, layers: tuple[str, ...], *, steps: int, size: int) -> Estimate:
    """What `ascend` takes to raise a value of those layers for each site of the view.

    Memory: every value on the way to the layers is kept for the way back, where
    gradients of the largest are held beside. Operations: a pass forward and one
    back to the picture, each step. May run the model once to see what size it takes.
    """
    model = view.model
    # Pad 12, jitter 8, scale at most 1.1, jitter 4.
    largest = int((size + 16) * 1.1) - 4
    height, width = entry_size(model, view.sites, layers, size) or (largest, largest)
    area = height * width / model.inputs[0].count() * channels(model)
    needed = [
        layer
        for layer in upstream(model.layers, layers).values()
        if layer.kind is not LayerKind.BLOCK
    ]
    kept = [_bytes(layer) * (area if layer.position_axes else 1) for layer in needed]
    pictures = PICTURE_COPIES * 4 * channels(model) * max(height * width, largest**2)
    passes = len(view.sites) * (model.fixed_batch or 1)
    macs = sum(layer.macs * (area if layer.position_axes else 1) for layer in needed)
    return Estimate(
        memory_bytes=int(passes * (sum(kept) + 2 * max(kept)) + len(view.sites) * pictures),
        macs=int(2 * passes * steps * macs),
        layers=layers,
    )


def _bytes(layer: Layer) -> int:
    return layer.output.count() * layer.output.item_bytes
