"""Gradient, path and noise methods against Captum on a private copy, and against identities."""

import captum.attr as captum
import numpy as np
import pytest
import torch
from answers import answer, difference, frames, unit

from hooke_server.errors import FailedPreconditionError, InvalidArgumentError
from hooke_server.techniques.attribution.baselines import (
    BlurBaseline,
    MeanBaseline,
    NoiseBaseline,
    ZeroBaseline,
)
from hooke_server.techniques.attribution.methods.paths import gauss_legendre
from hooke_server.techniques.objectives.algebra import of
from hooke_server.techniques.objectives.measures import Response
from hooke_server.techniques.plans import Item
from hooke_server.techniques.tables import Rows
from hooke_server.techniques.targets import Site

EXACT = 1e-5

# It tells that it sets what it then resets.
pytestmark = pytest.mark.filterwarnings("ignore:Input Tensor:UserWarning", "ignore:Setting")


@pytest.fixture
def pictures():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def small():
    return torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))


class ThereAndBack(captum.LayerConductance):
    """Captum weighs each step by the gradient where it starts: on the way back, where it ends."""

    def attribute(self, inputs, **given):
        zeros = torch.zeros_like(inputs)
        back = super().attribute(zeros, inputs, **given)
        return (super().attribute(inputs, zeros, **given) - back) / 2


CASES = {
    "saliency": ("saliency", (), {}, lambda net: captum.Saliency(net), {}),
    "signed": ("saliency", (), {"absolute": False}, captum.Saliency, {"abs": False}),
    "input x gradient": ("input_x_gradient", (), {}, captum.InputXGradient, {}),
    "at a layer": (
        "input_x_gradient",
        "layer2",
        {},
        lambda net: captum.LayerGradientXActivation(net, net.layer2),
        {},
    ),
    "integrated": ("integrated_gradients", (), {}, captum.IntegratedGradients, {}),
    "integrated at a layer": (
        "integrated_gradients",
        "layer3",
        {"steps": 20},
        lambda net: captum.LayerIntegratedGradients(net, net.layer3),
        {"n_steps": 20},
    ),
    "conductance": (
        "conductance",
        "layer2",
        {"steps": 10},
        lambda net: ThereAndBack(net, net.layer2),
        {"n_steps": 10, "method": "riemann_trapezoid"},
    ),
    "influence": (
        "internal_influence",
        "layer2",
        {"steps": 10},
        lambda net: captum.InternalInfluence(net, net.layer2),
        {"n_steps": 10},
    ),
}


@pytest.mark.parametrize("case", list(CASES))
def test_methods_equal_captums(residual, pictures, case):
    model, net = residual
    name, at, given, theirs, options = CASES[case]
    found = answer(model, pictures, name, [unit(model, 3), unit(model, 7)], at, **given)
    for number, target in enumerate((3, 7)):
        expected = theirs(net).attribute(pictures, target=target, **options)
        assert difference(found[number], expected.detach().float()) < EXACT


def test_the_comparison_can_fail(residual, pictures):
    model, net = residual
    found = answer(model, pictures, "saliency", [unit(model, 3)])
    other = captum.Saliency(net).attribute(pictures, target=4)
    assert difference(found[0], other) > 0.1


def test_a_hidden_unit_can_be_explained(residual, pictures):
    """Captum's neuron gradient, and the mean over a channel."""
    model, net = residual
    neuron = unit(model, 7, "layer3", (1, 2))
    found = answer(model, pictures, "saliency", [neuron], absolute=False)
    expected = captum.NeuronGradient(net, net.layer3).attribute(pictures, (7, 1, 2))
    assert difference(found[0], expected) < EXACT
    channel = answer(model, pictures, "saliency", [unit(model, 7, "layer3")], absolute=False)
    mean = captum.NeuronGradient(net, net.layer3).attribute(
        pictures, lambda x: x[:, 7].mean((1, 2))
    )
    assert difference(channel[0], mean) < EXACT


def test_integrated_gradients_are_complete(chain, small):
    """Their sum is the difference of the target's values at the two ends, at every layer."""
    model, net = chain
    for at in ("x", "0", "1", "2"):
        place = model.inputs[0].name if at == "x" else at
        found = answer(model, small, "integrated_gradients", [unit(model, 2)], place, steps=64)
        expected = (net(small) - net(torch.zeros_like(small)))[:, 2]
        assert torch.allclose(found[0].flatten(1).sum(1), expected, rtol=1e-4, atol=1e-5)


def test_conductance_of_all_neurons_is_integrated_gradients(chain, small):
    model, _ = chain
    whole = answer(model, small, "integrated_gradients", [unit(model, 2)], steps=16)
    through = [
        answer(
            model,
            small,
            "neuron_conductance",
            [unit(model, 2)],
            through=Site(layer="2", unit=channel),
            steps=16,
        )
        for channel in range(5)
    ]
    assert difference(sum(through), whole) < EXACT


def test_neuron_conductance_is_the_chain_rule_at_each_point(residual, pictures):
    model, net = residual
    found = answer(
        model,
        pictures,
        "neuron_conductance",
        [unit(model, 3)],
        through=Site(layer="layer3", unit=7, position=(1, 2)),
        steps=4,
    )
    kept = {}
    handle = net.layer3.register_forward_hook(lambda _, __, value: kept.update(value=value))
    points, weights = np.polynomial.legendre.leggauss(4)
    total = torch.zeros_like(pictures)
    for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
        at = (pictures * point).float().requires_grad_()
        score, value = net(at)[:, 3].sum(), kept["value"]
        [behind] = torch.autograd.grad(score, value, retain_graph=True)
        [before] = torch.autograd.grad((value[:, 7, 1, 2] * behind[:, 7, 1, 2]).sum(), at)
        total += weight * before
    handle.remove()
    assert difference(found[0], total * pictures) < EXACT


@pytest.mark.parametrize("steps", [1, 7, 300, 2000])
def test_points_of_a_line_are_those_of_the_rule(steps):
    """Their powers sum up to the integrals of x^k; that they are kept costs one search a number."""
    points, weights = gauss_legendre(steps)
    for power in range(min(2 * steps, 20)):
        assert float(weights @ points**power) == pytest.approx(1 / (power + 1), rel=1e-10)
    assert gauss_legendre(steps)[0] is points


def test_linear_networks_are_explained_exactly(linear):
    """Weight times distance, by every method that is one on linear networks."""
    model, net = linear
    sample = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(2))
    weight = net[1].weight[1].reshape(1, 3, 4, 4).detach()
    for name in ("input_x_gradient", "integrated_gradients", "gradient_shap"):
        found = answer(model, sample, name, [unit(model, 1)])
        assert torch.allclose(found[0], weight * sample, atol=1e-6), name
    smooth = answer(model, sample, "smooth_grad", [unit(model, 1)], samples=4)
    assert torch.allclose(smooth[0], weight.expand(2, -1, -1, -1), atol=1e-6)
    varied = answer(model, sample, "smooth_grad", [unit(model, 1)], statistic="variance", samples=4)
    assert float(varied.abs().max()) < 1e-6


def test_baselines_move_the_start(linear):
    model, net = linear
    sample = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(2))
    weight = net[1].weight[1].reshape(1, 3, 4, 4).detach()
    mean = sample.mean((2, 3), keepdim=True)
    found = answer(
        model, sample, "integrated_gradients", [unit(model, 1)], baselines=[MeanBaseline()]
    )
    assert torch.allclose(found[0], weight * (sample - mean), atol=1e-6)
    both = answer(
        model,
        sample,
        "integrated_gradients",
        [unit(model, 1)],
        baselines=[MeanBaseline(), ZeroBaseline()],
    )
    assert torch.allclose(both[0], weight * (sample - mean / 2), atol=1e-6)


def test_baselines_that_blur_or_draw_are_what_they_say(linear):
    model, _ = linear
    layer = model.layer(model.inputs[0].name)
    sample = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    blurred = BlurBaseline(deviation=100.0)(sample, layer, model, torch.Generator())
    assert float(blurred.std((2, 3)).max()) < 0.1 * float(sample.std((2, 3)).min())
    drawn = NoiseBaseline(deviation=0.5)(sample, layer, model, torch.Generator().manual_seed(0))
    again = NoiseBaseline(deviation=0.5)(sample, layer, model, torch.Generator().manual_seed(0))
    assert torch.equal(drawn, again)
    assert not torch.equal(drawn, sample)


def test_an_objective_is_explained_by_its_parts(residual, pictures):
    """One class less another: the difference of their answers."""
    model, _ = residual
    first, second = (Site(layer=model.output_layer, unit=number) for number in (3, 7))
    objective = Item(objective=of(Response(location=first)) - of(Response(location=second)))
    found = answer(model, pictures, "input_x_gradient", [objective])
    parts = answer(model, pictures, "input_x_gradient", [unit(model, 3), unit(model, 7)])
    assert difference(found[0], parts[0] - parts[1]) < EXACT


def test_without_a_target_each_samples_strongest_class_is_explained(residual, pictures):
    model, net = residual
    found = frames(model, pictures, "saliency")
    strongest = net(pictures).argmax(1).tolist()
    [rows] = [each for each in found if isinstance(each, Rows)]
    assert [row[3] for row in rows.rows] == strongest
    for sample, number in enumerate(strongest):
        expected = captum.Saliency(net).attribute(pictures[sample : sample + 1], target=number)
        alone = answer(model, pictures, "saliency")[0, sample : sample + 1]
        assert difference(alone, expected) < EXACT


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("integrated_gradients", {"steps": 7}),
        ("smooth_grad", {"samples": 7}),
        ("gradient_shap", {"samples": 7}),
    ],
)
def test_rows_that_share_a_pass_do_not_matter(residual, pictures, name, given):
    model, _ = residual
    one, many = (
        answer(model, pictures, name, [unit(model, 3)], rows=rows, seed=4, **given)
        for rows in (2, 16)
    )
    assert difference(one, many) < EXACT


def test_seeds_repeat(chain, small):
    model, _ = chain
    one, again, other = (
        answer(model, small, "smooth_grad", [unit(model, 1)], seed=seed) for seed in (1, 1, 2)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_what_cannot_be_asked_is_refused(residual, pictures):
    model, _ = residual
    with pytest.raises(InvalidArgumentError, match="not computed from 'layer4'"):
        answer(model, pictures, "saliency", [unit(model, 1, "layer2")], "layer4")
    with pytest.raises(FailedPreconditionError, match="looks at layers"):
        answer(model, pictures, "conductance", [unit(model, 1)], model.inputs[0].name)
    with pytest.raises(InvalidArgumentError, match="no picture"):
        answer(
            model,
            pictures,
            "integrated_gradients",
            [unit(model, 1)],
            baselines=[("constant_baseline", {})],
        )
    with pytest.raises(InvalidArgumentError, match="no method of attribution"):
        answer(model, pictures, "deep_dream", [unit(model, 1)])
