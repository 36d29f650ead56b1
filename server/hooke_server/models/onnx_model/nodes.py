"""What a node of an ONNX graph says: its operator, its attributes, which inputs are numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx
from onnx import numpy_helper

from hooke_server.models import onnx_ops
from hooke_server.models.limits import broken, shown
from hooke_server.models.onnx_model.screening import subgraphs
from hooke_server.models.onnx_model.weights import from_array

NUMBERS: dict[str, frozenset[int]] = {
    name: frozenset(places)
    for names, places in {
        "Reshape Expand TopK Split Squeeze Unsqueeze OneHot Trilu CumSum CumProd Upsample": {1},
        "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin": {1},
        "ReduceProd ReduceSum ReduceSumSquare AffineGrid": {1},
        "Tile Clip Dropout Col2Im CenterCropPad": {1, 2},
        "Slice": {1, 2, 3, 4},
        "Pad Resize": {1, 2, 3},
        "Range": {0, 1, 2},
        "ConstantOfShape HannWindow HammingWindow BlackmanWindow": {0},
    }.items()
    for name in names.split()
}
"""Inputs that are read as numbers, by operator; they are never on the device."""


def known(node: Any) -> bool:
    """Whether there is a function for a node's operator."""
    return node.domain in {"", "ai.onnx"} and node.op_type in onnx_ops.operators


def attributes(node: Any) -> dict[str, Any]:
    """A node's attributes as an operator's keywords."""
    return {attribute.name: _plain(attribute) for attribute in node.attribute}


def _plain(attribute: Any) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return from_array(numpy_helper.to_array(value))
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, onnx.GraphProto):
        raise broken(f"an operator that takes no graph has one in {shown(attribute.name)}")
    items = list(value) if not isinstance(value, int | float) else value
    if isinstance(items, list):
        return [i.decode(errors="replace") if isinstance(i, bytes) else i for i in items]
    return items


def captured(node: Any) -> Iterator[str]:
    """Names that the graphs inside a node may take from outside."""
    for graph in subgraphs(node):
        for inner in graph.node:
            yield from inner.input
            yield from captured(inner)
