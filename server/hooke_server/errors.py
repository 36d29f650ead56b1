"""What can go wrong, as one tree of exceptions.

A `HookeError` is a *kind* of failure (its class, which the edge translates to a
status code), a *reason* (which the contract lists, for programs) and a message
(for people: what was asked, what exists, what to do). Whatever changes in the
message is repeated in `metadata`. Nothing else is ever told to a client.

    HookeError
    ├── InvalidArgumentError     the request is wrong whatever the server's state
    ├── OutOfRangeError          right kind of value, beyond the end
    ├── NotFoundError            the name means nothing here
    ├── AlreadyExistsError       the name is taken
    ├── FailedPreconditionError  right request, wrong state or wrong kind of model
    ├── PermissionDeniedError    the server was told not to
    ├── ResourceExhaustedError   too much, now or ever
    ├── UnavailableError         try another time
    ├── AbortedError             stopped in the middle; begin again
    └── InternalError            our defect
"""

from __future__ import annotations

from enum import StrEnum

DOMAIN = "hooke"


class Reason(StrEnum):
    """Why a call failed; the same names as `hooke.v1.ErrorReason`, which explains each."""

    INVALID_FIELD = "INVALID_FIELD"
    INVALID_PAGE_TOKEN = "INVALID_PAGE_TOKEN"  # noqa: S105  # not a password
    STREAM_ORDER = "STREAM_ORDER"
    INPUT_MISMATCH = "INPUT_MISMATCH"
    INPUT_NOT_FINITE = "INPUT_NOT_FINITE"
    IMAGE_UNREADABLE = "IMAGE_UNREADABLE"
    IMAGE_TOO_LARGE = "IMAGE_TOO_LARGE"
    TENSOR_CORRUPT = "TENSOR_CORRUPT"
    UNIT_OUT_OF_RANGE = "UNIT_OUT_OF_RANGE"
    POSITION_OUT_OF_RANGE = "POSITION_OUT_OF_RANGE"
    LABEL_AMBIGUOUS = "LABEL_AMBIGUOUS"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    LAYER_NOT_FOUND = "LAYER_NOT_FOUND"
    WEIGHT_NOT_FOUND = "WEIGHT_NOT_FOUND"
    TECHNIQUE_NOT_FOUND = "TECHNIQUE_NOT_FOUND"
    LABEL_NOT_FOUND = "LABEL_NOT_FOUND"
    SOURCE_NOT_FOUND = "SOURCE_NOT_FOUND"
    CHECKPOINT_NOT_FOUND = "CHECKPOINT_NOT_FOUND"
    MODEL_EXISTS = "MODEL_EXISTS"
    MODEL_NOT_READY = "MODEL_NOT_READY"
    MODEL_INVALID = "MODEL_INVALID"
    MODEL_UNSUPPORTED = "MODEL_UNSUPPORTED"
    TECHNIQUE_NOT_APPLICABLE = "TECHNIQUE_NOT_APPLICABLE"
    ADMIN_DISABLED = "ADMIN_DISABLED"
    CODE_NOT_ALLOWED = "CODE_NOT_ALLOWED"
    MEMORY_BUDGET_EXCEEDED = "MEMORY_BUDGET_EXCEEDED"
    QUEUE_FULL = "QUEUE_FULL"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    READER_STALLED = "READER_STALLED"
    INTERNAL = "INTERNAL"


class HookeError(Exception):
    """Root of the tree.

    Parameters
    ----------
    reason : which of the contract's reasons.
    message : one sentence for people; no path, no address, no traceback.
    field : the request's field at fault, as a proto path (`readouts[0].units`).
    metadata : the changing parts of the message, for programs.
    """

    def __init__(
        self, reason: Reason, message: str, *, field: str | None = None, **metadata: object
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field
        self.metadata = {key: str(value) for key, value in metadata.items()}

    def __reduce__(self) -> tuple[object, ...]:
        """Cross a process boundary whole; by default keyword arguments are lost."""
        return _restore, (type(self), self.reason, self.message, self.field, self.metadata)


def _restore(
    kind: type[HookeError], reason: Reason, message: str, field: str, metadata: dict[str, str]
) -> HookeError:
    return kind(reason, message, field=field, **metadata)


class InvalidArgumentError(HookeError):
    """The request is wrong, whatever the state of the server."""


def invalid(message: str, field: str, **facts: object) -> InvalidArgumentError:
    """The error for a field whose value is never taken; the facts are metadata."""
    return InvalidArgumentError(Reason.INVALID_FIELD, message, field=field, **facts)


class OutOfRangeError(HookeError):
    """A right kind of value, beyond the end."""


class NotFoundError(HookeError):
    """The name means nothing here."""


class AlreadyExistsError(HookeError):
    """The name is taken."""


class FailedPreconditionError(HookeError):
    """A right request for a wrong state or a wrong kind of model."""


class PermissionDeniedError(HookeError):
    """The server was told not to allow this."""


class ResourceExhaustedError(HookeError):
    """Too much: memory, work that waits, or size."""


def memory_exceeded(what: str, needed: int, budget: int, advice: str) -> ResourceExhaustedError:
    """The error for work that the memory for all work together could not hold even alone."""
    return ResourceExhaustedError(
        Reason.MEMORY_BUDGET_EXCEEDED,
        f"{what} needs about {_readable(needed)} of memory, more than the {_readable(budget)} that"
        f" all work together may use (--work-memory of the server); ask for {advice}",
        memory_bytes=needed,
        budget=budget,
    )


def _readable(count: int) -> str:
    power = min((max(count, 1).bit_length() - 1) // 10, 3)
    return f"{count / 1024**power:.3g} {('bytes', 'KiB', 'MiB', 'GiB')[power]}"


class UnavailableError(HookeError):
    """Not now."""


class AbortedError(HookeError):
    """Work that was stopped in the middle; it can begin again."""


class InternalError(HookeError):
    """A defect of the server."""
