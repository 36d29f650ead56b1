"""Tensors as clients send them, in one message and in parts; every lie is found."""

import google_crc32c
import numpy as np
import pytest
import torch

from hooke.v1 import tensor_pb2
from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.rpc.tensors import DTYPES, TORCH_DTYPES, Upload, read_tensor, wire_dtype

ROOM = 1 << 20


def test_every_type_of_the_contract_has_one_of_torch():
    known = {value for name, value in tensor_pb2.DataType.items() if value}
    assert known == set(TORCH_DTYPES) == set(DTYPES.values())
    for dtype, wire in DTYPES.items():
        name = tensor_pb2.DataType.Name(wire).removeprefix("DATA_TYPE_")
        bits = "".join(filter(str.isdigit, name)) or "8"
        assert int(bits) == dtype.itemsize * 8
    assert wire_dtype(torch.complex64) == tensor_pb2.DATA_TYPE_UNSPECIFIED


@pytest.mark.parametrize("dtype", list(DTYPES), ids=str)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4), (0, 2)], ids=str)
def test_a_whole_tensor_arrives(dtype, shape):
    sent = (torch.rand(shape) * 2).to(dtype)
    data = sent.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    message = tensor_pb2.Tensor(dtype=DTYPES[dtype], shape=shape, data=data)
    got = read_tensor(message, "t")
    assert got.dtype == dtype
    assert tuple(got.shape) == shape
    assert torch.equal(got, sent)


def test_bytes_are_little_endian_and_in_c_order():
    values = np.arange(6, dtype="<f4").reshape(2, 3)
    message = tensor_pb2.Tensor(dtype="DATA_TYPE_FP32", shape=[2, 3], data=values.tobytes())
    assert read_tensor(message, "t").tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("shape", "data", "reason"),
    [
        ([2], b"1234567", Reason.TENSOR_CORRUPT),
        ([2], b"123456789", Reason.TENSOR_CORRUPT),
        ([1 << 62, 1 << 62, 4], b"", Reason.TENSOR_CORRUPT),  # the product overflows 64 bit to 0
        ([-1, -2], b"12345678", Reason.INVALID_FIELD),
        ([1] * 17, b"1234", Reason.INVALID_FIELD),
    ],
)
def test_shapes_that_do_not_fit_the_bytes(shape, data, reason):
    message = tensor_pb2.Tensor(dtype=tensor_pb2.DATA_TYPE_FP32, shape=shape, data=data)
    with pytest.raises(InvalidArgumentError) as caught:
        read_tensor(message, "inputs[0].tensor")
    assert caught.value.reason is reason
    assert "inputs[0].tensor" in (caught.value.field or "")


@pytest.mark.parametrize("dtype", [0, 99])
def test_unknown_element_types(dtype):
    with pytest.raises(InvalidArgumentError, match=r"t\.dtype must be one of BOOL, UINT8"):
        read_tensor(tensor_pb2.Tensor(dtype=dtype, shape=[1], data=b"1234"), "t")


def test_a_bool_is_0_or_1():
    message = tensor_pb2.Tensor(dtype=tensor_pb2.DATA_TYPE_BOOL, shape=[3], data=b"\0\1\2")
    with pytest.raises(InvalidArgumentError, match="must be 0 or 1"):
        read_tensor(message, "t")


def parts(values, size=7, tensor_id=4):
    data = values.tobytes()
    header = tensor_pb2.TensorHeader(
        tensor_id=tensor_id, dtype="DATA_TYPE_FP32", shape=values.shape, total_bytes=len(data)
    )
    chunks = [
        tensor_pb2.TensorChunk(tensor_id=tensor_id, offset=at, data=data[at : at + size])
        for at in range(0, len(data), size)
    ]
    trailer = tensor_pb2.TensorTrailer(
        tensor_id=tensor_id, total_bytes=len(data), crc32c=google_crc32c.value(data)
    )
    return header, chunks, trailer


def receive(header, chunks, trailer):
    upload = Upload(header)
    for chunk in chunks:
        upload.add(chunk)
    return upload.finish(trailer)


VALUES = np.linspace(-1, 1, 30, dtype="<f4").reshape(5, 6)


def test_a_tensor_in_parts_arrives():
    got = receive(*parts(VALUES))
    assert np.array_equal(got.numpy(), VALUES)
    empty = receive(*parts(VALUES[:0]))
    assert tuple(empty.shape) == (0, 6)


def flip(chunks):
    data = bytearray(chunks[2].data)
    data[0] ^= 1
    chunks[2].data = bytes(data)


LIES = {
    "total too small": lambda h, c, t: setattr(h, "total_bytes", 100),
    "shape too large": lambda h, c, t: h.shape.append(2),
    "a bit flipped": lambda h, c, t: flip(c),
    "a chunk missing": lambda h, c, t: c.pop(3),
    "the last chunk missing": lambda h, c, t: c.pop(),
    "a chunk twice": lambda h, c, t: c.insert(1, c[1]),
    "chunks swapped": lambda h, c, t: c.reverse(),
    "a chunk too many": lambda h, c, t: c.append(
        tensor_pb2.TensorChunk(tensor_id=4, offset=120, data=b"1234")
    ),
    "a chunk of another tensor": lambda h, c, t: setattr(c[1], "tensor_id", 5),
    "the trailer of another tensor": lambda h, c, t: setattr(t, "tensor_id", 5),
    "another total in the trailer": lambda h, c, t: setattr(t, "total_bytes", 119),
    "another checksum": lambda h, c, t: setattr(t, "crc32c", t.crc32c ^ 1),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=list(LIES))
def test_what_was_changed_on_the_way_is_found(lie):
    header, chunks, trailer = parts(VALUES)
    lie(header, chunks, trailer)
    with pytest.raises(InvalidArgumentError) as caught:
        receive(header, chunks, trailer)
    assert caught.value.reason is Reason.TENSOR_CORRUPT
