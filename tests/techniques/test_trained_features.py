"""Feature visualization on a trained network, where pictures survive transforms."""

import pytest
import skimage.data
import torch

from hooke_server.techniques.frames import Picture
from hooke_server.techniques.technique import Site, all_techniques
from hooke_server.techniques.visualization.sight import Sight
from hooke_server.techniques.visualization.transforms import resize

LENS = all_techniques()["feature_visualization"]
EARLY, LATE = "blocks.1.1.conv_pw", "blocks.4.1.conv_pw"
TABBY = 281


def photographs(size):
    """Four photographs, upright and upside down, [8, 3, size, size]."""
    names = ["chelsea", "coffee", "rocket", "astronaut"]
    shown = [torch.from_numpy(getattr(skimage.data, name)().copy()) for name in names]
    shown = [resize(p.permute(2, 0, 1)[None].float() / 255, (size, size)) for p in shown]
    return torch.cat([*shown, *(p.flip(2) for p in shown)])


def finished(model, sites, **given):
    frames = LENS.run(model, LENS.bind(model, "m", sites, given))
    return [frame for frame in frames if isinstance(frame, Picture) and frame.final]


@pytest.mark.parametrize(
    ("sites", "negative"),
    [
        ([Site(layer=EARLY, unit=3), Site(layer=LATE, unit=11)], False),
        ([Site(layer=LATE, unit=11, position=(7, 7))], False),
        ([Site(layer=EARLY, unit=3), Site(layer=LATE, unit=11)], True),
    ],
)
def test_pictures_beat_every_photograph(trained, sites, negative):
    """With Lucid's transforms, after a sixteenth of Lucid's steps."""
    pictures = finished(trained, sites, steps=32, size=64, negative=negative)
    for site, picture in zip(sites, pictures, strict=True):
        sight = Sight.of(trained, [site] * 8, 64)
        with torch.no_grad():
            best = (-sight if negative else sight)(photographs(64)).max().item()
        assert picture.objective > best


def test_a_class_is_recognized_in_its_picture(trained):
    """By the network itself, from the 8-bit pixels."""
    site = Site(layer=trained.output_layer, unit=TABBY)
    (picture,) = finished(trained, [site], steps=40, size=96)
    pixels = torch.from_numpy(picture.pixels).permute(2, 0, 1)[None].float() / 255
    logits = trained.forward([trained.output_layer], ((pixels - 0.5) / 0.5,))
    assert logits[trained.output_layer].argmax().item() == TABBY
