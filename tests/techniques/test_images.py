"""Images: colours, opacity, shared parts and given pictures; every kind can hold a photograph."""

import io
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy_pictures import correlated, photograph, sigmoid, slow_resize
from PIL import Image as Pillow

from hooke_server.techniques.overlays import to_pixels
from hooke_server.techniques.targets import Photograph
from hooke_server.techniques.visualization.climbing import climb, start
from hooke_server.techniques.visualization.images import (
    Canvas,
    Image,
    ImageParameterization,
    correlate,
    make_image,
    uncorrelate,
)
from hooke_server.techniques.visualization.optimizers import Adam
from hooke_server.techniques.visualization.storages import (
    FixedMagnitude,
    FourierImage,
    LaplacianPyramid,
    PatternNetwork,
    PixelImage,
)

FREE = [PixelImage(), FourierImage(), FourierImage(decay_power=1.5), LaplacianPyramid()]
RESUMED = [*FREE, FixedMagnitude()]
EVERY = [*RESUMED, PatternNetwork()]


def image_of(
    wanted: ImageParameterization,
    size: tuple[int, int] = (16, 16),
    *,
    channels: int = 3,
    samples: Sequence[int] = (0,),
    items: Sequence[int] | None = None,
    seed: int = 0,
) -> Image:
    canvas = Canvas(
        height=size[0],
        width=size[1],
        channels=channels,
        samples=samples,
        items=items or [0] * len(samples),
        seed=seed,
        device=torch.device("cpu"),
    )
    return make_image(wanted, canvas)


def begin_of(image: Image) -> torch.Tensor:
    return image.render(*image.start)


def held(image: Image, target: torch.Tensor, steps: int, rate: float = 0.05) -> float:
    """The mean absolute error with which the image becomes the target."""
    optimizer, generator = Adam(rate), torch.Generator()

    def likeness(tensors, step):
        return -(image.render(*tensors) - target).square().sum((1, 2, 3))

    begin = start(optimizer, image.start, generator)
    *_, last = climb(optimizer, likeness, begin, generator, steps)
    return (image.render(*last.tensors) - target).abs().mean().item()


@pytest.mark.parametrize("storage", FREE)
@pytest.mark.parametrize("decorrelate", [True, False])
def test_storages_whose_numbers_are_free_can_become_a_photograph(storage, decorrelate):
    wanted = ImageParameterization(storage=storage, decorrelate_colors=decorrelate)
    assert held(image_of(wanted, (64, 64)), photograph(64), 600) < 0.01


def test_an_image_that_cannot_change_does_not_become_a_photograph():
    image = image_of(ImageParameterization(storage=PixelImage()), (64, 64))
    stuck = Image(image.start, lambda t: image.render(t.mean((2, 3), keepdim=True).expand_as(t)))
    assert held(stuck, photograph(64), 100) > 0.05


def test_a_pattern_network_draws_what_its_weights_can_say():
    """Fewer numbers than the photograph has, whose large things they hold."""
    image = image_of(ImageParameterization(storage=PatternNetwork()), (64, 64))
    weights = sum(tensor.numel() for tensor in image.start)
    assert weights == 72 + 7 * 24 * 49 + 3 * 49 < photograph(64).numel()
    assert 0.01 < held(image, photograph(64), 300, 0.005) < 0.06


@pytest.mark.parametrize("seed", range(3))
def test_a_pattern_network_learns_exclusive_or(seed):
    """Black where the corner's coordinates have one sign, white where they have two."""
    image = image_of(ImageParameterization(storage=PatternNetwork()), (8, 8), seed=seed)
    wanted = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).expand(1, 3, 2, 2)
    corners = Image(image.start, lambda *tensors: image.render(*tensors)[..., ::7, ::7])
    assert held(corners, wanted, 200, 0.005) < 0.02


@pytest.mark.parametrize("size", [(24, 24), (13, 22), (32, 17)])
@pytest.mark.parametrize("storage", RESUMED)
@pytest.mark.parametrize("decorrelate", [True, False])
def test_a_given_picture_is_where_it_starts(storage, decorrelate, size):
    given = given_picture(size)
    wanted = ImageParameterization(storage=storage, decorrelate_colors=decorrelate, start=given[0])
    error = (begin_of(image_of(wanted, size)) - given[1]).abs().max()
    assert error < 1 / 255


@pytest.mark.parametrize("storage", RESUMED)
def test_from_a_given_picture_it_climbs(storage):
    """To the same picture moved by a pixel, which has the same magnitudes."""
    file, pixels = given_picture((24, 24))
    image = image_of(ImageParameterization(storage=storage, start=file), (24, 24))
    target = pixels.roll(1, 3)
    assert held(image, target, 60, 0.05) < 0.5 * (begin_of(image) - target).abs().mean()


def given_picture(size: tuple[int, int]) -> tuple[Photograph, torch.Tensor]:
    """Noise and a photograph in one file of that size, and what is in it."""
    pixels = photograph(64)[0, :, : size[0], : size[1]]
    pixels = (pixels * 255).round().byte().permute(1, 2, 0).numpy().copy()
    pixels[:4, :4] = np.random.default_rng(0).integers(0, 256, (4, 4, 3))
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, "PNG")
    return Photograph(file.getvalue()), torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255


def test_only_the_first_of_several_is_the_given_picture():
    file, pixels = given_picture((16, 16))
    wanted = ImageParameterization(start=file)
    first, second, third = begin_of(image_of(wanted, samples=[0, 1, 2]))
    assert (first - pixels[0]).abs().max() < 1 / 255
    for other in (second, third):
        assert 1e-4 < (other - first).abs().mean() < 0.02
    assert not torch.equal(second, third)


def test_colors_correlate_as_lucid_has_them():
    """The matrix over its largest column norm, worked out by hand."""
    norm = (0.26**2 + 0.27**2 + 0.27**2) ** 0.5
    raw = torch.tensor([1.0, 10.0, 100.0]).reshape(1, 3, 1, 1)
    red, green, blue = correlate(raw).flatten().tolist()
    assert red == pytest.approx((0.26 + 0.9 + 2.0) / norm, rel=1e-5)
    assert green == pytest.approx((0.27 + 0.0 - 5.0) / norm, rel=1e-5)
    assert blue == pytest.approx((0.27 - 0.9 + 3.0) / norm, rel=1e-5)
    torch.testing.assert_close(uncorrelate(correlate(raw)), raw)


@pytest.mark.parametrize("storage", EVERY)
def test_colours_and_opacity(storage):
    """Colours correlated, the opacity not, and a sigmoid over all."""
    wanted = ImageParameterization(storage=storage, alpha=True, deviation=1.0)
    image = image_of(wanted, channels=3)
    tensors = [torch.randn_like(tensor) / 4 for tensor in image.start]
    plain = ImageParameterization(storage=storage, alpha=True, decorrelate_colors=False)
    raw = torch.logit(image_of(plain).render(*tensors).double())[0].numpy()
    expected = sigmoid(np.concatenate([correlated(raw[:3]), raw[3:]]))
    rendered = image.render(*tensors)
    assert rendered.shape == (1, 4, 16, 16)
    np.testing.assert_allclose(rendered[0].numpy(), expected, atol=1e-4)


def test_the_opacity_of_a_given_picture_is_half():
    file, pixels = given_picture((16, 16))
    begin = begin_of(image_of(ImageParameterization(start=file, alpha=True)))
    assert (begin[:, :3] - pixels).abs().max() < 1 / 255
    torch.testing.assert_close(begin[:, 3], torch.full((1, 16, 16), 0.5), atol=1e-4, rtol=0)


@pytest.mark.parametrize("storage", EVERY)
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_decorrelation_is_for_three_channels(storage, channels):
    plain, asked = (
        begin_of(
            image_of(
                ImageParameterization(storage=storage, decorrelate_colors=decorrelate),
                channels=channels,
            )
        )
        for decorrelate in (False, True)
    )
    assert torch.equal(plain, asked)
    assert plain.shape == (1, channels, 16, 16)


@pytest.mark.parametrize("storage", EVERY)
def test_noise_is_of_the_seed_and_of_the_number_in_the_item_alone(storage):
    """A picture does not depend on who is made beside it."""
    wanted = ImageParameterization(storage=storage)

    def first(**where):
        return image_of(wanted, **where).start[0]

    batch = first(samples=[0, 1, 2, 0, 1], items=[0, 0, 0, 1, 1])
    assert torch.equal(batch[0], batch[3])
    assert torch.equal(batch[1], batch[4])
    for one in (1, 2):
        assert not torch.equal(batch[0], batch[one])
    for sample in (0, 1, 2):
        assert torch.equal(batch[sample], first(samples=[sample], items=[9])[0])
    assert torch.equal(batch, first(samples=[0, 1, 2, 0, 1], items=[0, 0, 0, 1, 1]))
    assert not torch.equal(batch, first(samples=[0, 1, 2, 0, 1], items=[0, 0, 0, 1, 1], seed=1))


@pytest.mark.parametrize("storage", [PixelImage(), FourierImage(), LaplacianPyramid()])
@pytest.mark.parametrize("deviation", [None, 0.5])
def test_start_is_noise_of_its_deviation(storage, deviation):
    wanted = ImageParameterization(storage=storage, deviation=deviation)
    noise = image_of(wanted, (64, 64), samples=[0, 1]).start[0]
    assert noise.std().item() == pytest.approx(deviation or 0.01, rel=0.05)
    assert noise.mean().item() == pytest.approx(0, abs=0.05 * (deviation or 0.01))


def test_shared_factors_are_of_an_item():
    """Smaller pictures, one of each size for each item, enlarged and added to all its own."""
    wanted = ImageParameterization(
        storage=PixelImage(), shared_factors=(2, 5), decorrelate_colors=False
    )
    image = image_of(wanted, (20, 15), samples=[0, 1, 0], items=[4, 4, 2])
    pixels, half, fifth = image.start
    assert (half.shape, fifth.shape) == ((2, 3, 10, 7), (2, 3, 4, 3))
    torch.testing.assert_close(half[0], half[1])
    half, fifth = torch.randn_like(half), torch.randn_like(fifth)
    rendered = image.render(pixels, half, fifth)
    for entry, item in [(0, 0), (1, 0), (2, 1)]:
        parts = (slow_resize(p[item, 1].double().numpy(), (20, 15)) for p in (half, fifth))
        expected = sigmoid(pixels[entry, 1].numpy() + sum(parts))
        np.testing.assert_allclose(rendered[entry, 1].numpy(), expected, atol=1e-5)


def test_pixels_for_any_number_of_channels():
    picture = torch.tensor([0.0, 0.5, 1.0, 0.25]).reshape(4, 1, 1).expand(4, 2, 3)
    assert to_pixels(picture).tolist() == [[[0, 128, 255]] * 3] * 2
    assert to_pixels(picture[1:2]).tolist() == [[[128] * 3] * 3] * 2
    assert to_pixels(picture[:2]).tolist() == [[[64] * 3] * 3] * 2
    assert to_pixels(picture).dtype == np.uint8
    assert to_pixels(picture, alpha=True).tolist() == [[[0, 128, 255, 64]] * 3] * 2
    assert to_pixels(picture[1:3], alpha=True).tolist() == [[[128] * 3 + [255]] * 3] * 2
