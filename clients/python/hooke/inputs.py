"""What a user gives as a model's input, as messages.

    a path                    a picture's file, or an array's (.npy)
    bytes                     a picture's file
    a Pillow image            a picture
    uint8 array [h, w, 3|4],  a picture; [n, h, w, 3|4]: n of them
        [h, w]
    any other array           a tensor with its batch dimension, exactly as the model
                              takes it; `hooke.Tensor` says so of any array
    a list of pictures        a batch of them
    a dict of these           several inputs by name

Pictures travel as files, and the server prepares them as the model declares.
Tensors that do not fit into a request travel in chunks on a recording.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, cast

import numpy as np

from hooke.frames import Tensor
from hooke.tensors import fill, parts
from hooke.v1 import activation_service_pb2, image_pb2, tensor_pb2
from hooke.v1 import input_pb2 as pb

MESSAGE_BYTES = 4 * 1024 * 1024 - 1024
"""Size of the largest message that both ends take, less a little for its frame."""

INLINE_BYTES = 7 * MESSAGE_BYTES // 8
"""Inputs up to this size travel in the request itself; the rest of it is for readouts."""

PICTURE_BYTES = MESSAGE_BYTES // 4
"""Size of the largest file of a picture to visualize with; a request may hold several."""

PICTURE_EDGE = 1024
"""Pixels along the longest edge of a picture that is scaled down."""

Inputs = Any
"""One of the values above."""

Prepared = dict[str, list[bytes] | np.ndarray]
"""Inputs by name (`""` for the only one): the files of a batch of pictures, or an array."""


def prepare(inputs: Inputs) -> Prepared:
    """Read files and encode pictures; TypeError for what is no input."""
    named = inputs if isinstance(inputs, Mapping) else {"": inputs}
    return {name: _prepare(value) for name, value in named.items()}


def size(prepared: Prepared) -> int:
    """Bytes of all inputs together."""
    return sum(_size(value) for value in prepared.values())


def inline(prepared: Prepared) -> list[pb.ModelInput]:
    """The inputs as part of a request."""
    messages = [pb.ModelInput(name=name) for name in prepared]
    for message, value in zip(messages, prepared.values(), strict=True):
        if isinstance(value, np.ndarray):
            fill(message.tensor, value)
        else:
            message.images.CopyFrom(_batch(value))
    return messages


def run_messages(prepared: Prepared) -> Iterator[activation_service_pb2.RecordActivationsRequest]:
    """The messages of one run of a recording: tensors in chunks, then the run.

    Inputs that are small enough travel in the run itself, where the server can tell
    at once what is wrong with them.
    """
    if size(prepared) <= INLINE_BYTES:
        yield activation_service_pb2.RecordActivationsRequest(
            run=activation_service_pb2.RecordingRun(inputs=inline(prepared))
        )
        return
    run = activation_service_pb2.RecordingRun()
    for (name, value), tensor_id in zip(prepared.items(), count(1)):
        if isinstance(value, np.ndarray):
            yield from map(_part, parts(value, tensor_id))
            run.inputs.add(name=name, tensor_id=tensor_id)
        else:
            run.inputs.add(name=name, images=_batch(value))
    if run.ByteSize() > MESSAGE_BYTES:
        raise ValueError(
            f"the pictures of one run have {run.ByteSize()} bytes, and a message holds"
            f" {MESSAGE_BYTES}; send smaller batches with record(), smaller files, or a float array"
        )
    yield activation_service_pb2.RecordActivationsRequest(run=run)


def _part(part: Any) -> activation_service_pb2.RecordActivationsRequest:
    match part:
        case tensor_pb2.TensorHeader():
            return activation_service_pb2.RecordActivationsRequest(tensor_header=part)
        case tensor_pb2.TensorChunk():
            return activation_service_pb2.RecordActivationsRequest(tensor_chunk=part)
        case _:
            return activation_service_pb2.RecordActivationsRequest(tensor_trailer=part)


def _size(value: list[bytes] | np.ndarray) -> int:
    return value.nbytes if isinstance(value, np.ndarray) else sum(map(len, value))


def _batch(files: list[bytes]) -> pb.ImageBatch:
    return pb.ImageBatch(images=[image_pb2.EncodedImage(data=each) for each in files])


def _prepare(value: Any) -> list[bytes] | np.ndarray:
    if isinstance(value, list | tuple):
        batch = [_prepare(each) for each in value]
        if not batch or not all(isinstance(each, list) for each in batch):
            raise TypeError("a list holds pictures; give tensors as one array, batch first")
        return [file for each in cast("list[list[bytes]]", batch) for file in each]
    if isinstance(value, Tensor):
        return value.value
    if isinstance(value, str | os.PathLike):
        path = Path(value)
        if path.suffix == ".npy":
            return _array(np.load(path, allow_pickle=False))
        return [path.read_bytes()]
    if isinstance(value, bytes):
        return [value]
    if _is_pillow(value):
        return [_encode(value)]
    return _array(_as_array(value))


def _as_array(value: Any) -> np.ndarray:
    if not hasattr(value, "__array__"):
        known = "a path, bytes, a Pillow image, an array, or a list or dict of these"
        raise TypeError(f"{type(value).__name__} is no input; give {known}")
    return np.asarray(value)


def _array(array: np.ndarray) -> list[bytes] | np.ndarray:
    if array.dtype != np.uint8:
        return array
    if array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in {3, 4}):
        return [_encode(_pillow().fromarray(array))]
    if array.ndim == 4 and array.shape[-1] in {3, 4}:
        return [_encode(_pillow().fromarray(each)) for each in array]
    raise TypeError(
        f"a uint8 array is a picture [h, w, 3] or [h, w], or a batch [n, h, w, 3], not"
        f" {list(array.shape)}; wrap it in hooke.Tensor(value=array) if it is the model's input"
    )


def picture_file(value: Any) -> bytes:
    """A single picture's file; one that is too large for a request is scaled down."""
    files = _prepare(value)
    if not isinstance(files, list) or len(files) != 1:
        raise TypeError("give one picture: a path, bytes, a Pillow image or an array of uint8")
    if len(files[0]) <= PICTURE_BYTES:
        return files[0]
    picture = _pillow().open(io.BytesIO(files[0])).convert("RGB")
    picture.thumbnail((PICTURE_EDGE, PICTURE_EDGE))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def _is_pillow(value: Any) -> bool:
    return any(kind.__module__.startswith("PIL.") for kind in type(value).__mro__)


def _encode(image: Any) -> bytes:
    """A Pillow image as PNG, which is lossless; most of its size takes little of the time."""
    buffer = io.BytesIO()
    usual = image if image.mode in {"L", "RGB"} else image.convert("RGB")
    usual.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(
            "uint8 arrays are encoded with Pillow: pip install pillow,"
            " or give a picture as a file's path or bytes"
        ) from None
    return Image
