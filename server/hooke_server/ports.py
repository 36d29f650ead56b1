"""The two ports of a server, gRPC and the page's, on one event loop with the same services."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

from hooke_server.rpc.calls import Calls
from hooke_server.rpc.limits import Limits
from hooke_server.rpc.server import TAKEN, build_server
from hooke_server.rpc.services import Service

if TYPE_CHECKING:
    from hooke_server.rpc.web.server import Listener, WebServer

WEB_NEEDS = ("connectrpc", "starlette", "uvicorn")
"""What the extra `web` installs."""


@dataclass(frozen=True, kw_only=True)
class Web:
    """What is set of the page's port.

    Attributes
    ----------
    address : `HOST:PORT`, or nothing to have no such port.
    hosts : further names under which it may be asked.
    origins : other pages that may call.
    """

    address: str = ""
    hosts: Sequence[str] = ()
    origins: Sequence[str] = ()


class Ports:
    """Where a server listens.

    Attributes
    ----------
    address : of gRPC, with the real port; empty before `start`.
    page : `http://HOST:PORT/`; empty before `start` and where there is none.
    """

    def __init__(
        self, services: Sequence[Service], limits: Limits, *, address: str, web: Web
    ) -> None:
        self.address = ""
        self.page = ""
        self._services = services
        self._limits = limits
        self._calls = Calls(limits)
        self._wanted = address
        self._web_wanted = web
        self._web: WebServer | None = None

    async def start(self) -> None:
        """Open both. OSError, and neither is open, if one cannot be had."""
        self._server = build_server(self._services, self._calls, self._limits)
        listener = self._web_listener()
        try:
            self.address = listen(self._server, self._wanted)
        except OSError:
            if listener:
                listener.close()
            raise
        await self._server.start()
        if listener:
            self._web = self._web_server(listener)
            await self._web.start()
            self.page = f"http://{listener.address}/"

    async def stop(self, grace: float) -> None:
        """Take no more calls, and let those that run end for `grace` seconds."""
        ending = [self._server.stop(grace)]
        if self._web:
            ending.append(self._web.stop(grace))
        await asyncio.gather(*ending)

    def _web_listener(self) -> Listener | None:
        if not self._web_wanted.address or web_missing():
            return None
        from hooke_server.rpc.web.server import Listener

        return Listener(self._web_wanted.address)

    def _web_server(self, listener: Listener) -> WebServer:
        from hooke_server.rpc.web.application import build_application
        from hooke_server.rpc.web.connect import Connect
        from hooke_server.rpc.web.server import WebServer

        application = build_application(
            Connect(self._services, self._calls, self._limits),
            host=listener.host,
            hosts=self._web_wanted.hosts,
            origins=self._web_wanted.origins,
        )
        return WebServer(application, listener, max_connections=self._limits.open_calls)


def web_missing() -> list[str]:
    """What the page's port needs and is not installed."""
    return [name for name in WEB_NEEDS if importlib.util.find_spec(name) is None]


def listen(server: grpc.aio.Server, address: str) -> str:
    """Bind the server; the address with the real port. OSError if that cannot be had."""
    if address.startswith("unix:") and _answers(address.removeprefix("unix:")):
        # grpc would take the socket from the server that has it.
        raise OSError(f"cannot listen on {address}: {TAKEN}; choose another, such as localhost:0")
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        raise OSError(
            f"cannot listen on {address}: {TAKEN}; choose another, such as localhost:0"
        ) from None
    return re.sub(r":0$", f":{port}", address)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0
