"""Methods with a way back of their own, against Captum."""

import captum.attr as captum
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


def test_a_network_without_rectifiers_says_so(chain):
    model, _ = chain
    with pytest.raises(FailedPreconditionError, match="this model has none"):
        answer(model, torch.zeros(1, 3, 8, 8), "guided_backpropagation", [unit(model, 1)])
