"""Runs of feature visualization in tests."""

import torch

from hooke_server.techniques.frames import Picture
from hooke_server.techniques.objectives.algebra import of
from hooke_server.techniques.objectives.measures import Response
from hooke_server.techniques.plans import Item
from hooke_server.techniques.targets import Site
from hooke_server.techniques.technique import all_techniques
from hooke_server.techniques.visualization.images import Canvas, ImageParameterization, make_image
from hooke_server.techniques.visualization.sight import Subject

LENS = all_techniques()["feature_visualization"]


CHANNEL = Site(layer="layer2.0.conv1", unit=5)


NEURON = Site(layer="layer2.0.conv1", unit=5, position=(3, 4))


CLASS = Site(layer="fc", unit=7)


STILL = {"transforms": []}
"""No transforms: what a random network responds to does not survive them."""


def plan_of(model, *sites, seed=0, previews=None, memory=None, sign="positive", **ascent):
    items = [Item(site=site) for site in sites]
    given = {"ascent": ascent, "sign": sign}
    return LENS.bind([model], items, given, seed=seed, previews=previews, memory=memory)


def frames_of(model, *sites, **given):
    return list(LENS.run([model], plan_of(model, *sites, **given)))


def pictures_of(frames):
    return [frame for frame in frames if isinstance(frame, Picture) and frame.final]


def subjects(*sites):
    return [Subject(objective=of(Response(location=site)), site=site) for site in sites]


def image_of(count, size, seed=0):
    """Noise as pictures start from, in Fourier coefficients."""
    canvas = Canvas(
        height=size, width=size, channels=3, samples=range(count), items=[0] * count,
        seed=seed, device=torch.device("cpu"),
    )  # fmt: skip
    return make_image(ImageParameterization(), canvas)
