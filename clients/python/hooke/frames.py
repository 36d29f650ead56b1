"""What a call that computes yields: progress, pictures, tensors, tables, findings, a result.

A `Result` is the last frame of a piece of work; see `hooke.v1.Frame`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from hooke.errors import DataLossError
from hooke.messages import copy, layer_id, model_id
from hooke.places import Location
from hooke.tables import Finding, Table
from hooke.v1 import frame_pb2, image_pb2

SUFFIXES = (".png", ".jpg", ".webp")
"""Of the files that pictures come as."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the work is. Times are in seconds; a higher objective is better."""

    step: int
    total_steps: int
    objective: float | None = None
    elapsed: float = 0.0
    remaining: float = 0.0
    steps_per_second: float = 0.0
    message: str = ""
    items_done: int = 0
    total_items: int = 0

    @classmethod
    def read(cls, message: frame_pb2.Progress) -> Progress:
        """The value of a message."""
        elapsed, remaining = message.elapsed.ToTimedelta(), message.remaining.ToTimedelta()
        times = {"elapsed": elapsed.total_seconds(), "remaining": remaining.total_seconds()}
        return copy(cls, message, **times)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Says that the work can go on if it is stopped: give `id` to `resume_from`.

    `time_to_live` is in seconds.
    """

    id: str
    step: int
    time_to_live: float

    @classmethod
    def read(cls, message: frame_pb2.Checkpoint) -> Checkpoint:
        """The value of a message."""
        return copy(cls, message, time_to_live=message.time_to_live.ToTimedelta().total_seconds())


@dataclass(frozen=True, kw_only=True)
class Tile:
    """Part of a picture that holds many, in pixels, and the place that it is about."""

    x: int
    y: int
    width: int
    height: int
    location: Location | None = None
    item: int = 0
    sample: int | None = None
    objective: float | None = None
    caption: str = ""

    @classmethod
    def read(cls, message: image_pb2.Tile) -> Tile:
        """The value of a message."""
        return copy(cls, message, location=_location(message))


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture that the server made, of a layer, a unit or a neuron, or of many.

    `layer` is the one whose values it shows, `location` the place that it is about; of an
    attribution where it was looked for, and what is explained, which `target` counts. `item`
    counts the places or readouts that were asked for, `sample` the samples of the input.
    `data` are the bytes of a PNG, JPEG or WebP file; notebooks show it by itself.
    """

    name: str
    final: bool
    layer: str = ""
    location: Location | None = None
    mime_type: str = ""
    width: int = 0
    height: int = 0
    step: int = 0
    objective: float | None = None
    caption: str = ""
    item: int = 0
    sample: int | None = None
    target: int | None = None
    tiles: tuple[Tile, ...] = field(default=(), repr=False)
    data: bytes = field(default=b"", repr=False)

    @classmethod
    def read(cls, message: image_pb2.Picture) -> Picture:
        """The value of a message."""
        return copy(
            cls,
            message,
            final=message.role == image_pb2.PICTURE_ROLE_FINAL,
            tiles=tuple(map(Tile.read, message.tiles)),
            layer=layer_id(message.layer),
            location=_location(message),
        )

    @property
    def suffix(self) -> str:
        """The suffix of a file of this format: `.png`, `.jpg` or `.webp`."""
        return "." + self.mime_type.removeprefix("image/").replace("jpeg", "jpg")

    def save(self, path: str | Path) -> Path:
        """Write the file, as it came; a path without a picture's suffix gets the right one."""
        path = Path(path)
        given = path.suffix.lower().replace("jpeg", "jpg")
        if given not in SUFFIXES:  # layers' ids have dots: conv.2
            path = path.with_name(path.name + self.suffix)
        elif given != self.suffix:
            asked = f"ask for format={path.suffix[1:]!r} to get another"
            raise ValueError(f"this picture is {self.mime_type}, not {path.suffix}; {asked}")
        path.write_bytes(self.data)
        return path

    def _repr_mimebundle_(self, **_: Any) -> dict[str, bytes]:
        return {self.mime_type: self.data}


@dataclass(frozen=True, kw_only=True, eq=False)
class Tensor:
    """An array with the layer it is of, what it holds and a name for each axis.

    As an input it says: exactly this array, never a picture. With `scale`, the
    stored integers stand for `scale * value + offset`. `item` counts the readouts.
    """

    value: np.ndarray
    name: str = ""
    layer: str = ""
    axes: tuple[str, ...] = ()
    scale: float | None = None
    offset: float = 0.0
    item: int = 0

    @property
    def real(self) -> np.ndarray:
        """The values themselves: where integers stand for them, as float32."""
        if self.scale is None:
            return self.value
        return (self.value * np.float64(self.scale) + self.offset).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a request will cost: peak memory, operations, bytes to be streamed, layers read."""

    memory_bytes: int
    macs: int
    tensor_bytes: int
    layer_ids: tuple[str, ...] = ()
    batch_size: int = 0


@dataclass(frozen=True, kw_only=True)
class ModelProvenance:
    """A model that computed; `parity_error` where ONNX ran as a converted graph."""

    name: str
    digest: str
    device: str
    parity_error: float | None


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What made a result: with the request, enough to make it again.

    `parameters_json` is a JSON object, `edits_json` an array, empty for no edits.
    """

    models: tuple[ModelProvenance, ...]
    technique: str
    parameters_json: str
    seed: int
    versions: Mapping[str, str]
    create_time: datetime
    edits_json: str = ""


@dataclass(frozen=True, kw_only=True)
class Result:
    """The work is done. `duration` is in seconds; `metrics` sum the work up.

    `outcome` is `COMPLETE`, `TIME_BUDGET` where the time was used up before, or `VALIDATED`
    where it was only checked and estimated.
    """

    plan_digest: str
    provenance: Provenance
    duration: float
    tensor_count: int = 0
    picture_count: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    run: int = 0
    estimate: Estimate | None = None
    outcome: str = ""
    table_count: int = 0

    @classmethod
    def read(cls, message: frame_pb2.Result) -> Result:
        """The value of a message."""
        made = message.provenance
        return copy(
            cls,
            message,
            provenance=copy(
                Provenance,
                made,
                models=tuple(
                    copy(ModelProvenance, each, name=model_id(each.name)) for each in made.models
                ),
                versions=dict(made.versions),
                create_time=made.create_time.ToDatetime(UTC),
            ),
            duration=message.duration.ToTimedelta().total_seconds(),
            metrics=dict(message.metrics),
            estimate=copy(Estimate, message.estimate) if message.HasField("estimate") else None,
        )


Frame = Checkpoint | Progress | Picture | Tensor | Table | Finding | Result


def _location(message: image_pb2.Picture | image_pb2.Tile) -> Location | None:
    return Location.read(message.location) if message.HasField("location") else None


def estimate_of(frames: Iterable[Frame]) -> Estimate:
    """The estimate that answers a request to validate; DataLossError where none came."""
    for frame in frames:
        if isinstance(frame, Result) and frame.estimate:
            return frame.estimate
    raise DataLossError("the server sent no estimate")
