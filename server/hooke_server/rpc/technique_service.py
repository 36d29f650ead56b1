"""`hooke.v1.TechniqueService`: which techniques there are, and where each is valid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hooke.v1 import technique_service_pb2, technique_service_pb2_grpc
from hooke_server.engine.catalog import Catalog
from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.rpc.codec.locations import model_of, read_site
from hooke_server.rpc.codec.techniques import technique_message
from hooke_server.rpc.names import check_text
from hooke_server.rpc.pagination import page
from hooke_server.techniques.technique import Technique, all_techniques

ListTechniquesRequest = technique_service_pb2.ListTechniquesRequest


class TechniqueService(technique_service_pb2_grpc.TechniqueServiceServicer):
    """The servicer."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._techniques = all_techniques()

    async def ListTechniques(
        self, request: ListTechniquesRequest, context: Any
    ) -> technique_service_pb2.ListTechniquesResponse:
        """A page of the techniques, each with whether it is valid where it was asked about."""
        kind = _kind(request)
        found = [
            technique
            for technique in self._techniques.values()
            if kind in {"unspecified", technique.kind}
        ]
        techniques, token = page(
            found,
            await self._encoder(request),
            request.page_size,
            request.page_token,
            *("ListTechniques", kind),
            request.location.SerializeToString(deterministic=True).hex(),
        )
        return technique_service_pb2.ListTechniquesResponse(
            techniques=techniques, next_page_token=token
        )

    async def GetTechnique(
        self, request: technique_service_pb2.GetTechniqueRequest, context: Any
    ) -> technique_service_pb2.Technique:
        """One technique."""
        return technique_message(self._techniques.find(check_text(request.name, "name")))

    async def _encoder(
        self, request: ListTechniquesRequest
    ) -> Callable[[Technique], technique_service_pb2.Technique]:
        if not request.HasField("location"):
            return technique_message
        async with self._catalog.use(model_of(request.location, "location")) as model:
            site = read_site(model, request.location, "location")

        def encode(technique: Technique) -> technique_service_pb2.Technique:
            reason = technique.obstacle(model, site)
            valid = technique_service_pb2.Applicability(applicable=not reason, reason=reason)
            return technique_message(technique, valid)

        return encode


def _kind(request: ListTechniquesRequest) -> str:
    if request.kind not in technique_service_pb2.TechniqueKind.values():
        message = f"kind {request.kind} is none of this server's"
        raise InvalidArgumentError(Reason.INVALID_FIELD, message, field="kind")
    name = technique_service_pb2.TechniqueKind.Name(request.kind)
    return name.removeprefix("TECHNIQUE_KIND_").lower()
