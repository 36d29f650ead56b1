"""`hooke.v1.ActivationService`: what layers say to inputs."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

from hooke.v1 import activation_service_pb2, activation_service_pb2_grpc, frame_pb2
from hooke_server.engine.batching import Batcher
from hooke_server.engine.catalog import Catalog
from hooke_server.engine.worker import Worker
from hooke_server.models.model import Model
from hooke_server.rpc.codec.frames import Preparation
from hooke_server.rpc.codec.inputs import Inputs
from hooke_server.rpc.codec.provenance import Work, estimate_result
from hooke_server.rpc.codec.readouts import read_plan
from hooke_server.rpc.framing import Sender, chunk_size
from hooke_server.rpc.input_memory import InputMemory
from hooke_server.rpc.limits import Limits
from hooke_server.rpc.names import parse_model
from hooke_server.rpc.presence import optional
from hooke_server.rpc.uploads import RecordActivationsRequest, Uploads, order
from hooke_server.rpc.work import streamed
from hooke_server.techniques.activation_cost import estimate
from hooke_server.techniques.activations import activation_frames
from hooke_server.techniques.readouts import ReadPlan

StreamActivationsRequest = activation_service_pb2.StreamActivationsRequest
Messages = AsyncGenerator[frame_pb2.Frame, None]


class ActivationService(activation_service_pb2_grpc.ActivationServiceServicer):
    """The servicer."""

    def __init__(self, catalog: Catalog, worker: Worker, batcher: Batcher, limits: Limits) -> None:
        self._catalog = catalog
        self._worker = worker
        self._batcher = batcher
        self._memory = InputMemory(limits)

    async def StreamActivations(self, request: StreamActivationsRequest, context: Any) -> Messages:
        """One forward pass for inputs that fit into the request."""
        model_id = parse_model(request.model, "model")
        sender = Sender(frame_pb2.Frame, chunk_size(optional(request, "chunk_bytes")))
        with self._memory.share() as share:
            async with self._catalog.use(model_id) as model:
                plan = await asyncio.to_thread(read_plan, model, request.readouts, "readouts")
                inputs = await self._memory.read(model, request.inputs, share)
                work = _work(model_id, model, plan, inputs)
                if request.validate_only:
                    cost = estimate(model, plan, inputs.batch)
                    yield sender.message(result=estimate_result(work, cost))
                    return
                async with aclosing(self._run(work, plan, inputs, sender)) as messages:
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
        with self._memory.share() as share:
            uploads = Uploads(share)
            async with self._catalog.use(model_id) as model:
                digest, plan = model.digest, await self._plan(model, configuration)
            del model
            async for request in request_iterator:
                if not request.HasField("run"):
                    uploads.add(request)
                    continue
                async with self._catalog.use(model_id) as model:
                    if model.digest != digest:
                        digest, plan = model.digest, await self._plan(model, configuration)
                    inputs = await self._memory.read(
                        model, request.run.inputs, share, uploads.take()
                    )
                    work = _work(model_id, model, plan, inputs)
                    async with aclosing(self._run(work, plan, inputs, sender, run)) as messages:
                        async for message in messages:
                            yield message
                run += 1
                # Not while the tensors of the next run come.
                del inputs, messages, model, work
                share.release()
            uploads.take()

    async def _plan(
        self, model: Model, configuration: activation_service_pb2.RecordingConfiguration
    ) -> ReadPlan:
        return await asyncio.to_thread(
            read_plan, model, configuration.readouts, "configuration.readouts"
        )

    async def _run(
        self,
        work: Work,
        plan: ReadPlan,
        inputs: Inputs,
        sender: Sender[frame_pb2.Frame],
        run: int = 0,
    ) -> Messages:
        [(_, model)] = work.models
        cost = estimate(model, plan, inputs.batch)
        async with self._worker.reserve(cost.memory_bytes):
            values = await self._batcher.forward(model, plan.layers, inputs.tensors)
            frames = partial(activation_frames, values, plan)
            preparation = Preparation(work, run=run, seconds=values.seconds)
            messages = streamed(self._worker, preparation, frames, sender)
            async with aclosing(messages):
                async for message in messages:
                    yield message


def _work(model_id: str, model: Model, plan: ReadPlan, inputs: Inputs) -> Work:
    content = "\0".join((model.state_digest, plan.digest, inputs.digest))
    return Work(
        models=[(model_id, model)],
        digest=f"sha256:{hashlib.sha256(content.encode()).hexdigest()}",
        uses_graph=model.runtime is None,
    )
