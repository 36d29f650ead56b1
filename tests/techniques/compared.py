"""Networks that differ in known ways, and runs that compare them."""

import copy

import torch
from torch import nn
from traced import model_of

from hooke_server.models.edited import edited
from hooke_server.techniques.comparison.activations import ActivationPlan, compare_activations
from hooke_server.techniques.comparison.pairing import pair_layers
from hooke_server.techniques.comparison.passes import Duo, Side
from hooke_server.techniques.tables import Finding, Rows


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(6)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.bn(self.conv(x)) + x)


class Net(nn.Module):
    def __init__(self, classes=5):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.block = Block()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(6, classes)

    def forward(self, x):
        return self.fc(self.pool(self.block(self.stem(x))).flatten(1))


def small_net():
    torch.manual_seed(0)
    network = Net().eval()
    with torch.no_grad():
        network.block.bn.running_mean.normal_()
        network.block.bn.running_var.uniform_(0.5, 2)
    return network


def fused(net):
    """The network as an exporter makes it: no normalization, the convolution does it too."""
    made = copy.deepcopy(net)
    made.block.conv = nn.utils.fusion.fuse_conv_bn_eval(net.block.conv, net.block.bn)
    made.block.bn = nn.Identity()
    return made


class Short(nn.Module):
    """A block of the fused network, as older exporters write it: no trace of a normalization."""

    def __init__(self, block):
        super().__init__()
        self.conv, self.relu = block.conv, block.relu

    def forward(self, x):
        return self.relu(self.conv(x) + x)


def short(net):
    made = fused(net)
    made.block = Short(made.block)
    return made


class Longer(Net):
    """One more layer, of other inputs, and an output of its own."""

    def __init__(self, classes=5):
        super().__init__(classes)
        self.head = nn.Linear(2, 2)

    def forward(self, x):
        return super().forward(x), self.head(x[:, 0, 0, :2])


def model(module, *shape):
    return model_of(module, *(shape or (3, 8, 8)))


def duo(reference, candidate, samples=4, shape=(3, 8, 8), edits=()):
    torch.manual_seed(1)
    inputs = (torch.randn(samples, *shape),)
    return Duo(Side(reference, inputs), Side(edited(candidate, edits), inputs, tuple(edits)))


def compared(reference, candidate, globs=(), samples=4, edits=(), **options):
    """Rows by layer, findings by kind, all frames; the edits are of the candidate."""
    both = duo(reference, candidate, samples, edits=edits)
    plan = ActivationPlan(pairing=pair_layers(reference, candidate, globs), **options)
    frames = list(compare_activations(both, plan))
    return rows(frames), {each.kind: each for each in frames if isinstance(each, Finding)}, frames


def rows(frames, table="layers"):
    """Rows of a table by the first cell that is set, as dicts."""
    found = {}
    for frame in frames:
        if isinstance(frame, Rows) and frame.table.name == table:
            names = [column.name for column in frame.table.columns]
            for row in frame.rows:
                cells = dict(zip(names, row, strict=True))
                found[next(cell for cell in row if cell is not None)] = cells
    return found
