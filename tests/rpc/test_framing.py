"""What is framed by hand equals protobuf's encoding, byte for byte."""

import google_crc32c
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hooke.v1 import frame_pb2, model_service_pb2, tensor_pb2
from hooke_server.errors import FailedPreconditionError, InvalidArgumentError
from hooke_server.rpc.framing import MIN_CHUNK, Outgoing, Sender, chunk_size, outgoing
from hooke_server.rpc.tensors import DTYPES

KINDS = [frame_pb2.Frame, model_service_pb2.StreamWeightsResponse]


def encoded(message):
    return message if isinstance(message, bytes) else message.SerializeToString()


def by_protobuf(kind, tensor, size, sequence=0, tensor_id=1):
    """The same messages, made of generated classes only."""
    data = tensor.data.tobytes()
    header = tensor_pb2.TensorHeader()
    header.CopyFrom(tensor.header)
    header.tensor_id = tensor_id
    chunks = [
        tensor_pb2.TensorChunk(tensor_id=tensor_id, offset=at, data=data[at : at + size])
        for at in range(0, len(data), size)
    ]
    trailer = tensor_pb2.TensorTrailer(
        tensor_id=tensor_id, total_bytes=len(data), crc32c=google_crc32c.value(data)
    )
    contents = [
        {"tensor_header": header},
        *({"tensor_chunk": chunk} for chunk in chunks),
        {"tensor_trailer": trailer},
    ]
    return [
        kind(sequence=sequence + 1 + index, **content).SerializeToString()
        for index, content in enumerate(contents)
    ]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(length=st.integers(0, 1000), size=st.integers(1, 300))
def test_chunks_equal_protobufs(kind, length, size):
    tensor = outgoing(torch.arange(length) % 251, tensor_pb2.TensorHeader(name="values"))
    got = [encoded(message) for message in Sender(kind, size).tensor(tensor)]
    assert got == by_protobuf(kind, tensor, size)


def test_the_checksum_is_of_what_was_sent_though_it_is_changed_meanwhile(monkeypatch):
    values, extend = torch.zeros(40), google_crc32c.extend

    def changing(crc, data):
        found = extend(crc, data)
        values.add_(1)
        return found

    monkeypatch.setattr(google_crc32c, "extend", changing)
    tensor = outgoing(values, tensor_pb2.TensorHeader())
    messages = map(encoded, Sender(frame_pb2.Frame, 40).tensor(tensor))
    [_, *chunks, trailer] = map(frame_pb2.Frame.FromString, messages)
    sent = b"".join(each.tensor_chunk.data for each in chunks)
    assert any(sent)
    assert trailer.tensor_trailer.crc32c == google_crc32c.value(sent)


def test_numbers_of_many_bytes_equal_protobufs():
    tensor = outgoing(torch.zeros(3 << 18), tensor_pb2.TensorHeader())
    sender = Sender(frame_pb2.Frame, 1 << 20)
    for _ in range(300):
        sender.message()
    for _ in range(140):
        sender._tensors += 1
    got = [encoded(message) for message in sender.tensor(tensor)]
    assert got == by_protobuf(frame_pb2.Frame, tensor, 1 << 20, 300, 141)
    assert [len(each) > 1 << 20 for each in got] == [False, True, True, True, False]


def test_messages_and_tensors_are_numbered_through():
    sender = Sender(frame_pb2.Frame, 4)
    tensor = outgoing(torch.arange(3, dtype=torch.int32), tensor_pb2.TensorHeader())
    stream = [*sender.tensor(tensor), sender.message(), *sender.tensor(tensor)]
    frames = [frame_pb2.Frame.FromString(encoded(message)) for message in stream]
    assert [frame.sequence for frame in frames] == list(range(1, 12))
    assert [frame.tensor_trailer.tensor_id for frame in (frames[4], frames[10])] == [1, 2]
    assert {frame.tensor_chunk.tensor_id for frame in frames[7:10]} == {2}


@pytest.mark.parametrize("dtype", list(DTYPES), ids=str)
def test_bytes_of_views_are_in_order(dtype):
    tensor = (torch.rand(4, 5, 6) * 2).to(dtype)
    sent = outgoing(tensor.transpose(0, 2)[1:], tensor_pb2.TensorHeader())
    assert list(sent.header.shape) == [5, 5, 4]
    assert sent.header.total_bytes == sent.data.nbytes == 100 * dtype.itemsize
    back = torch.frombuffer(bytearray(sent.data.tobytes()), dtype=dtype).reshape(5, 5, 4)
    assert torch.equal(back, tensor.transpose(0, 2)[1:])


def test_scalars_and_gradients():
    sent = outgoing(torch.tensor(2.5, requires_grad=True), tensor_pb2.TensorHeader())
    assert isinstance(sent, Outgoing)
    assert sent.data.view("<f4").tolist() == [2.5]
    assert not sent.header.shape


def test_complex_numbers_have_no_name_in_the_contract():
    with pytest.raises(FailedPreconditionError, match="complex64 cannot be sent"):
        outgoing(torch.zeros(2, dtype=torch.complex64), tensor_pb2.TensorHeader())


def test_chunk_sizes():
    assert chunk_size(None) == 1 << 20
    assert chunk_size(MIN_CHUNK) == 65536
    for wrong in (0, 1, -1, MIN_CHUNK - 1, (2 << 20) + 1):
        with pytest.raises(InvalidArgumentError, match="between 65536 and 2097152"):
            chunk_size(wrong)
