"""One name for each operation, whatever it was written as.

`op_name` answers in torch's words and lower case, and the same for a module's
class, a function, a method, an aten overload and an ONNX operator:

    op_name(nn.ReLU) == op_name(F.relu) == op_name("relu_") == op_name(aten.relu.default) == "relu"
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_SAME = {
    # Several spellings of one operation in torch; on the right what we call it.
    "view": "reshape",
    "unsafe_view": "reshape",
    "view_as": "reshape",
    "flatten": "reshape",
    "unflatten": "reshape",
    "concat": "cat",
    "concatenate": "cat",
    "iadd": "add",
    "isub": "sub",
    "imul": "mul",
    "itruediv": "div",
    "imatmul": "matmul",
    "ipow": "pow",
    "truediv": "div",
    "floordiv": "floor_divide",
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "true_divide": "div",
    "rsub": "sub",
    "negative": "neg",
    "mm": "matmul",
    "bmm": "matmul",
    "addmm": "linear",
    "clip": "clamp",
    "to_copy": "to",
    "convolution": "conv2d",
    "conv": "conv2d",
    "conv_transpose": "conv_transpose2d",
    "native_layer_norm": "layer_norm",
    "native_group_norm": "group_norm",
    "native_batch_norm": "batch_norm",
    "native_batch_norm_legit_no_training": "batch_norm",
    "native_dropout": "dropout",
    "max_pool2d_with_indices": "max_pool2d",
    "upsample_bilinear2d": "interpolate",
    "upsample_bicubic2d": "interpolate",
    "upsample_nearest2d": "interpolate",
    "upsample_linear1d": "interpolate",
    "upsample": "interpolate",
    "constant_pad_nd": "pad",
    "zero_pad2d": "pad",
    "n_n_conv2d": "conv2d",
    "non_dynamically_quantizable_linear": "linear",
    "t": "transpose",
    # ONNX
    "batch_normalization": "batch_norm",
    "layer_normalization": "layer_norm",
    "group_normalization": "group_norm",
    "instance_normalization": "instance_norm",
    "gemm": "linear",
    "mat_mul": "matmul",
    "max_pool": "max_pool2d",
    "average_pool": "avg_pool2d",
    "global_average_pool": "adaptive_avg_pool2d",
    "global_max_pool": "adaptive_max_pool2d",
    "hard_swish": "hardswish",
    "hard_sigmoid": "hardsigmoid",
    "p_relu": "prelu",
    "resize": "interpolate",
    "reduce_mean": "mean",
    "reduce_sum": "sum",
    "reduce_max": "amax",
    "reduce_min": "amin",
    "reduce_prod": "prod",
    "lrn": "local_response_norm",
}

_ACRONYMS = (
    *("PReLU", "RReLU", "ReLU", "GELU", "SiLU", "CELU", "SELU", "ELU", "GLU", "LSTM", "GRU"),
    "ConvNeXt",
)
_DIMENSIONLESS = re.compile(r"^(?:lazy_)?(batch|instance)_norm[123]d$")


def op_name(target: Callable[..., Any] | type | str) -> str:
    """The operation's name: `conv2d`, `batch_norm`, `relu`, `linear`, `add`.

    Takes a module's class or its name, a function, an aten overload, the name of a
    method or of an ONNX operator. What the table does not know keeps its own name
    in snake case.
    """
    name = target if isinstance(target, str) else _own_name(target)
    name = snake_case(name).strip("_")
    name = _DIMENSIONLESS.sub(r"\1_norm", name)
    return _SAME.get(name, name)


def _own_name(target: Any) -> str:
    packet = getattr(target, "overloadpacket", target)
    return str(getattr(packet, "__name__", type(packet).__name__))


def snake_case(name: str) -> str:
    """`MaxPool2d` to `max_pool2d`; acronyms count as one word: `LeakyReLU` to `leaky_relu`."""
    for word in _ACRONYMS:
        name = name.replace(word, word.capitalize())
    # ReLU6 and the like keep their number, and Conv2d its dimension.
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"_+", "_", spaced).lower()
