"""Every lens with little to do, and what it shows of one of two servers' models or the other."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import hooke
from hooke import techniques as t

LAYER = "blocks.2.1"
QUICK = {"steps": 8, "size": 224, "transforms": t.TransformSequence()}
"""At the one size that the export takes; transforms would be resized to it."""


LENSES = {
    "channel": (t.FeatureVisualization(**QUICK), {"layer": LAYER, "unit": [3, 7]}),
    "neuron": (
        t.FeatureVisualization(**QUICK),
        {"layer": LAYER, "unit": 3, "position": (10, 12)},
    ),
    "class": (t.FeatureVisualization(**QUICK), {"unit": [281]}),
    "diversity": (t.FeatureVisualization(pictures=3, **QUICK), {"layer": LAYER, "unit": 3}),
    "without gradients": (
        t.FeatureVisualization(optimizer="cma_es", **QUICK),
        {"layer": LAYER, "unit": 3},
    ),
    "deep dream": (t.DeepDream(**QUICK), {"layer": LAYER}),
    "caricature": (t.Caricature(photograph="cat", **QUICK), {"layer": LAYER}),
    "inversion": (t.FeatureInversion(photograph="cat", **QUICK), {"layer": LAYER}),
    "accentuation": (t.Accentuation(photograph="cat", **QUICK), {"unit": 281}),
    "style": (  # the layers that see the manner by default are counted off, and exports have fewer
        t.StyleTransfer(
            content="cat", style="cat", style_locations=[hooke.Location("blocks.1.1")], **QUICK
        ),
        {"layer": LAYER},
    ),
    "grid": (t.ActivationGrid(photograph="cat", cells=2, **QUICK), {"layer": LAYER}),
    "groups": (t.NeuronGroups(photograph="cat", groups=2, **QUICK), {"layer": LAYER}),
    "dictionary": (
        t.SemanticDictionary(photograph="cat", cells=2, icons=2, **QUICK),
        {"layer": LAYER},
    ),
    "places": (t.SpatialAttribution(photograph="cat"), {"layer": LAYER}),
    "units": (t.ChannelAttribution(photograph="cat", units=2, **QUICK), {"layer": LAYER}),
    "tuning": (t.TuningCurves(resolution=4), {"layer": LAYER, "unit": 3}),
    "comparison": (
        t.Comparison(other=hooke.Location(LAYER, unit=9), **QUICK),
        {"layer": LAYER, "unit": 3},
    ),
}


def run(client, model, lens, place):
    """Finished pictures, tensors, result."""
    frames = list(client.visualize(model, lens, **place))
    pictures = [f for f in frames if isinstance(f, hooke.Picture) and f.final]
    return pictures, [f for f in frames if isinstance(f, hooke.Tensor)], frames[-1]


def pixels(picture):
    return np.asarray(Image.open(io.BytesIO(picture.data)).convert("RGBA")).astype(float)


def asked(name, cat):
    """A lens and its place; `cat` stands where it looks at a photograph."""
    lens, place = LENSES[name]
    for field in ("photograph", "content", "style"):
        if getattr(lens, field, None) == "cat":
            lens = type(lens)(**{**vars(lens), field: cat})
    return lens, place


def check_same(name, one, other, *, objectives=0.2):
    """Two runs show the same: numbers to rounding; what climbs amplifies it, and arrives nearby."""
    (ours, numbers, _), (theirs, other_numbers, _) = one, other
    assert [p.name for p in ours] == [p.name for p in theirs]
    for left, right in zip(ours, theirs, strict=True):
        assert np.abs(pixels(left) - pixels(right)).mean() < 12
        if left.objective is not None:
            assert left.objective == pytest.approx(right.objective, rel=objectives)
        assert left.layer == right.layer
        assert replace(left.location, model=None) == replace(right.location, model=None)
    for left, right in zip(numbers, other_numbers, strict=True):
        assert (left.name, left.value.shape) == (right.name, right.value.shape)
        scale = np.abs(left.value).max()
        tolerance = 1e-2 if name == "comparison" else 1e-4  # its responses are to pictures
        np.testing.assert_allclose(left.value, right.value, atol=tolerance * scale)
