"""The gRPC server: every service on one port, behind one interceptor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from hooke_server.rpc.calls import Calls
from hooke_server.rpc.interceptors import Edge
from hooke_server.rpc.limits import Limits
from hooke_server.rpc.services import Service

TAKEN = "it is taken, or not this machine's"
"""Why an address cannot be had."""


def build_server(services: Sequence[Service], calls: Calls, limits: Limits) -> grpc.aio.Server:
    """A server that is ready for `add_insecure_port` and `start`."""
    server = grpc.aio.server(
        interceptors=[Edge(calls)],
        options=_options(limits),
        maximum_concurrent_rpcs=limits.open_calls,
    )
    for service in services:
        service.add(service.servicer, server)
    _add_reflection(server, [service.name for service in services])
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


def _add_reflection(server: grpc.aio.Server, listed: Iterable[str]) -> None:
    """Reflection under its old name and its new one, whose messages are the same.

    Only the old one is listed: tools look for descriptors of what is listed, and
    grpcio ships those of the old one only.
    """
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
