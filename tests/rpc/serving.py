"""A real server in process, on a free port, with small real models, and stubs to call it."""

import asyncio
from contextlib import asynccontextmanager

import grpc
import pytest
import torch
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1.health import aio as health_aio
from grpc_status import rpc_status
from torch import nn

from hooke.v1 import (
    activation_service_pb2_grpc,
    attribution_service_pb2_grpc,
    comparison_service_pb2_grpc,
    model_service_pb2_grpc,
    technique_service_pb2_grpc,
    visualization_service_pb2_grpc,
)
from hooke_server.engine.batching import Batcher
from hooke_server.engine.catalog import Catalog
from hooke_server.engine.worker import Worker
from hooke_server.errors import NotFoundError, Reason
from hooke_server.models.model import Model, ModelFormat
from hooke_server.models.structure import assemble
from hooke_server.models.trace import trace_module
from hooke_server.ports import Ports, Web
from hooke_server.rpc.health import HealthService
from hooke_server.rpc.limits import Limits
from hooke_server.rpc.services import build_services, health_service


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(6, 6, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.conv(x) + x)


class Net(nn.Module):
    """A small classifier of 16 x 16 pictures, with an in-place rectifier that runs twice."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.block = Residual()
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(6, 5)

    def forward(self, x):
        x = self.relu(self.stem(x))
        x = self.relu(self.block(x))
        return self.fc(x.mean((2, 3)))


class Pair(nn.Module):
    """Two inputs."""

    def forward(self, left, right):
        return left @ right.transpose(1, 2)


def model_of(module: nn.Module, *examples: torch.Tensor, **facts: object) -> Model:
    return assemble(
        trace_module(module.eval(), examples),
        examples,
        source="live",
        format=ModelFormat.TORCH,
        weights=module.state_dict(),
        **facts,
    )


class Served:
    """A running server: its parts, a channel to it, and a stub for each service."""

    def __init__(self, ports, catalog, worker, channel):
        self.ports = ports
        self.port = int(ports.address.rpartition(":")[2])
        self.web = int(ports.page.strip("/").rpartition(":")[2]) if ports.page else None
        self.catalog = catalog
        self.worker = worker
        self.channel = channel
        self.models = model_service_pb2_grpc.ModelServiceStub(channel)
        self.activations = activation_service_pb2_grpc.ActivationServiceStub(channel)
        self.techniques = technique_service_pb2_grpc.TechniqueServiceStub(channel)
        self.comparisons = comparison_service_pb2_grpc.ComparisonServiceStub(channel)
        self.visualizations = visualization_service_pb2_grpc.VisualizationServiceStub(channel)
        self.attributions = attribution_service_pb2_grpc.AttributionServiceStub(channel)


@asynccontextmanager
async def serving(models, *, load=None, memory=None, limits=None, web=None, **settings):
    def unknown(source):
        raise NotFoundError(Reason.SOURCE_NOT_FOUND, f"no source {source!r}", source=source)

    worker = Worker(memory=memory)
    catalog = Catalog(load or unknown, memory_budget=None)
    for name, model in models.items():
        catalog.adopt(name, model)
    limits = limits or Limits()
    services = build_services(
        catalog=catalog, worker=worker, batcher=Batcher(worker), limits=limits, **settings
    )
    # Where it can be, one that is not ours, and aborts by itself.
    health = health_service(HealthService() if web else health_aio.HealthServicer())
    ports = Ports((*services, health), limits, address="127.0.0.1:0", web=web or Web())
    await ports.start()
    try:
        async with grpc.aio.insecure_channel(ports.address) as channel:
            yield Served(ports, catalog, worker, channel)
    finally:
        await ports.stop(0)
        catalog.close()
        await worker.close()


async def ended(call):
    """The answer of a call, or the messages of a stream."""
    if isinstance(call, grpc.aio.UnaryUnaryCall):
        return await call
    return [message async for message in call]


async def failure(call):
    """Code, `ErrorInfo` and message of a call, unary or stream, that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ended(call)
    return told(caught.value)


def told(error):
    """Code, `ErrorInfo` and message of a failed call."""
    status = rpc_status.from_call(error)
    assert status is not None, error
    infos = [detail for detail in status.details if detail.Is(ErrorInfo.DESCRIPTOR)]
    assert len(infos) == 1
    info = ErrorInfo()
    infos[0].Unpack(info)
    return error.code().name, info, error.details()


async def nothing_runs(edge):
    """Whatever ran on the compute thread has ended, or does so soon."""
    for _ in range(1000):
        await asyncio.wait_for(edge.worker.call(int), 60)
        if not edge.worker._pulls:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it goes on")
