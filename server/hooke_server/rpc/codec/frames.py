"""Frames of a technique as messages.

    frames -> prepared (compute thread) -> stream (event loop) -> messages

`prepared` runs where the frames are made: it encodes pictures, brings tensors to
host memory, counts and times. `stream` only numbers and frames what it is given,
and asks for more when the last was taken, so a slow reader slows the work. To and fro
takes longer than to make a small frame, so what is made within a moment goes together.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from typing import Any

from google.protobuf.duration_pb2 import Duration

from hooke.v1 import frame_pb2, image_pb2, location_pb2, table_pb2, tensor_pb2
from hooke_server.errors import Reason, ResourceExhaustedError
from hooke_server.rpc.codec.locations import location_message
from hooke_server.rpc.codec.provenance import Work, provenance
from hooke_server.rpc.codec.tables import TableCodec
from hooke_server.rpc.framing import Outgoing, Sender, outgoing
from hooke_server.rpc.names import layer_name
from hooke_server.techniques.frames import (
    Array,
    Frame,
    Frames,
    Picture,
    Progress,
    Result,
    Tile,
)
from hooke_server.techniques.pictures import encode
from hooke_server.techniques.tables import Finding, Rows, Table
from hooke_server.techniques.targets import Site

PROGRESS_SECONDS = 0.1
PREVIEW_SECONDS = 0.2

MAX_PICTURE = (4 << 20) - (64 << 10)
"""Bytes of the largest picture sent, which leaves room for the rest of its message."""

MAX_STEPS = (1 << 31) - 1
"""Of work that will not end anyway."""

BUNDLE_SECONDS = 0.001
BUNDLE_BYTES = 64 << 10
"""How long a bundle is made, and the size of an item that ends it."""

Prepared = dict[str, Any] | Outgoing
"""The fields of a `Frame`, or a tensor."""

Bundle = list[Prepared]
"""What goes together; frames that are left out are not in it."""

_OUTCOMES = {True: frame_pb2.OUTCOME_COMPLETE, False: frame_pb2.OUTCOME_TIME_BUDGET}


async def stream(
    bundles: AsyncIterator[Bundle], sender: Sender[frame_pb2.Frame]
) -> AsyncGenerator[frame_pb2.Frame, None]:
    """The messages of prepared frames, each made when the last was taken."""
    async for bundle in bundles:
        while bundle:
            item = bundle.pop(0)  # not held while the next are made
            if isinstance(item, Outgoing):
                for message in sender.tensor(item):
                    yield message
            else:
                yield sender.message(**item)


class Preparation:
    """Prepares the frames of one piece of work.

    A bundle is made for a moment only, so that work can be stopped between any two of its
    steps.

    Parameters
    ----------
    run : number of the recording's run.
    seconds : that the work took before its first frame.
    """

    def __init__(self, work: Work, *, run: int = 0, seconds: float = 0.0) -> None:
        self._work = work
        self._run = run
        self._seconds = seconds
        self._resumed = 0.0
        self._tensors = 0
        self._pictures = 0
        self._tables = TableCodec()
        self._progress_due = 0.0
        self._preview_due = 0.0
        self._preview_step = -1
        self._first_step = -1

    def prepared(self, frames: Frames) -> Generator[Bundle, None, Bundle]:
        """The frames, ready to be sent; returns the last bundle."""
        bundle: Bundle = []
        self._resumed = time.perf_counter()
        try:
            for frame in frames:
                item = self._prepare(frame)
                if item is not None:
                    bundle.append(item)
                if not isinstance(frame, Result) and self._is_full(item):
                    self._seconds = self.elapsed()
                    yield bundle
                    # Others may have had the device while this generator waited to go on.
                    bundle, self._resumed = [], time.perf_counter()
        except Exception:
            if bundle:  # what was made before it went wrong
                yield bundle
            raise
        else:
            return bundle
        finally:
            if isinstance(frames, Generator):
                frames.close()

    def _is_full(self, item: Prepared | None) -> bool:
        """Whether a bundle whose last item this is has to go."""
        late = time.perf_counter() - self._resumed >= BUNDLE_SECONDS
        return late or _bytes(item) >= BUNDLE_BYTES

    def elapsed(self) -> float:
        """Seconds of work so far."""
        return self._seconds + time.perf_counter() - self._resumed

    def _prepare(self, frame: Frame) -> Prepared | None:
        match frame:
            case Progress():
                return self._progress(frame)
            case Picture():
                return self._picture(frame)
            case Array():
                return self._tensor(frame)
            case Table():
                return {"table_header": self._tables.header(frame)}
            case Rows():
                return {"table_rows": self._tables.rows(frame)}
            case Finding():
                return {"finding": self._finding(frame)}
            case Result():
                return self._result(frame)

    def _progress(self, frame: Progress) -> Prepared | None:
        now = time.monotonic()
        if self._first_step < 0:  # work that goes on begins later
            self._first_step = frame.step - 1
        if now < self._progress_due and frame.step < frame.total:
            return None
        self._progress_due = now + PROGRESS_SECONDS
        elapsed = self.elapsed()
        rate = (frame.step - self._first_step) / elapsed
        progress = frame_pb2.Progress(
            step=min(frame.step, MAX_STEPS),
            total_steps=min(frame.total, MAX_STEPS),
            objective=frame.objective,
            elapsed=duration(elapsed),
            remaining=duration((frame.total - frame.step) / rate) if rate else None,
            steps_per_second=rate,
            message=frame.message,
            items_done=frame.items_done,
            total_items=frame.total_items,
        )
        return {"progress": progress}

    def _picture(self, frame: Picture) -> Prepared | None:
        if not frame.final and not self._preview_is_due(frame.step):
            return None
        self._pictures += frame.final
        wanted = frame.format or (self._work.image_format if frame.final else "jpeg")
        data = encode(frame.pixels, wanted)
        if len(data) > MAX_PICTURE:
            raise ResourceExhaustedError(
                Reason.LIMIT_EXCEEDED,
                f"the picture {frame.name!r} takes {len(data)} bytes as {wanted}, more than a"
                f" message's {MAX_PICTURE}; ask for JPEG or for a smaller picture",
                size=len(data),
                limit=MAX_PICTURE,
            )
        role = image_pb2.PICTURE_ROLE_FINAL if frame.final else image_pb2.PICTURE_ROLE_PREVIEW
        picture = image_pb2.Picture(
            name=frame.name,
            role=role,
            location=self._location(frame.site),
            mime_type=f"image/{wanted}",
            width=frame.pixels.shape[1],
            height=frame.pixels.shape[0],
            step=frame.step,
            objective=frame.objective,
            caption=frame.caption,
            data=data,
            item=frame.item,
            sample=frame.sample,
            tiles=map(self._tile, frame.tiles),
            layer=self._layer_of(frame.layer, frame.site),
            target=frame.target,
        )
        return {"picture": picture}

    def _tile(self, tile: Tile) -> image_pb2.Tile:
        return image_pb2.Tile(
            x=tile.x,
            y=tile.y,
            width=tile.width,
            height=tile.height,
            location=self._location(tile.site),
            item=tile.item,
            sample=tile.sample,
            objective=tile.objective,
            caption=tile.caption,
        )

    def _location(self, site: Site | None) -> location_pb2.Location | None:
        return None if site is None else location_message(self._work.models[site.model][0], site)

    def _layer(self, layer: str, model: int = 0) -> str:
        return layer_name(self._work.models[model][0], layer) if layer else ""

    def _layer_of(self, layer: str, *sites: Site | None) -> str:
        """The layer that a frame says, or else the one that all its sites lie in."""
        layers = {(site.layer, site.model) for site in sites if site is not None}
        return self._layer(*layers.pop()) if len(layers) == 1 and not layer else self._layer(layer)

    def _preview_is_due(self, step: int) -> bool:
        """Previews of one step, one for each place, go together or not at all."""
        if step != self._preview_step and time.monotonic() >= self._preview_due:
            self._preview_step = step
            self._preview_due = time.monotonic() + PREVIEW_SECONDS
        return step == self._preview_step

    def _tensor(self, frame: Array) -> Outgoing:
        self._tensors += 1
        header = tensor_pb2.TensorHeader(
            layer=self._layer(frame.layer),
            name=frame.name,
            axes=frame.axes,
            item=frame.item,
        )
        if frame.scale is not None:
            header.quantization.scale = frame.scale
            header.quantization.offset = frame.offset
        return outgoing(frame.value, header)

    def _finding(self, frame: Finding) -> table_pb2.Finding:
        locations = filter(None, map(self._location, frame.sites))
        return table_pb2.Finding(
            kind=frame.kind,
            text=frame.text,
            locations=locations,
            item=frame.item,
            sample=frame.sample,
            target=frame.target,
            layer=self._layer_of(frame.layer, *frame.sites),
        )

    def _result(self, frame: Result) -> Prepared:
        result = frame_pb2.Result(
            plan_digest=self._work.digest,
            provenance=provenance(self._work),
            duration=duration(self.elapsed()),
            tensor_count=self._tensors,
            picture_count=self._pictures,
            table_count=self._tables.count,
            metrics=frame.metrics,
            run=self._run,
            outcome=_OUTCOMES[frame.complete],
        )
        return {"result": result}


def _bytes(item: Prepared | None) -> int:
    """Of a tensor or picture; all else is small."""
    if isinstance(item, Outgoing):
        return item.data.nbytes
    return len(item["picture"].data) if item and "picture" in item else 0


def duration(seconds: float) -> Duration:
    """Seconds as a message."""
    message = Duration()
    message.FromNanoseconds(int(seconds * 1e9))
    return message
