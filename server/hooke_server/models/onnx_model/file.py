"""ONNX files: the graph parsed, the weights left where they lie.

A file is first walked as what it is, protobuf fields of a number and a length, in
which nothing is built and everything can be counted. The walk makes a *skeleton*:
the same file without the bytes of its weights, so that the parser only ever sees
the small rest. The weights are views of the mapped file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import onnx

from hooke_server.models.limits import Limits, broken, check_limit, shown

_GRAPH, _INITIALIZER = 7, 5
_RAW = {9, 4, 10}  # raw_data, float_data, double_data: little-endian elements in a row
_VARINTS = {5, 7, 11}  # int32_data, int64_data, uint64_data
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MESSAGE = 11
_DEPTH = 32

INLINE_BYTES = 1024
"""Tensors up to this size stay in the graph: shapes and the like, which say what it does."""


@dataclass(frozen=True)
class OnnxFile:
    """A parsed model whose large initializers have no data, and the data by their names."""

    model: Any
    blobs: Mapping[str, memoryview]


@dataclass(frozen=True, slots=True)
class _Field:
    number: int
    kind: int
    whole: memoryview
    content: memoryview


def read_onnx(file: memoryview, limits: Limits) -> OnnxFile:
    """The model in a file; what its weights' tensors claim is not checked yet.

    Raises
    ------
    FailedPreconditionError : MODEL_INVALID, if it is no ONNX model.
    ResourceExhaustedError : LIMIT_EXCEEDED, if there is too much in it.
    """
    skeleton, blobs = _skeleton(file, _Counter(limits))
    check_limit("bytes beside its weights", len(skeleton), limits.graph_bytes)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(skeleton)
        names = [tensor.name for tensor in model.graph.initializer]
    except Exception:  # protobuf's errors are its own, and this package does not import it
        raise broken("it is no ONNX model, or a damaged one") from None
    if not model.graph.node or len(names) != len(blobs):
        raise broken("it is no ONNX model, or has no nodes")
    if len(set(names)) < len(names):
        raise broken("two of its weights have one name")
    named = {name: blob for name, blob in zip(names, blobs, strict=True) if blob is not None}
    return OnnxFile(model, named)


def with_external(
    file: OnnxFile, open_blob: Callable[[str], memoryview], *, limits: Limits
) -> OnnxFile:
    """The same with the weights that lie in other files; `open_blob` maps one by its location.

    Raises
    ------
    FailedPreconditionError : MODEL_INVALID, for a place that is not in the file it names.
    """
    blobs = dict(file.blobs)
    opened: dict[str, memoryview] = {}
    for tensor in file.model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            entries = {entry.key: entry.value for entry in tensor.external_data}
            location = entries.get("location", "")
            if location not in opened:
                check_limit("files of weights", len(opened) + 1, limits.companions)
                opened[location] = open_blob(location)
            start, stop = _extent(entries, len(opened[location]), tensor.name)
            blobs[tensor.name] = opened[location][start:stop]
    return OnnxFile(file.model, blobs)


def _extent(entries: Mapping[str, str], size: int, name: str) -> tuple[int, int]:
    numbers = [entries.get("offset", "0"), entries.get("length", "")]
    if not all(number.isascii() and number.isdigit() for number in numbers if number):
        raise broken(f"its weight {shown(name)} lies at no offset")
    start = int(numbers[0] or 0)
    stop = start + int(numbers[1]) if numbers[1] else size
    if not start <= stop <= size:
        raise broken(f"its weight {shown(name)} lies outside of the file that it names")
    return start, stop


def element_count(tensor: Any) -> int:
    """Number of elements that an initializer claims; MODEL_INVALID for no sizes."""
    if any(not 0 <= size < 1 << 40 for size in tensor.dims) or len(tensor.dims) > 16:
        raise broken(f"its weight {shown(tensor.name)} has no shape")
    return math.prod(tensor.dims)


class _Counter:
    """Counts fields and integers, for what is cheap to write and dear to parse."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._fields = 0
        self._varints = 0

    def field(self) -> None:
        self._fields += 1
        if not self._fields % 4096:
            check_limit("fields", self._fields, 50 * self._limits.entries)

    def varints(self, size: int) -> None:
        self._varints += size
        check_limit("bytes of integers", self._varints, self._limits.graph_bytes // 4)


def _skeleton(file: memoryview, count: _Counter) -> tuple[bytes, list[memoryview | None]]:
    """The file without its weights' bytes, and those, None for a weight that has none there."""
    pieces: list[bytes] = []
    blobs: list[memoryview | None] = []
    graphs = 0
    for field in _fields(file, count):
        if field.number == _GRAPH and field.kind == _LENGTH:
            graphs += 1
            graph = b"".join(_graph_pieces(field.content, blobs, count))
            pieces.append(_tagged(_GRAPH, graph))
        else:
            _count_inside(field, onnx.ModelProto.DESCRIPTOR, count, 0)
            pieces.append(bytes(field.whole))
    if graphs != 1:
        raise broken("it is no ONNX model: it has not one graph")
    return b"".join(pieces), blobs


def _graph_pieces(
    graph: memoryview, blobs: list[memoryview | None], count: _Counter
) -> Iterator[bytes]:
    for field in _fields(graph, count):
        if field.number == _INITIALIZER and field.kind == _LENGTH:
            kept, blob = _without_data(field.content, count)
            blobs.append(blob)
            yield _tagged(_INITIALIZER, kept)
        else:
            _count_inside(field, onnx.GraphProto.DESCRIPTOR, count, 0)
            yield bytes(field.whole)


def _without_data(tensor: memoryview, count: _Counter) -> tuple[bytes, memoryview | None]:
    """A tensor without its data, if that is large and in one piece; and the data."""
    fields = list(_fields(tensor, count))
    data = [f for f in fields if f.number in _RAW and f.kind == _LENGTH]
    large = len(data) == 1 and len(data[0].content) > INLINE_BYTES
    kept = [f for f in fields if not large or f is not data[0]]
    for field in kept:
        _count_inside(field, onnx.TensorProto.DESCRIPTOR, count, 0)
    return b"".join(bytes(f.whole) for f in kept), data[0].content if large else None


def _count_inside(field: _Field, descriptor: Any, count: _Counter, depth: int) -> None:
    """Count what a field of a message holds, at all depths."""
    if field.kind != _LENGTH:
        return
    known = descriptor.fields_by_number.get(field.number)
    if known is None:
        return
    if descriptor.name == "TensorProto" and field.number in _VARINTS:
        count.varints(len(field.content))
    if known.type == _MESSAGE:
        if depth > _DEPTH:
            raise broken("its graphs are nested too deeply")
        for inner in _fields(field.content, count):
            _count_inside(inner, known.message_type, count, depth + 1)


def _fields(message: memoryview, count: _Counter) -> Iterator[_Field]:
    position, end = 0, len(message)
    while position < end:
        count.field()
        start = position
        tag, position = _varint(message, position)
        number, kind = tag >> 3, tag & 7
        begin = position
        if kind == _VARINT:
            _, position = _varint(message, position)
        elif kind == _LENGTH:
            length, begin = _varint(message, position)
            position = begin + length
        elif kind in {_FIXED64, _FIXED32}:
            position += 8 if kind == _FIXED64 else 4
        else:
            raise broken("it is no ONNX model")
        if position > end:
            raise broken("it is cut off, or no ONNX model")
        yield _Field(number, kind, message[start:position], message[begin:position])


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            break
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise broken("it is cut off, or no ONNX model")


def _tagged(number: int, content: bytes) -> bytes:
    """A field of this number with this content."""
    head = bytearray([number << 3 | _LENGTH])
    length = len(content)
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return bytes(head) + content
