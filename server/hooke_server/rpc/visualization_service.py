"""`hooke.v1.VisualizationService`: techniques that make pictures of what places respond to."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from hooke.v1 import frame_pb2, visualization_service_pb2, visualization_service_pb2_grpc
from hooke_server.engine.catalog import Catalog
from hooke_server.engine.worker import Worker
from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.rpc.codec.frames import read_format
from hooke_server.rpc.codec.locations import location_message, model_of, read_site
from hooke_server.rpc.codec.provenance import Work, estimate_result
from hooke_server.rpc.codec.techniques import read_technique
from hooke_server.rpc.framing import Sender
from hooke_server.rpc.presence import optional
from hooke_server.rpc.work import streamed
from hooke_server.techniques.technique import all_techniques

VisualizeRequest = visualization_service_pb2.VisualizeRequest


class VisualizationService(visualization_service_pb2_grpc.VisualizationServiceServicer):
    """The servicer."""

    def __init__(self, catalog: Catalog, worker: Worker) -> None:
        self._catalog = catalog
        self._worker = worker
        self._techniques = all_techniques()

    async def Visualize(
        self, request: VisualizeRequest, context: Any
    ) -> AsyncGenerator[frame_pb2.Frame, None]:
        """Bind the request to a plan, then run it."""
        model_id = _one_model(request)
        name, given = read_technique(request)
        technique = self._techniques.find(name)
        sender = Sender(frame_pb2.Frame)
        async with self._catalog.use(model_id) as model:
            sites = [
                read_site(model, location, f"locations[{index}]")
                for index, location in enumerate(request.locations)
            ]
            plan = technique.bind(
                model,
                model_id,
                sites,
                given,
                seed=request.seed,
                preview_every=optional(request, "preview_every"),
            )
            work = Work(
                model_id=model_id,
                model=model,
                digest=plan.digest,
                technique=plan.technique,
                parameters_json=plan.parameters_json,
                seed=plan.seed,
                locations=[location_message(model_id, site) for site in plan.sites],
                image_format=read_format(request.format, "format"),
            )
            # It may try the model at the size asked for, which takes as long as a step.
            cost = await self._worker.call(technique.estimate, model, plan)
            if request.validate_only:
                yield sender.message(result=estimate_result(work, cost))
                return
            messages = streamed(self._worker, work, lambda: technique.run(model, plan), sender)
            async with self._worker.reserve(cost.memory_bytes), aclosing(messages):
                async for message in messages:
                    yield message


def _one_model(request: VisualizeRequest) -> str:
    """Id of the model that all locations lie in."""
    models = {
        model_of(location, f"locations[{index}]")
        for index, location in enumerate(request.locations)
    }
    if len(models) != 1:
        raise InvalidArgumentError(
            Reason.INVALID_FIELD,
            f"locations must be one or more places in one model, not in {len(models)}",
            field="locations",
            models=",".join(sorted(models)),
        )
    return models.pop()
