"""A pickle of tensors, read as data.

A pickle is a program; unpickling runs it, and even torch's restricted unpickler
had faults that ran code. Here its instructions are only listed, and those that
`torch.save` writes for plain data and tensors are followed on values of our own:
nothing is imported and nothing is called.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

import torch

from hooke_server.errors import PermissionDeniedError, Reason
from hooke_server.models.limits import Limits, broken, check_limit, shown

DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


@dataclass(frozen=True, slots=True)
class StorageRecord:
    """A reference to the bytes of tensors: the key of their blob, and what is in it."""

    key: str
    dtype: torch.dtype
    count: int


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """A tensor on a storage, as the pickle describes it; nothing of it is checked."""

    storage: StorageRecord
    offset: object
    shape: tuple[object, ...]
    stride: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Global:
    name: str


_MARK = object()


@dataclass(frozen=True, slots=True)
class Pickled:
    """What a pickle describes: plain data and `TensorRecord`s, and all storages by key."""

    value: Any
    storages: dict[str, StorageRecord]


def read_pickle(file: IO[bytes], limits: Limits) -> Pickled:
    """What the next pickle in `file` describes.

    Raises
    ------
    PermissionDeniedError : CODE_NOT_ALLOWED, if it needs more than data.
    FailedPreconditionError : MODEL_INVALID, if it is broken.
    """
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            check_limit("instructions", count, limits.opcodes)
            machine.step(opcode.name, argument)
        return Pickled(machine.result(), machine.storages)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError):
        raise broken("a pickle in it is damaged") from None


class _Machine:
    """The instructions that occur in pickles of tensors, on a stack and a memo."""

    def __init__(self) -> None:
        self.storages: dict[str, StorageRecord] = {}
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._steps: dict[str, Callable[[Any], None]] = {
            "PROTO": lambda _: None,
            "STOP": lambda _: None,
            "MARK": lambda _: self._stack.append(_MARK),
            "NONE": lambda _: self._stack.append(None),
            "NEWTRUE": lambda _: self._stack.append(True),
            "NEWFALSE": lambda _: self._stack.append(False),
            "EMPTY_DICT": lambda _: self._stack.append({}),
            "EMPTY_LIST": lambda _: self._stack.append([]),
            "EMPTY_TUPLE": lambda _: self._stack.append(()),
            "TUPLE": lambda _: self._stack.append(tuple(self._to_mark())),
            "TUPLE1": lambda _: self._tuple(1),
            "TUPLE2": lambda _: self._tuple(2),
            "TUPLE3": lambda _: self._tuple(3),
            "GLOBAL": self._global,
            "REDUCE": lambda _: self._reduce(),
            "BUILD": lambda _: self._build(),
            "BINPERSID": lambda _: self._reference(),
            "APPEND": lambda _: self._extend([self._stack.pop()]),
            "APPENDS": lambda _: self._extend(self._to_mark()),
            "SETITEM": lambda _: self._update([self._stack.pop(-2), self._stack.pop()]),
            "SETITEMS": lambda _: self._update(self._to_mark()),
        }
        for name in ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"):
            self._steps[name] = self._stack.append
        for name in ("SHORT_BINSTRING", "BINSTRING"):  # of Python 2
            self._steps[name] = self._stack.append
        for name in ("BINPUT", "LONG_BINPUT"):
            self._steps[name] = lambda index: self._memo.update({index: self._stack[-1]})
        for name in ("BINGET", "LONG_BINGET"):
            self._steps[name] = lambda index: self._stack.append(self._memo[index])

    def step(self, name: str, argument: Any) -> None:
        if name not in self._steps:
            raise _code(f"the instruction {name}")
        self._steps[name](argument)

    def result(self) -> Any:
        (value,) = self._stack
        return value

    def _to_mark(self) -> list[Any]:
        index = max(i for i in range(len(self._stack)) if self._stack[i] is _MARK)
        items = self._stack[index + 1 :]
        del self._stack[index:]
        return items

    def _tuple(self, count: int) -> None:
        items = tuple(self._stack[-count:])
        del self._stack[-count:]
        self._stack.append(items)

    def _global(self, argument: str) -> None:
        name = argument.replace(" ", ".", 1)
        storage = name.startswith("torch.") and name.removeprefix("torch.") in DTYPES
        if name not in _BUILDERS and not storage:
            raise _code(name)
        self._stack.append(_Global(name))

    def _reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if not isinstance(function, _Global) or function.name not in _BUILDERS:
            raise _code("the call of a value")
        self._stack.append(_BUILDERS[function.name](*arguments))

    def _reference(self) -> None:
        record = _storage(self._stack.pop())
        if self.storages.setdefault(record.key, record) != record:
            raise TypeError
        self._stack.append(record)

    def _build(self) -> None:
        """Attributes of a dict, such as the versions of a state dict, are passed over."""
        self._stack.pop()
        if not isinstance(self._stack[-1], dict):
            raise _code("the state of an object")

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise TypeError
        target.extend(items)

    def _update(self, items: list[Any]) -> None:
        target = self._stack[-1]
        keys, values = items[::2], items[1::2]
        small = all(type(k) is str or (type(k) is int and 0 <= k < 1 << 31) for k in keys)
        if not isinstance(target, dict) or not small:
            raise TypeError
        target.update(zip(keys, values, strict=True))


def _storage(reference: Any) -> StorageRecord:
    tag, kind, key, _location, count, *view = reference
    if tag != "storage" or not isinstance(kind, _Global) or any(view):
        raise _code("a reference to something else than a storage")
    dtype = DTYPES[kind.name.removeprefix("torch.")]
    if type(key) is not str or type(count) is not int:
        raise TypeError
    return StorageRecord(key, dtype, count)


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> TensorRecord:
    if not isinstance(storage, StorageRecord):
        raise TypeError
    return TensorRecord(storage, offset, tuple(shape), tuple(stride))


def _parameter(tensor: Any, *_: Any) -> TensorRecord:
    if not isinstance(tensor, TensorRecord):
        raise TypeError
    return tensor


_BUILDERS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": dict,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
}

_PLAIN = "save the weights alone: torch.save(model.state_dict(), FILE), or as safetensors"


def _code(what: str) -> PermissionDeniedError:
    """The error for what is no plain tensor: code, or a kind of tensor that is not read."""
    if "sparse" in what or "qtensor" in what:
        message = f"this file has sparse or quantised tensors, which are not read; {_PLAIN}"
    else:
        message = (
            f"this file has {shown(what)} in a pickle, and to unpickle that may run code; "
            f"{_PLAIN}; or export the whole network with torch.export.save or to ONNX"
        )
    return PermissionDeniedError(Reason.CODE_NOT_ALLOWED, message, needs=shown(what))
