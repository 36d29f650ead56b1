"""`hooke.v1.AttributionService`: which parts of an input, or of a layer, an answer is due to."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Any

from hooke.v1 import attribution_service_pb2, attribution_service_pb2_grpc, frame_pb2
from hooke_server.engine.catalog import Catalog
from hooke_server.engine.worker import Worker
from hooke_server.rpc.codec.attributions import read_asked
from hooke_server.rpc.codec.edits import RequestedEdits
from hooke_server.rpc.codec.formats import read_format
from hooke_server.rpc.codec.inputs import Inputs
from hooke_server.rpc.codec.items import Places, only_model
from hooke_server.rpc.codec.provenance import Work
from hooke_server.rpc.editing import patched, requested_edits, unpatched
from hooke_server.rpc.errors import about
from hooke_server.rpc.framing import Sender, chunk_size
from hooke_server.rpc.input_memory import InputMemory
from hooke_server.rpc.presence import optional
from hooke_server.rpc.work import Job, answered
from hooke_server.techniques.attribution.cost import attribution_cost
from hooke_server.techniques.attribution.explaining import explain
from hooke_server.techniques.attribution.plans import bind
from hooke_server.techniques.attribution.sending import check_sent
from hooke_server.techniques.edits import bind_alone, with_edits
from hooke_server.techniques.frames import Frames

AttributeRequest = attribution_service_pb2.AttributeRequest
Messages = AsyncGenerator[frame_pb2.Frame, None]


class AttributionService(attribution_service_pb2_grpc.AttributionServiceServicer):
    """The servicer."""

    def __init__(self, catalog: Catalog, worker: Worker, memory: InputMemory) -> None:
        self._catalog = catalog
        self._worker = worker
        self._memory = memory

    async def Attribute(self, request: AttributeRequest, context: Any) -> Messages:
        """Bind the request to a plan, then run its methods."""
        name = only_model(request, request.model)
        sender = Sender(frame_pb2.Frame, chunk_size(optional(request, "chunk_bytes")))
        async with AsyncExitStack() as stack:
            share = stack.enter_context(self._memory.share())
            model = await stack.enter_async_context(self._catalog.use(name))
            inputs = await self._memory.read(model, request.inputs, share)
            places = Places([name], [model])
            edits = await requested_edits(places, request.edits, "edits", self._memory, share)
            job = await self._worker.call(self._bind, request, places, inputs, edits)
            run = answered(self._worker, job, sender, validate_only=request.validate_only)
            async for message in await stack.enter_async_context(aclosing(run)):
                yield message

    def _bind(
        self, request: AttributeRequest, places: Places, inputs: Inputs, edits: RequestedEdits
    ) -> Job:
        [name], [given], [changes] = places.names, places.models, edits.edits
        bind_alone(changes, "edits")
        [model] = unpatched([given], edits)
        with about(name):
            plan = bind(model, read_asked(request, places), inputs.digest)
        if not request.validate_only:
            check_sent(plan, len(inputs.tensors[0]))
        cost = attribution_cost(model, plan, inputs.tensors, self._worker.memory)
        work = Work(
            models=[(name, given)],
            digest=plan.digest,
            technique=",".join(each.name for each in plan.methods),
            parameters_json=plan.parameters_json,
            seed=plan.seed,
            image_format=read_format(request.format, "format"),
            uses_graph=model.graph is not None,
            edits_json=edits.json,
        )

        def frames() -> Frames:
            [edited] = patched([given], edits)
            return explain(edited, inputs.tensors, plan, rows=cost.rows)

        return Job(work=work, cost=with_edits(given, cost.estimate, changes), frames=frames)
