"""Values made comparable: softmax and its family, and division by norms or deviations."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from hooke_server.models.onnx_ops.shape import flatten
from hooke_server.models.onnx_ops.table import Ints, integers, operator


def _along(x: Tensor, axis: int | None, opset: int) -> tuple[Tensor, int]:
    """The tensor and axis to work on: before opset 13 a matrix, parted at `axis`."""
    if opset >= 13:
        return x, -1 if axis is None else axis
    return flatten(x, axis=1 if axis is None else axis), 1


@operator("Softmax")
def softmax(x: Tensor, *, axis: int | None = None, opset: int) -> Tensor:
    """Exponentials that sum to 1."""
    values, dim = _along(x, axis, opset)
    return torch.softmax(values, dim).reshape(x.shape)


@operator("LogSoftmax")
def log_softmax(x: Tensor, *, axis: int | None = None, opset: int) -> Tensor:
    """Logarithm of the softmax."""
    values, dim = _along(x, axis, opset)
    return torch.log_softmax(values, dim).reshape(x.shape)


@operator("Hardmax")
def hardmax(x: Tensor, *, axis: int | None = None, opset: int) -> Tensor:
    """1 at the first largest element, else 0."""
    values, dim = _along(x, axis, opset)
    index = torch.argmax(values, dim, keepdim=True)
    return torch.zeros_like(values).scatter(dim, index, 1.0).reshape(x.shape)


@operator("BatchNormalization")
def batch_norm(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
    outputs: int = 1,
    **_: object,
) -> Tensor | tuple[Tensor, ...]:
    """Channels (axis 1) of the running mean and variance brought to 0 and 1."""
    if not training_mode:
        # The values may be of a wider type than the data.
        middle, spread = mean.to(x.dtype), variance.to(x.dtype)
        weight, shift = scale.to(x.dtype), bias.to(x.dtype)
        result = F.batch_norm(x, middle, spread, weight, shift, eps=epsilon)
        return result if outputs == 1 else (result, mean, variance, mean, variance)[:outputs]
    axes = [axis for axis in range(x.ndim) if axis != 1]
    batch_variance, batch_mean = torch.var_mean(x, axes, correction=0)
    result = F.batch_norm(x, batch_mean, batch_variance, scale, bias, eps=epsilon)
    new_mean = momentum * mean + (1 - momentum) * batch_mean
    new_variance = momentum * variance + (1 - momentum) * batch_variance
    return result if outputs == 1 else (result, new_mean, new_variance)[:outputs]


@operator("InstanceNormalization")
def instance_norm(x: Tensor, scale: Tensor, bias: Tensor, *, epsilon: float = 1e-5) -> Tensor:
    """Each channel of each sample brought to mean 0 and variance 1."""
    return F.group_norm(x, x.shape[1], scale, bias, epsilon)


@operator("GroupNormalization")
def group_norm(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    *,
    num_groups: int,
    epsilon: float = 1e-5,
    stash_type: int = 1,  # torch's accumulator is float32, too
) -> Tensor:
    """Each group of channels of each sample brought to mean 0 and variance 1.

    Scale and bias have a value per group at opset 18, per channel from 21.
    """
    per_group = x.shape[1] // num_groups
    if scale.numel() == num_groups != x.shape[1]:
        scale, bias = scale.repeat_interleave(per_group), bias.repeat_interleave(per_group)
    return F.group_norm(x, num_groups, scale, bias, epsilon)


@operator("LayerNormalization")
def layer_norm(
    x: Tensor,
    scale: Tensor,
    bias: Tensor | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
    outputs: int = 1,
) -> Tensor | tuple[Tensor, ...]:
    """The axes from `axis` on brought to mean 0, variance 1; also mean and 1 / deviation."""
    shape = x.shape[axis:] if axis < 0 else x.shape[axis % x.ndim :]
    scale = scale.expand(shape)
    bias = None if bias is None else bias.expand(shape)
    if outputs == 1:
        return F.layer_norm(x, shape, scale, bias, epsilon)
    return torch.native_layer_norm(x, shape, scale, bias, epsilon)[:outputs]


@operator("RMSNormalization")
def rms_norm(
    x: Tensor,
    scale: Tensor,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> Tensor:
    """The axes from `axis` on divided by their root mean square."""
    axes = list(range(axis % x.ndim, x.ndim))
    return x * torch.rsqrt(x.square().mean(axes, keepdim=True) + epsilon) * scale


@operator("LRN")
def lrn(
    x: Tensor, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0
) -> Tensor:
    """Each value divided by a power of the squares of `size` channels about it."""
    # torch's own pads the same, but pools over channels in a slower layout.
    before = (size - 1) // 2
    squares = F.pad(x.square().movedim(1, -1), (before, size - 1 - before))
    window = squares.unfold(-1, size, 1).sum(-1).movedim(-1, 1)
    return x / (bias + alpha / size * window) ** beta


@operator("LpNormalization")
def lp_norm(x: Tensor, *, axis: int = -1, p: int = 2) -> Tensor:
    """`x` divided by its norm along an axis; 0 where that is 0."""
    norm: Tensor = torch.linalg.vector_norm(x, p, axis, keepdim=True)
    return x / norm.masked_fill(norm == 0, 1.0)


@operator("MeanVarianceNormalization")
def mean_variance_norm(x: Tensor, *, axes: Ints = (0, 2, 3)) -> Tensor:
    """Mean 0 and variance 1 over axes."""
    variance, mean = torch.var_mean(x, integers(axes), correction=0, keepdim=True)
    return (x - mean) / (torch.sqrt(variance) + 1e-9)
