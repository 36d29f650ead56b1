"""`hooke.v1.VisualizationService`: techniques that make pictures of what places respond to."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any

from google.protobuf.duration_pb2 import Duration

from hooke.v1 import frame_pb2, visualization_service_pb2, visualization_service_pb2_grpc
from hooke_server.engine.catalog import Catalog
from hooke_server.engine.states import Held, States
from hooke_server.engine.worker import Worker
from hooke_server.errors import invalid
from hooke_server.rpc.codec.edits import RequestedEdits
from hooke_server.rpc.codec.formats import read_format
from hooke_server.rpc.codec.frames import Preparation, duration
from hooke_server.rpc.codec.items import Places, model_ids
from hooke_server.rpc.codec.provenance import Work, estimate_result
from hooke_server.rpc.codec.techniques import (
    chosen_technique,
    read_items,
    read_message,
    read_technique,
)
from hooke_server.rpc.editing import patched, requested_edits, unpatched
from hooke_server.rpc.framing import Sender
from hooke_server.rpc.input_memory import InputMemory
from hooke_server.rpc.presence import optional
from hooke_server.rpc.work import streamed
from hooke_server.techniques.edits import bind_alone, with_edits
from hooke_server.techniques.frames import Estimate, Frames
from hooke_server.techniques.parameters import check_all
from hooke_server.techniques.plans import Control, Plan, Previews
from hooke_server.techniques.sheets import SpriteSheet, as_sheet
from hooke_server.techniques.signatures import message_fields
from hooke_server.techniques.technique import Technique, all_techniques

VisualizeRequest = visualization_service_pb2.VisualizeRequest
Messages = AsyncGenerator[frame_pb2.Frame, None]

MAX_PREVIEW_STEPS = 1000


@dataclass(frozen=True, kw_only=True)
class Job:
    """A checked request, ready to run."""

    technique: Technique
    plan: Plan
    places: Places
    edits: RequestedEdits
    work: Work
    sheet: SpriteSheet | None
    seconds: float | None
    resume_from: str


class VisualizationService(visualization_service_pb2_grpc.VisualizationServiceServicer):
    """The servicer."""

    def __init__(
        self, catalog: Catalog, worker: Worker, states: States, memory: InputMemory
    ) -> None:
        self._catalog = catalog
        self._worker = worker
        self._states = states
        self._memory = memory
        self._techniques = all_techniques()

    async def Visualize(self, request: VisualizeRequest, context: Any) -> Messages:
        """Bind the request to a plan, then run it."""
        technique = self._techniques.find(chosen_technique(request))
        sender = Sender(frame_pb2.Frame)
        names = model_ids(request)
        if not names:
            raise invalid("items must name at least one layer of a model", "items")
        async with AsyncExitStack() as stack:
            models = [await stack.enter_async_context(self._catalog.use(each)) for each in names]
            places, share = Places(names, models), stack.enter_context(self._memory.share())
            edits = await requested_edits(places, request.edits, "edits", self._memory, share)
            # It reads pictures and may try the model at the size asked for.
            job, cost = await self._worker.call(self._bind, request, technique, places, edits)
            if request.validate_only:
                yield sender.message(result=estimate_result(job.work, cost))
                return
            await stack.enter_async_context(self._worker.reserve(cost.memory_bytes))
            state = self._states.work(job.plan.series, job.resume_from)
            held = await stack.enter_async_context(state)
            if technique.resumable:
                yield sender.message(checkpoint=self._checkpoint(held))
            messages = await stack.enter_async_context(aclosing(self._run(job, held, sender)))
            async for message in messages:
                yield message

    def _bind(
        self,
        request: VisualizeRequest,
        technique: Technique,
        places: Places,
        edits: RequestedEdits,
    ) -> tuple[Job, Estimate]:
        for some in edits.edits:
            bind_alone(some, "edits")
        models = unpatched(places.models, edits)
        _, given = read_technique(request, places)
        if request.resume_from and not technique.resumable:
            raise invalid(f"{technique.name} cannot be resumed; it keeps no state", "resume_from")
        plan = technique.bind(
            models,
            read_items(request.items, "items", places),
            given,
            seed=request.seed,
            previews=_previews(request),
            memory=self._worker.memory,
        )
        work = Work(
            models=list(zip(places.names, places.models, strict=True)),
            digest=plan.digest,
            technique=plan.technique,
            parameters_json=plan.parameters_json,
            seed=plan.seed,
            image_format=read_format(request.format, "format"),
            uses_graph=all(model.graph is not None for model in places.models),
            edits_json=edits.json,
        )
        cost = technique.estimate(models, plan)
        for model, some in zip(places.models, edits.edits, strict=True):
            cost = with_edits(model, cost, some)
        job = Job(
            technique=technique,
            plan=plan,
            places=places,
            edits=edits,
            work=work,
            sheet=_sheet(request, places),
            seconds=_seconds(request),
            resume_from=request.resume_from,
        )
        return job, cost

    async def _run(self, job: Job, held: Held, sender: Sender[frame_pb2.Frame]) -> Messages:
        preparation = Preparation(job.work)
        seconds = job.seconds

        def expired() -> bool:
            return seconds is not None and preparation.elapsed() >= seconds

        def frames() -> Frames:
            control = Control(expired=expired, states=held.parts)
            models = patched(job.places.models, job.edits)
            run = job.technique.run(models, job.plan, control)
            return as_sheet(run, job.sheet, len(job.plan.items)) if job.sheet else run

        messages = streamed(self._worker, preparation, frames, sender)
        async with aclosing(messages):
            async for message in messages:
                yield message

    def _checkpoint(self, held: Held) -> frame_pb2.Checkpoint:
        return frame_pb2.Checkpoint(
            id=held.id,
            step=sum(part.step for part in held.parts.values()),
            time_to_live=duration(self._states.time_to_live),
        )


def _previews(request: VisualizeRequest) -> Previews:
    wanted = request.previews
    every, steps = optional(wanted, "every"), list(wanted.steps)
    if every is not None and every < 1:
        raise invalid("every must be 1 or more", "previews.every")
    if len(steps) > MAX_PREVIEW_STEPS or any(step < 1 for step in steps):
        message = f"steps are at most {MAX_PREVIEW_STEPS} numbers from 1"
        raise invalid(message, "previews.steps")
    return Previews(every=every, steps=frozenset(steps))


def _sheet(request: VisualizeRequest, places: Places) -> SpriteSheet | None:
    if not request.HasField("sprite_sheet"):
        return None
    given = read_message(request.sprite_sheet, "sprite_sheet", places)
    return SpriteSheet(**check_all(message_fields(SpriteSheet), given, "sprite_sheet"))


def _seconds(request: VisualizeRequest) -> float | None:
    if not request.HasField("time_budget"):
        return None
    budget: Duration = request.time_budget
    seconds = budget.seconds + budget.nanos / 1e9
    if not seconds > 0:
        raise invalid("time_budget must be longer than nothing", "time_budget")
    return seconds
