"""NumPy arrays on the wire: little-endian, C-contiguous, in chunks, with a checksum.

A tensor arrives as header, chunks and trailer. Reading a chunk through protobuf
makes two copies of its bytes before a third puts them into the array. `Parser`
reads the usual layout of such a message by hand, so that only the third is left
(0.22 s of CPU a GB in place of 0.27, checksum included; copying alone takes
0.17); every other layout is left to protobuf.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple, TypeVar

import google_crc32c
import ml_dtypes
import numpy as np
from google.protobuf.message import Message

from hooke.errors import DataLossError
from hooke.frames import Tensor
from hooke.messages import layer_id, short
from hooke.v1 import tensor_pb2

_DATA_TYPE = tensor_pb2.DESCRIPTOR.enum_types_by_name["DataType"]

CHUNK_BYTES = 1024 * 1024

DTYPES: dict[str, np.dtype] = {
    "BOOL": np.dtype(np.bool_),
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    "BF16": np.dtype(ml_dtypes.bfloat16),
}
WIRE_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def wire_dtype(dtype: np.dtype | str) -> tensor_pb2.DataType.ValueType:
    """The contract's element type for NumPy's, `"bfloat16"` included."""
    bf16 = isinstance(dtype, str) and dtype == "bfloat16"
    known = DTYPES["BF16"] if bf16 else np.dtype(dtype).newbyteorder("<")
    if known not in WIRE_NAMES:
        names = ", ".join(each.name for each in WIRE_NAMES)
        raise TypeError(f"arrays of {known.name} cannot be sent; convert to one of {names}")
    return tensor_pb2.DataType.Value(f"DATA_TYPE_{WIRE_NAMES[known]}")


def numpy_dtype(wire: int) -> np.dtype:
    """NumPy's element type for the contract's."""
    name = short(_DATA_TYPE, wire)
    if name not in DTYPES:
        raise DataLossError(f"the server sent a tensor of the unknown element type {name}")
    return DTYPES[name]


def dtype_name(wire: int) -> str:
    """NumPy's name of the contract's element type; empty where it is not told."""
    name = short(_DATA_TYPE, wire)
    return DTYPES[name].name if name in DTYPES else ""


def contiguous(array: np.ndarray) -> np.ndarray:
    """The array as its bytes travel; itself where it is so already."""
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def fill(message: tensor_pb2.Tensor, array: np.ndarray) -> None:
    """Put an array into a message, which is copied no more if it is a part of another already."""
    message.dtype = wire_dtype(array.dtype)
    message.shape[:] = array.shape
    message.data = contiguous(array).tobytes()


Part = tensor_pb2.TensorHeader | tensor_pb2.TensorChunk | tensor_pb2.TensorTrailer


def parts(array: np.ndarray, tensor_id: int) -> Iterator[Part]:
    """An array as header, chunks and trailer; only one chunk is held at a time."""
    data = contiguous(array).reshape(-1).view(np.uint8)
    yield tensor_pb2.TensorHeader(
        tensor_id=tensor_id,
        dtype=wire_dtype(array.dtype),
        shape=array.shape,
        total_bytes=data.size,
    )
    for offset in range(0, data.size, CHUNK_BYTES):
        payload = data[offset : offset + CHUNK_BYTES].tobytes()
        yield tensor_pb2.TensorChunk(tensor_id=tensor_id, offset=offset, data=payload)
    crc = google_crc32c.extend(0, data)
    yield tensor_pb2.TensorTrailer(tensor_id=tensor_id, total_bytes=data.size, crc32c=crc)


class Chunk(NamedTuple):
    """A chunk's message read by hand; `data` is a view into the message."""

    sequence: int
    tensor_id: int
    offset: int
    data: memoryview


class Assembly:
    """A tensor that is arriving: chunks go straight to their place in the array."""

    def __init__(self, header: tensor_pb2.TensorHeader) -> None:
        dtype, shape = numpy_dtype(header.dtype), tuple(header.shape)
        if header.total_bytes != math.prod(shape) * dtype.itemsize:
            raise DataLossError(
                f"a tensor {list(shape)} of {dtype.name} cannot have {header.total_bytes} bytes"
            )
        self._header = header
        self._array = np.empty(shape, dtype)
        self._bytes = self._array.reshape(-1).view(np.uint8)
        self._received = 0
        self._crc = 0

    def add(self, tensor_id: int, offset: int, data: bytes | memoryview) -> None:
        """Put the next bytes in place."""
        end = offset + len(data)
        expected = (self._header.tensor_id, self._received)
        if (tensor_id, offset) != expected or end > self._bytes.size:
            raise DataLossError(
                f"expected bytes of tensor {expected[0]} from {expected[1]} on, at most to"
                f" {self._bytes.size}; got tensor {tensor_id} from {offset} to {end}"
            )
        target = self._bytes[offset:end]
        target[:] = np.frombuffer(data, np.uint8)
        self._crc = google_crc32c.extend(self._crc, target)
        self._received = end

    def finish(self, trailer: tensor_pb2.TensorTrailer) -> Tensor:
        """The tensor, if all that was sent has arrived as it was sent."""
        sent = (trailer.tensor_id, trailer.total_bytes)
        if sent != (self._header.tensor_id, self._received) or self._received < self._bytes.size:
            raise DataLossError(
                f"tensor {self._header.tensor_id} ended after {self._received} of"
                f" {self._bytes.size} bytes"
            )
        if trailer.crc32c != self._crc:
            raise DataLossError(
                f"the bytes of tensor {trailer.tensor_id} are not those that were sent:"
                f" CRC-32C {self._crc:08x} instead of {trailer.crc32c:08x}"
            )
        header = self._header
        affine = header.HasField("quantization")
        return Tensor(
            value=self._array,
            name=header.name,
            layer=layer_id(header.layer),
            axes=tuple(header.axes),
            scale=header.quantization.scale if affine else None,
            offset=header.quantization.offset,
        )


M = TypeVar("M", bound=Message)


class Parser(Generic[M]):
    """Deserializer of a stream that carries tensors: a `Chunk`, or the message.

    Parameters
    ----------
    parse : reads the whole message.
    chunk_field : number of the message's `tensor_chunk`; its `sequence` is number 1.
    """

    def __init__(self, parse: Callable[[bytes], M], chunk_field: int) -> None:
        self._parse = parse
        self._chunk_tag = chunk_field << 3 | 2

    def __call__(self, data: bytes) -> M | Chunk:
        """Read a message."""
        try:
            return self._chunk(data) or self._parse(data)
        except IndexError:  # shorter than it says: protobuf tells what is wrong
            return self._parse(data)

    def _chunk(self, data: bytes) -> Chunk | None:
        """The chunk, if its fields stand in the order of their numbers and fill the message."""
        sequence, at = _field(data, 0, 1 << 3)
        if data[at] != self._chunk_tag:
            return None
        size, at = _varint(data, at + 1)
        if at + size != len(data):
            return None
        tensor_id, at = _field(data, at, 1 << 3)
        offset, at = _field(data, at, 2 << 3)
        if data[at] != 3 << 3 | 2:
            return None
        size, at = _varint(data, at + 1)
        if at + size != len(data):
            return None
        return Chunk(sequence, tensor_id, offset, memoryview(data)[at:])


def _field(data: bytes, at: int, tag: int) -> tuple[int, int]:
    """A varint field's value and the position after it; 0 where the field is left out."""
    return _varint(data, at + 1) if data[at] == tag else (0, at)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
