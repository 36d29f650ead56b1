"""Random pictures before small models, a photograph beside them, and how a measure is checked."""

import io

import numpy as np
import torch
from numpy_pictures import photograph
from PIL import Image

from hooke_server.techniques.objectives.scene import Scene
from hooke_server.techniques.targets import Photograph


def picture_file(size: int = 32) -> Photograph:
    pixels = (photograph(64)[0, :, :size, :size] * 255).round().byte().permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return Photograph(file.getvalue())


PHOTO = picture_file()


def pictures_of(count: int, size: int, channels: int = 3) -> torch.Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(5))


def scene_of(model, layers, count=6, size=None, alpha=False) -> Scene:
    """Random pictures, what the model says to them, and to the photograph."""
    size = size or model.inputs[0].shape[2]
    pictures = pictures_of(count, size)
    seen = {PHOTO: model.forward(layers, [PHOTO.cropped((size, size))[None]])}
    return Scene(
        model=model,
        values=model.forward(layers, [pictures]),
        pictures=pictures,
        alpha=pictures_of(count, size, 1) if alpha else None,
        references=seen,
    )


def check(measure, scene, slow) -> None:
    """The measure of each picture is what `slow` says of its number."""
    expected = [slow(i) for i in range(len(scene.pictures))]
    got = measure(scene)
    assert got.shape == (len(expected),)
    np.testing.assert_allclose(got.numpy(), expected, rtol=2e-4, atol=1e-5)
