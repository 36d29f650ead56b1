"""Layer-wise relevance propagation against matrices of contributions, Captum and conservation."""

import copy

import captum.attr as captum
import captum.attr._utils.lrp_rules as captum_rules
import pytest
import relevance_oracle
import torch
from answers import answer, difference, frames, unit
from torch import nn
from traced import model_of

from hooke_server.models.loaders import LoadContext, load_model
from hooke_server.models.preprocessing import Preprocessing
from hooke_server.models.sources import Roots
from hooke_server.techniques.objectives.algebra import of
from hooke_server.techniques.objectives.measures import Response
from hooke_server.techniques.plans import Item
from hooke_server.techniques.tables import Finding
from hooke_server.techniques.targets import Site

COMPOSITES = ["epsilon", "epsilon_plus", "epsilon_gamma", "epsilon_alpha2_beta1"]
FIRST_LAYERS = ["same", "box", "flat", "squared_weights"]
RELEVANCE = "relevance_propagation"
CLOSE = 1e-4
STEPS = Preprocessing(mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), crop_height=16, crop_width=16)

pytestmark = pytest.mark.filterwarnings(
    "ignore:Input Tensor:UserWarning", "ignore:Setting", "ignore:Full backward hook"
)


def plain(*, bias=True):
    """Every module once, nothing goes around a layer."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, stride=2, bias=bias),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, groups=2, bias=bias),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(8, 10, bias=bias),
        nn.ReLU(),
        nn.Linear(10, 4, bias=bias),
    ).eval()


def normed():
    """The same with batch norms that are far from nothing, and merged by hand."""
    merged, layers = plain(), []
    for layer in merged:
        layers.append(copy.deepcopy(layer))
        if isinstance(layer, nn.Conv2d) or layer is merged[7]:
            conv = isinstance(layer, nn.Conv2d)
            norm = (nn.BatchNorm2d if conv else nn.BatchNorm1d)(len(layer.weight)).eval()
            with torch.no_grad():
                for each in (norm.running_mean, norm.weight, norm.bias):
                    each.normal_(0, 0.5)
                norm.running_var.uniform_(0.2, 2)
                scale = norm.weight / (norm.running_var + norm.eps).sqrt()
                layer.weight *= scale.reshape(-1, *[1] * (layer.weight.ndim - 1))
                layer.bias.copy_((layer.bias - norm.running_mean) * scale + norm.bias)
            layers.append(norm)
    return nn.Sequential(*layers).eval(), merged


@pytest.fixture(scope="module")
def small():
    """Two pictures, prepared as the networks' preprocessing does."""
    pixels = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(5))
    mean, std = (torch.tensor(each)[:, None, None] for each in (STEPS.mean, STEPS.std))
    return (pixels - mean) / std


def modelled(net):
    return model_of(net, 3, 16, 16, preprocessing=STEPS)


@pytest.mark.parametrize("first_layer", FIRST_LAYERS)
@pytest.mark.parametrize("composite", COMPOSITES)
def test_every_rule_is_derived_anew(small, composite, first_layer):
    net, merged = normed()
    model = modelled(net)
    found = answer(
        model, small, RELEVANCE, [unit(model, 2)],
        composite=composite, first_layer=first_layer, epsilon=0.0,
    )  # fmt: skip
    mean, std = (torch.tensor(each)[:, None, None] for each in (STEPS.mean, STEPS.std))
    for row, sample in enumerate(small):
        expected = relevance_oracle.relevance(
            merged, sample[None], 2, composite, first_layer, (-mean / std, (1 - mean) / std)
        )
        assert difference(found[0, row : row + 1].double(), expected) < CLOSE
        assert float(expected.abs().max()) > 1e-6


@pytest.mark.parametrize("composite", COMPOSITES)
def test_merged_batch_norms_change_nothing(small, composite):
    one, other = (
        answer(model, small, RELEVANCE, [unit(model, 1)], composite=composite)
        for model in map(modelled, normed())
    )
    assert difference(one, other) < CLOSE


@pytest.mark.filterwarnings("default::FutureWarning", "default::DeprecationWarning")
@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_exports_are_explained_as_the_network(small, tmp_path, kind):
    """One holds the last batch norm as an operator, the other all as tuples of a value and more."""
    net, _ = normed()
    if kind == "onnx":
        torch.onnx.export(net, (small,), tmp_path / "n.onnx", input_names=["x"], dynamo=False)
    else:
        batch = torch.export.Dim("batch")
        program = torch.export.export(net, (small,), dynamic_shapes=({0: batch},))
        torch.export.save(program.run_decompositions({}), tmp_path / "n.pt2")
    model, twin = modelled(net), load_model(f"file:n.{kind}", LoadContext(roots=Roots([tmp_path])))
    ops = {each.op for each in twin.layers.values()}
    assert "batch_norm" in ops
    one, other = (
        answer(each, small, RELEVANCE, [unit(each, 1)], first_layer="same")
        for each in (model, twin)
    )
    assert difference(one, other) < CLOSE


@pytest.mark.parametrize("first_layer", FIRST_LAYERS)
@pytest.mark.parametrize("composite", COMPOSITES)
def test_relevance_is_conserved_without_biases(small, composite, first_layer):
    net = plain(bias=False)
    model = modelled(net)
    found = answer(
        model, small, RELEVANCE, [unit(model, 2)],
        composite=composite, first_layer=first_layer, epsilon=1e-9,
    )  # fmt: skip
    score = net(small)[:, 2]
    assert torch.allclose(found[0].flatten(1).sum(1), score, rtol=1e-3, atol=1e-5)


def test_relevance_by_epsilon_equals_captums(small):
    net = plain()
    model = modelled(net)
    found = answer(
        model, small, RELEVANCE, [unit(model, 1)],
        composite="epsilon", epsilon=1e-9, first_layer="same",
    )  # fmt: skip
    net[6].rule = captum_rules.EpsilonRule()  # it knows no Flatten, which moves numbers only
    expected = captum.LRP(net).attribute(small, target=1).detach()
    assert difference(found[0], expected) < CLOSE


def test_relevance_by_epsilon_without_biases_is_input_x_gradient(small):
    """An identity of rectifier networks (Ancona et al., ICLR 2018)."""
    model = modelled(plain(bias=False))
    target = [unit(model, 2)]
    relevance = answer(
        model, small, RELEVANCE, target, composite="epsilon", epsilon=1e-9, first_layer="same"
    )
    product = answer(model, small, "input_x_gradient", target)
    assert difference(relevance, product) < 1e-3


def test_a_box_without_declared_bounds_is_the_samples_own(small):
    net = plain()
    model = model_of(net, 3, 16, 16)
    found = answer(model, small, RELEVANCE, [unit(model, 1)], epsilon=0.0)
    for row, sample in enumerate(small):
        bounds = sample.amin((1, 2), keepdim=True), sample.amax((1, 2), keepdim=True)
        expected = relevance_oracle.relevance(net, sample[None], 1, "epsilon_plus", "box", bounds)
        assert difference(found[0, row : row + 1].double(), expected) < CLOSE


def test_a_layer_between_a_convolution_and_its_norm_can_be_asked(small):
    net, _ = normed()
    model = modelled(net)
    before, behind = (
        answer(model, small, RELEVANCE, [unit(model, 1)], at=layer) for layer in ("0", "1")
    )
    assert float(behind.abs().max()) > 0
    assert difference(before, behind) < CLOSE


def test_relevance_begins_with_the_value_at_each_position(small):
    """A unit is its mean over positions: at the layer before, each position has its own share."""
    net = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.ReLU(), nn.Conv2d(4, 2, 1, bias=False))
    model = modelled(net.eval())
    found = answer(
        model, small, RELEVANCE, [unit(model, 1)], composite="epsilon", first_layer="same"
    )
    expected = net(small)[:, 1] / (16 * 16)
    assert torch.allclose(found[0].sum(1), expected, rtol=1e-3, atol=1e-6)


def test_an_objective_is_conserved_part_by_part(small):
    """One unit less another: 1 and -1 times the difference of both would sum up to nothing."""
    net = plain(bias=False)
    model = modelled(net)
    each = [of(Response(location=Site(layer=model.output_layer, unit=u))) for u in (2, 0)]
    found = answer(model, small, RELEVANCE, [Item(objective=each[0] - each[1])])
    scores = net(small)
    expected = scores[:, 2] - scores[:, 0]
    assert torch.allclose(found[0].flatten(1).sum(1), expected, rtol=1e-3, atol=1e-5)


def findings(model, inputs, **given):
    return [e for e in frames(model, inputs, RELEVANCE, **given) if isinstance(e, Finding)]


def test_it_is_told_how_much_has_arrived(small):
    lossless, lossy = (modelled(plain(bias=bias)) for bias in (False, True))
    kept = findings(lossless, small, targets=[unit(lossless, 2)], epsilon=1e-9)
    assert [(each.kind, each.sample) for each in kept] == [("conserved", 0), ("conserved", 1)]
    assert "has arrived at input, 100%." in kept[0].text
    lost = findings(lossy, small, targets=[unit(lossy, 2)])
    values = answer(lossy, small, RELEVANCE, [unit(lossy, 2)])
    score = plain()(small)[:, 2].detach()
    for sample, each in enumerate(lost):
        arrived = float(values[0, sample].sum())
        assert each.kind == "unconserved"
        assert f"Of {float(score[sample]):.3g} for unit 2" in each.text
        assert f", {arrived:.3g} has arrived at input, " in each.text
        assert each.layer == "input"


def test_findings_are_few(small):
    model = modelled(plain(bias=False))
    assert len(findings(model, small.repeat(20, 1, 1, 1), targets=[unit(model, 2)])) == 16


def test_relevance_passes_skips_and_norms(residual):
    """Sums share it out: what a block adds and what goes around it get all of it."""
    model, _ = residual
    pictures = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    found = answer(model, pictures, RELEVANCE, [unit(model, 3)], composite="epsilon_gamma")
    behind = answer(
        model, pictures, RELEVANCE, [unit(model, 3)], at="layer1", composite="epsilon_gamma"
    )
    assert bool(found.isfinite().all())
    sums = (each[0].flatten(1).sum(1) for each in (found, behind))
    assert torch.allclose(*sums, rtol=1e-2)
