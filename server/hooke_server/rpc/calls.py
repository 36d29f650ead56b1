"""What happens around every call, of every service, on every port.

One piece of code, so that no call can miss a part of it: admission, the length of
lists, translation of errors, and the access log.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from functools import partial
from typing import Any, Protocol, TypeAlias

import grpc
from google.protobuf.message import Message
from grpc_status import rpc_status

from hooke_server.errors import AbortedError, HookeError, Reason
from hooke_server.rpc.access import Access
from hooke_server.rpc.admission import Admission
from hooke_server.rpc.errors import internal, status_code, to_status
from hooke_server.rpc.limits import Limits, check_lists

_EARLY = 0.05
"""Seconds by which the client's clock may ring for a deadline before the server's."""

_LAST_WORDS = 1.0
"""Seconds in which a status should leave; after them gRPC keeps it for a slow reader."""


class Context(Protocol):
    """What is asked of a call, whichever port it came through: a part of grpc's own context."""

    def peer(self) -> str:
        """Who calls."""

    def time_remaining(self) -> float | None:
        """Seconds to the deadline, if there is one."""

    def code(self) -> Any:
        """What the call was aborted with."""

    async def abort_with_status(self, status: grpc.Status) -> Any:
        """End the call by raising `grpc.aio.AbortError`."""


Around: TypeAlias = Callable[[Context], AbstractAsyncContextManager[Access]]


class Calls:
    """The calls that are under way, on all ports together.

    Attributes
    ----------
    patience : seconds that a message may wait for a reader that takes nothing.
    """

    def __init__(self, limits: Limits) -> None:
        self.patience = limits.stall_seconds
        self._admission = Admission(limits)

    def wrap(
        self, method: str, behaviour: Callable[..., Any], *, streaming: bool
    ) -> Callable[..., Any]:
        """The method of a servicer with all of it around.

        Parameters
        ----------
        method : its path, `/hooke.v1.ModelService/GetModel`.
        behaviour : takes a request, or an iterator of them, and a context; a coroutine
            function, or an async generator of messages.
        streaming : whether there may be many responses.
        """
        around = partial(self._around, method, streaming=streaming)
        wrap = _generator if inspect.isasyncgenfunction(behaviour) else _coroutine
        wrapped: Callable[..., Any] = wrap(around, behaviour)
        return wrapped

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


def _coroutine(around: Around, behaviour: Callable[..., Awaitable[Any]]) -> Any:
    async def call(request: Any, context: Context) -> Any:
        async with around(context) as access:
            return await behaviour(checked(request, access), context)

    return call


def _generator(around: Around, behaviour: Callable[..., Any]) -> Any:
    async def call(request: Any, context: Context) -> AsyncIterator[Any]:
        async with (
            around(context) as access,
            aclosing(behaviour(checked(request, access), context)) as messages,
        ):
            async for message in messages:
                yield message

    return call


def stalled(patience: float) -> AbortedError:
    """What a call fails with whose reader takes nothing for so long."""
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
