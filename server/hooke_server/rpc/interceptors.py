"""What happens around every call, of every service, on every path.

One interceptor, so that no call can miss a part of it: admission, the length of
lists, translation of errors, readers that stall, the access log, and responses that
are encoded already.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import Message
from grpc_status import rpc_status

from hooke_server.errors import AbortedError, HookeError, Reason
from hooke_server.rpc.access import Access
from hooke_server.rpc.admission import Admission
from hooke_server.rpc.errors import internal, status_code, to_status
from hooke_server.rpc.limits import Limits, check_lists

# Generic for type checkers only.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Around: TypeAlias = Callable[[Context], AbstractAsyncContextManager[Access]]

_EARLY = 0.05
"""Seconds by which the client's clock may ring for a deadline before the server's."""

_LAST_WORDS = 1.0
"""Seconds in which a status should leave; after them gRPC keeps it for a slow reader."""


class Edge(grpc.aio.ServerInterceptor):
    """The interceptor."""

    def __init__(self, limits: Limits) -> None:
        self._admission = Admission(limits)
        self._patience = limits.stall_seconds

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The method's handler with all of it around."""
        handler = await continuation(handler_call_details)
        if handler is None:  # no such method: grpc answers UNIMPLEMENTED
            return None
        around = partial(
            self._around, handler_call_details.method, streaming=handler.response_streaming
        )
        kind = _kind(handler)
        behaviour = getattr(handler, kind)
        if inspect.isasyncgenfunction(behaviour):
            behaviour = self._written(self._generator(around, behaviour))
        else:
            behaviour = self._coroutine(around, behaviour)
        wrapped = {kind: behaviour, "response_serializer": serialize}
        replaced: Handler = handler._replace(**wrapped)  # type: ignore[attr-defined]
        return replaced

    def _coroutine(self, around: Around, behaviour: Callable[..., Awaitable[Any]]) -> Any:
        async def call(request: Any, context: Context) -> Any:
            async with around(context) as access:
                return await behaviour(checked(request, access), context)

        return call

    def _generator(self, around: Around, behaviour: Callable[..., Any]) -> Any:
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            async with (
                around(context) as access,
                aclosing(behaviour(checked(request, access), context)) as messages,
            ):
                async for message in messages:
                    yield message

        return call

    def _written(self, behaviour: Callable[..., AsyncGenerator[Any, None]]) -> Any:
        """A generator's messages, sent; where a reader stalls, that is raised in the generator.

        Left to itself, grpc waits for ever while the reader's window is full.
        """

        async def call(request: Any, context: Context) -> None:
            async with aclosing(behaviour(request, context)) as messages:
                async for message in messages:
                    try:
                        async with asyncio.timeout(self._patience):
                            await context.write(message)
                    except TimeoutError:
                        with suppress(StopAsyncIteration):
                            await messages.athrow(_stalled(self._patience))

        return call

    @asynccontextmanager
    async def _around(
        self, method: str, context: Context, *, streaming: bool
    ) -> AsyncIterator[Access]:
        # Not asked for at the end: grpc may have freed the call by then, and crashes.
        access, remaining = Access(method, context.peer()), context.time_remaining()
        try:
            with self._admission.place(method, streaming=streaming):
                yield access
        except HookeError as error:
            access.code, access.reason = status_code(error), error.reason
            await _abort(context, error)
        except grpc.aio.AbortError:  # foreign servicers (reflection) abort by themselves
            access.code = grpc.StatusCode(context.code())
            raise
        except Exception as error:
            defect = internal(error)
            access.code, access.reason = status_code(defect), defect.reason
            await _abort(context, defect)
        except (asyncio.CancelledError, GeneratorExit):
            late = remaining is not None and access.seconds > remaining - _EARLY
            access.code = grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED
            raise
        finally:
            access.write()


def _stalled(patience: float) -> AbortedError:
    return AbortedError(
        Reason.READER_STALLED,
        f"the reader took nothing for {patience:g} seconds, so the work was stopped;"
        " begin again, and read what comes as it comes",
        seconds=f"{patience:g}",
    )


async def _abort(context: Context, error: HookeError) -> None:
    """End the call with the error's status; raises AbortError, or later lets grpc raise it.

    A status goes behind what is on its way, so a reader that stalls would hold the call.
    After a moment grpc is left alone with it: it sends the status when the reader goes on.
    """
    try:
        async with asyncio.timeout(_LAST_WORDS):
            await context.abort_with_status(rpc_status.to_status(to_status(error)))
    except TimeoutError:
        return


def checked(request: Message | AsyncIterator[Message], access: Access) -> Any:
    """The request, or the stream of them, where none has endless lists; noted in the log."""
    if not isinstance(request, Message):
        return _each_checked(request, access)
    check_lists(request)
    access.saw(request)
    return request


async def _each_checked(requests: AsyncIterator[Message], access: Access) -> AsyncIterator[Message]:
    async for request in requests:
        yield checked(request, access)


def serialize(message: Message | bytes) -> bytes:
    """A response's bytes; they must be exactly `bytes`, or grpc would hang."""
    return message if type(message) is bytes else message.SerializeToString()  # type: ignore[union-attr]


def _kind(handler: Handler) -> str:
    """The attribute that holds the handler's behaviour: `unary_stream` and its like."""
    sides = (handler.request_streaming, handler.response_streaming)
    return "_".join("stream" if streaming else "unary" for streaming in sides)
