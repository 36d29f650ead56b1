"""Pictures of parameters are made to fit into a request, and only where they do not."""

import io

import numpy as np
import pytest
from PIL import Image

from hooke.attributions import attribute_request
from hooke.inputs import MESSAGE_BYTES
from hooke.methods import Concept, Tcav

RANDOM = np.random.default_rng(0)


def noise(edge):
    """A picture that no format makes small."""
    return RANDOM.integers(0, 255, (edge, edge, 3), np.uint8)


def request(many, few=(), inputs=None):
    method = Tcav(concepts=[Concept(name="a", images=many)], counter_examples=few)
    given = np.zeros((1, 3, 8, 8), np.float32) if inputs is None else inputs
    return attribute_request("demo", given, method, {})


def sizes(images):
    return [Image.open(io.BytesIO(each.data)).size for each in images]


def test_what_fits_stays_as_it_is():
    made = request([noise(64)] * 4)
    [concept] = made.methods[0].tcav.concepts
    assert sizes(concept.images) == [(64, 64)] * 4
    assert Image.open(io.BytesIO(concept.images[0].data)).format == "PNG"


def test_large_pictures_are_scaled_down_and_small_ones_are_not():
    made = request([noise(512)] * 12, [noise(32)] * 8)
    assert 0.5 * MESSAGE_BYTES < made.ByteSize() <= MESSAGE_BYTES
    [concept] = made.methods[0].tcav.concepts
    assert all(256 <= edge <= 512 for size in sizes(concept.images) for edge in size)
    assert sizes(made.methods[0].tcav.counter_examples) == [(32, 32)] * 8


def test_inputs_are_never_touched():
    inputs = RANDOM.standard_normal((1, 3, 512, 512), np.float32)
    made = request([noise(512)] * 4, inputs=inputs)
    assert made.inputs == request([noise(8)], inputs=inputs).inputs
    assert made.ByteSize() <= MESSAGE_BYTES


def test_too_many_are_refused():
    picture = Image.fromarray(noise(128))
    with pytest.raises(ValueError, match="3000 pictures do not fit into a request"):
        request([picture] * 3000)
