"""The words of `.pt2` programs: from pieces of their JSON to arguments, names and module calls."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import torch

from hooke_server.models.graph import ModuleCall
from hooke_server.models.limits import broken, shown, unsupported
from hooke_server.models.program import Ref

# Codes of the format's schema, version 8.
SCHEMA = 8
DTYPES = {
    1: torch.uint8,
    2: torch.int8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    12: torch.bool,
    13: torch.bfloat16,
}
STRIDED = 7
_MEMORY_FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
POSITIONAL = 1


def plain_name(name: str) -> str:
    """A name, if it is made of what names in Python are made of, and dots."""
    if not re.fullmatch(r"[\w.\-]{1,300}", name):
        raise broken(f"{shown(name)} is no name")
    return name


def module_calls(stack: str) -> tuple[ModuleCall, ...]:
    """The module calls around a node, from `key,path,class;...`."""
    calls = []
    for entry in filter(None, stack.split(";")):
        key, path, kind = entry.split(",")
        if path and "_empty_nn_module_stack" not in path:
            _, _, again = key.rpartition("@")
            occurrence = int(again) if "@" in key and again.isdigit() else 0
            name = plain_name(kind).rpartition(".")[2]
            calls.append(
                ModuleCall(path=plain_name(path), module_class=name, occurrence=occurrence)
            )
    return tuple(calls)


def output_names(output: dict[str, Any]) -> Iterator[str]:
    """The names that an operation's values get."""
    ((kind, value),) = output.items()
    if kind == "as_tensors":
        yield from (tensor["name"] for tensor in value)
    elif kind == "as_tensor":
        yield value["name"]
    elif kind in {"as_sym_int", "as_sym_float", "as_sym_bool"}:
        yield value["as_name"]
    else:
        raise unsupported(f"an operation yields a value of the kind {shown(kind)}")


def to_argument(piece: dict[str, Any]) -> Any:
    """An argument of an operation; values computed before are `Ref`s."""
    ((kind, value),) = piece.items()
    if kind in _ARGUMENTS:
        return _ARGUMENTS[kind](value)
    plural = kind.endswith("s") and kind[:-1] in _ARGUMENTS
    if not plural:
        raise unsupported(f"an operation takes an argument of the kind {shown(kind)}")
    return [_ARGUMENTS[kind[:-1]](item) for item in value]


def _number(value: Any) -> Any:
    # What JSON cannot write is written as text.
    known = {"Infinity": float("inf"), "-Infinity": float("-inf"), "NaN": float("nan")}
    return known[value] if isinstance(value, str) else _of(float, int)(value)


def _of(*types: type) -> Any:
    def check(value: Any) -> Any:
        if type(value) not in types:
            raise TypeError
        return value

    return check


def _symbol(value: dict[str, Any]) -> Any:
    return Ref(value["as_name"]) if "as_name" in value else _of(int, float, bool)(*value.values())


_ARGUMENTS: dict[str, Any] = {
    "as_none": lambda _: None,
    "as_tensor": lambda value: Ref(value["name"]),
    "as_optional_tensor": to_argument,
    "as_int": _of(int),
    "as_float": _number,
    "as_bool": _of(bool),
    "as_string": _of(str),
    "as_sym_int": _symbol,
    "as_sym_float": _symbol,
    "as_sym_bool": _symbol,
    "as_scalar_type": DTYPES.__getitem__,
    "as_memory_format": _MEMORY_FORMATS.__getitem__,
    "as_layout": lambda _: torch.strided,
    "as_device": lambda _: torch.device("meta"),  # the graph's own device takes its place
}


def nested(spec: dict[str, Any], leaves: Iterator[Any]) -> Any:
    """Leaves in the nest of lists and dicts that a program returns."""
    if spec["type"] is None:
        return next(leaves)
    children = [nested(child, leaves) for child in spec["children_spec"]]
    if spec["type"] in {"builtins.dict", "collections.OrderedDict"}:
        return dict(zip(map(plain_name, json.loads(spec["context"])), children, strict=True))
    return tuple(children)
