"""One torch function for each ONNX operator.

Functions are the call targets of the graphs an ONNX model becomes. They follow
ONNX's semantics for all operator set versions, not those of torch's function of
the same name, where the two differ.
"""

from hooke_server.models.onnx_ops import (
    activations,
    casting,
    convolution,
    creation,
    elementwise,
    indexing,
    linear,
    normalization,
    pooling,
    recurrent,
    reduction,
    resampling,
    sampling,
    scattering,
    shape,
)
from hooke_server.models.onnx_ops.table import Operator, find, operator, operators

__all__ = [
    "Operator",
    "activations",
    "casting",
    "convolution",
    "creation",
    "elementwise",
    "find",
    "indexing",
    "linear",
    "normalization",
    "operator",
    "operators",
    "pooling",
    "recurrent",
    "reduction",
    "resampling",
    "sampling",
    "scattering",
    "shape",
    "supported",
]


def supported() -> frozenset[str]:
    """The names of all operators."""
    return frozenset(operators)
