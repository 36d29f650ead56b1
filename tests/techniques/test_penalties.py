"""Penalties: each measure of the pictures themselves against its definition in NumPy."""

import numpy as np
import pytest
import torch
from scenes import check, pictures_of, scene_of

from hooke_server.errors import InvalidArgumentError
from hooke_server.techniques.objectives.penalties import (
    Blur,
    BoundaryComplexity,
    MeanAlpha,
    PixelNorm,
    TotalVariation,
)
from hooke_server.techniques.objectives.scene import Scene


@pytest.fixture
def small(tiny):
    return scene_of(tiny, ["conv", "fc"])


def test_pixel_norms(small):
    x = small.pictures.double().numpy()
    check(PixelNorm(order=1, constant=0.25), small, lambda i: abs(x[i] - 0.25).mean())
    check(PixelNorm(), small, lambda i: np.sqrt(1e-6 + ((x[i] - 0.5) ** 2).mean()))


def test_total_variation(small):
    x = small.pictures.double().numpy()

    def slow(i: int) -> float:
        total = 0.0
        for channel, row, column in np.ndindex(3, 8, 8):
            here = x[i, channel, row, column]
            if row < 7:
                total += abs(x[i, channel, row + 1, column] - here)
            if column < 7:
                total += abs(x[i, channel, row, column + 1] - here)
        return total / 64

    check(TotalVariation(), small, slow)


def slow_blur(plane: np.ndarray, reach: int) -> np.ndarray:
    """Weights 1 inside the square and 1/2 at its rim, over what lies in the picture."""
    result = np.zeros_like(plane)
    for row, column in np.ndindex(plane.shape):
        total = weights = 0.0
        for y, x in np.ndindex(plane.shape):
            far = max(abs(y - row), abs(x - column))
            weight = 1.0 if far < reach else 0.5 if far == reach else 0.0
            total, weights = total + weight * plane[y, x], weights + weight
        result[row, column] = total / weights
    return result


def test_blur(tiny):
    scene = scene_of(tiny, ["conv"], count=2, alpha=True)
    for measure, x in [(Blur(), scene.pictures), (Blur(alpha=True), scene.alpha)]:
        x = x.double().numpy()
        check(
            measure,
            scene,
            lambda i, x=x: 0.5 * sum(((p - slow_blur(p, 1)) ** 2).sum() for p in x[i]),
        )


def test_a_step_against_blur_is_a_step_to_the_blurred_picture(tiny):
    """Its gradient is the difference itself: the blurred picture is held fixed."""
    leaf = pictures_of(1, 8).requires_grad_()
    value = Blur()(Scene(model=tiny, values={}, pictures=leaf))
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    blurred = [slow_blur(plane, 1) for plane in leaf[0].detach().double().numpy()]
    np.testing.assert_allclose((leaf - gradient)[0].detach(), np.stack(blurred), atol=1e-6)


@pytest.mark.parametrize("width", [1, 2, 20])
def test_boundary_complexity(tiny, width):
    scene = scene_of(tiny, ["conv"], count=2)
    x = scene.pictures.double().numpy()

    def slow(i: int) -> float:
        total = 0.0
        for plane in x[i]:
            apart = (slow_blur(plane, 2) - plane) ** 2 + 0.8 * (plane - 0.5) ** 2
            for row, column in np.ndindex(8, 8):
                if min(row, column, 7 - row, 7 - column) < width:
                    total += apart[row, column]
        return total

    check(BoundaryComplexity(width=width), scene, slow)


def test_mean_alpha(tiny):
    scene = scene_of(tiny, ["conv"], alpha=True)
    check(MeanAlpha(), scene, lambda i: scene.alpha[i].mean().item())


@pytest.mark.parametrize("measure", [MeanAlpha(), Blur(alpha=True)])
def test_an_opacity_that_is_not_there_is_missed(small, measure):
    with pytest.raises(InvalidArgumentError, match=r"needs pictures with alpha") as missed:
        measure(small)
    assert missed.value.field == "ascent.image.alpha"
