"""The second port itself: uvicorn on the loop that everything else runs on."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from hooke_server.rpc.server import TAKEN
from hooke_server.rpc.web.call import ENDING

STALL_SECONDS, LAST_WORDS_SECONDS = 0.5, 5.0
"""How long a call that is ended may take to tell its client: one that takes nothing, and others."""


class Listener:
    """A port that is ours; connections wait until the server starts.

    Parameters
    ----------
    address : `HOST:PORT`; port 0 takes a free one. A name that means several addresses,
        as localhost does, is bound at each.

    Attributes
    ----------
    host : as given, without brackets.
    address : with the real port.

    Raises
    ------
    OSError : if it cannot be had.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.host = host.strip("[]")
        self.sockets: list[socket.socket] = []
        try:
            self._bind(int(port))
        except OSError as error:
            self.close()
            raise OSError(f"cannot serve the page on {address}: {_problem(error)}") from None
        self.address = f"{host}:{self.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        """Give the port back."""
        for each in self.sockets:
            each.close()

    def _bind(self, port: int) -> None:
        found = socket.getaddrinfo(
            self.host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        problem: OSError | None = None
        for family, kind, protocol, _, place in dict.fromkeys(found):
            try:
                bound = _bound(family, kind, protocol, (place[0], port, *place[2:]))
            except OSError as error:
                if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                    raise
                problem = error  # a machine without IPv6 may still name ::1
                continue
            self.sockets.append(bound)
            port = bound.getsockname()[1]
        if not self.sockets and problem:
            raise problem


class WebServer:
    """The running port.

    Parameters
    ----------
    listener : where.
    max_connections : how many there may be.
    """

    def __init__(self, app: ASGIApp, listener: Listener, *, max_connections: int) -> None:
        self._listener = listener
        config = uvicorn.Config(
            cast("uvicorn._types.ASGIApplication", app),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=max_connections,
        )
        self._server = _Server(config)

    async def start(self) -> None:
        """Listen."""
        self._task = asyncio.create_task(self._server.serve(self._listener.sockets))
        await self._server.listening

    async def stop(self, grace: float) -> None:
        """Take no more, let calls end for `grace` seconds, then end them."""
        self._server.should_exit = True
        for server in self._server.servers:
            server.close()
        await asyncio.wait({self._task}, timeout=grace)
        if not self._task.done():
            await self._cut()
        await self._task

    async def _cut(self) -> None:
        state = self._server.server_state
        for task in set(state.tasks):
            task.cancel(ENDING)
        for wait, stalled_alone in ((STALL_SECONDS, True), (LAST_WORDS_SECONDS, False)):
            if state.tasks:
                await asyncio.wait(set(state.tasks), timeout=wait)
            for connection in set(state.connections):
                if connection.transport.get_write_buffer_size() or not stalled_alone:
                    connection.transport.abort()


class _Server(uvicorn.Server):
    """Uvicorn's server, without its signal handlers: the process has its own."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        return contextlib.nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except BaseException as error:
            self.listening.set_exception(error)
            raise
        self.listening.set_result(None)


def _bound(family: int, kind: int, protocol: int, place: tuple[str | int, ...]) -> socket.socket:
    made = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere it would let two servers share a port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        _keep_alive(made)
        made.bind(place)
        made.listen()  # from here on nobody else can
    except OSError:
        made.close()
        raise
    return made


def _keep_alive(made: socket.socket) -> None:
    """A client whose machine is gone is noticed, and its work ends."""
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 20), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _problem(error: OSError) -> str:
    if error.errno not in {errno.EADDRINUSE, errno.EADDRNOTAVAIL}:
        return error.strerror or str(error)
    return f"{TAKEN}; choose another web address, such as localhost:0, or off"
