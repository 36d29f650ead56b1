"""The gRPC server: every service on one port, behind one interceptor."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from hooke.v1 import (
    activation_service_pb2,
    activation_service_pb2_grpc,
    attribution_service_pb2,
    attribution_service_pb2_grpc,
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
from hooke_server.rpc.interceptors import Edge
from hooke_server.rpc.limits import Limits
from hooke_server.rpc.model_service import ModelService
from hooke_server.rpc.technique_service import TechniqueService
from hooke_server.rpc.visualization_service import VisualizationService

SERVICES = tuple(
    service.full_name
    for module in (
        model_service_pb2,
        activation_service_pb2,
        technique_service_pb2,
        visualization_service_pb2,
        attribution_service_pb2,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
)
"""Full names of Hooke's services; health answers for each."""

_HEALTH_ROOM = 64
"""Calls that grpc lets in beyond the limit of the interceptor, which spares health checks."""


def build_server(
    *,
    catalog: Catalog,
    worker: Worker,
    batcher: Batcher,
    health: health_pb2_grpc.HealthServicer,
    allow_admin: bool = False,
    limits: Limits | None = None,
) -> grpc.aio.Server:
    """A server that is ready for `add_insecure_port` and `start`."""
    limits = limits or Limits()
    server = grpc.aio.server(
        interceptors=[Edge(limits.calls)],
        options=_options(limits),
        maximum_concurrent_rpcs=limits.calls + _HEALTH_ROOM,
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(
        ModelService(catalog, worker, allow_admin=allow_admin), server
    )
    activation_service_pb2_grpc.add_ActivationServiceServicer_to_server(
        ActivationService(catalog, worker, batcher, limits), server
    )
    technique_service_pb2_grpc.add_TechniqueServiceServicer_to_server(
        TechniqueService(catalog), server
    )
    visualization_service_pb2_grpc.add_VisualizationServiceServicer_to_server(
        VisualizationService(catalog, worker, States()), server
    )
    attribution_service_pb2_grpc.add_AttributionServiceServicer_to_server(
        AttributionService(catalog, worker, limits), server
    )
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    _add_reflection(server)
    return server


def _options(limits: Limits) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", limits.message_bytes),
        ("grpc.max_send_message_length", limits.message_bytes),
        # A second server on the same port must fail, not share its calls.
        ("grpc.so_reuseport", 0),
        # Clients may ping as often as is usual behind load balancers.
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        # A client whose machine is gone is noticed, and its work ends.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
    ]


def _add_reflection(server: grpc.aio.Server) -> None:
    """Reflection under its old name and its new one, whose messages are the same.

    Only the old one is listed: tools look for descriptors of what is listed, and
    grpcio ships those of the old one only.
    """
    listed = (*SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
    servicer = reflection.aio.ReflectionServicer((*listed, reflection.SERVICE_NAME))
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    handler = grpc.method_handlers_generic_handler(
        "grpc.reflection.v1.ServerReflection", {"ServerReflectionInfo": method}
    )
    server.add_generic_rpc_handlers((handler,))
