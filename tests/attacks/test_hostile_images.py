"""Pictures that would take too much memory, or are none."""

import io
import resource

import pytest
from PIL import Image

from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.models.preprocessing import Preprocessing


def file_of(size, kind, mode="RGB"):
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="module")
def bomb():
    """A small file of 400 million pixels."""
    data = file_of((20000, 20000), "PNG", "1")
    assert len(data) < 1 << 20
    return data


def test_a_bomb_is_refused(bomb):
    with pytest.raises(InvalidArgumentError) as caught:
        Preprocessing().decode(bomb, "images[0]")
    assert caught.value.reason is Reason.IMAGE_TOO_LARGE
    assert caught.value.field == "images[0]"


def test_a_very_long_picture_is_refused():
    with pytest.raises(InvalidArgumentError) as caught:
        Preprocessing().decode(file_of((8, 66_000), "PNG"), "images[0]")
    assert caught.value.reason is Reason.IMAGE_TOO_LARGE


def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


@pytest.mark.parametrize("size", [(8, 60_000), (60_000, 8)], ids=str)
def test_only_what_the_crop_keeps_is_resized(size):
    """The whole would be 256 x 1,920,000 pixels: 2 GB."""
    data = file_of(size, "PNG")
    assert len(data) < 10_000
    before = peak_bytes()
    assert Preprocessing().decode(data).shape == (3, 224, 224)
    assert peak_bytes() - before < 200 << 20


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture",
        file_of((64, 64), "PNG")[:60],
        file_of((64, 64), "JPEG")[:300],
        file_of((64, 64), "GIF", "P"),
        file_of((64, 64), "BMP"),
    ],
)
def test_what_cannot_be_read_is_refused(data):
    with pytest.raises(InvalidArgumentError) as caught:
        Preprocessing().decode(data, "images[0]")
    assert caught.value.reason is Reason.IMAGE_UNREADABLE


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGBA"), ("JPEG", "CMYK"), ("WEBP", "RGB")])
def test_what_can_be_read_is_taken(kind, mode):
    decoded = Preprocessing().decode(file_of((300, 280), kind, mode))
    assert decoded.shape == (3, 224, 224)
