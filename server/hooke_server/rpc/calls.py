"""What happens around every call, of every service, on every port.

One piece of code, so that no call can miss a part of it: admission, the length of
lists, translation of errors, and the access log.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, Protocol

import grpc
from google.protobuf.message import Message
from grpc_status import rpc_status

from hooke_server.errors import HookeError, Reason, ResourceExhaustedError
from hooke_server.rpc.errors import internal, status_code, to_status
from hooke_server.rpc.limits import check_lists

access_log = logging.getLogger("hooke.access")

EXEMPT = ("/grpc.health.", "/grpc.reflection.")
"""Always let in, since a full server is still a live one, and logged only for debugging."""

_EARLY = 0.05
"""Seconds by which the client's clock may ring for a deadline before the server's."""


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


class Calls:
    """The calls that are under way, on all ports together.

    Parameters
    ----------
    max_calls : how many there may be at once; health checks do not count.
    """

    def __init__(self, max_calls: int) -> None:
        self._max_calls = max_calls
        self._calls = 0

    def wrap(self, method: str, behaviour: Callable[..., Any]) -> Callable[..., Any]:
        """The method of a servicer with all of it around.

        Parameters
        ----------
        method : its path, `/hooke.v1.ModelService/GetModel`.
        behaviour : takes a request, or an iterator of them, and a context; a coroutine
            function, or an async generator of messages.
        """
        wrap = self._generator if inspect.isasyncgenfunction(behaviour) else self._coroutine
        wrapped: Callable[..., Any] = wrap(method, behaviour)
        return wrapped

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
