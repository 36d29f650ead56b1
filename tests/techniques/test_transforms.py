"""Transforms: each against a slow NumPy re-derivation, for the draws that it made."""

import numpy as np
import pytest
import torch
from numpy_pictures import each_plane, slow_resize, slow_rotate

from hooke_server.errors import InvalidArgumentError
from hooke_server.techniques.visualization.transforms import (
    STANDARD,
    Crop,
    Jitter,
    Noise,
    Pad,
    Rotate,
    Scale,
    TransformSequence,
    resize,
    rotate,
)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def picture(height: int, width: int, batch: int = 2) -> torch.Tensor:
    return torch.rand(batch, 3, height, width, generator=seeded(9))


def drawn(seed: int, *counts: int) -> list[int]:
    """What a transform of that seed draws, in order."""
    generator = seeded(seed)
    return [int(torch.randint(count, (), generator=generator)) for count in counts]


def test_pad_adds_grey():
    image = picture(3, 4)
    padded = Pad(width=2)(image, seeded(0)).numpy()
    expected = np.full((2, 3, 7, 8), 0.5, np.float32)
    expected[:, :, 2:5, 2:6] = image.numpy()
    np.testing.assert_array_equal(padded, expected)


@pytest.mark.parametrize("seed", range(4))
def test_jitter_crops_and_fills_nothing_in(seed):
    image = picture(9, 11)
    top, left = drawn(seed, 4, 4)
    expected = image.numpy()[:, :, top : top + 6, left : left + 8]
    np.testing.assert_array_equal(Jitter(pixels=3)(image, seeded(seed)).numpy(), expected)


def test_jitter_reaches_every_offset():
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    generator = seeded(0)
    corners = {Jitter(pixels=2)(image, generator).item() for _ in range(200)}
    assert corners == set(range(9))


@pytest.mark.parametrize("seed", range(4))
def test_scale(seed):
    image, factors = picture(10, 13), (0.5, 0.8, 1.3)
    factor = factors[drawn(seed, 3)[0]]
    size = (int(10 * factor), int(13 * factor))
    expected = each_plane(image, lambda plane: slow_resize(plane, size))
    scaled = Scale(factors=factors)(image, seeded(seed))
    np.testing.assert_allclose(scaled.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_rotate(seed):
    image, angles = picture(9, 12), (-10.0, 3.0, 0.0, 45.0)
    angle = angles[drawn(seed, 4)[0]]
    expected = each_plane(image, lambda plane: slow_rotate(plane, angle))
    rotated = Rotate(degrees=angles)(image, seeded(seed))
    np.testing.assert_allclose(rotated.numpy(), expected, atol=1e-5)


def test_rotate_by_a_right_angle_is_exact():
    image = picture(8, 8)
    turned = rotate(image, 90)
    torch.testing.assert_close(turned, torch.rot90(image, 1, (2, 3)), atol=1e-5, rtol=0)


def test_resize_to_the_same_size_is_the_same_picture():
    image = picture(5, 6)
    assert resize(image, (5, 6)) is image


def test_standard_is_lucids():
    """Pad 12, jitter 8, scale, rotate, jitter 4, by the draws of one generator in that order."""
    image = picture(40, 48)
    for seed in range(3):
        top, left, scale, angle, top_2, left_2 = drawn(seed, 9, 9, 11, 26, 5, 5)
        step = np.pad(image.double().numpy(), [(0, 0)] * 2 + [(12, 12)] * 2, constant_values=0.5)
        step = torch.from_numpy(step[:, :, top : top + 56, left : left + 64])
        factor = [0.9, 0.92, 0.94, 0.96, 0.98, 1, 1.02, 1.04, 1.06, 1.08, 1.1][scale]
        size = (int(56 * factor), int(64 * factor))
        degrees = angle - 10 if angle < 21 else 0
        step = each_plane(step, lambda plane, size=size: slow_resize(plane, size))
        step = each_plane(
            torch.from_numpy(step), lambda plane, angle=degrees: slow_rotate(plane, angle)
        )
        expected = step[:, :, top_2 : top_2 + size[0] - 4, left_2 : left_2 + size[1] - 4]
        result = STANDARD(image, seeded(seed))
        np.testing.assert_allclose(result.numpy(), expected, atol=1e-5)


def test_transforms_repeat_with_their_seed_and_treat_a_batch_alike():
    image = picture(20, 20, 1).repeat(3, 1, 1, 1)
    once, again = STANDARD(image, seeded(1)), STANDARD(image, seeded(1))
    assert torch.equal(once, again)
    assert torch.equal(once[0], once[2])
    assert once.shape != STANDARD(image, seeded(2)).shape or not torch.equal(
        once, STANDARD(image, seeded(2))
    )


def test_a_tiny_picture_keeps_a_pixel():
    image = picture(2, 9)
    moved = Jitter(pixels=5)(image, seeded(0))
    assert moved.shape == (2, 3, 1, 4)


def slow_crop(plane: np.ndarray, share: float, centre: tuple[float, float]) -> np.ndarray:
    """The part of that size around the centre, moved inside, enlarged to the whole size."""
    spans = []
    for extent, middle in zip(plane.shape, centre, strict=True):
        part = max(1, round(extent * share))
        begin = round(middle * extent - part / 2)
        begin = 0 if begin < 0 else extent - part if begin + part > extent else begin
        spans.append(slice(begin, begin + part))
    return slow_resize(plane[spans[0], spans[1]], plane.shape)


@pytest.mark.parametrize("seed", range(6))
def test_crop(seed):
    image, generator = picture(18, 24), seeded(seed)
    share = 0.3 + 0.4 * torch.rand((), generator=generator, dtype=torch.float64).item()
    centre = (0.5 + 0.15 * torch.randn(2, generator=generator)).tolist()
    expected = each_plane(image, lambda plane: slow_crop(plane, share, centre))
    cropped = Crop(minimum=0.3, maximum=0.7)(image, seeded(seed))
    np.testing.assert_allclose(cropped.numpy(), expected, atol=1e-5)


def test_a_crop_that_leaves_the_picture_is_moved_inside():
    """Centres at any distance: what is black outside never comes in."""
    image, generator = torch.ones(1, 1, 16, 16), seeded(0)
    for _ in range(200):
        cropped = Crop(minimum=0.5, maximum=0.5)(image, generator)
        torch.testing.assert_close(cropped, image)


def test_crops_lie_as_in_maco():
    """Sizes alike from smallest to largest, centres with a deviation of 0.15 of an edge."""
    ramp = torch.linspace(0, 1, 200).expand(1, 1, 200, 200)
    generator = seeded(0)
    crops = [Crop(minimum=0.1, maximum=0.2)(ramp, generator)[0, 0, 0] for _ in range(600)]
    centres = np.array([crop.mean().item() for crop in crops])
    sizes = np.array([(crop[-1] - crop[0]).item() for crop in crops])
    assert centres.mean() == pytest.approx(0.5, abs=0.02)
    assert centres.std() == pytest.approx(0.15, abs=0.015)
    assert sizes.mean() == pytest.approx(0.15, abs=0.01)
    assert (sizes.min(), sizes.max()) == pytest.approx((0.1, 0.2), abs=0.01)
    assert sizes.std() == pytest.approx(0.1 / 12**0.5, abs=0.005)


@pytest.mark.parametrize("seed", range(2))
def test_noise(seed):
    image = picture(9, 7)
    noise = torch.randn(3, 9, 7, generator=seeded(seed)).numpy()
    noisy = Noise(deviation=0.08)(image, seeded(seed)).numpy()
    np.testing.assert_allclose(noisy, image.numpy() + 0.08 * noise, atol=1e-6)


def test_noise_has_its_deviation():
    noisy = Noise(deviation=0.2)(torch.full((1, 3, 99, 99), 0.5), seeded(1))
    assert noisy.mean().item() == pytest.approx(0.5, abs=0.005)
    assert noisy.std().item() == pytest.approx(0.2, rel=0.02)


def test_a_sequence_runs_in_order():
    image = torch.ones(1, 1, 2, 2)
    both = TransformSequence(transforms=(Pad(width=1, value=0.0), Pad(width=1, value=0.75)))
    grown = both(image, seeded(0))
    assert grown[0, 0, 0, 0] == 0.75
    assert grown[0, 0, 1, 1] == 0


def test_a_sequence_without_transforms_changes_nothing():
    image = picture(4, 4)
    assert TransformSequence()(image, seeded(0)) is image


@pytest.mark.parametrize("kind", [Scale, Rotate])
def test_nothing_to_draw_from_is_refused(kind):
    name = {Scale: "factors", Rotate: "degrees"}[kind]
    with pytest.raises(InvalidArgumentError, match=f"{name} must not be empty"):
        kind(**{name: ()})


EVERY = TransformSequence(
    transforms=(
        Pad(width=5),
        Scale(factors=(0.5, 1.7)),
        Crop(minimum=0.2, maximum=1.0),
        Rotate(degrees=(-30.0, 30.0)),
        Jitter(pixels=3),
        Noise(deviation=0.1),
    )
)


@pytest.mark.parametrize(
    "sequence",
    [STANDARD, EVERY, *(TransformSequence(transforms=(each,)) for each in EVERY.transforms)],
)
def test_gradients_come_through_and_the_largest_picture_is_foretold(sequence):
    """What is charged for before the work is what the largest draw needs."""
    generator, longest = seeded(0), 0
    for _ in range(40):
        leaf = picture(21, 33).requires_grad_()
        edges, seen = [33], leaf
        for transform in sequence.transforms:
            seen = transform(seen, generator)
            edges.append(max(seen.shape[2:]))
        longest = max(longest, *edges)
        (gradient,) = torch.autograd.grad(seen.square().sum(), leaf)
        assert gradient.isfinite().all()
        assert gradient.any()
    assert longest == sequence.grown(33)
