"""From errors to statuses: the one place where a failure becomes what a client sees.

A `HookeError` becomes a `google.rpc.Status` with exactly one `ErrorInfo` and the
detail that its code calls for. Anything else is a defect of ours: the client
learns an id, the log holds the rest.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as details_pb2
from google.rpc import status_pb2

from hooke_server import errors
from hooke_server.errors import DOMAIN, HookeError, InternalError, NotFoundError, Reason

logger = logging.getLogger(__name__)

CODES: dict[type[HookeError], grpc.StatusCode] = {
    errors.InvalidArgumentError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.OutOfRangeError: grpc.StatusCode.OUT_OF_RANGE,
    errors.NotFoundError: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExistsError: grpc.StatusCode.ALREADY_EXISTS,
    errors.FailedPreconditionError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.PermissionDeniedError: grpc.StatusCode.PERMISSION_DENIED,
    errors.ResourceExhaustedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.UnavailableError: grpc.StatusCode.UNAVAILABLE,
    errors.AbortedError: grpc.StatusCode.ABORTED,
    errors.InternalError: grpc.StatusCode.INTERNAL,
}

RETRY_SECONDS = {Reason.QUEUE_FULL: 1, Reason.MODEL_NOT_READY: 1, Reason.SHUTTING_DOWN: 5}
"""Where trying again can help, and when."""

# Trailers of more than about 8 KiB are dropped on the way, the status with them.
# The message travels three times, once of them percent-encoded.
_MESSAGE_BYTES = 768
_VALUE_BYTES = 256


def status_code(error: HookeError) -> grpc.StatusCode:
    """The code of the error's class, or of the nearest class above it."""
    return next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)


def to_status(error: HookeError) -> status_pb2.Status:
    """The error as a client sees it."""
    message = shortened(error.message, _MESSAGE_BYTES)
    told = error.metadata | ({"field": error.field} if error.field else {})
    metadata = {key: shortened(value, _VALUE_BYTES) for key, value in told.items()}
    info = details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)
    status = status_pb2.Status(code=status_code(error).value[0], message=message)
    for detail in (info, *_further(error, message, metadata)):
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def internal(error: Exception) -> InternalError:
    """What a client learns of a defect: an id under which the log holds all of it."""
    incident = secrets.token_hex(6)
    logger.error("incident %s", incident, exc_info=error, extra={"incident": incident})
    return InternalError(
        Reason.INTERNAL,
        f"the server failed at this call; its log tells more under the id {incident}",
        incident=incident,
    )


@contextmanager
def about(model_id: str) -> Iterator[None]:
    """Tell with layers that are not found which model lacks them."""
    try:
        yield
    except NotFoundError as error:
        if error.reason is Reason.LAYER_NOT_FOUND:
            error.metadata.setdefault("model", model_id)
        raise


def shortened(text: str, limit: int) -> str:
    """The text in at most `limit` bytes of UTF-8."""
    data = text.encode(errors="replace")
    return text if len(data) <= limit else data[: limit - 3].decode(errors="ignore") + "..."


def _further(error: HookeError, message: str, metadata: dict[str, str]) -> list[Message]:
    """The details that go with the code, beside `ErrorInfo`."""
    if isinstance(error, errors.InvalidArgumentError | errors.OutOfRangeError):
        violation = details_pb2.BadRequest.FieldViolation(
            field=error.field or "", description=message, reason=error.reason
        )
        return [details_pb2.BadRequest(field_violations=[violation])]
    if isinstance(error, errors.NotFoundError):
        kind = error.reason.removesuffix("_NOT_FOUND").lower()
        # Of a source its file or architecture; what was looked for stands first.
        resource = metadata.get(kind) or next(iter(metadata.values()), "")
        return [details_pb2.ResourceInfo(resource_type=kind, resource_name=resource)]
    if isinstance(error, errors.FailedPreconditionError):
        subject = metadata.get("layer") or metadata.get("model", "")
        violation = details_pb2.PreconditionFailure.Violation(
            type=error.reason, subject=subject, description=message
        )
        return [details_pb2.PreconditionFailure(violations=[violation])]
    if error.reason in RETRY_SECONDS:
        delay = Duration(seconds=RETRY_SECONDS[error.reason])
        return [details_pb2.RetryInfo(retry_delay=delay)]
    return []
