"""What happens around every call, of every service, on every path.

One interceptor, so that no call can miss a part of it: admission, the length of
lists, translation of errors, the access log, and responses that are encoded already.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import Message
from grpc_status import rpc_status

from hooke_server.errors import HookeError, Reason, ResourceExhaustedError
from hooke_server.rpc.errors import internal, status_code, to_status
from hooke_server.rpc.limits import check_lists

access_log = logging.getLogger("hooke.access")

# Generic for type checkers only.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

EXEMPT = ("/grpc.health.", "/grpc.reflection.")
"""Always let in, since a full server is still a live one, and logged only for debugging."""


_EARLY = 0.05
"""Seconds by which the client's clock may ring for a deadline before the server's."""


class Edge(grpc.aio.ServerInterceptor):
    """The interceptor.

    Parameters
    ----------
    max_calls : how many calls may be under way at once; health checks do not count.
    """

    def __init__(self, max_calls: int) -> None:
        self._max_calls = max_calls
        self._calls = 0

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The method's handler with all of it around."""
        handler = await continuation(handler_call_details)
        if handler is None:  # no such method: grpc answers UNIMPLEMENTED
            return None
        method = handler_call_details.method
        kind = _kind(handler)
        behaviour = getattr(handler, kind)
        wrap = self._generator if inspect.isasyncgenfunction(behaviour) else self._coroutine
        wrapped = {kind: wrap(method, behaviour), "response_serializer": serialize}
        replaced: Handler = handler._replace(**wrapped)  # type: ignore[attr-defined]
        return replaced

    def _coroutine(self, method: str, behaviour: Callable[..., Awaitable[Any]]) -> Any:
        async def call(request: Any, context: Context) -> Any:
            async with self._around(method, context):
                return await behaviour(checked(request), context)

        return call

    def _generator(self, method: str, behaviour: Callable[..., Any]) -> Any:
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            async with (
                self._around(method, context),
                aclosing(behaviour(checked(request), context)) as messages,
            ):
                async for message in messages:
                    yield message

        return call

    def _admit(self) -> None:
        if self._calls > self._max_calls:
            message = f"{self._max_calls} calls are under way, which is all this server takes"
            raise ResourceExhaustedError(
                Reason.QUEUE_FULL, f"{message}; try again later", max_calls=self._max_calls
            )

    @asynccontextmanager
    async def _around(self, method: str, context: Context) -> AsyncIterator[None]:
        exempt = method.startswith(EXEMPT)
        # Not asked for at the end: grpc may have freed the call by then, and crashes.
        peer, remaining = context.peer(), context.time_remaining()
        code, began = grpc.StatusCode.OK, time.perf_counter()
        reason = ""
        self._calls += not exempt
        try:
            if not exempt:
                self._admit()
            yield
        except HookeError as error:
            code, reason = status_code(error), error.reason
            await context.abort_with_status(rpc_status.to_status(to_status(error)))
        except grpc.aio.AbortError:  # foreign servicers (health) abort by themselves
            code = grpc.StatusCode(context.code())
            raise
        except Exception as error:
            defect = internal(error)
            code, reason = status_code(defect), defect.reason
            await context.abort_with_status(rpc_status.to_status(to_status(defect)))
        except (asyncio.CancelledError, GeneratorExit):
            seconds = time.perf_counter() - began
            late = remaining is not None and seconds > remaining - _EARLY
            code = grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED
            raise
        finally:
            self._calls -= not exempt
            _log(method, peer, code, reason, time.perf_counter() - began, exempt=exempt)


def checked(request: Message | AsyncIterator[Message]) -> Any:
    """The request, or the stream of them, where none has endless lists."""
    if not isinstance(request, Message):
        return _each_checked(request)
    check_lists(request)
    return request


async def _each_checked(requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
    async for request in requests:
        check_lists(request)
        yield request


def serialize(message: Message | bytes) -> bytes:
    """A response's bytes; they must be exactly `bytes`, or grpc would hang."""
    return message if type(message) is bytes else message.SerializeToString()  # type: ignore[union-attr]


def _kind(handler: Handler) -> str:
    """The attribute that holds the handler's behaviour: `unary_stream` and its like."""
    sides = (handler.request_streaming, handler.response_streaming)
    return "_".join("stream" if streaming else "unary" for streaming in sides)


def _log(
    method: str,
    peer: str,
    code: grpc.StatusCode,
    reason: str,
    seconds: float,
    *,
    exempt: bool,
) -> None:
    facts = {
        "method": method,
        "code": code.name,
        "reason": reason,
        "seconds": round(seconds, 6),
        "peer": peer,
    }
    level = logging.DEBUG if exempt else logging.INFO
    access_log.log(
        level,
        "%s %s %s%.1f ms",
        method,
        code.name,
        reason and f"{reason} ",
        seconds * 1e3,
        extra=facts,
    )
