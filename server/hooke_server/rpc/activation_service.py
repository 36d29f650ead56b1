"""`hooke.v1.ActivationService`: what layers say to inputs."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hooke.v1 import activation_service_pb2, activation_service_pb2_grpc, frame_pb2
from hooke_server.engine.batching import Batcher
from hooke_server.engine.catalog import Catalog
from hooke_server.engine.worker import Worker
from hooke_server.models.edits import Edit
from hooke_server.models.model import Model
from hooke_server.rpc.codec.edits import RequestedEdits
from hooke_server.rpc.codec.frames import Preparation
from hooke_server.rpc.codec.inputs import Inputs
from hooke_server.rpc.codec.items import Places
from hooke_server.rpc.codec.provenance import Work, estimate_result
from hooke_server.rpc.codec.readouts import read_plan
from hooke_server.rpc.editing import patched_one, requested_edits
from hooke_server.rpc.errors import about
from hooke_server.rpc.framing import Sender, chunk_size
from hooke_server.rpc.input_memory import InputMemory, Share
from hooke_server.rpc.names import parse_model
from hooke_server.rpc.presence import optional
from hooke_server.rpc.threads import on_thread
from hooke_server.rpc.uploads import RecordActivationsRequest, Uploads, order
from hooke_server.rpc.work import streamed
from hooke_server.techniques.activation_cost import estimate
from hooke_server.techniques.activations import activation_frames
from hooke_server.techniques.edits import bind_batch, with_edits
from hooke_server.techniques.frames import Estimate
from hooke_server.techniques.readouts import ReadPlan

StreamActivationsRequest = activation_service_pb2.StreamActivationsRequest
RecordingConfiguration = activation_service_pb2.RecordingConfiguration
Messages = AsyncGenerator[frame_pb2.Frame, None]


@dataclass(frozen=True)
class Asked:
    """What is asked of a model, whatever its inputs: what to read, and under which edits.

    `path` is the request's field that holds the edits.
    """

    plan: ReadPlan
    requested: RequestedEdits
    path: str
    _costs: dict[int, Estimate] = field(default_factory=dict, init=False)

    @property
    def edits(self) -> Sequence[Edit]:
        """The edits of the one model."""
        return self.requested.edits[0]

    async def cost(self, model: Model, batch: int) -> Estimate:
        """What a pass costs, those of patches included; found once for each batch size."""
        if batch not in self._costs:
            self._costs[batch] = await on_thread(self._cost, model, batch)
        return self._costs[batch]

    def _cost(self, model: Model, batch: int) -> Estimate:
        return with_edits(model, estimate(model, self.plan, batch), self.edits)


class ActivationService(activation_service_pb2_grpc.ActivationServiceServicer):
    """The servicer."""

    def __init__(
        self, catalog: Catalog, worker: Worker, batcher: Batcher, memory: InputMemory
    ) -> None:
        self._catalog = catalog
        self._worker = worker
        self._batcher = batcher
        self._memory = memory

    async def StreamActivations(self, request: StreamActivationsRequest, context: Any) -> Messages:
        """One forward pass for inputs that fit into the request."""
        model_id = parse_model(request.model, "model")
        sender = Sender(frame_pb2.Frame, chunk_size(optional(request, "chunk_bytes")))
        with self._memory.share() as share:
            async with self._catalog.use(model_id) as model:
                asked = await self._asked(model_id, model, request, "", share)
                inputs = await self._memory.read(model, request.inputs, share)
                work = _work(model_id, model, asked, inputs)
                if request.validate_only:
                    cost = await asked.cost(model, inputs.batch)
                    yield sender.message(result=estimate_result(work, cost))
                    return
                async with aclosing(self._run(work, asked, inputs, sender)) as messages:
                    async for message in messages:
                        yield message

    async def RecordActivations(
        self, request_iterator: AsyncIterator[RecordActivationsRequest], context: Any
    ) -> Messages:
        """Many forward passes; the next request is read when the last was answered.

        Between runs the model is free to be unloaded; the next run loads it again.
        """
        first = await anext(request_iterator, None)
        if first is None or not first.HasField("configuration"):
            raise order("the first message is not a configuration")
        configuration = first.configuration
        model_id = parse_model(configuration.model, "configuration.model")
        chunk_bytes = chunk_size(
            optional(configuration, "chunk_bytes"), "configuration.chunk_bytes"
        )
        sender, run = Sender(frame_pb2.Frame, chunk_bytes), 0
        with self._memory.share() as share, self._memory.share() as kept:
            uploads = Uploads(share)
            async with self._catalog.use(model_id) as model:
                digest, asked = model.digest, await self._configured(configuration, model, kept)
            del model
            async for request in request_iterator:
                if not request.HasField("run"):
                    uploads.add(request)
                    continue
                async with self._catalog.use(model_id) as model:
                    if model.digest != digest:
                        digest = model.digest
                        asked = await self._configured(configuration, model, kept)
                    inputs = await self._memory.read(
                        model, request.run.inputs, share, uploads.take()
                    )
                    work = _work(model_id, model, asked, inputs)
                    async with aclosing(self._run(work, asked, inputs, sender, run)) as messages:
                        async for message in messages:
                            yield message
                run += 1
                # Not while the tensors of the next run come.
                del inputs, messages, model, work
                share.release()
            uploads.take()

    async def _configured(
        self, configuration: RecordingConfiguration, model: Model, kept: Share
    ) -> Asked:
        model_id = parse_model(configuration.model, "configuration.model")
        kept.release()
        return await self._asked(model_id, model, configuration, "configuration.", kept)

    async def _asked(
        self,
        model_id: str,
        model: Model,
        message: StreamActivationsRequest | RecordingConfiguration,
        path: str,
        share: Share,
    ) -> Asked:
        with about(model_id):
            plan = await on_thread(read_plan, model, message.readouts, f"{path}readouts")
        places, field = Places([model_id], [model]), f"{path}edits"
        edits = await requested_edits(places, message.edits, field, self._memory, share)
        return Asked(plan, edits, field)

    async def _run(
        self,
        work: Work,
        asked: Asked,
        inputs: Inputs,
        sender: Sender[frame_pb2.Frame],
        run: int = 0,
    ) -> Messages:
        [(_, model)] = work.models
        cost, seconds = await asked.cost(model, inputs.batch), 0.0
        async with self._worker.reserve(cost.memory_bytes):
            if asked.requested:
                model, seconds = await self._worker.call(patched_one, model, asked.requested)
            values = await self._batcher.forward(model, asked.plan.layers, inputs.tensors)
            frames = partial(activation_frames, values, asked.plan)
            preparation = Preparation(work, run=run, seconds=seconds + values.seconds)
            messages = streamed(self._worker, preparation, frames, sender)
            async with aclosing(messages):
                async for message in messages:
                    yield message


def _work(model_id: str, model: Model, asked: Asked, inputs: Inputs) -> Work:
    """The work of one pass; what of its edits depends on the batch is checked."""
    bind_batch(model, asked.edits, inputs.batch, asked.path)
    told = asked.requested.json
    content = "\0".join((model.state_digest, asked.plan.digest, inputs.digest, told))
    return Work(
        models=[(model_id, model)],
        digest=f"sha256:{hashlib.sha256(content.encode()).hexdigest()}",
        uses_graph=model.runtime is None or bool(told),
        edits_json=told,
    )
