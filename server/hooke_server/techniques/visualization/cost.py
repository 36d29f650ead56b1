"""What optimizing pictures costs, from the layer table."""

from __future__ import annotations

from collections.abc import Sequence

from hooke_server.models.layer import Layer
from hooke_server.models.model import Model
from hooke_server.techniques.frames import Estimate
from hooke_server.techniques.visualization.requirements import upstream
from hooke_server.techniques.visualization.sight import Sight, channels

PICTURE_COPIES = 10
"""Copies of a picture that transforms, colours, their gradients and Adam hold together."""

WITHOUT_MEMORY = frozenset(
    {"dropout", "drop_path", "stochastic_depth", "identity"}
    | {"reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "permute", "transpose", "expand"}
    | {"getitem", "select", "slice", "split", "chunk", "unbind"}
)
"""Operations whose value lies in the memory of what they are given."""


def ascent_cost(sight: Sight, *, steps: int, size: int, transforms: bool) -> Estimate:
    """What `ascend` takes to raise what a sight measures, in square pictures of edge `size`.

    Memory: every value on the way to a picture's layers is kept for the way back,
    where gradients of the largest are held beside. Operations: a pass forward and
    one back to the picture, each step.
    """
    model = sight.model
    # Pad 12, jitter 8, scale by 1 on average and 1.1 at most, jitter 4.
    usual, largest = (size + 12, int((size + 16) * 1.1) - 4) if transforms else (size, size)
    memory = PICTURE_COPIES * 4 * channels(model) * largest**2 * len(sight.looks)
    macs, layers = 0.0, dict[str, None]()
    for entry, group in sight.groups.items():
        most, mean = (_area(model, entry or (edge, edge)) for edge in (largest, usual))
        read = sight.objective(group).layers
        needed = upstream(model, read)
        passes = len(group) * (model.fixed_batch or 1)
        memory += int(passes * _kept(needed, most))
        macs += 2 * steps * passes * _macs(needed, mean)
        layers |= dict.fromkeys(read)
    return Estimate(memory_bytes=memory, macs=int(macs), layers=tuple(layers))


def _kept(layers: Sequence[Layer], area: float) -> float:
    sizes = [
        layer.output.count() * layer.output.item_bytes * (area if layer.position_axes else 1)
        for layer in layers
        if layer.op not in WITHOUT_MEMORY
    ]
    return sum(sizes) + 2 * max(sizes)


def _macs(layers: Sequence[Layer], area: float) -> float:
    return sum(layer.macs * (area if layer.position_axes else 1) for layer in layers)


def _area(model: Model, size: tuple[int, int]) -> float:
    """The area of a picture, in areas of the picture that the layer table was made for."""
    return size[0] * size[1] * channels(model) / model.inputs[0].count()
