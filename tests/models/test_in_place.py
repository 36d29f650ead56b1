"""Rectifiers that write over what only they read: the same bits, and nothing else is touched."""

import itertools

import pytest
import torch
import torchvision
from torch import nn

from hooke_server.models.in_place import IN_PLACE
from hooke_server.models.loaders.live import load_live


class Knots(nn.Module):
    """Values read twice, passed on, asked for, and rectifiers of what is not new."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
        self.norm, self.drop = nn.BatchNorm2d(4), nn.Dropout()
        self.relu, self.silu = nn.ReLU(inplace=True), nn.SiLU()

    def forward(self, x):
        y = self.one(x)
        twice = torch.relu(y) + y
        passed = self.silu(self.drop(self.norm(self.two(x))))
        part = nn.functional.hardswish(twice[:, :2])  # a view of what is read again
        return self.relu(twice - passed) + torch.relu(x).mean() + part.mean()


NETWORKS = {
    "knots": Knots,
    "resnet18": torchvision.models.resnet18,
    "mobilenet": torchvision.models.mobilenet_v3_small,
    "regnet": torchvision.models.regnet_x_400mf,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_values_are_the_same_bits_however_layers_are_combined(name):
    torch.manual_seed(0)
    model = load_live(NETWORKS[name]().eval(), (torch.zeros(1, 3, 32, 32),))
    pictures = torch.rand(2, 3, 32, 32)
    kept = pictures.clone()
    with torch.inference_mode():
        plain = model.probe(list(model.layers))(pictures)
    layers = list(model.layers)
    chosen = [[layer] for layer in layers[::4]] + [layers, layers[::3]]
    chosen += list(itertools.islice(itertools.combinations(layers, 2), 0, None, 1499))
    for wanted in chosen:
        values = model.forward(wanted, [pictures])
        assert torch.equal(pictures, kept)
        for layer, value in values.items():
            assert torch.equal(value, plain[layer]), layer


def test_some_are_written_over():
    model = load_live(torchvision.models.resnet18().eval(), (torch.zeros(1, 3, 32, 32),))
    model.forward([model.output_layer], [torch.rand(1, 3, 32, 32)])
    [probe] = [p for p in model._probes._probes.values() if p.layers == (model.output_layer,)]
    targets = [node.target for node in probe._module.graph.nodes]
    assert targets.count(torch.relu_) == 9  # those after batch norms; eight more follow additions


def test_gradients_are_left_alone():
    model = load_live(torchvision.models.resnet18().eval(), (torch.zeros(1, 3, 32, 32),))
    targets = [node.target for node in model.probe([model.output_layer])._module.graph.nodes]
    assert not set(targets) & set(IN_PLACE.values())


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_the_same_bits_where_only_a_relu_writes_over(name):
    torch.manual_seed(0)
    model = load_live(NETWORKS[name]().eval(), (torch.zeros(1, 3, 32, 32),))
    layers = [*list(model.layers)[1::7], model.output_layer]
    found = []
    for probe in (model.probe(layers), model.gradient_probe(layers)):
        pictures = torch.rand(
            2, 3, 32, 32, generator=torch.Generator().manual_seed(1)
        ).requires_grad_()
        values = probe(pictures)
        total = sum(value.square().sum() for value in values.values())
        found.append((values, torch.autograd.grad(total, [pictures, *values.values()])))
    (plain, exact), (values, gradients) = found
    for layer in layers:
        assert torch.equal(values[layer], plain[layer]), layer
    assert all(torch.equal(one, other) for one, other in zip(gradients, exact, strict=True))
