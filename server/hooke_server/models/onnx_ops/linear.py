"""Products of matrices."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from hooke_server.models.onnx_ops.table import operator


@operator("MatMul")
def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Matrix product over the last two axes."""
    return torch.matmul(a, b)


@operator("Gemm")
def gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,  # noqa: N803  # ONNX's names
    transB: int = 0,  # noqa: N803
    broadcast: int = 1,  # since opset 7 always
) -> Tensor:
    """`alpha a b + beta c`."""
    a, b = a.T if transA else a, b.T if transB else b
    if c is None:
        return a @ b if alpha == 1 else alpha * (a @ b)
    if c.is_floating_point():
        return torch.addmm(c, a, b, beta=beta, alpha=alpha)
    return (alpha * (a @ b) + beta * c).to(a.dtype)


@operator("Einsum")
def einsum(*inputs: Tensor, equation: str) -> Tensor:
    """Einstein's sum; blanks and capitals allowed."""
    return torch.einsum(re.sub(r"\s", "", equation), *inputs)


@operator("Det")
def det(x: Tensor) -> Tensor:
    """Determinants of the matrices in the last two axes."""
    result: Tensor = torch.linalg.det(x)
    return result
