"""Every lens on the ONNX export of the demo's network: the same pictures and numbers."""

import numpy as np
import pytest
from exported import export_demo
from lenses import LAYER, LENSES, QUICK, asked, check_same, pixels, run
from PIL import Image

import hooke
from hooke import techniques as t


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


@pytest.fixture(scope="module")
def cat(photograph):
    """Square, so that what is drawn anew is as well."""
    return Image.open(photograph).crop((90, 20, 346, 276))


def test_all_lenses_are_tried():
    """Weights are compared below: exporters fold normalizations into them."""
    tried = {type(lens) for lens, _ in LENSES.values()}
    assert tried | {t.WeightPictures} == set(t.LENSES.values())


@pytest.mark.parametrize("name", LENSES)
def test_a_lens_shows_the_same_on_the_export(twins, cat, name):
    lens, place = asked(name, cat)
    one, other = (run(twins, model, lens, place) for model in ("demo", "twin"))
    check_same(name, one, other)
    [told], [other] = (each.provenance.models for _, _, each in (one, other))
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
