"""Running a technique in a test, and looking at a layer independently of Hooke's probes."""

import io

import numpy as np
import skimage.data
import torch
import torchvision
from PIL import Image

from hooke_server.techniques.frames import Array, Picture
from hooke_server.techniques.plans import Item
from hooke_server.techniques.targets import Photograph, Site
from hooke_server.techniques.technique import TechniqueKind, all_techniques

LENSES = {
    name: each
    for name, each in all_techniques().items()
    if each.kind is TechniqueKind.VISUALIZATION
}


def cat(size: int = 128) -> Photograph:
    """The face of a cat, square."""
    pixels = skimage.data.chelsea()[20:276, 90:346]
    return photograph(np.asarray(Image.fromarray(pixels).resize((size, size))))


def photograph(pixels: np.ndarray) -> Photograph:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return Photograph(file.getvalue())


def run(name, models, sites, given, seed=0):
    """Finished pictures, tensors by name (of the first item), and the result."""
    models = models if isinstance(models, list) else [models]
    lens = all_techniques()[name]
    plan = lens.bind(models, [Item(site=site) for site in sites], given, seed=seed)
    frames = list(lens.run(models, plan))
    arrays = {}
    for frame in frames:
        if isinstance(frame, Array):
            arrays.setdefault(frame.name, frame.value.numpy())
    return [f for f in frames if isinstance(f, Picture) and f.final], arrays, frames[-1]


def pixels_of(picture: Picture) -> torch.Tensor:
    """[1, 3, height, width] in 0..1."""
    return torch.from_numpy(picture.pixels[..., :3].copy()).permute(2, 0, 1)[None].float() / 255


def eager_resnet() -> torch.nn.Module:
    """The network that the fixture `resnet` was made from, never traced."""
    torch.manual_seed(0)
    return torchvision.models.resnet18(num_classes=10).eval()


def eager(layer: str, pictures: torch.Tensor) -> torch.Tensor:
    """A module's output in that network, caught by a hook, a copy."""
    network, caught = eager_resnet(), []
    network.get_submodule(layer).register_forward_hook(
        lambda _m, _i, out: caught.append(out.clone())
    )
    with torch.no_grad():
        network(pictures)
    return caught[0]


def place(layer: str, unit: int | None = None, **more) -> Site:
    return Site(layer=layer, unit=unit, **more)
