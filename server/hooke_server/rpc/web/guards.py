"""What stands between a browser and the services: which names are ours, and strict headers.

A page of somebody else can have its own name lead to this machine (DNS rebinding) and
then call what listens there. It cannot choose the Host header, which holds its own name.
Nor can it choose Sec-Fetch-Site, by which a browser tells of each request, even one that needs no
permission such as an image's, whether a page of another site made it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEALTH_PATH = "/healthz"
"""For load balancers, which call by whatever name; it tells nothing."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
ANY_ADDRESS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  # nothing is bound here

SECURITY = {
    "content-security-policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob: data:",
            "font-src 'self'",
            "connect-src 'self'",
            "worker-src 'self'",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
}


class HostGuard:
    """Lets in only what asks for a name of ours.

    Parameters
    ----------
    host : what the port is bound to; a number is any of the machine's where that is none in
        particular, since a name is what an attack needs.
    others : further names.
    """

    def __init__(self, app: ASGIApp, host: str, others: Iterable[str] = ()) -> None:
        self._app = app
        self._names = LOOPBACK | {name.lower() for name in (host, *others)} - ANY_ADDRESS
        self._numbers = host in ANY_ADDRESS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 421 to what asks for another name."""
        host = Headers(scope=scope).get("host", "")
        if scope["path"] == HEALTH_PATH or self._ours(_name(host)):
            await self._app(scope, receive, send)
            return
        message = (
            f"This server is not {host[:200]!r}. Whoever runs it can say that it is:"
            " hooke serve --web-host NAME\n"
        )
        await PlainTextResponse(message, 421)(scope, receive, send)

    def _ours(self, name: str) -> bool:
        return name in self._names or (self._numbers and _is_number(name))


class SecurityHeaders:
    """Puts `SECURITY` on each response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def is_foreign(scope: Scope, origins: Collection[str]) -> bool:
    """Whether a page that is neither ours nor of these origins has a browser ask."""
    headers = Headers(scope=scope)
    if headers.get("sec-fetch-site") not in {"cross-site", "same-site"}:
        return False
    return headers.get("origin") not in origins


def _name(host: str) -> str:
    """The name in a Host header: no port, no brackets, lower case."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
