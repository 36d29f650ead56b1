"""Nonlinearities."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from hooke_server.models.onnx_ops.table import operator


@operator("Relu")
def relu(x: Tensor) -> Tensor:
    """`max(x, 0)`."""
    return F.relu(x)


@operator("LeakyRelu")
def leaky_relu(x: Tensor, *, alpha: float = 0.01) -> Tensor:
    """`x`, below zero `alpha x`."""
    return F.leaky_relu(x, alpha)


@operator("PRelu")
def prelu(x: Tensor, slope: Tensor, *, opset: int) -> Tensor:
    """`x`, below zero `slope x`; before opset 7 the slope has one value per channel."""
    if opset < 7 and slope.ndim == 1 and slope.numel() > 1:
        slope = slope.reshape(-1, *[1] * (x.ndim - 2))
    return torch.where(x < 0, slope * x, x)


@operator("ThresholdedRelu")
def thresholded_relu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """`x` above `alpha`, else 0."""
    return F.threshold(x, alpha, 0.0)


@operator("Elu")
def elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """`x`, below zero `alpha (exp(x) - 1)`."""
    return F.elu(x, alpha)


@operator("Celu")
def celu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """`x`, below zero `alpha (exp(x / alpha) - 1)`."""
    return F.celu(x, alpha)


@operator("Selu")
def selu(
    x: Tensor, *, alpha: float = 1.6732632423543772, gamma: float = 1.0507009873554805
) -> Tensor:
    """`gamma x`, below zero `gamma alpha (exp(x) - 1)`."""
    return gamma * F.elu(x, alpha)


@operator("Sigmoid")
def sigmoid(x: Tensor) -> Tensor:
    """`1 / (1 + exp(-x))`."""
    return torch.sigmoid(x)


@operator("HardSigmoid")
def hardsigmoid(x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    """`alpha x + beta` between 0 and 1; torch's `alpha` is 1/6."""
    return F.hardtanh(alpha * x + beta, 0.0, 1.0)


@operator("HardSwish")
def hardswish(x: Tensor) -> Tensor:
    """`x` times the hard sigmoid of slope 1/6."""
    return F.hardswish(x)


@operator("Swish")
def silu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """`x sigmoid(alpha x)`."""
    return F.silu(x) if alpha == 1.0 else x * torch.sigmoid(alpha * x)


@operator("Mish")
def mish(x: Tensor) -> Tensor:
    """`x tanh(softplus(x))`."""
    return F.mish(x)


@operator("Gelu")
def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    """`x` times the normal distribution function at `x`, or its "tanh" approximation."""
    return F.gelu(x, approximate=approximate)


@operator("Softplus")
def softplus(x: Tensor) -> Tensor:
    """`log(1 + exp(x))`."""
    return F.softplus(x)


@operator("Softsign")
def softsign(x: Tensor) -> Tensor:
    """`x / (1 + |x|)`."""
    return F.softsign(x)


@operator("Shrink")
def shrink(x: Tensor, *, bias: float = 0.0, lambd: float = 0.5) -> Tensor:
    """`x` moved by `bias` towards zero, and 0 where `|x| <= lambd`."""
    moved = torch.where(x < -lambd, x + bias, x - bias)
    return torch.where(x.abs() > lambd, moved, torch.zeros_like(x)).to(x.dtype)
