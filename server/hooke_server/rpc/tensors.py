"""Element types of the contract, and tensors that clients send.

A tensor comes whole in a `Tensor` message or in parts: header, chunks, trailer.
Nothing a client says about sizes is believed before it was checked, and no
memory is touched for bytes that did not come.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import google_crc32c
import numpy as np
import torch
from torch import Tensor

from hooke.v1 import tensor_pb2
from hooke_server.errors import InvalidArgumentError, Reason

MAX_RANK = 16

DTYPES: dict[torch.dtype, tensor_pb2.DataType.ValueType] = {
    torch.bool: tensor_pb2.DATA_TYPE_BOOL,
    torch.uint8: tensor_pb2.DATA_TYPE_UINT8,
    torch.uint16: tensor_pb2.DATA_TYPE_UINT16,
    torch.uint32: tensor_pb2.DATA_TYPE_UINT32,
    torch.uint64: tensor_pb2.DATA_TYPE_UINT64,
    torch.int8: tensor_pb2.DATA_TYPE_INT8,
    torch.int16: tensor_pb2.DATA_TYPE_INT16,
    torch.int32: tensor_pb2.DATA_TYPE_INT32,
    torch.int64: tensor_pb2.DATA_TYPE_INT64,
    torch.float16: tensor_pb2.DATA_TYPE_FP16,
    torch.float32: tensor_pb2.DATA_TYPE_FP32,
    torch.float64: tensor_pb2.DATA_TYPE_FP64,
    torch.bfloat16: tensor_pb2.DATA_TYPE_BF16,
}
TORCH_DTYPES = {wire: dtype for dtype, wire in DTYPES.items()}


def wire_dtype(dtype: torch.dtype) -> tensor_pb2.DataType.ValueType:
    """The contract's name of an element type; UNSPECIFIED where it has none (complex)."""
    return DTYPES.get(dtype, tensor_pb2.DATA_TYPE_UNSPECIFIED)


def torch_dtype(wire: tensor_pb2.DataType.ValueType, field: str) -> torch.dtype:
    """The element type of that name, or InvalidArgumentError."""
    if wire not in TORCH_DTYPES:
        known = ", ".join(tensor_pb2.DataType.Name(each)[10:] for each in TORCH_DTYPES)
        message = f"{field} must be one of {known}"
        raise InvalidArgumentError(Reason.INVALID_FIELD, message, field=field, dtype=wire)
    return TORCH_DTYPES[wire]


def read_tensor(message: tensor_pb2.Tensor, field: str) -> Tensor:
    """A tensor that came whole, as a tensor of its own memory."""
    dtype, shape = torch_dtype(message.dtype, f"{field}.dtype"), tuple(message.shape)
    data = bytearray(message.data)
    expected = size_in_bytes(dtype, shape, field)
    if len(data) != expected:
        raise _corrupt(
            f"{_described(dtype, shape)} takes {expected} bytes, but {len(data)} came",
            field,
            expected=expected,
            received=len(data),
        )
    return _from_bytes(data, dtype, shape, field)


def size_in_bytes(dtype: torch.dtype, shape: Sequence[int], field: str) -> int:
    """Bytes of such a tensor; Python's integers do not overflow."""
    if len(shape) > MAX_RANK:
        message = f"{field} has {len(shape)} dimensions; at most {MAX_RANK} are taken"
        raise InvalidArgumentError(
            Reason.INVALID_FIELD, message, field=f"{field}.shape", rank=len(shape)
        )
    if any(extent < 0 for extent in shape):
        message = f"{field} has the shape {list(shape)}; no extent can be negative"
        raise InvalidArgumentError(
            Reason.INVALID_FIELD, message, field=f"{field}.shape", shape=list(shape)
        )
    return math.prod(shape) * dtype.itemsize


class Upload:
    """One tensor that comes in parts.

    Parameters
    ----------
    header : what the client announces.

    Attributes
    ----------
    size : bytes that it takes; none of them before the first chunk.
    """

    def __init__(self, header: tensor_pb2.TensorHeader) -> None:
        field = "tensor_header"
        self.tensor_id = header.tensor_id
        self._dtype = torch_dtype(header.dtype, f"{field}.dtype")
        self._shape = tuple(header.shape)
        size = size_in_bytes(self._dtype, self._shape, field)
        if header.total_bytes != size:
            raise _corrupt(
                f"{_described(self._dtype, self._shape)} takes {size} bytes,"
                f" but the header announces {header.total_bytes}",
                f"{field}.total_bytes",
                expected=size,
                announced=header.total_bytes,
            )
        self.size = size
        self._data = bytearray()
        self._received = 0
        self._crc = 0

    def add(self, chunk: tensor_pb2.TensorChunk) -> None:
        """Append the chunk's bytes; it must be the next of this tensor."""
        data = chunk.data  # each access of a bytes field makes a copy
        end = self._received + len(data)
        if chunk.tensor_id != self.tensor_id or chunk.offset != self._received:
            raise _corrupt(
                f"expected the chunk of tensor {self.tensor_id} at offset {self._received},"
                f" got tensor {chunk.tensor_id} at offset {chunk.offset}",
                "tensor_chunk",
                tensor_id=self.tensor_id,
                expected=self._received,
                received=chunk.offset,
            )
        if end > self.size:
            raise _corrupt(
                f"the chunks of tensor {self.tensor_id} are longer than the {self.size}"
                " bytes that its header announced",
                "tensor_chunk",
                tensor_id=self.tensor_id,
                announced=self.size,
            )
        if not self._data:
            self._data = bytearray(self.size)
        self._data[self._received : end] = data
        self._crc = google_crc32c.extend(self._crc, data)
        self._received = end

    def finish(self, trailer: tensor_pb2.TensorTrailer) -> Tensor:
        """The tensor, if all bytes came as they were sent."""
        facts = {
            "tensor_id": (trailer.tensor_id, self.tensor_id),
            "total_bytes": (trailer.total_bytes, self.size),
            "bytes received": (self._received, self.size),
            "crc32c": (trailer.crc32c, self._crc),
        }
        for name, (value, expected) in facts.items():
            if value != expected:
                raise _corrupt(
                    f"tensor {self.tensor_id} did not come as it was sent:"
                    f" {name} is {value}, expected {expected}",
                    "tensor_trailer",
                    tensor_id=self.tensor_id,
                    fact=name,
                    value=value,
                    expected=expected,
                )
        return _from_bytes(self._data, self._dtype, self._shape, "tensor_chunk")


def _from_bytes(data: bytearray, dtype: torch.dtype, shape: tuple[int, ...], field: str) -> Tensor:
    if dtype is torch.bool and np.frombuffer(data, np.uint8).max(initial=0) > 1:
        raise _corrupt("the bytes of a BOOL tensor must be 0 or 1", field)
    if not data:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(data, dtype=dtype).reshape(shape)


def _described(dtype: torch.dtype, shape: Sequence[int]) -> str:
    return f"a {tensor_pb2.DataType.Name(DTYPES[dtype])[10:]} tensor of shape {list(shape)}"


def _corrupt(message: str, field: str, **facts: object) -> InvalidArgumentError:
    return InvalidArgumentError(Reason.TENSOR_CORRUPT, message, field=field, **facts)
