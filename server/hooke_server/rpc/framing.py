"""What the server streams: numbered messages, and tensors taken apart into them.

A chunk is framed by hand, because protobuf would copy its bytes twice more than
the one copy that is needed. What results equals protobuf's own encoding byte for
byte, which a test proves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import google_crc32c
import numpy as np
import torch
from torch import Tensor

from hooke.v1 import frame_pb2, model_service_pb2, tensor_pb2
from hooke_server.errors import FailedPreconditionError, InvalidArgumentError, Reason
from hooke_server.rpc.tensors import DTYPES

DEFAULT_CHUNK = 1 << 20
MIN_CHUNK = 64 << 10
MAX_CHUNK = 2 << 20

_VARINT, _BYTES = 0, 2  # wire types

M = TypeVar("M", frame_pb2.Frame, model_service_pb2.StreamWeightsResponse)


def chunk_size(asked: int | None, field: str = "chunk_bytes") -> int:
    """Bytes of a chunk: as asked for, or the default."""
    if asked is None:
        return DEFAULT_CHUNK
    if not MIN_CHUNK <= asked <= MAX_CHUNK:
        message = f"{field} must be between {MIN_CHUNK} and {MAX_CHUNK}, not {asked}"
        raise InvalidArgumentError(Reason.INVALID_FIELD, message, field=field, chunk_bytes=asked)
    return asked


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A tensor that is ready to go: its header, and its bytes as uint8 [total_bytes]."""

    header: tensor_pb2.TensorHeader
    data: np.ndarray


def outgoing(tensor: Tensor, header: tensor_pb2.TensorHeader) -> Outgoing:
    """Bring the tensor's bytes to host memory and into order; complete the header.

    May copy and wait for a device, so it belongs on the compute thread.
    """
    if tensor.dtype not in DTYPES:
        raise FailedPreconditionError(
            Reason.MODEL_UNSUPPORTED,
            f"values of type {str(tensor.dtype).removeprefix('torch.')} cannot be sent;"
            " ask for a cast, or read another layer",
        )
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    header.dtype = DTYPES[tensor.dtype]
    header.shape[:] = tensor.shape
    header.total_bytes = flat.numel() * flat.element_size()
    return Outgoing(header=header, data=flat.view(torch.uint8).numpy())


class Sender(Generic[M]):
    """Numbers the messages of one stream, and the tensors in it.

    Parameters
    ----------
    kind : the stream's message: `sequence` is its field 1, `tensor_chunk` a later one.
    chunk_bytes : size of every chunk of a tensor but its last.
    """

    def __init__(self, kind: type[M], chunk_bytes: int = DEFAULT_CHUNK) -> None:
        self._kind: Callable[..., M] = kind
        self._chunk_bytes = chunk_bytes
        self._chunk_field = kind.DESCRIPTOR.fields_by_name["tensor_chunk"].number
        self._messages = 0
        self._tensors = 0

    def message(self, **content: Any) -> M:
        """The stream's next message."""
        self._messages += 1
        return self._kind(sequence=self._messages, **content)

    def tensor(self, tensor: Outgoing) -> Iterator[M]:
        """Header, chunks and trailer, each made when it is asked for.

        Chunks are encoded already: `bytes`, which the interceptor's serializer lets
        through, in the place of a message.
        """
        self._tensors += 1
        tensor.header.tensor_id = self._tensors
        yield self.message(tensor_header=tensor.header)
        crc, total = 0, tensor.data.nbytes
        for offset in range(0, total, self._chunk_bytes):
            data = tensor.data[offset : offset + self._chunk_bytes]
            chunk = self._chunk(offset, data)
            # Of what is sent: the tensor may be a weight that is being trained.
            sent = np.frombuffer(chunk, np.uint8, offset=len(chunk) - data.nbytes)
            crc = google_crc32c.extend(crc, sent)
            yield cast("M", chunk)
        yield self.message(
            tensor_trailer=tensor_pb2.TensorTrailer(
                tensor_id=self._tensors, total_bytes=total, crc32c=crc
            )
        )

    def _chunk(self, offset: int, data: np.ndarray) -> bytes:
        """`kind(sequence=..., tensor_chunk=TensorChunk(...)).SerializeToString()`, one copy."""
        self._messages += 1
        head = _number(1, self._tensors) + _number(2, offset) + _length(3, data.nbytes)
        chunk_bytes = len(head) + data.nbytes
        before = _number(1, self._messages) + _length(self._chunk_field, chunk_bytes)
        return b"".join((before, head, data.data))


def _number(field: int, value: int) -> bytes:
    """A whole number; proto3 leaves out a zero."""
    return bytes([field << 3 | _VARINT]) + _varint(value) if value else b""


def _length(field: int, size: int) -> bytes:
    """What stands before `size` bytes."""
    return bytes([field << 3 | _BYTES]) + _varint(size)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first, the top bit set on all but the last."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)
