"""Trained weights out of a file, and into a network.

    weights = read_checkpoint(path, limits)    .safetensors, or torch.save(model.state_dict())
    apply_checkpoint(network, weights)

Nothing in such a file is run: safetensors is data, and a pickle is read as data.
The tensors lie on the file's pages until they are copied into a network.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hooke_server.errors import FailedPreconditionError, Reason
from hooke_server.models.archives import is_archive, read_archive
from hooke_server.models.blobs import extents, map_file, storage, strided
from hooke_server.models.limits import Limits, broken, check_limit, shown
from hooke_server.models.pickles import StorageRecord, TensorRecord, read_pickle

WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training scripts save the weights beside other things."""

_SAFETENSORS = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_MAGIC = 0x1950A86A20F9469CFC6C


def read_checkpoint(path: Path, limits: Limits) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name.

    Raises
    ------
    FailedPreconditionError : MODEL_INVALID, if the file is broken.
    PermissionDeniedError : CODE_NOT_ALLOWED, if reading it would run code.
    ResourceExhaustedError : LIMIT_EXCEEDED, if it has too much of something.
    """
    file = map_file(path)
    if path.suffix == ".safetensors":
        return _safetensors(file, limits)
    return _zipped(file, limits) if is_archive(file) else _legacy(path, file, limits)


def apply_checkpoint(module: nn.Module, weights: dict[str, Tensor]) -> None:
    """Copy weights into a network: by name, or in order where all else agrees.

    Raises
    ------
    FailedPreconditionError : MODEL_INVALID, naming what does not fit.
    """
    own = module.state_dict()
    if all(key.startswith("module.") for key in weights):  # saved from a DataParallel
        weights = {key.removeprefix("module."): tensor for key, tensor in weights.items()}
    missing = [key for key in own if key not in weights and not key.endswith("tracked")]
    unexpected = [key for key in weights if key not in own]
    if (missing or unexpected) and _agree_in_order(own, weights):
        weights, missing, unexpected = dict(zip(own, weights.values(), strict=True)), [], []
    reshaped = [key for key in own if key in weights and own[key].shape != weights[key].shape]
    if missing or unexpected or reshaped:
        raise _mismatch(own, weights, missing, unexpected, reshaped)
    module.load_state_dict(weights, strict=False)  # batch norm may lack its counter


def class_counts(module: nn.Module, weights: dict[str, Tensor]) -> list[int]:
    """Class counts that may be why weights have other shapes than a network's, the least first.

    Empty where all shapes agree, or where they differ by more than their first extents,
    as a classifier's do. A count is one of those extents, and the file has the bytes for it.
    """
    own = module.state_dict()
    if weights.keys() != own.keys():
        weights = dict(zip(own, weights.values(), strict=False))
    pairs = [(own[key], weights[key]) for key in own if key in weights]
    other = [(mine, given) for mine, given in pairs if mine.shape != given.shape]
    if any(mine.shape[1:] != given.shape[1:] or not given.ndim for mine, given in other):
        return []
    return sorted({len(given) for _, given in other} - {0})


def _agree_in_order(own: dict[str, Tensor], weights: dict[str, Tensor]) -> bool:
    def form(state: dict[str, Tensor]) -> list[tuple[str, torch.Size]]:
        return [(key.rpartition(".")[2], tensor.shape) for key, tensor in state.items()]

    return form(own) == form(weights)


def _mismatch(
    own: dict[str, Tensor],
    weights: dict[str, Tensor],
    missing: list[str],
    unexpected: list[str],
    reshaped: list[str],
) -> FailedPreconditionError:
    facts = []
    if missing:
        facts.append(f"{len(missing)} tensors are missing, first {missing[0]!r}")
    if unexpected:
        facts.append(f"{len(unexpected)} are unknown, first {shown(unexpected[0])}")
    if reshaped:
        key = reshaped[0]
        shapes = f"{tuple(weights[key].shape)} instead of {tuple(own[key].shape)}"
        facts.append(f"{len(reshaped)} have another shape, first {key!r} with {shapes}")
    return FailedPreconditionError(
        Reason.MODEL_INVALID,
        f"the checkpoint does not fit this architecture: {'; '.join(facts)}; where the network"
        " was changed, export it whole, to .pt2 or ONNX",
        missing=len(missing),
        unexpected=len(unexpected),
        reshaped=len(reshaped),
    )


def _safetensors(file: memoryview, limits: Limits) -> dict[str, Tensor]:
    length = int.from_bytes(file[:8], "little")
    check_limit("bytes of header", length, limits.header_bytes)
    body = file[8 + length :]
    try:
        header = json.loads(bytes(file[8 : 8 + length]), object_pairs_hook=_unique)
        header.pop("__metadata__", None)
        spans = {name: tuple(extents(entry["data_offsets"])) for name, entry in header.items()}
        check_limit("tensors", len(header), limits.entries)
        _check_cover(list(spans.values()), len(body))
        return {
            name: _safetensor(entry, body[slice(*spans[name])]) for name, entry in header.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise broken("its header is no list of tensors") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise broken("two of its tensors have one name")
    return dict(pairs)


def _check_cover(spans: list[tuple[int, ...]], size: int) -> None:
    """Tensors lie one after another, with neither gaps nor overlaps."""
    end = 0
    for start, stop in sorted(spans):
        if start != end or stop < start:
            raise broken("its tensors overlap, or there are gaps between them")
        end = stop
    if end != size:
        raise broken("it is cut off, or has more bytes than its header tells of")


def _safetensor(entry: dict[str, Any], blob: memoryview) -> Tensor:
    if entry["dtype"] not in _SAFETENSORS:
        raise broken(f"its dtype {shown(entry['dtype'])} is none of {', '.join(_SAFETENSORS)}")
    elements = storage(blob, _SAFETENSORS[entry["dtype"]])
    shape = extents(entry["shape"])
    steps = [1] * len(shape)
    for axis in reversed(range(len(shape) - 1)):
        steps[axis] = steps[axis + 1] * shape[axis + 1]
    tensor = strided(elements, 0, shape, steps)
    if tensor.nbytes != len(blob):
        raise broken("a tensor's shape and its bytes do not agree")
    return tensor


def _zipped(file: memoryview, limits: Limits) -> dict[str, Tensor]:
    members = read_archive(file, limits)
    if "data.pkl" not in members:
        raise broken("it is an archive, but none of torch.save")
    if bytes(members.get("byteorder", b"little")) != b"little":
        raise broken("it was written by a big-endian machine")
    check_limit("bytes of pickle", len(members["data.pkl"]), limits.graph_bytes)
    records = _records(read_pickle(io.BytesIO(members["data.pkl"]), limits).value, limits)
    blobs = {name.removeprefix("data/"): blob for name, blob in members.items()}
    return _tensors(records, blobs)


def _legacy(path: Path, file: memoryview, limits: Limits) -> dict[str, Tensor]:
    """Files of torch before 1.6: five pickles, then each storage with its length before it."""
    with path.open("rb") as stream:
        if read_pickle(stream, limits).value != _MAGIC:
            raise broken("it is neither safetensors nor written by torch.save")
        read_pickle(stream, limits)  # the version of the format, of which there was one
        machine = read_pickle(stream, limits).value
        if not isinstance(machine, dict) or machine.get("little_endian") is not True:
            raise broken("it was written by a big-endian machine")
        pickled = read_pickle(stream, limits)
        keys = read_pickle(stream, limits).value
        end = stream.tell()
    blobs: dict[str, memoryview] = {}
    for key in keys if isinstance(keys, list) else []:
        if type(key) is not str or key not in pickled.storages:
            raise broken("it stores what none of its tensors has")
        count = int.from_bytes(file[end : end + 8], "little")
        start, end = end + 8, end + 8 + count * pickled.storages[key].dtype.itemsize
        if end > len(file):
            raise broken("it is cut off")
        blobs[key] = file[start:end]
    return _tensors(_records(pickled.value, limits), blobs)


def _records(value: Any, limits: Limits) -> dict[str, TensorRecord]:
    """The tensors in what a pickle describes: a flat dict of them, maybe in a wrapper."""
    inner = (value[key] for key in WRAPPERS if key in value) if isinstance(value, dict) else ()
    state = next((wrapped for wrapped in inner if isinstance(wrapped, dict)), value)
    if not isinstance(state, dict) or not state:
        raise broken("it holds no dict of tensors by name")
    check_limit("tensors", len(state), limits.entries)
    for key, record in state.items():
        if type(key) is not str or not isinstance(record, TensorRecord):
            raise broken(f"its entry {shown(key)} is no tensor with a name")
    return state


def _tensors(records: dict[str, TensorRecord], blobs: dict[str, memoryview]) -> dict[str, Tensor]:
    storages: dict[StorageRecord, Tensor] = {}
    tensors = {}
    for name, record in records.items():
        held = record.storage
        if held not in storages:
            blob = blobs.get(held.key, memoryview(b""))
            if len(blob) != held.count * held.dtype.itemsize:
                raise broken("a tensor's size and its bytes do not agree")
            storages[held] = storage(blob, held.dtype)
        tensors[name] = strided(storages[held], record.offset, record.shape, record.stride)
    return tensors
