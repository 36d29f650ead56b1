"""Arrays to the wire and back, and everything that can be wrong with them on the way."""

import ml_dtypes
import numpy as np
import pytest

import hooke
from hooke import tensors
from hooke.reader import TensorReader, parse_frame, read_frames
from hooke.v1 import frame_pb2, tensor_pb2

MESSAGES = {
    tensor_pb2.TensorHeader: "tensor_header",
    tensor_pb2.TensorChunk: "tensor_chunk",
    tensor_pb2.TensorTrailer: "tensor_trailer",
}


def frames(array, tensor_id=1):
    """The frames of a stream with one tensor and a result."""
    contents = [{MESSAGES[type(part)]: part} for part in tensors.parts(array, tensor_id)]
    contents.append({"result": frame_pb2.Result(plan_digest="sha256:0", tensor_count=1)})
    return [frame_pb2.Frame(sequence=n, **content) for n, content in enumerate(contents, 1)]


def through_the_wire(messages):
    return read_frames(parse_frame(each.SerializeToString()) for each in messages)


ARRAYS = [
    *(np.arange(24).reshape(2, 3, 4).astype(dtype) for dtype in tensors.DTYPES.values()),
    np.arange(24, dtype=">f4").reshape(2, 12),
    np.arange(24, dtype=np.float32).reshape(4, 6).T,
    np.float64(3.5)[None][0:0],
    np.array(2.5, np.float32),
    np.random.default_rng(0).random(3 * tensors.CHUNK_BYTES // 8 + 5),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{list(a.shape)}")
def test_an_array_comes_as_it_was_sent(array):
    tensor, result = through_the_wire(frames(array))
    assert tensor.value.shape == array.shape
    assert tensor.value.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(tensor.value, array)
    assert isinstance(result, hooke.Result)


def test_chunks_have_the_size_that_the_contract_names():
    sizes = [len(m.tensor_chunk.data) for m in frames(np.zeros(5 * 2**18, np.float32))]
    assert max(sizes) == 1024 * 1024
    assert sum(sizes) == 5 * 2**20


def test_bfloat16_is_named_like_numpy_types():
    bf16 = tensors.wire_dtype("bfloat16")
    assert bf16 == tensors.wire_dtype(ml_dtypes.bfloat16) == tensor_pb2.DATA_TYPE_BF16


def test_every_element_type_of_the_contract_has_one_of_numpys():
    wires = [each for each in tensor_pb2.DataType.values() if each]
    assert [tensors.wire_dtype(tensors.numpy_dtype(wire)) for wire in wires] == wires


def test_complex_arrays_are_refused_by_name():
    with pytest.raises(TypeError, match="complex64 cannot be sent"):
        tensors.wire_dtype(np.dtype(np.complex64))


def chunk_frame(data=b"x" * 100, offset=0, tensor_id=1, sequence=1):
    chunk = tensor_pb2.TensorChunk(tensor_id=tensor_id, offset=offset, data=data)
    return frame_pb2.Frame(sequence=sequence, tensor_chunk=chunk)


@pytest.mark.parametrize("size", [1, 127, 128, 300, 2**21])
@pytest.mark.parametrize("offset", [0, 1, 2**40])
def test_a_chunk_read_by_hand_equals_protobufs(size, offset):
    message = chunk_frame(bytes(range(256)) * (size // 256 + 1), offset, 300, 2**33)
    read = parse_frame(message.SerializeToString())
    assert isinstance(read, tensors.Chunk)
    chunk = message.tensor_chunk
    assert read[:3] == (message.sequence, chunk.tensor_id, chunk.offset)
    assert bytes(read.data) == chunk.data


def test_other_layouts_of_a_chunk_are_left_to_protobuf():
    whole = chunk_frame().SerializeToString()
    sequence, content = whole[:2], whole[2:]
    for layout in (content + sequence, whole + b"\xf8\x01\x01"):
        read = parse_frame(layout)
        assert isinstance(read, frame_pb2.Frame)
        assert read.tensor_chunk.data == b"x" * 100


def test_a_broken_message_is_no_chunk():
    whole = chunk_frame().SerializeToString()
    for end in range(3, 12):
        with pytest.raises(Exception, match=r"[Pp]ars"):
            parse_frame(whole[:end])


def corrupt(messages, n, change):
    change(messages[n])
    return messages


ARRAY = np.arange(2**19, dtype=np.float32)
"""Two chunks: header, chunk, chunk, trailer, result."""


def flip(frame):
    data = bytearray(frame.tensor_chunk.data)
    data[7] ^= 1
    frame.tensor_chunk.data = bytes(data)


@pytest.mark.parametrize(
    ("n", "change", "message"),
    [
        (1, flip, "not those that were sent"),
        (1, lambda f: f.tensor_chunk.ClearField("tensor_id"), "got tensor 0"),
        (2, lambda f: setattr(f.tensor_chunk, "offset", 5), "from 5"),
        (2, lambda f: setattr(f.tensor_chunk, "data", bytes(2**20 + 1)), "at most to 2097152"),
        (2, lambda f: setattr(f.tensor_chunk, "data", b"x"), "ended after 1048577 of 2097152"),
        (3, lambda f: setattr(f.tensor_trailer, "crc32c", 1), "instead of 00000001"),
        (3, lambda f: setattr(f.tensor_trailer, "total_bytes", 1), "ended after"),
        (0, lambda f: setattr(f.tensor_header, "total_bytes", 8), "cannot have 8 bytes"),
        (0, lambda f: setattr(f.tensor_header, "dtype", 99), "unknown element type 99"),
        (2, lambda f: setattr(f, "sequence", 7), "message 3 of the stream is lost: got 7"),
    ],
)
def test_a_changed_tensor_is_noticed(n, change, message):
    messages = frames(ARRAY)
    assert len(messages) == 5
    change(messages[n])
    with pytest.raises(hooke.DataLossError, match=message):
        list(through_the_wire(messages))


@pytest.mark.parametrize("left", range(5))
def test_a_cut_stream_is_noticed(left):
    with pytest.raises(hooke.DataLossError, match="cut off"):
        list(through_the_wire(frames(ARRAY)[:left]))


def test_parts_out_of_order_are_noticed():
    header, chunk, *_ = frames(ARRAY)
    header.sequence, chunk.sequence = 2, 1
    with pytest.raises(hooke.DataLossError, match="without its header"):
        list(through_the_wire([chunk, header]))
    header.sequence, second = 1, frame_pb2.Frame(sequence=2)
    second.tensor_header.CopyFrom(header.tensor_header)
    with pytest.raises(hooke.DataLossError, match="before the last one had ended"):
        list(through_the_wire([header, second]))


def test_quantized_values_come_back_as_reals():
    header = tensor_pb2.TensorHeader(dtype=tensor_pb2.DATA_TYPE_UINT8, shape=[3], total_bytes=3)
    header.quantization.scale, header.quantization.offset = 0.5, -1.0
    reader = TensorReader()
    reader.header(header)
    reader.chunk(tensor_pb2.TensorChunk(data=bytes([0, 2, 255])))
    crc = tensors.google_crc32c.value(bytes([0, 2, 255]))
    tensor = reader.trailer(tensor_pb2.TensorTrailer(total_bytes=3, crc32c=crc))
    assert tensor.value.dtype == np.uint8
    np.testing.assert_array_equal(tensor.real, np.float32([-1.0, 0.0, 126.5]))


def test_frames_of_unknown_kinds_are_passed_over():
    messages = frames(ARRAY)
    messages.append(frame_pb2.Frame(sequence=6))
    assert len(list(through_the_wire(messages))) == 2
