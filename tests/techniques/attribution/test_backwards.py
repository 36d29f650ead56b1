"""Methods with a way back of their own, against Captum, zennit's definitions and conservation."""

import captum.attr as captum
import captum.attr._utils.lrp_rules as captum_rules
import pytest
import torch
from answers import answer, difference, unit
from traced import model_of

from hooke_server.errors import FailedPreconditionError
from hooke_server.techniques.attribution.baselines import MeanBaseline, ZeroBaseline

EXACT = 1e-5

pytestmark = pytest.mark.filterwarnings(
    "ignore:Input Tensor:UserWarning",
    "ignore:Setting",
    "ignore:Full backward hook",
)


@pytest.fixture
def pictures():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def plain(*, bias=True):
    """A network that all libraries take: every module once, nothing goes around a layer."""
    torch.manual_seed(3)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 3, padding=1, bias=bias),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(6, 8, 3, bias=bias),
        torch.nn.ReLU(),
        torch.nn.AvgPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(8 * 3 * 3, 10, bias=bias),
        torch.nn.ReLU(),
        torch.nn.Linear(10, 4, bias=bias),
    ).eval()


@pytest.fixture(scope="module")
def small():
    return torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("guided_backpropagation", captum.GuidedBackprop),
        ("deconvolution", captum.Deconvolution),
    ],
)
def test_rectifiers_equal_captums(residual, pictures, name, theirs):
    model, net = residual
    found = answer(model, pictures, name, [unit(model, 3), unit(model, 7)])
    for number, target in enumerate((3, 7)):
        expected = theirs(separate(net)).attribute(pictures, target=target)
        assert difference(found[number], expected) < EXACT


def separate(net):
    """Captum refuses rectifiers that run twice: each call gets a module of its own."""
    import copy

    import torchvision

    private = copy.deepcopy(net)
    for block in private.modules():
        if isinstance(block, torchvision.models.resnet.BasicBlock):
            block.relu2 = torch.nn.ReLU()
            block.forward = forward.__get__(block)
    return private


def forward(self, x):
    around = x if self.downsample is None else self.downsample(x)
    inside = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
    return self.relu2(inside + around)


def test_deep_lift_equals_captums(residual, pictures):
    model, net = residual
    found = answer(model, pictures, "deep_lift", [unit(model, 3)])
    expected = captum.DeepLift(separate(net)).attribute(pictures, target=3).detach()
    assert difference(found[0], expected) < 1e-4
    score = net(pictures)[:, 3] - net(torch.zeros_like(pictures))[:, 3]
    assert torch.allclose(found[0].flatten(1).sum(1), score, rtol=1e-3, atol=1e-4)


def test_deep_lift_with_several_baselines_is_their_mean(small):
    net = plain()
    model = model_of(net, 3, 16, 16)
    target = [unit(model, 1)]
    both = answer(model, small, "deep_lift", target, baselines=[ZeroBaseline(), MeanBaseline()])
    alone = [
        answer(model, small, "deep_lift", target, baselines=[each])
        for each in (ZeroBaseline(), MeanBaseline())
    ]
    assert difference(both, sum(alone) / 2) < EXACT


def test_deep_lift_is_complete_through_products(small):
    """A squeeze-and-excitation gate multiplies two parts that both change."""

    class Gate(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 4, 3, padding=1)
            self.gate = torch.nn.Linear(4, 4)
            self.fc = torch.nn.Linear(4, 2)

        def forward(self, x):
            x = torch.relu(self.conv(x))
            x = x * torch.sigmoid(self.gate(x.mean((2, 3))))[:, :, None, None]
            return self.fc(x.mean((2, 3)))

    torch.manual_seed(0)
    net = Gate().eval()
    model = model_of(net, 3, 16, 16)
    found = answer(model, small, "deep_lift", [unit(model, 1)])
    score = (net(small) - net(torch.zeros_like(small)))[:, 1]
    assert torch.allclose(found[0].flatten(1).sum(1), score, rtol=1e-4, atol=1e-6)


def test_relevance_by_epsilon_equals_captums(small):
    net = plain()
    model = model_of(net, 3, 16, 16)
    found = answer(
        model, small, "relevance_propagation", [unit(model, 1)], composite="epsilon", epsilon=1e-9
    )
    net[6].rule = captum_rules.EpsilonRule()  # it knows no Flatten, which moves numbers only
    expected = captum.LRP(net).attribute(small, target=1).detach()
    assert difference(found[0], expected) < 1e-4


@pytest.mark.parametrize(
    "composite", ["epsilon", "epsilon_plus", "epsilon_gamma", "epsilon_alpha2_beta1"]
)
def test_relevance_is_conserved_without_biases(small, composite):
    net = plain(bias=False)
    model = model_of(net, 3, 16, 16)
    found = answer(
        model,
        small,
        "relevance_propagation",
        [unit(model, 2)],
        composite=composite,
        epsilon=1e-9,
    )
    score = net(small)[:, 2]
    assert torch.allclose(found[0].flatten(1).sum(1), score, rtol=1e-3, atol=1e-5)


def test_relevance_by_epsilon_without_biases_is_input_x_gradient(small):
    """An identity of rectifier networks (Ancona et al., ICLR 2018)."""
    model = model_of(plain(bias=False), 3, 16, 16)
    target = [unit(model, 2)]
    relevance = answer(
        model, small, "relevance_propagation", target, composite="epsilon", epsilon=1e-9
    )
    product = answer(model, small, "input_x_gradient", target)
    assert difference(relevance, product) < 1e-3


def test_relevance_by_positive_contributions_is_derived_by_hand():
    """z+ of one convolution: R_i = x_i sum_j w+_ij R_j / sum_i x_i w+_ij, for inputs above 0."""
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(2, 3, 1, bias=False)
    conv.weight.data[1] = torch.tensor([0.7, -0.2]).reshape(2, 1, 1)
    net = torch.nn.Sequential(conv, torch.nn.Flatten()).eval()
    model = model_of(net, 2, 2, 2)
    x = torch.rand(1, 2, 2, 2)
    found = answer(model, x, "relevance_propagation", [unit(model, 5)])  # unit 1 at (0, 1)
    weight = conv.weight.detach()[1, :, 0, 0]
    contributions = x[0, :, 0, 1] * weight.clamp(min=0)
    expected = contributions / contributions.sum() * net(x)[0, 5].detach()
    assert torch.allclose(found[0, 0, :, 0, 1], expected, rtol=1e-4)
    assert float(found.abs().sum()) == pytest.approx(float(expected.abs().sum()), rel=1e-4)


def test_relevance_passes_skips_and_norms(residual, pictures):
    """Sums share it out: what a block adds and what goes around it get all of it."""
    model, _ = residual
    found = answer(model, pictures, "relevance_propagation", [unit(model, 3)])
    assert bool(found.isfinite().all())
    assert float(found.abs().max()) > 0


def test_a_network_without_rectifiers_says_so(chain):
    model, _ = chain
    with pytest.raises(FailedPreconditionError, match="this model has none"):
        answer(model, torch.zeros(1, 3, 8, 8), "guided_backpropagation", [unit(model, 1)])
