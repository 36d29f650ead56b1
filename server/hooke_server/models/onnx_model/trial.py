"""ONNX Runtime on a file that nobody vouches for; runs in a child process with limits.

    run_limited(try_onnx, str(path), inputs, [], memory_bytes=..., seconds=...)

Nothing here imports torch, so that the child starts quickly.
"""

from __future__ import annotations

import base64
import mmap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from hooke_server.models.limits import Limits, broken
from hooke_server.models.onnx_model.cut import cut_model, makers_of
from hooke_server.models.onnx_model.file import OnnxFile, element_count, read_onnx
from hooke_server.models.onnx_model.screening import default_opset, screen

OLDEST = 7
"""The first version of the standard operators that ONNX Runtime takes."""


def try_onnx(
    path: str, inputs: Mapping[str, Sequence[int]], wanted: Sequence[str]
) -> dict[str, Any]:
    """Whether ONNX Runtime takes a model, and the shapes of what it computes.

    Parameters
    ----------
    inputs : the shape of each input, by name, whatever the file says of it.
    wanted : names of values to compute, from inputs of zeros; none: only start a session.

    Returns
    -------
    `error`: what ONNX Runtime said, empty if it is content; `upgraded`: the model in a
    newer version, in base64, if it was too old; `shapes`: type and shape of each value.
    """
    with Path(path).open("rb") as handle:
        file = read_onnx(
            memoryview(mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)), Limits()
        )
    screen(file.model, Limits())
    answer: dict[str, Any] = {"error": "", "upgraded": "", "shapes": {}}
    weights = {t.name: _array(t, file) for t in file.model.graph.initializer if _is_bare(t, file)}
    model = _marked(file.model, weights, inputs)
    try:
        if default_opset(model) < OLDEST:
            model = onnx.version_converter.convert_version(model, OLDEST + 2)
            answer["upgraded"] = base64.b64encode(model.SerializeToString()).decode()
        session = _session(model, weights, wanted or [o.name for o in model.graph.output])
        if wanted:
            answer["shapes"] = _shapes(session, inputs, wanted)
    except Exception as error:  # the errors of ONNX Runtime share no class
        answer["error"] = type(error).__name__
    return answer


def _marked(model: Any, names: Mapping[str, Any], inputs: Mapping[str, Sequence[int]]) -> Any:
    """The model with inputs of these shapes, and weights that are given apart."""
    for value in model.graph.input:
        for dim, size in zip(
            value.type.tensor_type.shape.dim, inputs.get(value.name, ()), strict=False
        ):
            dim.dim_value = size
    for tensor in model.graph.initializer:
        if tensor.name in names:
            tensor.data_location = onnx.TensorProto.EXTERNAL
            del tensor.external_data[:]
            tensor.external_data.add(key="location", value="given")
    return model


def _is_bare(tensor: Any, file: OnnxFile) -> bool:
    return tensor.name in file.blobs or tensor.data_location == onnx.TensorProto.EXTERNAL


def _array(tensor: Any, file: OnnxFile) -> Any:
    """The data of an initializer; zeros for what lies in another file."""
    kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    count = element_count(tensor)
    if tensor.name not in file.blobs:
        return np.zeros(tuple(tensor.dims), kind)
    blob = file.blobs[tensor.name]
    if len(blob) != count * kind.itemsize:
        raise broken("a weight is larger or smaller than its data")
    return np.frombuffer(blob, kind).reshape(tuple(tensor.dims)).copy()


def _session(
    model: Any, weights: Mapping[str, Any], outputs: Sequence[str]
) -> onnxruntime.InferenceSession:
    part = cut_model(model, outputs, makers_of(model))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    names = [t.name for t in part.graph.initializer if t.name in weights]
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(weights[name]) for name in names]
    options.add_external_initializers(names, values)
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(part.SerializeToString(), options, providers=providers)


def _shapes(
    session: onnxruntime.InferenceSession,
    inputs: Mapping[str, Sequence[int]],
    wanted: Sequence[str],
) -> dict[str, Any]:
    kinds = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(bool)": "bool"}
    feeds = {}
    for argument in session.get_inputs():
        kind = kinds.get(argument.type) or argument.type.removeprefix("tensor(").rstrip(")")
        feeds[argument.name] = np.zeros(inputs[argument.name], kind)
    arrays = session.run(list(wanted), feeds)
    pairs = zip(wanted, arrays, strict=True)
    return {n: [a.dtype.name, list(a.shape)] for n, a in pairs if isinstance(a, np.ndarray)}
