"""Storages: formulas against NumPy re-derivations, and what each can and cannot draw."""

import numpy as np
import pytest
import torch
from numpy_pictures import photograph, slow_resize

from hooke_server.techniques.visualization.climbing import climb, start
from hooke_server.techniques.visualization.images import uncorrelate
from hooke_server.techniques.visualization.optimizers import Adam
from hooke_server.techniques.visualization.storages import (
    Drawing,
    FixedMagnitude,
    FourierImage,
    LaplacianPyramid,
    PatternNetwork,
    PixelImage,
    spectrum_scale,
)


def noise_of(seed: int, batch: int = 1):
    """Noise of deviation 1, each entry its own."""
    generator = torch.Generator().manual_seed(seed)
    return lambda *extents: torch.randn(batch, *extents, generator=generator)


def begun(storage, *shape: int, seed: int = 0, deviation: float = 0.01) -> Drawing:
    return storage.begin(shape, noise_of(seed, shape[0]), deviation)


def approached(drawing: Drawing, target: torch.Tensor, steps: int, rate: float) -> torch.Tensor:
    """The raw picture that comes nearest to a raw target, by squares."""
    optimizer, generator = Adam(rate), torch.Generator()

    def likeness(tensors, step):
        return -(drawing.draw(*tensors) - target).square().mean((1, 2, 3))

    begin = start(optimizer, drawing.start, generator)
    *_, last = climb(optimizer, likeness, begin, generator, steps)
    return drawing.draw(*last.tensors)


def test_pixels_are_pixels():
    drawing = begun(PixelImage(), 2, 3, 4, 5)
    assert torch.equal(drawing.draw(*drawing.start), drawing.start[0])
    assert drawing.start[0].shape == (2, 3, 4, 5)


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (6, 11), (5, 4)])
@pytest.mark.parametrize("power", [0.0, 1.0, 1.7])
def test_fourier_is_a_sum_of_waves(size, power):
    """Each coefficient written out as the cosine that it stands for, by its definition."""
    height, width = size
    drawing = begun(FourierImage(decay_power=power), 1, 1, height, width)
    coefficients = drawing.start[0][0, 0].double().numpy()
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
            scale = np.sqrt(width * height) / max(frequency, 1 / max(width, height)) ** power
            real, imaginary = coefficients[row, column] * scale
            angle = 2 * np.pi * (row * y / height + column * x / padded)
            twice = 1 if column in {0, columns - 1} else 2
            picture += twice * (real * np.cos(angle) - imaginary * np.sin(angle))
    expected = picture[:, :width] / (height * padded) / 4
    np.testing.assert_allclose(drawing.draw(*drawing.start)[0, 0].numpy(), expected, atol=1e-5)


def test_spectrum_scale_published_values():
    """Lucid at 128 x 128: sqrt(128 * 128) / max(f, 1/128), f up to sqrt(.5)."""
    scale = spectrum_scale(128, 128)
    assert scale.shape == (128, 65)
    assert scale[0, 0] == 128 * 128
    assert scale[0, 1] == 128 * 128
    assert scale[3, 4] == pytest.approx(128 * 128 / 5)
    assert scale[64, 64] == pytest.approx(128 * 2**0.5)


@pytest.mark.parametrize("size", [(16, 16), (13, 9)])
def test_a_pyramid_is_a_sum_of_enlarged_pictures(size):
    height, width = size
    drawing = begun(LaplacianPyramid(levels=3), 1, 2, height, width)
    shapes = [tuple(level.shape) for level in drawing.start]
    assert shapes == [(1, 2, height >> n, width >> n) for n in range(3)]
    expected = sum(slow_resize(level[0, 1].double().numpy(), size) for level in drawing.start)
    np.testing.assert_allclose(drawing.draw(*drawing.start)[0, 1].numpy(), expected, atol=1e-6)


def slow_network(weights: list[np.ndarray], y: float, x: float) -> np.ndarray:
    """The colour at a place: dot products, arc tangents and their squares."""
    values = np.array([y, x])
    for matrix, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        arcs = np.arctan(matrix @ values + bias)
        values = np.concatenate([arcs / 0.67, arcs**2 / 0.6])
    return weights[-2] @ values + weights[-1]


def test_a_pattern_network_is_a_function_of_the_place():
    """Of coordinates from -sqrt(3) to sqrt(3), which have a variance of 1; at any size."""
    storage = PatternNetwork(layers=3, units=5)
    drawing = begun(storage, 2, 3, 5, 9, deviation=1.0)
    assert not drawing.draw(*drawing.start).any()
    weights = [torch.randn_like(each) for each in drawing.start]
    picture = drawing.draw(*weights).numpy()
    plain = [each[1].double().numpy() for each in weights]
    for row, column in [(0, 0), (4, 8), (2, 4), (1, 7)]:
        y, x = ((i / last * 2 - 1) * 3**0.5 for i, last in ((row, 4), (column, 8)))
        np.testing.assert_allclose(picture[1, :, row, column], slow_network(plain, y, x), rtol=1e-4)
    larger = begun(storage, 2, 3, 9, 17).draw(*weights)
    torch.testing.assert_close(larger[..., ::2, ::2].numpy(), picture, rtol=1e-4, atol=1e-4)


def slow_standard(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / (x.std(ddof=1) + 1e-5)


def test_a_fixed_magnitude_is_a_sum_of_waves_of_the_magnitudes_of_nature():
    """MACO's steps; f^-1.4 stands for its measured spectrum."""
    size = 6
    drawing = begun(FixedMagnitude(), 1, 2, size, size, deviation=1.0)
    phases = slow_standard(drawing.start[0][0].double().numpy())
    y, x = np.mgrid[0:size, 0:size]
    picture = np.zeros((2, size, size))
    for row, column in np.ndindex(size, size // 2 + 1):
        frequency = np.hypot(np.fft.fftfreq(size)[row], column / size)
        magnitude = size * max(frequency, 1 / size) ** -1.4
        twice = 1 if column in {0, size // 2} else 2
        angle = 2 * np.pi * (row * y + column * x) / size
        picture += twice * magnitude * np.cos(angle + phases[:, row, column, None, None])
    expected = slow_standard(picture / size**2)
    np.testing.assert_allclose(drawing.draw(*drawing.start)[0].numpy(), expected, atol=1e-5)


def test_only_phases_of_a_fixed_magnitude_change():
    drawing = begun(FixedMagnitude(), 1, 1, 32, 32, deviation=1.0)
    one, other = (drawing.draw(p) for p in (drawing.start[0], torch.randn(1, 1, 32, 17) * 5))
    assert (one - other).abs().mean() > 0.5
    inner = slice(1, 16)  # the outer columns are their own mirror pictures
    for picture in (one, other):
        magnitude = torch.fft.rfft2(picture)[0, 0, :, inner].abs()
        fall = torch.log(magnitude / spectrum_scale(32, 32, 1.4)[:, inner])
        assert fall.std() < 1e-3


RAW = uncorrelate(torch.logit(photograph(64).clamp(1e-3, 1 - 1e-3)))


def test_a_fixed_magnitude_cannot_be_a_photograph_but_as_near_as_magnitudes_allow():
    """Parseval: spectra of given magnitudes are nearest where their phases are equal."""
    near = approached(begun(FixedMagnitude(), 1, 3, 64, 64, deviation=1.0), RAW, 400, 1.0)
    distance = (near - RAW).square().mean().item()
    ours, its = (torch.fft.fft2(each).abs() for each in (near, RAW))
    bound = ((ours - its).square().mean() / 64**2).item()
    assert bound <= distance < 1.05 * bound
    assert bound > 0.5 * RAW.var().item()


def test_a_fixed_magnitude_becomes_any_picture_of_its_magnitudes():
    other = begun(FixedMagnitude(), 1, 3, 32, 32, seed=7, deviation=1.0)
    target = other.draw(*other.start)
    mine = begun(FixedMagnitude(), 1, 3, 32, 32, seed=8, deviation=1.0)
    assert (mine.draw(*mine.start) - target).abs().mean() > 0.5
    near = approached(mine, target, 1000, 0.05)
    assert (near - target).abs().mean() < 0.05
