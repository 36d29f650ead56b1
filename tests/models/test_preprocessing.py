"""Pictures become inputs exactly as torchvision's transforms make them."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from hooke_server.models import preprocessing
from hooke_server.models.preprocessing import Preprocessing

SIZES = [(300, 280), (49, 64), (64, 49), (7, 40), (224, 224), (1000, 33), (5, 5)]


def file_of(picture):
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def noise(size):
    """The hardest picture: every error of place shows."""
    pixels = np.random.default_rng(size).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def steps(interpolation, shorter, crop):
    """Ours, which gives bytes / 255, and torchvision's."""
    ours = Preprocessing(
        resize_shorter_side=shorter,
        interpolation=interpolation,
        crop_height=crop[0],
        crop_width=crop[1],
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
    )
    mode = v2.InterpolationMode(interpolation)
    theirs = v2.Compose([v2.Resize(shorter, interpolation=mode), v2.CenterCrop(crop)])
    return ours, theirs


def difference(ours, theirs, picture):
    got = (ours.decode(file_of(picture)) * 255).round().numpy().transpose(1, 2, 0)
    return np.abs(got - np.asarray(theirs(picture), np.float32))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("crop", [(224, 224), (97, 30), (301, 260)], ids=str)
def test_as_torchvision(interpolation, size, crop):
    assert not difference(*steps(interpolation, 256, crop), noise(size)).any()


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shorter", [40, 256])
def test_a_part_alone_differs_by_rounding(interpolation, size, shorter, monkeypatch):
    monkeypatch.setattr(preprocessing, "MAX_RESIZED", 0)
    for crop in ((33, 35), (224, 224), (301, 260)):
        wrong = difference(*steps(interpolation, shorter, crop), noise(size))
        assert wrong.max() <= 2
        assert (wrong > 1).mean() < 1e-5
        assert (wrong > 0).mean() < 0.03


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_of_grey_keep_their_steps(channels):
    grey = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    ours = Preprocessing(
        channels=channels,
        resize_shorter_side=0,
        crop_height=256,
        crop_width=256,
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
    )
    got = ours.decode(file_of(Image.fromarray(grey)))
    assert torch.equal((got[0] * 255).round(), torch.arange(256.0)[:, None].expand(256, 256))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_pictures_that_lie_on_their_side_are_turned(kind, orientation):
    """By the definition of EXIF's orientations, written out."""
    turned = {
        1: lambda p: p, 2: lambda p: p[:, ::-1], 3: lambda p: p[::-1, ::-1], 4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2), 6: lambda p: np.rot90(p, -1),
        7: lambda p: p[::-1, ::-1].transpose(1, 0, 2), 8: lambda p: np.rot90(p),
    }[orientation]  # fmt: skip
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:8, :8] = 255, 0, 0
    pixels[8:, 24:] = 0, 0, 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, exif=exif, quality=95)
    expected = turned(pixels)
    height, width = expected.shape[:2]
    assert preprocessing.picture_size(file.getvalue(), "x") == (width, height)
    got = np.asarray(preprocessing.open_picture(file.getvalue(), "x").convert("RGB"))
    assert np.abs(got.astype(int) - expected).mean() < 4


def test_a_picture_of_any_kind_is_its_colours():
    """Palettes, grey, four channels, CMYK: the same red."""
    red = Image.new("RGB", (20, 20), (200, 30, 40))
    for mode, kind in [("P", "PNG"), ("RGBA", "PNG"), ("RGBA", "WEBP"), ("CMYK", "JPEG")]:
        file = io.BytesIO()
        red.convert(mode).save(file, kind)
        steps = Preprocessing(resize_shorter_side=8, crop_height=8, crop_width=8,
                              mean=(0, 0, 0), std=(1, 1, 1))  # fmt: skip
        value = steps.decode(file.getvalue(), "x").mean((1, 2)) * 255
        assert torch.allclose(value, torch.tensor([200.0, 30, 40]), atol=6), (mode, kind)
    file = io.BytesIO()
    Image.new("L", (20, 20), 120).save(file, "PNG")
    value = steps.decode(file.getvalue(), "x").mean((1, 2)) * 255
    assert torch.allclose(value, torch.full((3,), 120.0), atol=1)
