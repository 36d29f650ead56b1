"""Options and techniques that a call has not are errors, and are found before anything is sent."""

import numpy as np
import pytest

import hooke
from hooke import methods

INPUT = np.zeros((1, 3, 8, 8), np.float32)


@pytest.fixture(scope="module")
def nowhere():
    with hooke.connect("localhost:1") as client:
        yield client


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda c: c.attributions("m", INPUT, target=3), "no option 'target'; there are layer"),
        (lambda c: c.attribute("m", INPUT, labels="a"), "no option 'labels'; did you mean label?"),
        (lambda c: c.attribution_estimate("m", INPUT, units=1), "did you mean unit?"),
        (lambda c: c.visualize("m", unit=1, steps=5), "no option 'steps'; there are layer"),
        (lambda c: c.picture("m", unit=1, previewevery=5), "did you mean preview_every?"),
        (lambda c: c.visualization_estimate("m", unit=1, seeds=5), "did you mean seed?"),
        (lambda c: c.compare("m", "n", INPUT, tolerence=1), "did you mean tolerance?"),
        (lambda c: c.match_units("m", "n", INPUT, "a", same_tensor=1), "did you mean same_tensors"),
    ],
)
def test_unknown_options_are_errors(nowhere, call, words):
    with pytest.raises(TypeError) as caught:
        call(nowhere)
    assert words in str(caught.value)


@pytest.mark.parametrize("method", ["saliency", methods.Saliency, ["saliency"]])
def test_what_is_no_method_is_answered_with_one(nowhere, method):
    with pytest.raises(TypeError, match=r"is no method of .* hooke\.methods\.Saliency\(\)"):
        nowhere.attributions("m", INPUT, method)


def test_what_is_no_lens_is_answered_with_one(nowhere):
    with pytest.raises(TypeError, match=r"'deep_dream' is no lens.*FeatureVisualization\(\)"):
        nowhere.visualize("m", "deep_dream", layer="a")
