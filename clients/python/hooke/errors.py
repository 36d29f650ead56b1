"""What a call can fail with, as one tree of exceptions.

    HookeError
    ├── InvalidArgumentError     the request is wrong whatever the server's state
    ├── OutOfRangeError          right kind of value, beyond the end
    ├── NotFoundError            the name means nothing there
    ├── AlreadyExistsError       the name is taken
    ├── FailedPreconditionError  right request, wrong state or wrong kind of model
    ├── PermissionDeniedError    the server was told not to
    ├── ResourceExhaustedError   too much, now or ever
    ├── UnavailableError         nobody answers, or not now
    ├── AbortedError             stopped in the middle; begin again
    ├── DeadlineExceededError    the timeout passed
    ├── CancelledError           the call was cancelled
    ├── DataLossError            a stream was cut off or its bytes are not those sent
    └── InternalError            a defect of the server

`reason` is one of the contract's `ErrorReason`s without its prefix; the gRPC error
is the exception's `__cause__`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

import grpc

DOMAIN = "hooke"


class HookeError(Exception):
    """Root of the tree, and the class of what is of no kind above.

    Parameters
    ----------
    message : one sentence for people.
    code : name of the gRPC status code.
    reason : why, for programs; empty where the answer is not Hooke's.
    metadata : the changing parts of the message (`nearest`: ids like the one asked for).
    field_violations : what is wrong with which field of the request.
    """

    status: ClassVar[str] = "UNKNOWN"

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        field_violations: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.status
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.field_violations = dict(field_violations or {})


class InvalidArgumentError(HookeError):
    """The request is wrong, whatever the state of the server."""

    status = "INVALID_ARGUMENT"


class OutOfRangeError(HookeError):
    """A right kind of value, beyond the end."""

    status = "OUT_OF_RANGE"


class NotFoundError(HookeError):
    """The name means nothing on this server."""

    status = "NOT_FOUND"


class AlreadyExistsError(HookeError):
    """The name is taken."""

    status = "ALREADY_EXISTS"


class FailedPreconditionError(HookeError):
    """A right request for a wrong state or a wrong kind of model."""

    status = "FAILED_PRECONDITION"


class PermissionDeniedError(HookeError):
    """The server was told not to allow this."""

    status = "PERMISSION_DENIED"


class ResourceExhaustedError(HookeError):
    """Too much: memory, work that waits, or size."""

    status = "RESOURCE_EXHAUSTED"


class UnavailableError(HookeError):
    """Nobody answers, or not now."""

    status = "UNAVAILABLE"


class AbortedError(HookeError):
    """The server stopped the work, because nobody read what it sent; begin again."""

    status = "ABORTED"


class DeadlineExceededError(HookeError):
    """The timeout passed."""

    status = "DEADLINE_EXCEEDED"


class CancelledError(HookeError):
    """The call was cancelled."""

    status = "CANCELLED"


class DataLossError(HookeError):
    """A stream was cut off, or its bytes are not those that were sent."""

    status = "DATA_LOSS"


class InternalError(HookeError):
    """A defect of the server."""

    status = "INTERNAL"


KINDS = {kind.status: kind for kind in HookeError.__subclasses__()}


@contextmanager
def translated(address: str) -> Iterator[None]:
    """Raise a gRPC error of the block as the HookeError that it stands for."""
    try:
        yield
    except grpc.RpcError as error:
        raise from_rpc(error, address) from error


def from_rpc(error: grpc.RpcError, address: str) -> HookeError:
    """The HookeError that a failed call stands for; `address` is where it was sent."""
    # The classes of failed calls are private to gRPC, but each of them is a Call.
    code, message = error.code().name, error.details() or ""
    kind = KINDS.get(code, HookeError)
    info, violations = _details(error)
    if info is None:
        if kind is UnavailableError:
            # gRPC's own words are about sockets; the cause keeps them.
            start = "start one with 'hooke serve --demo', or name another address"
            message = f"no Hooke server answers at {address}; {start}"
        return kind(message, code=code)
    reason, metadata = info
    return kind(message, code=code, reason=reason, metadata=metadata, field_violations=violations)


def _details(error: grpc.RpcError) -> tuple[tuple[str, dict[str, str]] | None, dict[str, str]]:
    """Reason and metadata of our ErrorInfo, if there is one, and the violated fields."""
    # Only a failed call needs these.
    from google.rpc import error_details_pb2
    from grpc_status import rpc_status

    info, violations = None, {}
    try:
        status = rpc_status.from_call(error)
    except ValueError:  # details that contradict the status: not our server's
        status = None
    for detail in status.details if status else ():
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            fact = error_details_pb2.ErrorInfo.FromString(detail.value)
            if fact.domain == DOMAIN:
                info = fact.reason, dict(fact.metadata)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            request = error_details_pb2.BadRequest.FromString(detail.value)
            violations = {each.field: each.description for each in request.field_violations}
    return info, violations
