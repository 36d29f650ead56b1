"""The order of a recording's messages, and how much of them is held."""

import google_crc32c
import numpy as np
import pytest

from hooke.v1 import activation_service_pb2, tensor_pb2
from hooke_server.errors import HookeError, InvalidArgumentError, Reason
from hooke_server.rpc.input_memory import InputMemory, Share
from hooke_server.rpc.limits import Limits
from hooke_server.rpc.uploads import RecordActivationsRequest, Uploads

DATA = np.arange(10, dtype="<f4").tobytes()


def header(tensor_id):
    content = tensor_pb2.TensorHeader(
        tensor_id=tensor_id, dtype="DATA_TYPE_FP32", shape=[10], total_bytes=40
    )
    return RecordActivationsRequest(tensor_header=content)


def chunk(tensor_id):
    content = tensor_pb2.TensorChunk(tensor_id=tensor_id, data=DATA)
    return RecordActivationsRequest(tensor_chunk=content)


def trailer(tensor_id):
    content = tensor_pb2.TensorTrailer(
        tensor_id=tensor_id, total_bytes=40, crc32c=google_crc32c.value(DATA)
    )
    return RecordActivationsRequest(tensor_trailer=content)


def no_bytes(tensor_id):
    header = tensor_pb2.TensorHeader(tensor_id=tensor_id, dtype="DATA_TYPE_FP32", shape=[0])
    trailer = tensor_pb2.TensorTrailer(tensor_id=tensor_id)
    return [
        RecordActivationsRequest(tensor_header=header),
        RecordActivationsRequest(tensor_trailer=trailer),
    ]


def tensor(tensor_id):
    return [header(tensor_id), chunk(tensor_id), trailer(tensor_id)]


def uploads_of(limit):
    """Uploads of a call that may hold so many bytes."""
    return Uploads(Share(InputMemory(Limits(input_bytes=limit))))


def fill(uploads, *messages):
    for message in messages:
        uploads.add(message)
    return uploads.take()


def test_tensors_are_held_until_they_are_taken():
    uploads = uploads_of(1000)
    assert uploads.take() == {}
    held = fill(uploads, *tensor(3), *tensor(1))
    assert {tensor_id: list(value) for tensor_id, value in held.items()} == {
        3: list(range(10)),
        1: list(range(10)),
    }
    assert uploads.take() == {}


@pytest.mark.parametrize(
    "messages",
    [
        [chunk(1)],
        [trailer(1)],
        [header(1), header(2)],
        [header(1)],
        [header(1), chunk(1)],
        [*tensor(1), chunk(1)],
        [RecordActivationsRequest()],
        [RecordActivationsRequest(configuration=activation_service_pb2.RecordingConfiguration())],
    ],
)
def test_orders_that_mean_nothing(messages):
    with pytest.raises(InvalidArgumentError, match="send a configuration, then") as caught:
        fill(uploads_of(1000), *messages)
    assert caught.value.reason is Reason.STREAM_ORDER


def test_a_number_stands_for_one_tensor_until_it_is_taken():
    uploads = uploads_of(1000)
    with pytest.raises(InvalidArgumentError, match="there is a tensor 1 already"):
        fill(uploads, *tensor(1), *tensor(1))
    uploads = uploads_of(1000)
    for _ in range(3):
        assert list(fill(uploads, *tensor(1))) == [1]


def test_what_is_held_at_once_is_bounded():
    uploads = uploads_of(100)
    fill(uploads, *tensor(1), *tensor(2))
    with pytest.raises(HookeError) as caught:
        fill(uploads, *tensor(3))
    assert caught.value.reason is Reason.LIMIT_EXCEEDED


def test_an_announcement_beyond_the_limit_is_refused_before_memory_is_taken():
    content = tensor_pb2.TensorHeader(
        tensor_id=1, dtype="DATA_TYPE_FP32", shape=[1 << 40, 1 << 10], total_bytes=1 << 52
    )
    with pytest.raises(HookeError, match="more than the 1000 that are taken") as caught:
        uploads_of(1000).add(RecordActivationsRequest(tensor_header=content))
    assert caught.value.reason is Reason.LIMIT_EXCEEDED


def test_tensors_of_no_bytes_are_counted():
    uploads = uploads_of(1000)
    for number in range(1000):
        for message in no_bytes(number):
            uploads.add(message)
    with pytest.raises(HookeError, match="1000 tensors came since the last run") as caught:
        uploads.add(no_bytes(1000)[0])
    assert caught.value.reason is Reason.LIMIT_EXCEEDED
    assert len(uploads.take()) == 1000
    fill(uploads, *no_bytes(0))
