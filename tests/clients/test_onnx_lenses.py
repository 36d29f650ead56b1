"""Every lens on the ONNX export of the demo's network: the same pictures and numbers."""

import io
from dataclasses import replace

import numpy as np
import pytest
from exported import export_demo
from PIL import Image

import hooke
from hooke import techniques as t

LAYER = "blocks.2.1"
QUICK = {"steps": 8, "size": 224, "transforms": t.TransformSequence()}
"""At the one size that the export takes; transforms would be resized to it."""


@pytest.fixture(scope="module")
def twins(tmp_path_factory, server_process):
    """A client of a server that has the trained network as `demo` and its export as `twin`."""
    folder = tmp_path_factory.mktemp("models")
    export_demo(folder / "lite0.onnx")
    models = ("--demo", "--model", "twin=file:lite0.onnx")
    with (
        server_process(*models, "--model-root", folder) as address,
        hooke.connect(address) as client,
    ):
        client.layers("twin")
        yield client


def run(client, model, lens, place):
    """Finished pictures, tensors, result."""
    frames = list(client.visualize(model, lens, **place))
    pictures = [f for f in frames if isinstance(f, hooke.Picture) and f.final]
    return pictures, [f for f in frames if isinstance(f, hooke.Tensor)], frames[-1]


def pixels(picture):
    return np.asarray(Image.open(io.BytesIO(picture.data)).convert("RGBA")).astype(float)


@pytest.fixture(scope="module")
def cat(photograph):
    """Square, so that what is drawn anew is as well."""
    return Image.open(photograph).crop((90, 20, 346, 276))


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


def test_all_lenses_are_tried():
    """Weights are compared below: exporters fold normalizations into them."""
    tried = {type(lens) for lens, _ in LENSES.values()}
    assert tried | {t.WeightPictures} == set(t.LENSES.values())


@pytest.mark.parametrize("name", LENSES)
def test_a_lens_shows_the_same_on_the_export(twins, cat, name):
    """Numbers to rounding; what climbs amplifies it, and arrives at nearly the same."""
    lens, place = LENSES[name]
    for field in ("photograph", "content", "style"):
        if getattr(lens, field, None) == "cat":
            lens = type(lens)(**{**vars(lens), field: cat})
    ours, numbers, result = run(twins, "demo", lens, place)
    theirs, other_numbers, other_result = run(twins, "twin", lens, place)
    assert [p.name for p in ours] == [p.name for p in theirs]
    for one, two in zip(ours, theirs, strict=True):
        assert np.abs(pixels(one) - pixels(two)).mean() < 12
        if one.objective is not None:
            assert one.objective == pytest.approx(two.objective, rel=0.2)
        assert (one.layer, replace(one.location, model="twin")) == (two.layer, two.location)
    for one, two in zip(numbers, other_numbers, strict=True):
        assert (one.name, one.value.shape) == (two.name, two.value.shape)
        scale = np.abs(one.value).max()
        tolerance = 1e-2 if name == "comparison" else 1e-4  # its responses are to pictures
        np.testing.assert_allclose(one.value, two.value, atol=tolerance * scale)
    [told], [other] = result.provenance.models, other_result.provenance.models
    assert told.parity_error is None
    assert 0 <= other.parity_error < 1e-4


def test_filters_are_the_same_but_for_their_scale(twins):
    """Each is shown by its own strongest weight; folding may turn its sign."""
    ours, theirs = (
        run(twins, model, t.WeightPictures(), {"layer": "conv_stem"})[0]
        for model in ("demo", "twin")
    )
    assert len(ours) == len(theirs) == 32
    for one, two in zip(ours, theirs, strict=True):
        pair = np.corrcoef(pixels(one)[..., :3].ravel(), pixels(two)[..., :3].ravel())
        assert abs(pair[0, 1]) > 0.99
    source = t.WeightPictures(source=hooke.Location("conv_stem"))
    place = {"layer": "blocks.1.0.conv_dw", "unit": 5}
    assert [p.name for p in run(twins, "twin", source, place)[0]] == ["expanded_weights"]


def test_the_model_and_its_export_are_compared_side_by_side(twins):
    lens = t.Comparison(other=hooke.Location(LAYER, unit=3, model="twin"), **QUICK)
    pictures, [responses], result = run(twins, "demo", lens, {"layer": LAYER, "unit": 3})
    assert [picture.name for picture in pictures] == ["comparison"]
    assert responses.value[:, 0] == pytest.approx(responses.value[:, 1], rel=1e-3)
    assert [each.name for each in result.provenance.models] == ["demo", "twin"]
