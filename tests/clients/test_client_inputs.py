"""What a user gives as an input, and the message it becomes."""

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

import hooke
from hooke import inputs
from hooke.v1 import tensor_pb2

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (9, 7, 3), dtype=np.uint8)


def pixels(file):
    return np.asarray(Image.open(io.BytesIO(file)))


def only(value):
    [(name, prepared)] = inputs.prepare(value).items()
    assert name == ""
    return prepared


@pytest.mark.parametrize("array", [PIXELS, PIXELS[..., 0], PIXELS[..., ::-1]])
def test_a_uint8_array_becomes_a_lossless_picture(array):
    [file] = only(array)
    np.testing.assert_array_equal(pixels(file), array)


def test_a_batch_of_uint8_becomes_as_many_pictures():
    batch = np.stack([PIXELS, 255 - PIXELS])
    files = only(batch)
    assert [pixels(each).tolist() for each in files] == batch.tolist()


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "CMYK", "I;16"])
def test_a_pillow_image_of_any_mode_becomes_a_picture(mode):
    image = Image.fromarray(PIXELS).convert("L" if mode == "I;16" else "RGB").convert(mode)
    [file] = only(image)
    assert Image.open(io.BytesIO(file)).mode in {"RGB", "L"}
    if mode == "RGB":
        np.testing.assert_array_equal(pixels(file), PIXELS)


def test_paths_and_bytes_travel_as_they_are(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(PIXELS).save(path)
    data = path.read_bytes()
    assert only(str(path)) == only(path) == only(data) == [data]
    assert only([path, data]) == [data, data]


def test_an_array_file_is_the_array(tmp_path):
    array = RNG.random((1, 2, 3), np.float32)
    np.save(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(only(tmp_path / "a.npy"), array)


def test_a_pickle_in_an_array_file_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="pickle"):
        inputs.prepare(tmp_path / "a.npy")


def test_uint8_can_be_said_to_be_a_tensor():
    [message] = inputs.inline(inputs.prepare(hooke.Tensor(value=PIXELS)))
    assert message.WhichOneof("value") == "tensor"
    assert message.tensor.dtype == tensor_pb2.DATA_TYPE_UINT8
    assert message.tensor.data == PIXELS.tobytes()


def test_several_inputs_keep_their_names():
    prepared = inputs.prepare({"image": PIXELS, "mask": np.zeros((1, 4), np.int64)})
    image, mask = inputs.inline(prepared)
    assert (image.name, image.WhichOneof("value")) == ("image", "images")
    assert (mask.name, mask.WhichOneof("value")) == ("mask", "tensor")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (PIXELS[None, None], r"not \[1, 1, 9, 7, 3\]; wrap it in hooke.Tensor"),
        (3, "int is no input"),
        (None, "NoneType is no input"),
        ([np.zeros(3)], "give tensors as one array"),
        ([], "a list holds pictures"),
    ],
)
def test_what_is_no_input_is_refused(value, message):
    with pytest.raises(TypeError, match=message):
        inputs.prepare(value)


def test_a_small_run_is_one_message_and_a_large_one_comes_in_chunks():
    small, large = np.zeros((1, 8), np.float32), np.zeros((3, 2**20), np.float32)
    [message] = inputs.run_messages({"": small})
    assert message.run.inputs[0].tensor.shape == [1, 8]
    messages = list(inputs.run_messages({"x": large, "y": small}))
    kinds = Counter(each.WhichOneof("content") for each in messages)
    assert kinds == {"tensor_header": 2, "tensor_chunk": 13, "tensor_trailer": 2, "run": 1}
    named = {each.name: each.tensor_id for each in messages[-1].run.inputs}
    headers = [m.tensor_header for m in messages if m.HasField("tensor_header")]
    assert [header.tensor_id for header in headers] == [named["x"], named["y"]]
    assert max(each.ByteSize() for each in messages) < 4 * 2**20


def test_pictures_that_no_message_can_hold_are_refused_before_they_are_sent():
    with pytest.raises(ValueError, match=r"pictures of one run have 62[0-9]{5} bytes"):
        list(inputs.run_messages(inputs.prepare([bytes(3_100_000)] * 2)))
