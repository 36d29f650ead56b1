"""Quick probes: the same values and gradients as plain ones, but for rounding."""

import pytest
import timm
import torch
import torchvision
from torch import nn

from hooke_server.models.loaders.live import load_live


def shaken(network):
    """Batch norms with statistics as of training, so that folding them changes the weights."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in [
                (module.running_mean, -0.5, 0.5),
                (module.running_var, 0.3, 2.0),
                (module.weight, 0.5, 1.5),
                (module.bias, -0.5, 0.5),
            ]:
                if tensor is not None:
                    drawn = torch.rand(tensor.shape, generator=generator)
                    tensor.data.copy_(drawn * (high - low) + low)
    return network.eval().double()  # rounding would flip rectifiers


def both(model, layer, pictures):
    """Value and gradient by a plain and by a quick probe."""
    got = []
    for probe in (model.probe([layer]), model.quick_probe([layer])):
        leaf = pictures.clone().requires_grad_()
        value = probe(leaf)[layer]
        (gradient,) = torch.autograd.grad(value.square().mean(), leaf)
        got.append((value.detach(), gradient))
    return got


def assert_equal(one, other):
    for left, right in zip(one, other, strict=True):
        assert (left - right).abs().max() <= 1e-9 * left.abs().max()


class Twice(nn.Module):
    """One convolution, read by a batch norm in each of two calls; one alone; grouped; no bias."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")
        self.first, self.second = nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False)
        self.wide = nn.Conv2d(4, 8, 3, groups=2, dilation=2, bias=False)
        self.third = nn.BatchNorm2d(8)
        self.read_twice = nn.Conv2d(8, 8, 1)
        self.fourth = nn.BatchNorm2d(8)

    def forward(self, x):
        x = self.first(self.conv(x)) + self.second(self.conv(x.flip(3)))
        x = self.read_twice(self.third(self.wide(x)).relu())
        return self.fourth(x) * torch.sigmoid(x)


NETWORKS = {
    "twice": (Twice, 24),
    "resnet18": (lambda: torchvision.models.resnet18(num_classes=5), 64),
    "mobilenet": (lambda: torchvision.models.mobilenet_v3_small(num_classes=5), 64),
    "densenet": (lambda: torchvision.models.densenet121(num_classes=5), 64),
    "efficientnet": (lambda: timm.create_model("tf_efficientnet_lite0", num_classes=5), 64),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_values_and_gradients_are_those_of_the_plain_probe(name):
    make, size = NETWORKS[name]
    torch.manual_seed(0)
    network = shaken(make())
    model = load_live(network, (torch.zeros(1, 3, size, size, dtype=torch.double),))
    pictures = torch.rand(3, 3, size, size).double()
    plain, quick = both(model, model.output_layer, pictures)
    assert_equal(plain, quick)
    folded = [m for m in model.quick_probe([model.output_layer])._module.modules()
              if isinstance(m, nn.BatchNorm2d)]  # fmt: skip
    kept = {"twice": 1, "densenet": None}.get(name, 0)
    assert kept is None or len(folded) == kept


def test_weights_that_change_are_seen():
    torch.manual_seed(0)
    network = shaken(Twice())
    model = load_live(network, (torch.zeros(1, 3, 24, 24, dtype=torch.double),))
    pictures = torch.rand(2, 3, 24, 24).double()
    before = both(model, model.output_layer, pictures)[1]
    with torch.no_grad():
        network.first.running_mean.add_(0.3)
        network.wide.weight.mul_(1.1)
    plain, quick = both(model, model.output_layer, pictures)
    assert_equal(plain, quick)
    assert (quick[0] - before[0]).abs().max() > 1e-3
