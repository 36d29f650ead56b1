"""Connect and gRPC-Web for the same servicers, made from the contract's descriptors.

Nothing is generated for this port: a method's messages, its streams and whether it may
be a GET stand in its descriptor, and what it does in the servicer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import Any, TypeAlias

import grpc
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.request import RequestContext
from connectrpc.server import ConnectASGIApplication, Endpoint
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from hooke_server.errors import Reason, UnavailableError
from hooke_server.rpc.calls import Calls
from hooke_server.rpc.limits import Limits
from hooke_server.rpc.services import Service
from hooke_server.rpc.web.call import ENDING, WebCall
from hooke_server.rpc.web.codecs import BinaryCodec, Framed, JsonCodec, as_connect

Call: TypeAlias = RequestContext[Any, Any]

STREAMS = {
    (False, False): StreamType.UNARY,
    (True, False): StreamType.CLIENT_STREAM,
    (False, True): StreamType.SERVER_STREAM,
    (True, True): StreamType.BIDI_STREAM,
}
"""By whether the client streams and whether the server does."""


class Connect(ConnectASGIApplication[Sequence[Service]]):
    """The application.

    Parameters
    ----------
    services : what it serves.
    calls : what happens around each call.

    Attributes
    ----------
    streams : the paths of its methods, and what streams in each.
    patience : seconds that a part of a response may wait for a reader that takes nothing.
    """

    def __init__(self, services: Sequence[Service], calls: Calls, limits: Limits) -> None:
        self.patience = calls.patience
        self._endpoints_by_path = dict(_endpoints(services, calls))
        super().__init__(
            service=services,
            endpoints=lambda _: self._endpoints_by_path,
            read_max_bytes=limits.message_bytes,
            # Tensors do not shrink, and zipping is slower than any network.
            compressions=(),
            codecs=[BinaryCodec(), JsonCodec()],
        )

    @property
    def path(self) -> str:
        """Where it is mounted."""
        return "/"

    @property
    def streams(self) -> Mapping[str, StreamType]:
        """What streams in each method, by the method's path."""
        return {path: each.method.stream_type for path, each in self._endpoints_by_path.items()}


def _endpoints(services: Sequence[Service], calls: Calls) -> Iterator[tuple[str, Any]]:
    for service in services:
        for method in service.descriptor.methods:
            path = f"/{service.name}/{method.name}"
            behaviour = calls.wrap(
                path, getattr(service.servicer, method.name), streaming=method.server_streaming
            )
            yield path, _endpoint(method, behaviour)


def _endpoint(method: MethodDescriptor, behaviour: Callable[..., Any]) -> Any:
    streams = STREAMS[method.client_streaming, method.server_streaming]
    info = MethodInfo(
        name=method.name,
        service_name=method.containing_service.full_name,
        input=GetMessageClass(method.input_type),
        output=GetMessageClass(method.output_type),
        idempotency_level=_idempotency(method),
        stream_type=streams,
    )
    make = getattr(Endpoint, streams.name.lower())
    wrap = _generator if method.server_streaming else _coroutine
    return make(method=info, function=wrap(info.output, behaviour))


def _idempotency(method: MethodDescriptor) -> IdempotencyLevel:
    level = method.GetOptions().idempotency_level
    name = MethodOptions.IdempotencyLevel.Name(level)
    return IdempotencyLevel[name.removeprefix("IDEMPOTENCY_")]


def _coroutine(kind: type[Message], behaviour: Callable[..., Any]) -> Callable[..., Any]:
    async def call(request: Any, context: Call) -> Any:
        web = WebCall(context)
        with _told(web):
            return _response(kind, await behaviour(_requests(request, web), web))

    return call


def _generator(kind: type[Message], behaviour: Callable[..., Any]) -> Callable[..., Any]:
    async def call(request: Any, context: Call) -> AsyncIterator[Any]:
        web = WebCall(context)
        with _told(web):
            async with aclosing(behaviour(_requests(request, web), web)) as messages:
                async for message in messages:
                    yield _response(kind, message)

    return call


@contextmanager
def _told(web: WebCall) -> Iterator[None]:
    """Raises what a client is to be told when the call was aborted, or the server ends."""
    try:
        yield
    except grpc.aio.AbortError:
        raise web.error from None
    except asyncio.CancelledError as error:
        if error.args != (ENDING,):
            raise
        message = "the server ends before this call did; try again later"
        raise as_connect(UnavailableError(Reason.SHUTTING_DOWN, message)) from None


def _requests(request: Message | AsyncIterator[Message], web: WebCall) -> Any:
    return request if isinstance(request, Message) else _each(request, web)


async def _each(requests: AsyncIterator[Message], web: WebCall) -> AsyncIterator[Message]:
    """The requests of a stream; one that cannot be read aborts the call, as on the other port."""
    try:
        async for request in requests:
            yield request
    except ConnectError as error:
        web.fail(error)


def _response(kind: type[Message], message: Message | bytes) -> Message | Framed:
    return Framed(kind, message) if isinstance(message, bytes) else message
