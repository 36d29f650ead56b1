"""Operators as older opsets had them, against ONNX Runtime: the node tests know only the newest."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper

from hooke_server.models import onnx_ops

GENERATOR = np.random.default_rng(0)
X = GENERATOR.standard_normal((2, 3, 4, 5)).astype(np.float32)
IMAGE = GENERATOR.standard_normal((1, 2, 7, 9)).astype(np.float32)
WEIGHT = GENERATOR.standard_normal((4, 2, 3, 3)).astype(np.float32)
LINES = GENERATOR.standard_normal((2, 3, 11)).astype(np.float32)
UP = np.array([1, 1, 2, 3], np.float32)
Q = GENERATOR.integers(-20, 20, (3, 4)).astype(np.int32)
D = np.array([[3], [-4], [7]], np.int32)


def case(op: str, opset: int, *inputs: np.ndarray, outputs: int = 1, **attributes: Any) -> Any:
    shown = ",".join(f"{key}={value}" for key, value in attributes.items())
    return pytest.param(op, opset, inputs, outputs, attributes, id=f"{op}-{opset}-{shown}")


CASES = [
    case("Softmax", 11, X),
    case("Softmax", 11, X, axis=2),
    case("Softmax", 12, X, axis=-2),
    case("Softmax", 13, X, axis=1),
    case("LogSoftmax", 11, X, axis=1),
    case("Hardmax", 11, X, axis=2),
    case("Squeeze", 11, X[:1, :, :1], axes=[0, 2]),
    case("Squeeze", 11, X[:1, :, :1]),
    case("Unsqueeze", 11, X, axes=[0, -1]),
    case("ReduceSum", 11, X, axes=[1, -1], keepdims=0),
    case("ReduceMean", 11, X, axes=[2, 3]),
    case("ReduceMax", 11, X),
    case("ReduceL2", 13, X, axes=[1]),
    case("Slice", 9, X, starts=[0, -3], ends=[1, 2**63 - 1], axes=[0, 3]),
    case("Split", 11, X, axis=3, split=[2, 3], outputs=2),
    case("Split", 11, X, axis=2, outputs=2),
    case("Pad", 9, X, pads=[0, 0, 1, 2, 0, 0, -1, 3], value=2.5),
    case("Pad", 9, X, pads=[0, 0, 1, 2, 0, 0, 2, 3], mode="reflect"),
    case("Clip", 9, X, min=-0.5),
    case("Clip", 9, X, min=-0.5, max=0.25),
    case("Upsample", 9, IMAGE, UP),
    case("Upsample", 9, IMAGE, UP, mode="linear"),
    case("Resize", 10, IMAGE, UP),
    case("BatchNormalization", 9, X, *(np.array([1, 2, 3], np.float32) for _ in range(4))),
    case("BatchNormalization", 7, X, *(np.array([1, 2, 3], np.float32) for _ in range(4))),
    case("Dropout", 9, X, ratio=0.7),
    case("TopK", 9, X, k=3, axis=1, outputs=2),
    case("Scatter", 9, X[0, 0], np.array([[1, -1]]), np.array([[8, 9]], np.float32), axis=1),
    case("AveragePool", 10, IMAGE, kernel_shape=[3, 3], pads=[1, 0, 0, 2], strides=[2, 2]),
    case("AveragePool", 10, IMAGE, kernel_shape=[3, 3], pads=[1, 0, 0, 2], count_include_pad=1),
    case("AveragePool", 10, LINES, kernel_shape=[3], strides=[2], ceil_mode=1),
    case("AveragePool", 19, IMAGE, kernel_shape=[2, 3], strides=[2, 2], ceil_mode=1, pads=[1] * 4),
    case("MaxPool", 11, IMAGE, kernel_shape=[3, 3], pads=[1, 2, 0, 1], outputs=2),
    case("MaxPool", 11, IMAGE, kernel_shape=[3, 2], strides=[2, 2], outputs=2, storage_order=1),
    case("MaxPool", 11, IMAGE, kernel_shape=[3, 2], strides=[2, 2], auto_pad="SAME_LOWER"),
    case("MaxPool", 11, LINES, kernel_shape=[2], strides=[3], ceil_mode=1),
    case("Conv", 11, IMAGE, WEIGHT, pads=[1, 0, 2, 1], strides=[2, 1]),
    case("Conv", 11, IMAGE, WEIGHT, auto_pad="SAME_UPPER", strides=[2, 2]),
    case("Conv", 11, IMAGE, WEIGHT, auto_pad="SAME_LOWER", strides=[3, 2]),
    case("Conv", 11, IMAGE, WEIGHT[:, :1], group=2, dilations=[2, 1]),
    case("ConvTranspose", 11, IMAGE, WEIGHT[:2], pads=[0, 1, 1, 0], strides=[2, 2]),
    case("ConvTranspose", 11, IMAGE, WEIGHT[:2], output_padding=[1, 1], strides=[2, 2]),
    case("LRN", 9, X, size=5, alpha=0.5),
    case("Mod", 11, Q, D),
    case("Mod", 11, Q, D, fmod=1),
    case("Div", 11, Q, D),
    case("LayerNormalization", 17, X, X[0, 0], X[1, 1], axis=2, outputs=3),
    case("HardSigmoid", 9, X),
    case("Gemm", 9, X[0, 0], X[1, 1], X[0, 0, :, :1], transB=1, alpha=0.5, beta=2.0),
    case("GlobalLpPool", 9, X, p=3),
]


def by_runtime(
    op: str, opset: int, inputs: tuple[np.ndarray, ...], outputs: int, attributes: dict[str, Any]
) -> list[np.ndarray]:
    names = [f"x{i}" for i in range(len(inputs))]
    results = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op, names, results, **attributes)
    given = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for n, x in zip(names, inputs, strict=True)
    ]
    graph = helper.make_graph([node], "one", given, [onnx.ValueInfoProto(name=r) for r in results])
    imports = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=6)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found: list[np.ndarray] = session.run(None, dict(zip(names, inputs, strict=True)))
    return found


@pytest.mark.parametrize(("op", "opset", "inputs", "outputs", "attributes"), CASES)
def test_operator_agrees_with_onnx_runtime(
    op: str, opset: int, inputs: tuple[np.ndarray, ...], outputs: int, attributes: dict[str, Any]
) -> None:
    expected = by_runtime(op, opset, inputs, outputs, attributes)
    operator = onnx_ops.operators[op]
    context = {"opset": opset, "outputs": outputs}
    values = [torch.from_numpy(np.ascontiguousarray(x)) for x in inputs]
    wanted = {key: context[key] for key in operator.context}
    result = operator.function(*values, **attributes, **wanted)
    results = (result,) if isinstance(result, torch.Tensor) else result
    for value, want in zip(results, expected, strict=True):
        torch.testing.assert_close(value, torch.from_numpy(want), rtol=1e-4, atol=1e-5)


def test_group_normalization_of_opset_18_scales_groups() -> None:
    x, scale = torch.from_numpy(IMAGE).repeat(1, 2, 1, 1), torch.tensor([2.0, 3.0])
    result = onnx_ops.find("GroupNormalization")(x, scale, scale, num_groups=2)
    parts = torch.nn.functional.group_norm(x, 2).chunk(2, 1)
    torch.testing.assert_close(result, torch.cat([2 * parts[0] + 2, 3 * parts[1] + 3], 1))
