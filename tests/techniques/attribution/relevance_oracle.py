"""Layer-wise relevance propagation anew: with whole matrices of contributions, layer by layer.

Every layer with weights becomes a matrix [outputs, inputs] by its own Jacobian, so nothing here
knows what a convolution is; rules are written on contributions c_ji = w_ji x_i, not on weights.
"""

import copy

import torch
from torch import nn

GAMMA = 0.25


def matrix(layer, x):
    """Of one sample's input to all outputs, without the bias."""
    bare = copy.deepcopy(layer)
    if bare.bias is not None:
        nn.init.zeros_(bare.bias)
    found = torch.autograd.functional.jacobian(bare, x)
    return found.reshape(bare(x).numel(), x.numel()).double()


def reach(layer, x):
    """1 where an output looks at an input."""
    ones = copy.deepcopy(layer)
    nn.init.ones_(ones.weight)
    return matrix(ones, x)


def positive(c):
    return torch.where(c > 0, c, 0.0)


def negative(c):
    return torch.where(c < 0, c, 0.0)


def by(shares, back):
    """Relevance by shares, which are made to sum up to 1 for each output."""
    total = shares.sum(1, keepdim=True)
    return (torch.where(total == 0, 0.0, shares / total) * back[:, None]).sum(0)


def plus(c, bias, back):
    return by(positive(c), back)


def gamma(c, bias, back):
    up = c.sum(1, keepdim=True) > 0
    return by(torch.where(up, c + GAMMA * positive(c), c + GAMMA * negative(c)), back)


def alpha2_beta1(c, bias, back):
    both = (positive(c).sum(1) > 0) & (negative(c).sum(1) < 0)
    once = by(positive(c), back)
    return once + by(positive(c), back * both) - by(negative(c), back * both)


def epsilon(c, bias, back):
    return (c / (c.sum(1) + bias)[:, None] * back[:, None]).sum(0)


CONVOLUTIONS = {
    "epsilon": epsilon,
    "epsilon_plus": plus,
    "epsilon_gamma": gamma,
    "epsilon_alpha2_beta1": alpha2_beta1,
}


def first(name, layer, x, rule, bounds, bias, back):
    w, flat = matrix(layer, x), x.flatten().double()
    if name == "same":
        return rule(w * flat, bias, back)
    if name == "box":
        low, high = (each.expand_as(x[0]).flatten().double() for each in bounds)
        return by(w * flat - positive(w) * low - negative(w) * high, back)
    return by(reach(layer, x) if name == "flat" else w**2, back)


def relevance(net, x, target, composite, first_layer, bounds):
    """Of an `nn.Sequential` without batch norms, for one sample [1, ...]."""
    values = [x]
    for layer in net:
        values.append(layer(values[-1]).detach())
    back = torch.zeros(values[-1].numel(), dtype=torch.float64)
    back[target] = values[-1].flatten()[target].double()
    for layer, value, said in reversed(list(zip(net, values, values[1:], strict=False))):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            w = matrix(layer, value)
            bias = said.flatten().double() - w @ value.flatten().double()
            conv = isinstance(layer, nn.Conv2d)
            rule = CONVOLUTIONS[composite] if conv else epsilon
            if layer is net[0]:
                back = first(first_layer, layer, value, rule, bounds, bias, back)
            else:
                back = rule(w * value.flatten().double(), bias, back)
        elif isinstance(layer, nn.AvgPool2d):
            w = torch.autograd.functional.jacobian(layer, value).reshape(said.numel(), -1).double()
            back = by(w * value.flatten().double(), back)
        elif isinstance(layer, nn.MaxPool2d):
            w = torch.autograd.functional.jacobian(layer, value).reshape(said.numel(), -1).double()
            back = back @ w
    return back.reshape(x.shape)
