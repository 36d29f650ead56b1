"""The initializers of an ONNX model as tensors on the memory of the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from hooke_server.models.blobs import storage
from hooke_server.models.limits import Limits, broken, check_limit, shown
from hooke_server.models.onnx_model.file import OnnxFile, element_count
from hooke_server.models.onnx_ops.table import DTYPES


def read_weights(file: OnnxFile, limits: Limits) -> dict[str, Tensor]:
    """The initializers by name; those of a type that torch has not are left out.

    Raises
    ------
    FailedPreconditionError : MODEL_INVALID, for data that does not fit its shape.
    """
    check_limit("weights", len(file.model.graph.initializer), limits.entries)
    weights = {}
    for tensor in file.model.graph.initializer:
        if tensor.data_type in DTYPES:
            weights[tensor.name] = _tensor(tensor, file.blobs)
    return weights


def _tensor(tensor: Any, blobs: Mapping[str, memoryview]) -> Tensor:
    count, dtype = element_count(tensor), DTYPES[tensor.data_type]
    if tensor.name in blobs:
        elements = storage(blobs[tensor.name], dtype)
        if len(blobs[tensor.name]) != count * dtype.itemsize:
            raise broken(f"its weight {shown(tensor.name)} has not as much data as it claims")
        return elements.reshape(tuple(tensor.dims))
    try:
        return from_array(numpy_helper.to_array(tensor))
    except (ValueError, TypeError):
        raise broken(f"its weight {shown(tensor.name)} has not as much data as it claims") from None


def from_array(array: Any) -> Tensor:
    """A tensor of our own with an array's elements."""
    array = np.array(array)
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def mark_given(model: Any, names: Mapping[str, Any]) -> Any:
    """The model whose initializers of these names say that their data is given elsewhere.

    What torch's exporter tells of the machine that it ran on goes, too.
    """
    for tensor in model.graph.initializer:
        if tensor.name in names:
            tensor.data_location = onnx.TensorProto.EXTERNAL
            del tensor.external_data[:]
            tensor.external_data.add(key="location", value="given")
    for node in model.graph.node:
        del node.metadata_props[:]
        node.ClearField("doc_string")
    return model
