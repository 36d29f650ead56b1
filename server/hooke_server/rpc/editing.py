"""Edits of a call: from the request to models that compute with them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from hooke.v1 import edit_pb2
from hooke_server.models.edited import edited, kept, resolved
from hooke_server.models.model import Model
from hooke_server.rpc.codec.edits import RequestedEdits, edits_decoding, edits_held, read_edits
from hooke_server.rpc.codec.items import Places
from hooke_server.rpc.input_memory import InputMemory, Share
from hooke_server.rpc.threads import on_thread


async def requested_edits(
    places: Places,
    messages: Sequence[edit_pb2.Edit],
    path: str,
    memory: InputMemory,
    share: Share,
) -> RequestedEdits:
    """The edits of a request, checked; what came with them is held by the share."""
    if not messages:
        return RequestedEdits(((),) * len(places.models))
    share.hold(edits_held(places, messages, path))
    size = await on_thread(edits_decoding, places, messages, path)
    async with memory.decoding(size):
        return await on_thread(read_edits, places, messages, path)


def unpatched(models: Sequence[Model], requested: RequestedEdits) -> list[Model]:
    """The models with their edits, of which patches are blank: enough to check and estimate."""
    return [edited(*pair) for pair in zip(models, requested.edits, strict=True)]


def patched(models: Sequence[Model], requested: RequestedEdits) -> list[Model]:
    """The models with their edits, of which patches are computed; on the compute thread."""
    pairs = zip(models, requested.edits, strict=True)
    return [edited(model, resolved(model, edits)) for model, edits in pairs]


def patched_one(model: Model, requested: RequestedEdits) -> tuple[Model, float]:
    """The same for a single model, which may be kept, and the seconds that it took."""
    began = time.perf_counter()
    [edits] = requested.edits
    return kept(model, resolved(model, edits)), time.perf_counter() - began
