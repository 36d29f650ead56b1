"""Writing elements at places, into a copy."""

from __future__ import annotations

import torch
from torch import Tensor

from hooke_server.models.onnx_ops.indexing import wrapped
from hooke_server.models.onnx_ops.table import operator

_REDUCE = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@operator("ScatterElements", "Scatter")
def scatter_elements(
    x: Tensor, indices: Tensor, updates: Tensor, *, axis: int = 0, reduction: str = "none"
) -> Tensor:
    """`x` with each update at its own place but for the index along `axis`."""
    index = wrapped(indices, x.shape[axis], x)
    if reduction == "none":
        return x.scatter(axis, index, updates)
    return x.scatter_reduce(axis, index, updates, _REDUCE[reduction])


@operator("ScatterND")
def scatter_nd(x: Tensor, indices: Tensor, updates: Tensor, *, reduction: str = "none") -> Tensor:
    """`x` with slices at points: the last axis of `indices` holds coordinates."""
    depth = indices.shape[-1]
    points = indices.to(x.device).unbind(-1)
    if reduction == "none":
        return x.index_put(points, updates)
    # One index into the flattened leading axes lets torch reduce.
    row = torch.zeros_like(points[0])
    for point, length in zip(points, x.shape, strict=False):
        row = row * length + wrapped(point, length, x)
    slices = x.reshape(-1, *x.shape[depth:])
    rows = row.reshape(-1, *[1] * (slices.ndim - 1))
    values = updates.reshape(-1, *x.shape[depth:])
    result = slices.scatter_reduce(0, rows.expand_as(values), values, _REDUCE[reduction])
    return result.reshape(x.shape)
