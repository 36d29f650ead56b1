"""`hooke.v1.ComparisonService`: two models side by side."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, contextmanager
from functools import partial
from typing import Any

from hooke.v1 import comparison_service_pb2 as pb
from hooke.v1 import comparison_service_pb2_grpc, frame_pb2
from hooke_server.engine.catalog import Catalog
from hooke_server.engine.worker import Worker
from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.models.model import Model
from hooke_server.rpc.codec.comparisons import (
    activation_parameters,
    read_activations,
    read_units,
    read_weights,
    unit_parameters,
)
from hooke_server.rpc.codec.formats import read_format
from hooke_server.rpc.codec.inputs import Inputs, same_inputs
from hooke_server.rpc.codec.provenance import Work
from hooke_server.rpc.framing import Sender
from hooke_server.rpc.input_memory import InputMemory, Share
from hooke_server.rpc.names import parse_model
from hooke_server.rpc.threads import on_thread
from hooke_server.rpc.work import Job, answered
from hooke_server.techniques.comparison.activations import compare_activations
from hooke_server.techniques.comparison.passes import Duo, Side
from hooke_server.techniques.comparison.units import match_units
from hooke_server.techniques.comparison.weights import compare_weights

Messages = AsyncGenerator[frame_pb2.Frame, None]
WithInputs = pb.CompareActivationsRequest | pb.MatchUnitsRequest
Request = WithInputs | pb.CompareWeightsRequest
Models = list[tuple[str, Model]]
"""Ids and models: the reference, the candidate."""


class ComparisonService(comparison_service_pb2_grpc.ComparisonServiceServicer):
    """The servicer."""

    def __init__(self, catalog: Catalog, worker: Worker, memory: InputMemory) -> None:
        self._catalog = catalog
        self._worker = worker
        self._memory = memory

    async def CompareActivations(
        self, request: pb.CompareActivationsRequest, context: Any
    ) -> Messages:
        """Layer by layer on the same inputs."""
        async with AsyncExitStack() as stack:
            models = await self._models(request, stack)
            duo, content = await self._duo(request, models, stack)
            memory = self._worker.memory
            job = await on_thread(_activations, request, models, duo, content, memory)
            async for message in await self._run(request, job, stack):
                yield message

    async def CompareWeights(self, request: pb.CompareWeightsRequest, context: Any) -> Messages:
        """Tensor by tensor."""
        async with AsyncExitStack() as stack:
            models = await self._models(request, stack)
            job = await on_thread(_weights, request, models)
            async for message in await self._run(request, job, stack):
                yield message

    async def MatchUnits(self, request: pb.MatchUnitsRequest, context: Any) -> Messages:
        """Unit by unit, by correlation."""
        async with AsyncExitStack() as stack:
            models = await self._models(request, stack)
            duo, content = await self._duo(request, models, stack)
            job = await on_thread(_units, request, models, duo, content)
            async for message in await self._run(request, job, stack):
                yield message

    async def _run(self, request: Request, job: Job, stack: AsyncExitStack) -> Messages:
        sender, estimate = Sender(frame_pb2.Frame), request.validate_only
        run = answered(self._worker, job, sender, validate_only=estimate)
        return await stack.enter_async_context(aclosing(run))

    async def _models(self, request: Request, stack: AsyncExitStack) -> Models:
        ids = [parse_model(getattr(request, side), side) for side in ("reference", "candidate")]
        return [(each, await stack.enter_async_context(self._catalog.use(each))) for each in ids]

    async def _duo(
        self, request: WithInputs, models: Models, stack: AsyncExitStack
    ) -> tuple[Duo, str]:
        """Both models with their inputs, and a digest of the latter."""
        (_, reference), (_, candidate) = models
        share = stack.enter_context(self._memory.share())
        with _told("reference"):
            here = await self._memory.read(reference, request.inputs, share)
        with _told("candidate"):
            there = await self._candidate_inputs(request, candidate, here, share)
        if here.batch != there.batch:
            raise InvalidArgumentError(
                Reason.INPUT_MISMATCH,
                f"the reference gets {here.batch} samples and the candidate {there.batch}; give"
                " both the same",
                field="candidate_inputs",
            )
        duo = Duo(Side(reference, here.tensors), Side(candidate, there.tensors))
        return duo, f"{here.digest}\0{there.digest}"

    async def _candidate_inputs(
        self, request: WithInputs, candidate: Model, here: Inputs, share: Share
    ) -> Inputs:
        own = request.candidate_inputs
        if request.same_tensors:
            if own:
                raise InvalidArgumentError(
                    Reason.INVALID_FIELD,
                    "with same_tensors the candidate has no inputs of its own",
                    field="candidate_inputs",
                )
            return await on_thread(same_inputs, candidate, here, "inputs")
        path = "candidate_inputs" if own else "inputs"
        return await self._memory.read(candidate, own or request.inputs, share, path=path)


def _activations(
    request: pb.CompareActivationsRequest,
    models: Models,
    duo: Duo,
    content: str,
    memory: int | None,
) -> Job:
    plan = read_activations(request, duo, memory)
    return Job(
        work=_work(request, "compare_activations", models, activation_parameters(plan), content),
        cost=plan.estimate(duo),
        frames=partial(compare_activations, duo, plan),
    )


def _weights(request: pb.CompareWeightsRequest, models: Models) -> Job:
    plan = read_weights(request, *(model for _, model in models))
    return Job(
        work=_work(request, "compare_weights", models, {"weights": plan.names}),
        cost=plan.estimate(),
        frames=partial(compare_weights, plan),
    )


def _units(request: pb.MatchUnitsRequest, models: Models, duo: Duo, content: str) -> Job:
    plan = read_units(request, duo)
    return Job(
        work=_work(request, "match_units", models, unit_parameters(plan), content),
        cost=plan.estimate(duo),
        frames=partial(match_units, duo, plan),
    )


@contextmanager
def _told(side: str) -> Iterator[None]:
    """Say for which of the models inputs are wrong."""
    try:
        yield
    except InvalidArgumentError as error:
        message = f"for the {side}: {error.message}"
        raise type(error)(error.reason, message, field=error.field, **error.metadata) from error


def _work(
    request: Request,
    technique: str,
    models: Models,
    parameters: Mapping[str, Any],
    content: str = "",
) -> Work:
    text = json.dumps(parameters, sort_keys=True)
    states = [model.state_digest for _, model in models]
    digest = hashlib.sha256("\0".join((technique, *states, text, content)).encode())
    return Work(
        models=models,
        digest=f"sha256:{digest.hexdigest()}",
        technique=technique,
        parameters_json=text,
        image_format=read_format(request.format, "format"),
        uses_graph=all(model.runtime is None for _, model in models),
    )
