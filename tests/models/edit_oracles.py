"""Modules of our own with hooks that change what a layer returns, as edits do."""

import copy

import torch

from hooke_server.models.edits import (
    Ablation,
    Clamping,
    DirectionAddition,
    Scaling,
)

PLACES = {"resnet": ("layer2.0.bn1", 128), "lite0": ("blocks.2.0.conv_pwl", 40)}
X = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
VECTOR = tuple(float(n) for n in torch.randn(40, generator=torch.Generator().manual_seed(3)))


def hooked(module, **changes):
    """A copy of the module in which layers return something else; `__` stands for a dot."""
    own = copy.deepcopy(module).eval()
    for name, change in changes.items():
        part = own.get_submodule(name.replace("__", "."))

        def hook(_, given, value, change=change):
            return change(value.clone())

        part.register_forward_hook(hook)
    return own


def at(units=slice(None), rows=slice(None), columns=slice(None), samples=slice(None)):
    """A hook's change in part of a map [batch, unit, row, column]."""

    def within(function):
        def change(value):
            part = value[samples, units, rows, columns]
            value[samples, units, rows, columns] = function(part)
            return value

        return change

    return within


def output(model, *inputs, layer=None):
    layer = layer or model.output_layer
    return model.forward([layer], inputs)[layer]


def change_each(vector):
    """Every kind of change with what it does to a map."""
    along = torch.tensor(vector, dtype=torch.float64) * -1.5
    return {
        "zero": (Ablation(), torch.zeros_like),
        "mean": (Ablation("mean"), None),
        "scale": (Scaling(-2.5), lambda v: v * -2.5),
        "clamp": (Clamping(-0.1, 0.2), lambda v: v.clamp(-0.1, 0.2)),
        "from below": (Clamping(low=0.05), lambda v: v.clamp(min=0.05)),
        "direction": (
            DirectionAddition(vector, -1.5),
            lambda v: v + along.to(v.dtype)[:, None, None],
        ),
    }  # fmt: skip


def mean_of(value, units):
    return value.mean((2, 3), keepdim=True)[:, units].expand(-1, -1, *value.shape[2:]).clone()
