"""Inputs as clients send them; each wrong one is told what the model takes."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from serving import model_of

from hooke.v1 import image_pb2, input_pb2, tensor_pb2
from hooke_server.errors import HookeError, InvalidArgumentError, Reason
from hooke_server.models.layer import TensorSpec
from hooke_server.models.model import Model, ModelFormat
from hooke_server.models.preprocessing import Preprocessing
from hooke_server.rpc.codec.inputs import ModelInput, decoding_bytes, held_bytes, read_inputs
from hooke_server.rpc.tensors import DTYPES


def model(*inputs, preprocessing=None):
    return Model(
        source="live",
        format=ModelFormat.TORCH,
        digest="sha256:0",
        layers={},
        inputs=inputs,
        outputs=(),
        output_layer="",
        weights={},
        device=torch.device("cpu"),
        preprocessing=preprocessing,
    )


def spec(name, *shape, dtype=torch.float32):
    return TensorSpec(name=name, dtype=dtype, shape=shape)


def sent(tensor, name=""):
    data = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    message = tensor_pb2.Tensor(dtype=DTYPES[tensor.dtype], shape=tensor.shape, data=data)
    return ModelInput(name=name, tensor=message)


def read(model, *messages, uploads=None):
    return read_inputs(model, messages, uploads or {})


ONE = model(spec("x", "batch", 3, 4))
TWO = model(spec("a", "batch", 2), spec("b", "batch", 5, dtype=torch.int64))


def test_one_input_needs_no_name():
    x = torch.randn(2, 3, 4)
    for name in ("", "x"):
        got = read(ONE, sent(x, name))
        assert torch.equal(got.tensors[0], x)
        assert got.batch == 2


def test_inputs_come_in_the_models_order():
    a, b = torch.randn(3, 2), torch.arange(15).reshape(3, 5)
    got = read(TWO, sent(b, "b"), sent(a, "a"))
    assert torch.equal(got.tensors[0], a)
    assert torch.equal(got.tensors[1], b)


def test_the_digest_is_of_what_the_inputs_hold():
    x = torch.zeros(1, 3, 4)
    digest = read(ONE, sent(x)).digest
    assert read(ONE, sent(x, "x")).digest == digest
    assert read(ONE, ModelInput(tensor_id=7), uploads={7: x}).digest == digest
    assert read(ONE, sent(x + 1)).digest != digest
    assert read(model(spec("x", "batch", 12)), sent(x.reshape(1, 12))).digest != digest


X = torch.zeros(2, 3, 4)

MISMATCHES = {
    "no input": (ONE, [], "the model also takes 'x'"),
    "unknown name": (ONE, [sent(X, "y")], "inputs are 'x'; 'y' is not one of them"),
    "twice": (ONE, [sent(X), sent(X)], "'x' comes twice"),
    "no name for two": (TWO, [sent(torch.zeros(1, 2))], "'' is not one of them"),
    "missing one": (TWO, [sent(torch.zeros(1, 2), "a")], "also takes 'b'"),
    "rank": (ONE, [sent(X[0])], r"must be float32 \[batch, 3, 4\], not float32 \[3, 4\]"),
    "extent": (ONE, [sent(X[:, :2])], r"must be float32 \[batch, 3, 4\], not float32 \[2, 2, 4\]"),
    "type": (ONE, [sent(X.double())], r"not float64 \[2, 3, 4\]"),
    "no sample": (ONE, [sent(X[:0])], r"not float32 \[0, 3, 4\]"),
    "two batch sizes": (
        TWO,
        [sent(torch.zeros(2, 2), "a"), sent(torch.zeros(3, 5, dtype=torch.int64), "b")],
        r"input 'b' must be int64 \[2, 5\], not int64 \[3, 5\]",
    ),
    "one name, two extents": (
        model(spec("x", "n", "n")),
        [sent(torch.zeros(2, 3))],
        r"must be float32 \[n, n\], not float32 \[2, 3\]",
    ),
    "pictures": (
        ONE,
        [ModelInput(images=input_pb2.ImageBatch(images=[image_pb2.EncodedImage()]))],
        "is no picture; send a tensor",
    ),
}


@pytest.mark.parametrize(("taker", "messages", "said"), MISMATCHES.values(), ids=list(MISMATCHES))
def test_mismatches_say_what_is_expected(taker, messages, said):
    with pytest.raises(InvalidArgumentError, match=said) as caught:
        read(taker, *messages)
    assert caught.value.reason is Reason.INPUT_MISMATCH
    assert caught.value.field.startswith("inputs")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_numbers_must_be_finite(bad, dtype):
    x = torch.zeros(1, 3, 4, dtype=dtype)
    x[0, 1, 2] = bad
    with pytest.raises(InvalidArgumentError) as caught:
        read(model(spec("x", "batch", 3, 4, dtype=dtype)), sent(x))
    assert caught.value.reason is Reason.INPUT_NOT_FINITE


def test_fields_that_say_nothing():
    for message, field in ((ModelInput(), "value"), (ModelInput(tensor_id=3), "tensor_id")):
        with pytest.raises(InvalidArgumentError) as caught:
            read(ONE, message)
        assert caught.value.reason is Reason.INVALID_FIELD
        assert caught.value.field == f"inputs[0].{field}"


STEPS = Preprocessing(resize_shorter_side=8, crop_height=6, crop_width=6)
EYE = model(spec("image", "batch", 3, 6, 6), preprocessing=STEPS)


def picture(seed=0, size=(9, 12), kind="PNG"):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def pictures(*files):
    images = [image_pb2.EncodedImage(data=data) for data in files]
    return ModelInput(images=input_pb2.ImageBatch(images=images))


def test_pictures_become_one_batch():
    got = read(EYE, pictures(picture(0), picture(1, kind="JPEG"), picture(2, kind="WEBP")))
    assert got.tensors[0].shape == (3, 3, 6, 6)
    assert torch.equal(got.tensors[0][0], STEPS.decode(picture(0)))


@pytest.mark.parametrize(
    ("files", "reason", "field"),
    [
        ([], Reason.INVALID_FIELD, "inputs[0].images.images"),
        ([picture(), b""], Reason.IMAGE_UNREADABLE, "inputs[0].images.images[1].data"),
        ([b"GIF89a" * 9], Reason.IMAGE_UNREADABLE, "inputs[0].images.images[0].data"),
        ([picture()[:-40]], Reason.IMAGE_UNREADABLE, "inputs[0].images.images[0].data"),
    ],
)
def test_bad_pictures(files, reason, field):
    with pytest.raises(HookeError) as caught:
        read(EYE, pictures(*files))
    assert (caught.value.reason, caught.value.field) == (reason, field)


def test_what_inputs_will_hold_is_known_before_they_are_decoded():
    messages = [pictures(*[b"never decoded"] * 10)]
    assert held_bytes(EYE, messages) == 10 * 3 * 6 * 6 * 4
    assert held_bytes(ONE, [sent(X)]) >= X.nbytes


def test_what_decoding_takes_is_known_by_the_header():
    large, small = picture(size=(300, 200)), picture()
    only_header = large[:100]
    assert decoding_bytes(EYE, [pictures(small, only_header, small)]) > 2 * 4 * 300 * 200
    assert decoding_bytes(EYE, [pictures(small)]) < 4 * 300 * 200
    assert decoding_bytes(ONE, [sent(X)]) == 0


class Words(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(7, 4)
        self.head = torch.nn.Linear(4, 2)

    def forward(self, words):
        return self.head(self.embedding(words).mean(1))


def test_indices_beyond_an_embedding_are_refused_before_it_is_asked():
    network = model_of(Words(), torch.zeros(1, 5, dtype=torch.int64))
    assert network.vocabularies == {"words": 7}
    good = torch.tensor([[0, 6, 3, 3, 1]])
    assert torch.equal(read(network, sent(good)).tensors[0], good)
    for wrong in (7, -1, 2**40):
        with pytest.raises(InvalidArgumentError, match="has 7 entries, 0 to 6") as refused:
            read(network, sent(torch.tensor([[0, wrong, 3, 3, 1]])))
        assert refused.value.reason is Reason.INPUT_MISMATCH
        assert refused.value.field == "inputs[0]"
