"""Feature visualization on a trained network, where pictures survive transforms."""

import pytest
import skimage.data
import torch

from hooke_server.techniques.frames import Picture
from hooke_server.techniques.objectives.algebra import of
from hooke_server.techniques.objectives.measures import Response
from hooke_server.techniques.plans import Item
from hooke_server.techniques.targets import Site
from hooke_server.techniques.technique import all_techniques
from hooke_server.techniques.visualization.sight import Sight, Subject
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


def finished(model, sites, sign="positive", **ascent):
    items = [Item(site=site) for site in sites]
    frames = LENS.run([model], LENS.bind([model], items, {"ascent": ascent, "sign": sign}))
    return [frame for frame in frames if isinstance(frame, Picture) and frame.final]


@pytest.mark.parametrize(
    ("sites", "sign"),
    [
        ([Site(layer=EARLY, unit=3), Site(layer=LATE, unit=11)], "positive"),
        ([Site(layer=LATE, unit=11, position=(7, 7))], "positive"),
        ([Site(layer=EARLY, unit=3), Site(layer=LATE, unit=11)], "negative"),
    ],
)
def test_pictures_beat_every_photograph(trained, sites, sign):
    """With Lucid's transforms, after a sixteenth of Lucid's steps."""
    pictures = finished(trained, sites, steps=32, size=64, sign=sign)
    for site, picture in zip(sites, pictures, strict=True):
        subject = Subject(objective=of(Response(location=site)), samples=tuple(range(8)))
        with torch.no_grad():
            seen = Sight(trained, [subject], (64, 64))(photographs(64))
        best = (seen if sign == "positive" else -seen).max().item()
        assert picture.objective > best


def test_a_class_is_recognized_in_its_picture(trained):
    """By the network itself, from the 8-bit pixels."""
    site = Site(layer=trained.output_layer, unit=TABBY)
    (picture,) = finished(trained, [site], steps=40, size=96)
    pixels = torch.from_numpy(picture.pixels).permute(2, 0, 1)[None].float() / 255
    logits = trained.forward([trained.output_layer], ((pixels - 0.5) / 0.5,))
    assert logits[trained.output_layer].argmax().item() == TABBY
