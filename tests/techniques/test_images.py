"""Images: formulas against NumPy re-derivations, and every kind can hold a photograph."""

import numpy as np
import pytest
import skimage.data
import torch

from hooke_server.techniques.visualization.ascent import ascend
from hooke_server.techniques.visualization.images import (
    Image,
    Parameterization,
    correlate,
    fourier,
    make_image,
    pixel,
    spectrum_scale,
    to_pixels,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photograph(size: int) -> torch.Tensor:
    """The face of a cat, [1, 3, size, size] in 0..1."""
    pixels = skimage.data.chelsea()[20:276:4, 90:346:4][:size, :size]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


def mean_error(image: Image, target: torch.Tensor, steps: int) -> float:
    def likeness(pictures: torch.Tensor, step: int) -> torch.Tensor:
        return -(pictures - target).square().sum((1, 2, 3))

    frames = ascend(image, likeness, steps=steps, learning_rate=0.05)
    try:
        while True:
            next(frames)
    except StopIteration as end:
        return (end.value - target).abs().mean().item()


@pytest.mark.parametrize("kind", Parameterization)
@pytest.mark.parametrize("decorrelate", [True, False])
def test_every_kind_can_hold_a_photograph(kind, decorrelate):
    image = make_image(kind, (1, 3, 64, 64), seeded(), decorrelate=decorrelate)
    error = mean_error(image, photograph(64), 400)
    assert error < 0.01


def test_an_image_that_cannot_change_does_not_hold_a_photograph():
    image = make_image(Parameterization.PIXEL, (1, 3, 64, 64), seeded(), decorrelate=True)
    stuck = Image(image.start, lambda t: image.render(t.mean((2, 3), keepdim=True)).expand_as(t))
    assert mean_error(stuck, photograph(64), 50) > 0.05


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (6, 11), (5, 4)])
def test_fourier_is_a_sum_of_waves(size):
    """Each coefficient written out as the cosine that it stands for, by its definition."""
    height, width = size
    image = fourier((1, 1, height, width), seeded())
    coefficients = image.start[0][0, 0].double().numpy()
    columns = coefficients.shape[1]
    padded = 2 * (columns - 1)  # the transform's own width: even, so one more where odd
    assert columns == width // 2 + 1 + width % 2
    y, x = np.mgrid[0:height, 0:padded]
    picture = np.zeros((height, padded))
    for row in range(height):
        for column in range(columns):
            signed_row = row if row < (height + 1) // 2 else row - height
            # As `fftfreq(width)`, which turns negative past the middle; only its size counts.
            signed_column = column if column < (width + 1) // 2 else column - width
            frequency = np.hypot(signed_row / height, signed_column / width)
            scale = np.sqrt(width * height) / max(frequency, 1 / max(width, height))
            real, imaginary = coefficients[row, column] * scale
            angle = 2 * np.pi * (row * y / height + column * x / padded)
            twice = 1 if column in {0, columns - 1} else 2
            picture += twice * (real * np.cos(angle) - imaginary * np.sin(angle))
    expected = picture[:, :width] / (height * padded) / 4
    rendered = image.render(*image.start)[0, 0].numpy()
    np.testing.assert_allclose(rendered, expected, atol=1e-5)


def test_spectrum_scale_published_values():
    """Lucid at 128 x 128: sqrt(128 * 128) / max(f, 1/128), f up to sqrt(.5)."""
    scale = spectrum_scale(128, 128)
    assert scale.shape == (128, 65)
    assert scale[0, 0] == 128 * 128
    assert scale[0, 1] == 128 * 128
    assert scale[3, 4] == pytest.approx(128 * 128 / 5)
    assert scale[64, 64] == pytest.approx(128 * 2**0.5)


def test_colors_correlate_as_lucid_has_them():
    """The matrix over its largest column norm, worked out by hand."""
    norm = (0.26**2 + 0.27**2 + 0.27**2) ** 0.5
    raw = torch.tensor([1.0, 10.0, 100.0]).reshape(1, 3, 1, 1)
    red, green, blue = correlate(raw).flatten().tolist()
    assert red == pytest.approx((0.26 + 0.9 + 2.0) / norm, rel=1e-5)
    assert green == pytest.approx((0.27 + 0.0 - 5.0) / norm, rel=1e-5)
    assert blue == pytest.approx((0.27 - 0.9 + 3.0) / norm, rel=1e-5)


def test_decorrelation_is_for_three_channels():
    for channels in (1, 2, 4):
        shape = (1, channels, 8, 8)
        plain = make_image(Parameterization.PIXEL, shape, seeded(), decorrelate=False)
        asked = make_image(Parameterization.PIXEL, shape, seeded(), decorrelate=True)
        assert torch.equal(plain.render(*plain.start), asked.render(*asked.start))
        assert plain.render(*plain.start).shape == shape


@pytest.mark.parametrize("make", [pixel, fourier])
def test_start_is_small_noise_alike_in_each_entry(make):
    image = make((3, 3, 32, 32), seeded(4))
    (start,) = image.start
    assert torch.equal(start[0], start[2])
    assert start.std().item() == pytest.approx(0.01, rel=0.1)
    assert start.mean().item() == pytest.approx(0, abs=0.001)
    assert torch.equal(start, make((3, 3, 32, 32), seeded(4)).start[0])
    assert not torch.equal(start, make((3, 3, 32, 32), seeded(5)).start[0])


def test_pixels_for_any_number_of_channels():
    picture = torch.tensor([0.0, 0.5, 1.0, 0.25]).reshape(4, 1, 1).expand(4, 2, 3)
    assert to_pixels(picture).tolist() == [[[0, 128, 255]] * 3] * 2
    assert to_pixels(picture[1:2]).tolist() == [[[128] * 3] * 3] * 2
    assert to_pixels(picture[:2]).tolist() == [[[64] * 3] * 3] * 2
    assert to_pixels(picture).dtype == np.uint8
