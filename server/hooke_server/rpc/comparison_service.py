"""`hooke.v1.ComparisonService`: two models side by side."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

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
from hooke_server.rpc.codec.edits import RequestedEdits
from hooke_server.rpc.codec.formats import read_format
from hooke_server.rpc.codec.inputs import Inputs, same_inputs
from hooke_server.rpc.codec.items import Places
from hooke_server.rpc.codec.provenance import Work
from hooke_server.rpc.editing import patched_one, requested_edits
from hooke_server.rpc.errors import about
from hooke_server.rpc.framing import Sender
from hooke_server.rpc.input_memory import InputMemory, Share
from hooke_server.rpc.names import parse_model
from hooke_server.rpc.threads import on_thread
from hooke_server.rpc.work import Job, answered
from hooke_server.techniques.comparison.activations import compare_activations
from hooke_server.techniques.comparison.passes import Duo, Side
from hooke_server.techniques.comparison.units import match_units
from hooke_server.techniques.comparison.weights import compare_weights
from hooke_server.techniques.edits import bind_batch, with_edits
from hooke_server.techniques.frames import Estimate, Frames

Messages = AsyncGenerator[frame_pb2.Frame, None]
WithInputs = pb.CompareActivationsRequest | pb.MatchUnitsRequest
Request = WithInputs | pb.CompareWeightsRequest
Models = list[tuple[str, Model]]
"""Ids and models: the reference, the candidate."""

EDITS = "candidate_edits"
P = TypeVar("P")


@dataclass(frozen=True)
class Asked:
    """Two models and what they are given.

    Attributes
    ----------
    models : as they are without edits.
    duo : both with their inputs; the candidate is edited when it runs.
    content : digest of the inputs.
    """

    models: Models
    duo: Duo
    edits: RequestedEdits
    content: str

    def frames(self, technique: Callable[[Duo, P], Frames], plan: P) -> Frames:
        """The frames of a plan, with the candidate edited; on the compute thread."""
        duo = self.duo
        if self.edits:
            model, _ = patched_one(self.models[1][1], self.edits)
            duo = replace(duo, candidate=replace(duo.candidate, model=model))
        yield from technique(duo, plan)


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
            asked = await self._asked(request, models, stack)
            job = await on_thread(_activations, request, asked, self._worker.memory)
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
            asked = await self._asked(request, models, stack)
            job = await on_thread(_units, request, asked)
            async for message in await self._run(request, job, stack):
                yield message

    async def _run(self, request: Request, job: Job, stack: AsyncExitStack) -> Messages:
        sender, estimate = Sender(frame_pb2.Frame), request.validate_only
        run = answered(self._worker, job, sender, validate_only=estimate)
        return await stack.enter_async_context(aclosing(run))

    async def _models(self, request: Request, stack: AsyncExitStack) -> Models:
        ids = [parse_model(getattr(request, side), side) for side in ("reference", "candidate")]
        return [(each, await stack.enter_async_context(self._catalog.use(each))) for each in ids]

    async def _asked(self, request: WithInputs, models: Models, stack: AsyncExitStack) -> Asked:
        """Both models with their inputs, and the edits of one."""
        (_, reference), (name, candidate) = models
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
        places, messages = Places([name], [candidate]), request.candidate_edits
        with about(name):
            edits = await requested_edits(places, messages, EDITS, self._memory, share)
        bind_batch(candidate, edits.edits[0], there.batch, EDITS)
        if edits:
            reference, candidate = _by_graph(reference), _by_graph(candidate)
        duo = Duo(
            Side(reference, here.tensors), Side(candidate, there.tensors, edits=edits.edits[0])
        )
        return Asked(models, duo, edits, f"{here.digest}\0{there.digest}")

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


def _by_graph(model: Model) -> Model:
    """The model computed by its graph, where it has one, and not by another runtime."""
    return model if model.graph is None else replace(model, runtime=None)


def _activations(request: pb.CompareActivationsRequest, asked: Asked, memory: int | None) -> Job:
    plan = read_activations(request, asked.duo, memory)
    return Job(
        work=_work_of(request, "compare_activations", asked, activation_parameters(plan)),
        cost=_with_edits(asked, plan.estimate(asked.duo)),
        frames=partial(asked.frames, compare_activations, plan),
    )


def _units(request: pb.MatchUnitsRequest, asked: Asked) -> Job:
    plan = read_units(request, asked.duo)
    return Job(
        work=_work_of(request, "match_units", asked, unit_parameters(plan)),
        cost=_with_edits(asked, plan.estimate(asked.duo)),
        frames=partial(asked.frames, match_units, plan),
    )


def _with_edits(asked: Asked, cost: Estimate) -> Estimate:
    side = asked.duo.candidate
    return with_edits(side.model, cost, side.edits)


def _weights(request: pb.CompareWeightsRequest, models: Models) -> Job:
    plan = read_weights(request, *(model for _, model in models))
    return Job(
        work=_work(request, "compare_weights", models, {"weights": plan.names}),
        cost=plan.estimate(),
        frames=partial(compare_weights, plan),
    )


@contextmanager
def _told(side: str) -> Iterator[None]:
    """Say for which of the models inputs are wrong."""
    try:
        yield
    except InvalidArgumentError as error:
        message = f"for the {side}: {error.message}"
        raise type(error)(error.reason, message, field=error.field, **error.metadata) from error


def _work_of(
    request: WithInputs, technique: str, asked: Asked, parameters: Mapping[str, Any]
) -> Work:
    """The work of a request that has inputs and perhaps edits."""
    content = f"{asked.content}\0{asked.edits.json}"
    work = _work(request, technique, asked.models, parameters, content)
    sides = asked.duo.reference, asked.duo.candidate
    return replace(
        work,
        edits_json=asked.edits.json,
        uses_graph=all(side.model.runtime is None for side in sides),
    )


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
