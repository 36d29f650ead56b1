"""What the second port answers: calls by their paths, `/healthz`, and the page for the rest."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence
from pathlib import Path

from connectrpc.method import StreamType
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hooke_server.rpc.web.connect import Connect
from hooke_server.rpc.web.guards import HEALTH_PATH, HostGuard, SecurityHeaders, is_foreign
from hooke_server.rpc.web.pages import FOLDER, Pages

_METHOD = re.compile(r"/[\w.]+\.[\w.]+/\w+")
"""What looks like a method: a service's full name, then a name."""

_EITHER = {"application/grpc-web", "application/grpc-web+proto", "application/grpc-web+json"}
MEDIA_TYPES = {
    True: {"application/connect+json", "application/connect+proto"} | _EITHER,
    False: {"application/json", "application/proto"} | _EITHER,
}
"""What a call may come as, by whether it streams."""

SHOWN_HEADERS = ["grpc-status", "grpc-message", "grpc-status-details-bin"]
"""What a page of another origin may read, where it may call at all: gRPC-Web's status."""

FOREIGN = (
    "pages of other sites may not call. Whoever runs this server can let them:"
    " hooke serve --web-origin ORIGIN"
)


class Dispatch:
    """Calls go to Connect, everything else to the page.

    Parameters
    ----------
    origins : other pages that may call.
    """

    def __init__(self, connect: Connect, pages: ASGIApp, origins: Sequence[str] = ()) -> None:
        self._connect = connect
        self._streams = connect.streams
        self._patience = connect.patience
        self._pages = pages
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope["path"]
        if path in self._streams and is_foreign(scope, self._origins):
            app = _refusal(403, FOREIGN, "permission_denied")
        elif path in self._streams:
            app = _wrong_type(scope, self._streams[path]) or self._connect
        elif _METHOD.fullmatch(path):
            app = _refusal(404, f"there is no method {path[1:200]}")
        else:
            app = self._pages
        # Only the server's end cancels what stands here, and that is no failure.
        with contextlib.suppress(asyncio.CancelledError):
            await app(scope, receive, self._timely(send))

    def _timely(self, send: Send) -> Send:
        """The same, which gives up a reader that stalls; Connect ends a call whose answer fails."""

        async def timely(message: Message) -> None:
            async with asyncio.timeout(self._patience):
                await send(message)

        return timely


def build_application(
    connect: Connect,
    *,
    host: str,
    hosts: Sequence[str] = (),
    origins: Sequence[str] = (),
    folder: Path = FOLDER,
) -> ASGIApp:
    """The application of the second port.

    Parameters
    ----------
    host : what the port is bound to.
    hosts : further names under which it may be asked.
    origins : other pages that may call, `http://localhost:5173`.
    folder : where the page's files are.
    """
    pages = Starlette(routes=[Route(HEALTH_PATH, _healthy), Mount("/", Pages(folder))])
    app: ASGIApp = Dispatch(connect, pages, origins)
    if origins:
        app = CORSMiddleware(
            app,
            allow_origins=list(origins),
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=SHOWN_HEADERS,
            max_age=600,
        )
    return SecurityHeaders(HostGuard(app, host, hosts))


async def _healthy(request: Request) -> Response:
    return PlainTextResponse("ok\n")


def _wrong_type(scope: Scope, streams: StreamType) -> ASGIApp | None:
    """The answer to a call in a form that is not spoken here; none to others.

    The forms are also what keeps forms of foreign pages out: a browser sends none of them
    without asking first.
    """
    if scope["method"] != "POST":
        return None
    given = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
    known = MEDIA_TYPES[streams is not StreamType.UNARY]
    if given in known:
        return None
    message = f"{given or 'no content-type'!r} is not spoken here; this call may be"
    return _refusal(415, f"{message} {', '.join(sorted(known))}")


def _refusal(status: int, message: str, code: str = "unimplemented") -> ASGIApp:
    """An answer in the form of Connect's errors."""
    return JSONResponse({"code": code, "message": message}, status)
