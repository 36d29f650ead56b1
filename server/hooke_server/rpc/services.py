"""Which services there are: the one list, from which every port is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hooke.v1 import (
    activation_service_pb2,
    activation_service_pb2_grpc,
    attribution_service_pb2,
    attribution_service_pb2_grpc,
    comparison_service_pb2,
    comparison_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
    technique_service_pb2,
    technique_service_pb2_grpc,
    visualization_service_pb2,
    visualization_service_pb2_grpc,
)
from hooke_server.engine.batching import Batcher
from hooke_server.engine.catalog import Catalog
from hooke_server.engine.states import States
from hooke_server.engine.worker import Worker
from hooke_server.rpc.activation_service import ActivationService
from hooke_server.rpc.attribution_service import AttributionService
from hooke_server.rpc.comparison_service import ComparisonService
from hooke_server.rpc.input_memory import InputMemory
from hooke_server.rpc.limits import Limits
from hooke_server.rpc.model_service import ModelService
from hooke_server.rpc.technique_service import TechniqueService
from hooke_server.rpc.visualization_service import VisualizationService


@dataclass(frozen=True)
class Service:
    """A service of the contract and the object that does it.

    Attributes
    ----------
    module : what protoc made of its file, which holds this one service.
    add : registers the servicer with a gRPC server.
    servicer : has a method of the same name for each of the service's; an async generator
        where the server streams.
    """

    module: ModuleType
    add: Callable[[Any, grpc.aio.Server], None]
    servicer: object

    @property
    def descriptor(self) -> ServiceDescriptor:
        """Its methods and their messages."""
        descriptor: ServiceDescriptor
        [descriptor] = self.module.DESCRIPTOR.services_by_name.values()
        return descriptor

    @property
    def name(self) -> str:
        """Its full name, such as `hooke.v1.ModelService`."""
        return self.descriptor.full_name


def build_services(
    *,
    catalog: Catalog,
    worker: Worker,
    batcher: Batcher,
    allow_admin: bool = False,
    limits: Limits,
) -> tuple[Service, ...]:
    """Hooke's services; health answers for each of them."""
    memory = InputMemory(limits)
    return (
        Service(
            model_service_pb2,
            model_service_pb2_grpc.add_ModelServiceServicer_to_server,
            ModelService(catalog, worker, allow_admin=allow_admin),
        ),
        Service(
            activation_service_pb2,
            activation_service_pb2_grpc.add_ActivationServiceServicer_to_server,
            ActivationService(catalog, worker, batcher, memory),
        ),
        Service(
            technique_service_pb2,
            technique_service_pb2_grpc.add_TechniqueServiceServicer_to_server,
            TechniqueService(catalog),
        ),
        Service(
            visualization_service_pb2,
            visualization_service_pb2_grpc.add_VisualizationServiceServicer_to_server,
            VisualizationService(catalog, worker, States(), memory),
        ),
        Service(
            attribution_service_pb2,
            attribution_service_pb2_grpc.add_AttributionServiceServicer_to_server,
            AttributionService(catalog, worker, memory),
        ),
        Service(
            comparison_service_pb2,
            comparison_service_pb2_grpc.add_ComparisonServiceServicer_to_server,
            ComparisonService(catalog, worker, memory),
        ),
    )


def health_service(servicer: health_pb2_grpc.HealthServicer) -> Service:
    """`grpc.health.v1.Health`, done by `servicer`."""
    return Service(health_pb2, health_pb2_grpc.add_HealthServicer_to_server, servicer)
