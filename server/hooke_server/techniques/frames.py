"""What a technique yields: progress, pictures, tensors, tables, and last one result.

    Frames = Iterator[Frame]
    Frame = Progress | Picture | Array | Table | Rows | Finding | Result

The edge turns them into `hooke.v1.Frame` messages; times and provenance are
added there and by the engine, so a technique only says what it knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from torch import Tensor

from hooke_server.techniques.tables import Finding, Rows, Table
from hooke_server.techniques.targets import Site


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """`step` of `total` steps are done; the objective is higher when better."""

    step: int
    total: int
    objective: float | None = None
    message: str = ""
    items_done: int = 0
    total_items: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """Part of a picture that holds many, in pixels; what it shows is told as for a `Picture`."""

    x: int
    y: int
    width: int
    height: int
    site: Site | None = None
    item: int = 0
    sample: int | None = None
    objective: float | None = None
    caption: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """8-bit sRGB pixels [height, width, 3] or [height, width, 4].

    `site` is the place that it belongs to, `item` the index of the part of the
    request that it answers, `sample` that of the sample that it shows. `format` is the
    file's kind where the picture has one of its own. `layer` is whose values it shows, where
    that is not the site's; `target` tells of an attribution what it explains.
    """

    name: str
    pixels: np.ndarray
    site: Site | None = None
    item: int = 0
    sample: int | None = None
    final: bool = True
    step: int = 0
    objective: float | None = None
    caption: str = ""
    format: Literal["png", "jpeg", "webp"] | None = None
    tiles: tuple[Tile, ...] = ()
    layer: str = ""
    target: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Array:
    """A tensor for the client, with a name for each axis and the layer it is of.

    `item` is the index of the part of the request that it answers. Where integers
    stand for reals, value = scale * stored + offset.
    """

    name: str
    value: Tensor
    axes: tuple[str, ...] = ()
    layer: str = ""
    item: int = 0
    scale: float | None = None
    offset: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The work is done, or its time was used up; `metrics` sum it up."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    complete: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """What work will cost, said before it is done; as `hooke.v1.CostEstimate`.

    `memory_bytes` is the most that is held at once beside the model itself,
    rather too high than too low.
    """

    memory_bytes: int
    macs: int
    tensor_bytes: int = 0
    layers: tuple[str, ...] = ()
    batch_size: int = 0


Frame = Progress | Picture | Array | Table | Rows | Finding | Result
Frames = Iterator[Frame]
