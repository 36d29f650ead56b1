"""`grpc.health.v1`: whether the server lives (`""`), serves (service names), and has a model.

Our own, because the one that grpcio ships lets a stalled watcher hold up the
server, and keeps a stopping server waiting for its watchers to the end of the
grace: here they are told NOT_SERVING and their streams end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc

from hooke_server.errors import NotFoundError, Reason
from hooke_server.registry import not_found


class HealthService(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # ships no types
    """The servicer. A server that answers at all is live."""

    def __init__(self) -> None:
        self._states: dict[str, int] = {"": health_pb2.HealthCheckResponse.SERVING}
        self._change = asyncio.Event()
        self._ending = False

    def set(self, name: str, *, serving: bool) -> None:
        """Tell whether a service or model is ready."""
        if not self._ending:
            self._states[name] = (
                health_pb2.HealthCheckResponse.SERVING
                if serving
                else health_pb2.HealthCheckResponse.NOT_SERVING
            )
            self._tell()

    def end(self) -> None:
        """Nothing serves any longer; watchers learn that, then their streams end."""
        self._ending = True
        self._states = dict.fromkeys(self._states, health_pb2.HealthCheckResponse.NOT_SERVING)
        self._tell()

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> health_pb2.HealthCheckResponse:
        """Whether a service or model is ready now."""
        if request.service not in self._states:
            raise self._unknown(request.service)
        return health_pb2.HealthCheckResponse(status=self._states[request.service])

    async def List(
        self, request: health_pb2.HealthListRequest, context: Any
    ) -> health_pb2.HealthListResponse:
        """All of them."""
        statuses = {
            name: health_pb2.HealthCheckResponse(status=state)
            for name, state in self._states.items()
        }
        return health_pb2.HealthListResponse(statuses=statuses)

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """The state now and after each change; changes that come too quickly are left out."""
        told = None
        while True:
            change = self._change
            state = self._states.get(
                request.service, health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
            )
            if state != told:
                told = state
                yield health_pb2.HealthCheckResponse(status=state)
            if self._ending and change is self._change:
                return
            await change.wait()

    def _tell(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    def _unknown(self, name: str) -> NotFoundError:
        known = (other for other in self._states if other)
        return not_found("service", name, known, Reason.MODEL_NOT_FOUND, "List names all")
