"""What a pass through layers takes: memory, operations, and how many rows may share it."""

from __future__ import annotations

from collections.abc import Sequence

from hooke_server.models.layer import Layer
from hooke_server.models.model import Model

MAX_BATCH, MAX_GPU_BATCH = 16, 64
"""Pictures in a pass at most: beyond that nothing gets quicker."""

SHARE = 0.5
"""Of the memory for all work, how much one run may take, unless a single subject needs more."""

ALLOCATOR = 1.1
"""How much more the allocator takes for what passes hold, by measurement (B7)."""

WITHOUT_MEMORY = frozenset(
    {"dropout", "drop_path", "stochastic_depth", "identity"}
    | {"reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "permute", "transpose", "expand"}
    | {"getitem", "select", "slice", "split", "chunk", "unbind"}
)
"""Operations whose value lies in the memory of what they are given."""


def most_in_a_pass(model: Model) -> int:
    """Pictures, whatever memory there is."""
    return MAX_BATCH if model.device.type == "cpu" else MAX_GPU_BATCH


def kept_bytes(layers: Sequence[Layer], area: float) -> float:
    """What a pass through layers keeps for the way back, for inputs `area` times as large."""
    sizes = [_bytes(layer, area) for layer in layers if layer.op not in WITHOUT_MEMORY]
    return sum(sizes) + 3 * max(sizes, default=0)


def largest_bytes(layers: Sequence[Layer], area: float) -> float:
    """What a pass through layers holds at once."""
    return 4 * max((_bytes(layer, area) for layer in layers), default=0)


def _bytes(layer: Layer, area: float) -> float:
    size = layer.output.count() * layer.output.item_bytes
    return size * (area if layer.position_axes else 1)


def macs_of(layers: Sequence[Layer], area: float) -> float:
    """Multiply-accumulate operations of a pass through layers."""
    return sum(layer.macs * (area if layer.position_axes else 1) for layer in layers)
