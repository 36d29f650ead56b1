"""A Connect request as a servicer and `Calls` see it: a part of grpc's context."""

from __future__ import annotations

from typing import Any, NoReturn

import grpc
from connectrpc.code import Code
from connectrpc.errors import ConnectError, ErrorDetail
from connectrpc.request import RequestContext
from google.rpc import status_pb2
from protobuf.wkt import Any as Packed

ENDING = "the server ends"
"""What a task is cancelled with when it may go on no longer."""

_DETAILS = "grpc-status-details-bin"


def connect_code(code: grpc.StatusCode) -> Code:
    """Connect's code of that meaning; all but one have gRPC's name."""
    return Code.CANCELED if code is grpc.StatusCode.CANCELLED else Code(code.name.lower())


CODES = {connect_code(code): code for code in grpc.StatusCode if code is not grpc.StatusCode.OK}
"""gRPC's codes by Connect's."""


class WebCall:
    """The context of one call.

    Attributes
    ----------
    error : what the call was aborted with, for the client.
    """

    def __init__(self, context: RequestContext[Any, Any]) -> None:
        self.error = ConnectError(Code.UNKNOWN, "")
        self._context = context
        self._code = grpc.StatusCode.UNKNOWN

    def peer(self) -> str:
        """Who calls."""
        return f"http:{self._context.client_address or ''}"

    def time_remaining(self) -> float | None:
        """Seconds to the deadline, if there is one."""
        left = self._context.timeout_ms
        return None if left is None else left / 1000

    def code(self) -> grpc.StatusCode:
        """What the call was aborted with."""
        return self._code

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        """End the call with a status and its details."""
        packed = dict(status.trailing_metadata or ()).get(_DETAILS, b"")
        details = status_pb2.Status.FromString(packed).details
        self.fail(connect_error(status.code, status.details, details))

    def fail(self, error: ConnectError) -> NoReturn:
        """End the call with what the client is to see."""
        self.error = error
        self._code = CODES[error.code]
        raise grpc.aio.AbortError


def connect_error(code: grpc.StatusCode, message: str, details: Any = ()) -> ConnectError:
    """An error as Connect's clients and those of gRPC-Web see it.

    Parameters
    ----------
    details : `google.protobuf.Any` messages.
    """
    packed = (Packed(type_url=each.type_url, value=each.value) for each in details)
    return ConnectError(connect_code(code), message, [ErrorDetail(each) for each in packed])
