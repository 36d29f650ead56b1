"""Tensors that a client sends on a recording, one after another, for the next run."""

from __future__ import annotations

from torch import Tensor

from hooke.v1 import activation_service_pb2
from hooke_server.errors import InvalidArgumentError, Reason, ResourceExhaustedError
from hooke_server.rpc.input_memory import Share
from hooke_server.rpc.limits import MAX_ENTRIES
from hooke_server.rpc.tensors import Upload

RecordActivationsRequest = activation_service_pb2.RecordActivationsRequest


class Uploads:
    """The tensors sent since the last run.

    Parameters
    ----------
    share : the memory that they take; whoever takes them releases it.
    """

    def __init__(self, share: Share) -> None:
        self._share = share
        self._open: Upload | None = None
        self._tensors: dict[int, Tensor] = {}

    def add(self, request: RecordActivationsRequest) -> None:
        """Take one message: a header, a chunk or a trailer."""
        match request.WhichOneof("content"):
            case "tensor_header":
                self._begin(request)
            case "tensor_chunk":
                self._opened("tensor_chunk").add(request.tensor_chunk)
            case "tensor_trailer":
                upload = self._opened("tensor_trailer")
                self._tensors[upload.tensor_id] = upload.finish(request.tensor_trailer)
                self._open = None
            case "configuration":
                raise order("configuration came twice; a recording has one")
            case _:
                raise order("a message without content")

    def take(self) -> dict[int, Tensor]:
        """All tensors by id; they are the caller's now."""
        if self._open is not None:
            raise order(f"tensor {self._open.tensor_id} was not closed by its trailer")
        tensors, self._tensors = self._tensors, {}
        return tensors

    def _begin(self, request: RecordActivationsRequest) -> None:
        header = request.tensor_header
        if self._open is not None:
            raise order(f"tensor_header came before the trailer of tensor {self._open.tensor_id}")
        if header.tensor_id in self._tensors:
            raise InvalidArgumentError(
                Reason.INVALID_FIELD,
                f"there is a tensor {header.tensor_id} already; number them differently",
                field="tensor_header.tensor_id",
                tensor_id=header.tensor_id,
            )
        if len(self._tensors) >= MAX_ENTRIES:
            raise ResourceExhaustedError(
                Reason.LIMIT_EXCEEDED,
                f"{MAX_ENTRIES} tensors came since the last run, which is all that are taken;"
                " send a run",
                limit=MAX_ENTRIES,
            )
        upload = Upload(header)
        self._share.hold(upload.size)
        self._open = upload

    def _opened(self, kind: str) -> Upload:
        if self._open is None:
            raise order(f"{kind} came without a tensor_header before it")
        return self._open


def order(message: str) -> InvalidArgumentError:
    """The error for messages that come in an order that means nothing."""
    rule = "send a configuration, then tensors (header, chunks, trailer) and runs"
    return InvalidArgumentError(Reason.STREAM_ORDER, f"{message}; {rule}", field="content")
