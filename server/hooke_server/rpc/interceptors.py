"""The interceptor of the gRPC port: it puts around each call what `Calls` holds."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import Message

from hooke_server.rpc.calls import Calls, stalled

# Generic for type checkers only.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class Edge(grpc.aio.ServerInterceptor):
    """The interceptor.

    Parameters
    ----------
    calls : what happens around each call.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The method's handler with all of it around, and with responses as they are sent."""
        handler = await continuation(handler_call_details)
        if handler is None:  # no such method: grpc answers UNIMPLEMENTED
            return None
        kind = _kind(handler)
        behaviour = self._calls.wrap(
            handler_call_details.method,
            getattr(handler, kind),
            streaming=handler.response_streaming,
        )
        if inspect.isasyncgenfunction(behaviour):
            behaviour = self._written(behaviour)
        wrapped = {kind: behaviour, "response_serializer": serialize}
        replaced: Handler = handler._replace(**wrapped)  # type: ignore[attr-defined]
        return replaced

    def _written(self, behaviour: Callable[..., AsyncGenerator[Any, None]]) -> Any:
        """A generator's messages, sent; where a reader stalls, that is raised in the generator.

        Left to itself, grpc waits for ever while the reader's window is full.
        """

        async def call(request: Any, context: Context) -> None:
            async with aclosing(behaviour(request, context)) as messages:
                async for message in messages:
                    try:
                        async with asyncio.timeout(self._calls.patience):
                            await context.write(message)
                    except TimeoutError:
                        with suppress(StopAsyncIteration):
                            await messages.athrow(stalled(self._calls.patience))

        return call


def serialize(message: Message | bytes) -> bytes:
    """A response's bytes; they must be exactly `bytes`, or grpc would hang."""
    return message if type(message) is bytes else message.SerializeToString()  # type: ignore[union-attr]


def _kind(handler: Handler) -> str:
    """The attribute that holds the handler's behaviour: `unary_stream` and its like."""
    sides = (handler.request_streaming, handler.response_streaming)
    return "_".join("stream" if streaming else "unary" for streaming in sides)
