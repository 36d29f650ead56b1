"""Tuning curves, weight pictures, comparison: against filters and networks made by hand."""

import math

import numpy as np
import pytest
import torch
from lens_runs import place, run
from traced import model_of

from hooke_server.errors import FailedPreconditionError, InvalidArgumentError
from hooke_server.techniques.visualization.stimuli import Canvas, StimulusFamily, family


def detector(weight: torch.Tensor, size: int = 33) -> torch.nn.Module:
    conv = torch.nn.Conv2d(3, len(weight), weight.shape[-1], padding=weight.shape[-1] // 2)
    with torch.no_grad():
        conv.weight.copy_(weight)
        conv.bias.zero_()
    return model_of(torch.nn.Sequential(conv, torch.nn.ReLU()), 3, size, size)


def bar(degrees: float, size: int = 15) -> torch.Tensor:
    """A filter that is positive along a line and negative beside it, of sum zero."""
    half = size // 2
    rows, columns = np.mgrid[-half : half + 1, -half : half + 1]
    across = -columns * math.sin(math.radians(degrees)) + -rows * math.cos(math.radians(degrees))
    profile = np.exp(-(across**2) / 2) - 0.5 * np.exp(-(across**2) / 8)
    profile -= profile.mean()
    return torch.tensor(profile, dtype=torch.float32).expand(3, -1, -1)


@pytest.mark.parametrize("degrees", [0.0, 30.0, 90.0, 135.0])
def test_a_line_detector_peaks_at_its_own_orientation(degrees):
    model = detector(bar(degrees)[None])
    given = {"families": ["line"], "resolution": 12}
    [picture], arrays, _ = run("tuning_curves", model, [place("0", 0)], given)
    assert picture.name == "tuning_curve"
    assert arrays["line_orientation"][arrays["line_responses"].argmax()] == degrees


@pytest.mark.parametrize(("channel", "hue"), [(0, 0.0), (1, 120.0), (2, 240.0)])
def test_a_colour_detector_peaks_at_its_own_hue(channel, hue):
    weight = torch.full((1, 3, 1, 1), -0.5)
    weight[0, channel] = 1.0
    given = {"families": ["color"], "resolution": 12}
    _, arrays, _ = run("tuning_curves", detector(weight), [place("0", 0)], given)
    responses = arrays["color_responses"]
    assert arrays["color_hue"][responses.argmax()] == hue


def test_a_grating_detector_peaks_at_its_frequency_and_orientation():
    size = 65
    drawn = family(StimulusFamily.FREQUENCY, 7)
    frequency, orientation = drawn.axes[0].values[4], drawn.axes[1].values[2]
    pattern = drawn.draw(Canvas(3, size, size), (frequency, orientation)) - 0.5
    _, arrays, _ = run(
        "tuning_curves",
        detector(pattern[None], size),
        [place("0", 0)],
        {"families": ["frequency"], "resolution": 7},
    )
    table = arrays["frequency_responses"]
    assert table.shape == (7, 8)
    assert np.unravel_index(table.argmax(), table.shape) == (4, 2)


def test_a_curve_bends_the_way_it_is_told():
    """At 0 degrees it bends upwards: its ends lie above its middle."""
    drawn = family(StimulusFamily.ANGLE_RADIUS, 4)
    picture = drawn.draw(Canvas(1, 101, 101), (0.0, 0.4))[0].numpy()
    bright = np.argwhere(picture > 0.9)
    middle = bright[bright[:, 1] == 50]
    ends = bright[abs(bright[:, 1] - 50) == abs(bright[:, 1] - 50).max()]
    assert middle[:, 0].mean() == pytest.approx(50, abs=2)
    assert ends[:, 0].mean() < middle[:, 0].mean() - 10
    turned = drawn.draw(Canvas(1, 101, 101), (90.0, 0.4))[0].numpy()
    np.testing.assert_allclose(turned, np.rot90(picture), atol=1e-4)


def test_a_neuron_counts_at_its_position_and_a_unit_at_the_centre():
    model = detector(bar(0.0)[None])
    given = {"families": ["line"], "resolution": 4}
    _, unit, _ = run("tuning_curves", model, [place("0", 0)], given)
    _, centre, _ = run("tuning_curves", model, [place("0", 0, position=(16, 16))], given)
    _, corner, _ = run("tuning_curves", model, [place("0", 0, position=(0, 0))], given)
    np.testing.assert_array_equal(unit["line_responses"], centre["line_responses"])
    assert abs(corner["line_responses"]).max() < abs(centre["line_responses"]).max()


def test_filters_are_the_weights_around_grey(resnet):
    pictures, arrays, _ = run("weight_pictures", resnet, [place("conv1", 3)], {"tile_size": 14})
    weight = resnet.weights["conv1.weight"][3].numpy()
    np.testing.assert_array_equal(arrays["weights"][0], weight)
    expected = (0.5 + 0.5 * weight / abs(weight).max()).transpose(1, 2, 0) * 255
    expected = expected.repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_allclose(pictures[0].pixels, expected, atol=0.51)
    everything, _, _ = run("weight_pictures", resnet, [place("conv1")], {})
    assert [picture.site.unit for picture in everything] == list(range(64))


def slow_composition(first: np.ndarray, second: np.ndarray, stride: int) -> np.ndarray:
    """Weights [source, h, w] of one unit through two convolutions, summed by hand."""
    middle, kernel = second.shape[0], second.shape[1]
    size = (kernel - 1) * stride + first.shape[2]
    result = np.zeros((first.shape[1], size, size))
    for unit in range(middle):
        for row, column in np.ndindex(kernel, kernel):
            top, left = row * stride, column * stride
            part = second[unit, row, column] * first[unit]
            result[:, top : top + first.shape[2], left : left + first.shape[3]] += part
    return result


@pytest.mark.parametrize("stride", [1, 2])
def test_expanded_weights_are_the_composed_convolutions(stride):
    torch.manual_seed(1)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 5, 1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(5, 4, 3, stride=stride, padding=1),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU6(),
        torch.nn.Conv2d(4, 2, 3, padding=1),
    )
    norm = network[3]
    torch.nn.init.uniform_(norm.running_var, 0.5, 2)
    torch.nn.init.normal_(norm.weight)
    model = model_of(network, 3, 32, 32)
    pictures, arrays, _ = run(
        "weight_pictures", model, [place("5", 1)], {"source": place("0"), "source_units": 3}
    )
    factor = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach().numpy()
    first = network[2].weight.detach().numpy() * factor[:, None, None, None]
    expected = slow_composition(first, network[5].weight.detach().numpy()[1], stride)
    np.testing.assert_allclose(arrays["weights"][0], expected, atol=1e-5)
    strongest = np.argsort(-np.linalg.norm(expected.reshape(5, -1), axis=1))[:3]
    assert [tile.site.unit for tile in pictures[0].tiles] == strongest.tolist()


def test_weights_that_cannot_be_shown_are_refused(resnet):
    with pytest.raises(FailedPreconditionError, match="name a source layer"):
        run("weight_pictures", resnet, [place("layer1.0.conv1")], {})
    with pytest.raises(InvalidArgumentError, match="before 'layer1"):
        run("weight_pictures", resnet, [place("layer1.0.conv1")], {"source": place("layer2")})


def test_a_unit_beside_itself_is_the_same_twice(resnet):
    given = {"other": place("layer1", 2), "ascent": {"steps": 4, "size": 32}}
    [picture], arrays, _ = run("comparison", resnet, [place("layer1", 2)], given)
    table = arrays["responses"]
    np.testing.assert_allclose(table, table[0, 0], rtol=1e-4)
    assert len(picture.tiles) == 2


def test_two_models_look_at_both_pictures(resnet, tiny):
    given = {"other": place("conv", 1, model=1), "ascent": {"steps": 24, "size": 32}}
    [picture], arrays, _ = run("comparison", [resnet, tiny], [place("layer1", 2)], given)
    table = arrays["responses"]
    assert table[0, 0] > table[1, 0]
    assert table[1, 1] > table[0, 1]
    assert [tile.site.model for tile in picture.tiles] == [0, 1]
