"""What requests must fit: axes of baselines, several inputs, the way through a layer."""

import io
from dataclasses import replace

import pytest
import torch
from answers import answer, frames, unit
from PIL import Image
from traced import model_for, model_of

from hooke_server.errors import FailedPreconditionError, InvalidArgumentError
from hooke_server.models.edited import edited
from hooke_server.models.edits import Edit, Replacement
from hooke_server.techniques.attribution.baselines import BlurBaseline, MeanBaseline, NoiseBaseline
from hooke_server.techniques.attribution.drawing import has_pictures
from hooke_server.techniques.attribution.randomizing import randomized
from hooke_server.techniques.objectives.algebra import of
from hooke_server.techniques.objectives.measures import ActivationDifference, ImageDirection
from hooke_server.techniques.plans import Item
from hooke_server.techniques.targets import Photograph, Site


class TwoWays(torch.nn.Module):
    """A picture and a vector, each on its way to a sum."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.fc = torch.nn.Linear(5, 4)
        self.head = torch.nn.Linear(4, 2)

    def forward(self, picture, vector):
        return self.head(self.conv(picture).mean((2, 3)) + self.fc(vector))


@pytest.fixture(scope="module")
def two_ways():
    return model_for(TwoWays(), torch.zeros(1, 3, 8, 8), torch.zeros(1, 5))


def test_the_mean_is_over_positions_wherever_they_are():
    model = model_of(torch.nn.Linear(4, 2), 6, 4)
    layer, sample = model.layer(model.inputs[0].name), torch.randn(2, 6, 4)
    found = MeanBaseline()(sample, layer, model, torch.Generator())
    assert torch.equal(found, sample.mean(1, keepdim=True).expand_as(sample))
    still = NoiseBaseline(deviation=0.0)(sample, layer, model, torch.Generator())
    assert torch.equal(still, found)


def test_units_may_come_last_in_pictures():
    model = model_of(torch.nn.Conv2d(3, 2, 3), 3, 8, 8)
    last = replace(model.layer(model.inputs[0].name), unit_axis=3)
    sample = torch.randn(2, 8, 8, 3)
    found = MeanBaseline()(sample, last, model, torch.Generator())
    assert torch.equal(found, sample.mean((1, 2), keepdim=True).expand_as(sample))
    assert BlurBaseline().obstacle(model, last)
    turned = replace(model, layers=dict(model.layers) | {last.id: last})
    assert has_pictures(model, model.layer(model.output_layer))
    assert not has_pictures(turned, turned.layer(turned.output_layer))


def test_every_input_that_is_changed_must_have_the_baseline(two_ways):
    inputs = [torch.randn(2, 3, 8, 8), torch.randn(2, 5)]
    with pytest.raises(InvalidArgumentError, match="'vector' is no picture") as raised:
        frames(two_ways, inputs, "integrated_gradients", [unit(two_ways, 1)],
               baselines=(MeanBaseline(), BlurBaseline()))  # fmt: skip
    assert raised.value.field.endswith("baselines[1]")


def test_a_layer_that_the_first_input_does_not_reach(two_ways):
    inputs = [torch.randn(2, 3, 8, 8), torch.randn(2, 5)]
    found = answer(two_ways, inputs, "saliency", [unit(two_ways, 1)], "fc", absolute=False)
    weight = two_ways.weights["head.weight"][1]
    assert torch.allclose(found[0], weight.expand(2, 4))
    with pytest.raises(FailedPreconditionError, match="'picture'"):
        frames(two_ways, inputs, "conductance", [unit(two_ways, 1)], "fc")


@pytest.mark.parametrize("shape", [(3,), ()])
def test_inputs_that_are_no_samples_are_refused(shape):
    class Scaled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = torch.nn.Linear(3, 2)

        def forward(self, x, scale):
            return self.fc(x * scale)

    model = model_for(Scaled(), torch.zeros(1, 3), torch.zeros(shape))
    with pytest.raises(FailedPreconditionError, match="must be the batch; this model takes"):
        frames(model, [torch.randn(2, 3), torch.ones(shape)], "saliency", [unit(model, 1)])


def test_what_is_passed_through_must_lie_between(two_ways):
    inputs = [torch.randn(2, 3, 8, 8), torch.randn(2, 5)]

    def through(layer, at, target=None):
        site = Site(layer=layer, unit=0)
        return frames(two_ways, inputs, "neuron_conductance", [unit(two_ways, 1, target)], at,
                      through=site, steps=2)  # fmt: skip

    assert through("fc", "vector")
    with pytest.raises(InvalidArgumentError, match="'fc' is not computed from 'picture'"):
        through("fc", "picture")
    with pytest.raises(InvalidArgumentError, match="'conv', which is explained, is not computed"):
        through("head", "picture", "conv")


def test_shuffling_leaves_alone_what_edits_brought():
    model = model_of(torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Linear(6, 2)), 4)
    value = torch.arange(12.0).reshape(2, 6)
    changed = edited(model, [Edit(layer="0", change=Replacement("digest", value))])
    held = [
        tensor
        for name, tensor in randomized(changed, 1).graph.module.named_buffers()
        if tensor.shape == value.shape
    ]
    assert [torch.equal(each, value) for each in held] == [True]


@pytest.mark.parametrize("measure", [ActivationDifference, ImageDirection])
def test_there_is_no_picture_to_compare_with(measure):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 2))
    model = model_of(net, 3, 8, 8)
    likeness = of(measure(location=Site(layer="0"), image=Photograph(file.getvalue())))
    with pytest.raises(InvalidArgumentError, match="compares with no picture"):
        frames(model, torch.zeros(1, 3, 8, 8), "saliency", [Item(objective=likeness)])
