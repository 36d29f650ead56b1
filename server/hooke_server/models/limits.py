"""What a model file may ask of the server before it is believed, and how it is refused."""

from __future__ import annotations

from dataclasses import dataclass

from hooke_server.errors import FailedPreconditionError, Reason, ResourceExhaustedError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds for files from outside, far above any honest model.

    Attributes
    ----------
    file_bytes : size of a file, and of all that an archive holds.
    header_bytes : of the list of a safetensors file's tensors.
    graph_bytes : of the part of a file that describes a graph, or a pickle.
    entries : tensors of a checkpoint, members of an archive, nodes of a graph.
    opcodes : of a pickle, which has some thirty for each tensor.
    tensor_bytes : of one value that a graph computes for one sample.
    companions : further files in which one model keeps its weights.
    """

    file_bytes: int = 16 << 30
    header_bytes: int = 1 << 20
    graph_bytes: int = 64 << 20
    entries: int = 100_000
    opcodes: int = 5_000_000
    tensor_bytes: int = 1 << 30
    companions: int = 1_000


def broken(why: str) -> FailedPreconditionError:
    """The error for a file that is not what it should be."""
    return FailedPreconditionError(Reason.MODEL_INVALID, f"this model file is not read: {why}")


def unsupported(why: str) -> FailedPreconditionError:
    """The error for a file that may be right, but for what it has there is no way here."""
    hint = "exporting the network to ONNX and loading that file may work"
    return FailedPreconditionError(Reason.MODEL_UNSUPPORTED, f"{why}; {hint}")


def check_limit(what: str, count: int, limit: int) -> None:
    """ResourceExhaustedError (LIMIT_EXCEEDED) if there is too much of something."""
    if count > limit:
        raise ResourceExhaustedError(
            Reason.LIMIT_EXCEEDED,
            f"this model file has {count} {what}, at most {limit} are read",
            limit=limit,
        )


def shown(value: object) -> str:
    """A piece of a file for a message: quoted, escaped and short."""
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
