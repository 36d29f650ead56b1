"""Running a technique's generator on the compute thread and streaming what it yields."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from hooke.v1 import frame_pb2
from hooke_server.engine.worker import Worker
from hooke_server.rpc.codec.frames import Preparation, stream
from hooke_server.rpc.codec.provenance import Work, estimate_result
from hooke_server.rpc.framing import Sender
from hooke_server.techniques.frames import Estimate, Frames


@dataclass(frozen=True, kw_only=True)
class Job:
    """A checked request, ready to run; `frames` is called on the compute thread."""

    work: Work
    cost: Estimate
    frames: Callable[[], Frames]


async def answered(
    worker: Worker, job: Job, sender: Sender[frame_pb2.Frame], *, validate_only: bool
) -> AsyncGenerator[frame_pb2.Frame, None]:
    """The messages of a job, which holds its memory meanwhile; or only of what it would cost."""
    if validate_only:
        yield sender.message(result=estimate_result(job.work, job.cost))
        return
    async with worker.reserve(job.cost.memory_bytes):
        messages = streamed(worker, Preparation(job.work), job.frames, sender)
        async with aclosing(messages):
            async for message in messages:
                yield message


async def streamed(
    worker: Worker,
    preparation: Preparation,
    frames: Callable[[], Frames],
    sender: Sender[frame_pb2.Frame],
) -> AsyncGenerator[frame_pb2.Frame, None]:
    """The messages of the frames that `frames()` yields, prepared.

    More is made when what was made was taken. When the call ends, in whatever
    way, the generator is closed on its thread before this returns.
    """
    async with aclosing(worker.stream(lambda: preparation.prepared(frames()))) as items:
        async for message in stream(items, sender):
            yield message
