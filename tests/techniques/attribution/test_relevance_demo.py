"""Layer-wise relevance propagation of the demo's network, as it was trained."""

import io

import numpy as np
import pytest
import skimage.data
import torch
from answers import frames, unit
from PIL import Image

from hooke_server.models.loaders import LoadContext, load_model
from hooke_server.techniques.frames import Array
from hooke_server.techniques.tables import Finding

CAT, ESPRESSO = 282, 967
HALF = 112


@pytest.fixture(scope="module")
def model():
    return load_model("demo:", LoadContext())


def prepared(model, picture):
    written = io.BytesIO()
    Image.fromarray(picture).save(written, "PNG")
    return model.preprocessing.decode(written.getvalue())[None]


def explained(model, inputs, targets, **given):
    found = frames(model, inputs, "relevance_propagation", targets, **given)
    [array] = [each for each in found if isinstance(each, Array)]
    return array.value, [each for each in found if isinstance(each, Finding)]


@pytest.mark.parametrize(
    ("composite", "arrived", "moved"),
    [
        ("epsilon_plus", (0.03, 0.06), 0.06),
        ("epsilon_gamma", (0.2, 0.6), 5),
        ("epsilon_alpha2_beta1", (0.03, 0.07), 0.3),
    ],
)
def test_sums_are_a_share_of_the_target(model, composite, arrived, moved):
    """Sum and sum of sizes over the target's value; the rest was the biases' own.

    Measured: 4 % and 4 %; 36 % and 2.5 times; 5 % and 13 %. Where a bias takes a share in every
    convolution they were 0, -2e31 and -500 times the value.
    """
    values, [finding] = explained(
        model, prepared(model, skimage.data.chelsea()), [unit(model, CAT)], composite=composite
    )
    score = float(finding.text.split(" for ")[0].removeprefix("Of "))
    assert score == pytest.approx(9.25, abs=0.01)
    assert arrived[0] < float(values.sum()) / score < arrived[1]
    assert float(values.abs().sum()) / score < moved
    assert finding.kind == "unconserved"
    assert f"{float(values.sum()) / score:.0%}; the rest was taken up by biases" in finding.text


def test_the_default_tells_two_things_in_one_picture_apart(model):
    """A cat on the left and a cup on the right; 81 % and 86 % measured."""
    halves = [
        np.asarray(Image.fromarray(picture).crop(box).resize((224, 224)))[:, 56:168]
        for picture, box in (
            (skimage.data.chelsea(), (90, 20, 346, 276)),
            (skimage.data.coffee(), (100, 0, 500, 400)),
        )
    ]
    pixels = torch.from_numpy(np.concatenate(halves, 1)).permute(2, 0, 1)[None] / 255
    mean, std = (
        torch.tensor(each)[:, None, None]
        for each in (model.preprocessing.mean, model.preprocessing.std)
    )
    values, _ = explained(model, (pixels - mean) / std, [unit(model, CAT), unit(model, ESPRESSO)])
    for found, side in zip(values[:, 0].sum(1), (slice(HALF), slice(HALF, None)), strict=True):
        assert float(found[:, side].sum() / found.abs().sum()) > 0.7
