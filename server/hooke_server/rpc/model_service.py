"""`hooke.v1.ModelService`: models, layers, weights."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from hooke.v1 import model_service_pb2, model_service_pb2_grpc, tensor_pb2
from hooke_server.engine.catalog import Catalog
from hooke_server.engine.worker import Worker
from hooke_server.errors import InvalidArgumentError, PermissionDeniedError, Reason
from hooke_server.models.layer import Layer, Weight
from hooke_server.models.model import Model
from hooke_server.models.patterns import fitting
from hooke_server.models.weights import statistics
from hooke_server.registry import not_found
from hooke_server.rpc.codec.models import layer_message, model_message, summary_message
from hooke_server.rpc.errors import about
from hooke_server.rpc.framing import Outgoing, Sender, outgoing
from hooke_server.rpc.names import (
    check_model_id,
    check_pattern,
    check_text,
    layer_name,
    parse_layer,
    parse_model,
)
from hooke_server.rpc.pagination import page
from hooke_server.rpc.threads import on_thread

MAX_BINS = 1024


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """The servicer."""

    def __init__(self, catalog: Catalog, worker: Worker, *, allow_admin: bool) -> None:
        self._catalog = catalog
        self._worker = worker
        self._allow_admin = allow_admin

    async def ListModels(
        self, request: model_service_pb2.ListModelsRequest, context: Any
    ) -> model_service_pb2.ListModelsResponse:
        """A page of all known models."""
        entries = sorted(self._catalog.entries(), key=lambda entry: entry.name)
        models, token = page(
            entries, model_message, request.page_size, request.page_token, "ListModels"
        )
        return model_service_pb2.ListModelsResponse(models=models, next_page_token=token)

    async def GetModel(
        self, request: model_service_pb2.GetModelRequest, context: Any
    ) -> model_service_pb2.Model:
        """One model, not loaded for the occasion."""
        return model_message(self._catalog.entry(parse_model(request.name, "name")))

    async def LoadModel(
        self, request: model_service_pb2.LoadModelRequest, context: Any
    ) -> model_service_pb2.Model:
        """Add a model and wait until it is loaded."""
        self._check_admin()
        model_id = check_model_id(request.model_id, "model_id")
        source = check_text(request.source, "source")
        return model_message(await self._catalog.load(model_id, source))

    async def UnloadModel(
        self, request: model_service_pb2.UnloadModelRequest, context: Any
    ) -> model_service_pb2.Model:
        """Take a model out of memory."""
        self._check_admin()
        return model_message(await self._catalog.unload(parse_model(request.name, "name")))

    async def ListLayers(
        self, request: model_service_pb2.ListLayersRequest, context: Any
    ) -> model_service_pb2.ListLayersResponse:
        """A page of a model's layers."""
        model_id = parse_model(request.parent, "parent")
        async with self._catalog.use(model_id) as model:
            found = await on_thread(matching, model, request.filter)
            layers, token = page(
                found,
                lambda layer: layer_message(model_id, layer),
                request.page_size,
                request.page_token,
                *("ListLayers", model.digest),
                request.filter.SerializeToString(deterministic=True).hex(),
            )
        return model_service_pb2.ListLayersResponse(
            layers=layers, next_page_token=token, total_size=len(found)
        )

    async def StreamLayers(
        self, request: model_service_pb2.StreamLayersRequest, context: Any
    ) -> AsyncIterator[model_service_pb2.Layer]:
        """All of a model's layers."""
        model_id = parse_model(request.parent, "parent")
        async with self._catalog.use(model_id) as model:
            found = await on_thread(matching, model, request.filter)
        # A slow reader of names does not keep the model in memory.
        for layer in found:
            yield layer_message(model_id, layer)

    async def GetLayer(
        self, request: model_service_pb2.GetLayerRequest, context: Any
    ) -> model_service_pb2.Layer:
        """One layer."""
        model_id, layer_id = parse_layer(request.name, "name")
        async with self._catalog.use(model_id) as model:
            with about(model_id):
                return layer_message(model_id, model.layer(layer_id))

    async def StreamWeights(
        self, request: model_service_pb2.StreamWeightsRequest, context: Any
    ) -> AsyncIterator[model_service_pb2.StreamWeightsResponse]:
        """Summaries of a layer's weights, and their tensors if they are wanted."""
        model_id, layer_id = parse_layer(request.parent, "parent")
        if request.HasField("histogram_bins") and not 1 <= request.histogram_bins <= MAX_BINS:
            rule = f"histogram_bins must be between 1 and {MAX_BINS}"
            raise InvalidArgumentError(Reason.INVALID_FIELD, rule, field="histogram_bins")
        sender = Sender(model_service_pb2.StreamWeightsResponse)
        async with self._catalog.use(model_id) as model:
            with about(model_id):
                layer = model.layer(layer_id)
            wanted = _weights(layer, request.weight_globs)
            read = partial(_read, model, wanted, request, layer_name(model_id, layer_id))
            async with aclosing(self._worker.stream(read)) as items:
                async for item in items:
                    if isinstance(item, Outgoing):
                        for message in sender.tensor(item):
                            yield message
                    else:
                        yield sender.message(summary=item)

    def _check_admin(self) -> None:
        if not self._allow_admin:
            raise PermissionDeniedError(
                Reason.ADMIN_DISABLED,
                "this server does not let clients load or unload models;"
                " whoever starts it can allow it",
            )


def matching(model: Model, wanted: model_service_pb2.LayerFilter) -> list[Layer]:
    """The model's layers that the filter lets through, in the order in which they run.

    With many patterns this takes a while, so it belongs on a thread.
    """
    fit: set[str] = set()
    for index, glob in enumerate(wanted.globs):
        fit.update(fitting(check_pattern(glob, f"filter.globs[{index}]"), model.layers))
    kinds = {_kind(kind, f"filter.kinds[{i}]") for i, kind in enumerate(wanted.kinds)}
    ops = set(wanted.ops)
    return [
        layer
        for layer in model.layers.values()
        if (not wanted.globs or layer.id in fit)
        and (not ops or layer.op in ops)
        and (not kinds or layer.kind in kinds)
    ]


def _kind(kind: model_service_pb2.LayerKind.ValueType, field: str) -> str:
    known = {
        number: name.removeprefix("LAYER_KIND_").lower()
        for name, number in model_service_pb2.LayerKind.items()
        if number
    }
    if kind not in known:
        message = f"{field} must be one of {', '.join(known.values())}"
        raise InvalidArgumentError(Reason.INVALID_FIELD, message, field=field, kind=kind)
    return known[kind]


def _weights(layer: Layer, globs: Sequence[str]) -> list[Weight]:
    by_name = {weight.name: weight for weight in layer.weights}
    wanted: set[str] = set()
    for index, glob in enumerate(globs):
        field = f"weight_globs[{index}]"
        found = fitting(check_pattern(glob, field), by_name)
        if not found:
            known = f"layer {layer.id!r} has {', '.join(by_name) or 'none'}"
            facts = {"layer": layer.id, "field": field}
            raise not_found("weight", glob, by_name, Reason.WEIGHT_NOT_FOUND, known, **facts)
        wanted.update(found)
    return [weight for weight in layer.weights if not globs or weight.name in wanted]


def _read(
    model: Model, weights: list[Weight], request: model_service_pb2.StreamWeightsRequest, layer: str
) -> Iterator[model_service_pb2.WeightSummary | Outgoing]:
    """Summary and, if it is wanted, tensor of each weight; for the compute thread."""
    for weight in weights:
        tensor = model.weight(weight.key)
        yield summary_message(weight, statistics(tensor, request.histogram_bins))
        if request.include_tensors:
            yield outgoing(tensor, tensor_pb2.TensorHeader(layer=layer, name=weight.name))
