"""Inputs of a model: from messages to tensors that the model takes exactly as they are.

Decoding takes time, so it belongs on a thread. Every check of an input is here:
its name, its number, shape, element type, its bytes, and that its numbers are finite.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hooke.v1 import input_pb2
from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.models.layer import Dimension
from hooke_server.models.model import Model
from hooke_server.rpc.tensors import read_tensor

ModelInput = input_pb2.ModelInput


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The model's inputs in its order, on its device, and a digest of what they hold."""

    tensors: tuple[Tensor, ...]
    digest: str

    @property
    def batch(self) -> int:
        """Number of samples."""
        return next((t.shape[0] for t in self.tensors if t.ndim), 1)


def held_bytes(model: Model, messages: Sequence[ModelInput]) -> int:
    """What the inputs will hold beside uploads."""
    steps = model.preprocessing
    size = steps.channels * steps.crop_height * steps.crop_width * 4 if steps else 0
    return sum(
        len(each.images.images) * size if each.HasField("images") else each.tensor.ByteSize()
        for each in messages
    )


def decoding_bytes(model: Model, messages: Sequence[ModelInput], path: str = "inputs") -> int:
    """What decoding will take for a while: one picture is decoded at a time."""
    if model.preprocessing is None:
        return 0
    return max(
        (
            model.preprocessing.decoding_bytes(image.data, f"{path}[{i}].images.images[{j}].data")
            for i, each in enumerate(messages)
            for j, image in enumerate(each.images.images)
        ),
        default=0,
    )


def read_inputs(
    model: Model,
    messages: Sequence[ModelInput],
    uploads: Mapping[int, Tensor],
    path: str = "inputs",
) -> Inputs:
    """Decode and check.

    Parameters
    ----------
    uploads : tensors sent before, by the ids that messages name.
    path : the request's field that holds the messages.
    """
    fields = _by_input(model, messages, path)
    content = hashlib.sha256()
    tensors = []
    for spec, (field, message) in zip(model.inputs, fields, strict=True):
        tensor = _decode(model, message, uploads, field)
        tensors.append(tensor)
        content.update(f"{spec.name}\0{tensor.dtype}{tuple(tensor.shape)}".encode())
        content.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    paths = [field for field, _ in fields]
    _check_shapes(model, tensors, paths)
    _check_indices(model, tensors, paths)
    on_device = tuple(tensor.to(model.device) for tensor in tensors)
    return Inputs(tensors=on_device, digest=content.hexdigest())


def same_inputs(model: Model, inputs: Inputs, field: str) -> Inputs:
    """Tensors that were read for another model, in the order of this one's inputs."""
    if len(inputs.tensors) != len(model.inputs):
        raise _mismatch(
            f"the model takes {len(model.inputs)} inputs, not {len(inputs.tensors)}", field
        )
    paths = [field] * len(model.inputs)
    _check_shapes(model, inputs.tensors, paths)
    _check_indices(model, inputs.tensors, paths)
    on_device = tuple(tensor.to(model.device) for tensor in inputs.tensors)
    return Inputs(tensors=on_device, digest=inputs.digest)


def is_finite(tensor: Tensor) -> bool:
    """Whether no element is NaN or infinite."""
    if tensor.dtype is torch.bfloat16:  # NumPy has none
        tensor = tensor.float()
    # NumPy: torch would wake all cores, from a thread that is not the computing one.
    return not tensor.is_floating_point() or bool(np.isfinite(tensor.numpy()).all())


def _by_input(
    model: Model, messages: Sequence[ModelInput], path: str
) -> list[tuple[str, ModelInput]]:
    """For each input of the model in order: the field's path and the message."""
    names = [spec.name for spec in model.inputs]
    found: dict[str, tuple[str, ModelInput]] = {}
    for index, message in enumerate(messages):
        field = f"{path}[{index}]"
        name = message.name or (names[0] if len(names) == 1 else "")
        if name not in names or name in found:
            problem = "comes twice" if name in found else "is not one of them"
            raise _mismatch(
                f"the model's inputs are {', '.join(map(repr, names))}; {name!r} {problem}",
                f"{field}.name",
                name=name,
            )
        found[name] = (field, message)
    if missing := [name for name in names if name not in found]:
        raise _mismatch(
            f"the model also takes {', '.join(map(repr, missing))}", path, missing=missing
        )
    return [found[name] for name in names]


def _decode(
    model: Model,
    message: ModelInput,
    uploads: Mapping[int, Tensor],
    field: str,
) -> Tensor:
    match message.WhichOneof("value"):
        case "tensor":
            tensor = read_tensor(message.tensor, f"{field}.tensor")
        case "images":
            return _decode_pictures(model, message, f"{field}.images")
        case "tensor_id" if message.tensor_id in uploads:
            tensor = uploads[message.tensor_id]
        case "tensor_id":
            raise InvalidArgumentError(
                Reason.INVALID_FIELD,
                f"no tensor {message.tensor_id} was sent since the last run",
                field=f"{field}.tensor_id",
                tensor_id=message.tensor_id,
            )
        case _:
            raise InvalidArgumentError(
                Reason.INVALID_FIELD, f"{field} has no value", field=f"{field}.value"
            )
    if not is_finite(tensor):
        raise InvalidArgumentError(
            Reason.INPUT_NOT_FINITE, f"{field} holds NaN or infinity", field=field
        )
    return tensor


def _decode_pictures(model: Model, message: ModelInput, field: str) -> Tensor:
    steps, images = model.preprocessing, message.images.images
    if steps is None:
        raise _mismatch("this model's input is no picture; send a tensor", field)
    if not images:
        raise InvalidArgumentError(
            Reason.INVALID_FIELD, f"{field} is empty; send at least one", field=f"{field}.images"
        )
    batch = torch.empty(len(images), steps.channels, steps.crop_height, steps.crop_width)
    for index, image in enumerate(images):
        batch[index] = steps.decode(image.data, f"{field}.images[{index}].data")
    return batch


def _check_shapes(model: Model, tensors: Sequence[Tensor], fields: Sequence[str]) -> None:
    dynamic: dict[Dimension, int] = {}
    for spec, tensor, field in zip(model.inputs, tensors, fields, strict=True):
        expected = [dynamic.get(extent, extent) for extent in spec.shape]
        if tensor.dtype != spec.dtype or not _fits(spec.shape, tensor.shape, dynamic):
            wanted = _described(spec.dtype, expected)
            got = _described(tensor.dtype, tensor.shape)
            raise _mismatch(
                f"input {spec.name!r} must be {wanted}, not {got}",
                field,
                name=spec.name,
                expected=wanted,
                received=got,
            )


def _check_indices(model: Model, tensors: Sequence[Tensor], fields: Sequence[str]) -> None:
    """Indices beyond an embedding would be a defect on a CPU, and end the process on a GPU."""
    for spec, tensor, field in zip(model.inputs, tensors, fields, strict=True):
        entries = model.vocabularies.get(spec.name)
        if entries is None:
            continue
        low, high = int(tensor.min()), int(tensor.max())
        if low < 0 or high >= entries:
            raise _mismatch(
                f"input {spec.name!r} holds indices from {low} to {high}; the embedding that it is"
                f" looked up in has {entries} entries, 0 to {entries - 1}",
                field,
                name=spec.name,
                entries=entries,
            )


def _fits(
    shape: Sequence[Dimension], extents: Sequence[int], dynamic: dict[Dimension, int]
) -> bool:
    """Whether the extents are the shape's; a name stands for one number wherever it is."""
    if len(shape) != len(extents):
        return False
    for expected, extent in zip(shape, extents, strict=True):
        known = dynamic.setdefault(expected, extent) if isinstance(expected, str) else expected
        if extent != known or extent < 1:
            return False
    return True


def _described(dtype: torch.dtype, shape: Sequence[Dimension]) -> str:
    return f"{str(dtype).removeprefix('torch.')} [{', '.join(map(str, shape))}]"


def _mismatch(message: str, field: str, **facts: object) -> InvalidArgumentError:
    return InvalidArgumentError(Reason.INPUT_MISMATCH, message, field=field, **facts)
