"""`.pt2` files of `torch.export.save`, by a reader of our own.

`torch.export.load` runs code that a file brings along: pickles among its weights
and sample inputs, expressions for its sizes, compiled libraries. This reader takes
four things from the archive and no other: the program's text (JSON), the list of its
weights (JSON), the bytes of those, and which operations are called in which order,
each of them one of a list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx

from hooke_server.models.archives import read_archive
from hooke_server.models.aten import IGNORED, WITHOUT_GRADIENT, find_operation, name_of
from hooke_server.models.blobs import extents, map_file, storage, strided
from hooke_server.models.graph import ModuleCall, Origin
from hooke_server.models.limits import broken, check_limit, shown, unsupported
from hooke_server.models.loaders import LoadContext
from hooke_server.models.model import Model, ModelFormat
from hooke_server.models.ops import op_name
from hooke_server.models.preprocessing import customary_preprocessing
from hooke_server.models.program import Program, Ref
from hooke_server.models.sources import Source
from hooke_server.models.structure import assemble
from hooke_server.models.trace import graph_from_origins

# Codes of the format's schema, version 8.
_SCHEMA = 8
_DTYPES = {
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
_STRIDED = 7
_MEMORY_FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
_POSITIONAL = 1

_DAMAGED = (KeyError, ValueError, TypeError, AttributeError, IndexError, RecursionError)


def load(path: Path, source: Source, context: LoadContext) -> Model:
    """The model of an exported program.

    Raises
    ------
    FailedPreconditionError : MODEL_INVALID, if the file is broken; MODEL_UNSUPPORTED, if
        it calls what is not run here.
    ResourceExhaustedError : LIMIT_EXCEEDED, if it has or computes too much.
    """
    members = read_archive(map_file(path), context.limits)
    if "models/model.json" not in members:
        raise broken("it has no program; files of torch before 2.9 must be exported anew")
    try:
        reader = _Reader(members, context)
        module = reader.program()
    except _DAMAGED:
        raise broken("the program in it is damaged, or of another version") from None
    example = tuple(_example(meta, context.device) for meta in reader.inputs)
    return assemble(
        graph_from_origins(module, example),
        example,
        source=str(source),
        format=ModelFormat.TORCH_EXPORT,
        weights=reader.weights,
        preprocessing=customary_preprocessing(example[0].shape) if example else None,
        obstacle=_obstacle(module),
    )


def _obstacle(module: fx.GraphModule) -> str:
    names = {name_of(n.target) for n in module.graph.nodes if n.op == "call_function"}
    hidden = sorted(names & WITHOUT_GRADIENT)
    return f"{hidden[0]} has no gradient; export while gradients are enabled" if hidden else ""


def _example(meta: Tensor, device: torch.device) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    if meta.dtype.is_floating_point:
        return torch.randn(meta.shape, generator=generator).to(device, meta.dtype)
    return torch.zeros(meta.shape, dtype=meta.dtype, device=device)


class _Reader:
    """Reads the members of an archive into a `Program`."""

    def __init__(self, members: dict[str, memoryview], context: LoadContext) -> None:
        self.weights: dict[str, Tensor] = {}
        self.inputs: list[Tensor] = []
        self._members = members
        self._context = context
        document = self._json("models/model.json")
        if document["schema_version"]["major"] != _SCHEMA:
            raise broken(
                f"its schema is none of version {_SCHEMA}; export it with torch 2.9 or newer"
            )
        self._module = document["graph_module"]
        self._graph = self._module["graph"]
        check_limit("operations", len(self._graph["nodes"]), context.limits.entries)

    def program(self) -> fx.GraphModule:
        """The functional graph."""
        program = Program(self._context.device, self._context.limits)
        self._add_inputs(program)
        for node in self._graph["nodes"]:
            if not IGNORED.fullmatch(node["target"]):
                self._add_call(program, node)
        return program.finish(self._outputs())

    def _json(self, name: str) -> Any:
        member = self._members[name]
        check_limit("bytes of program", len(member), self._context.limits.graph_bytes)
        return json.loads(bytes(member))

    def _tensors(self) -> dict[str, tuple[Tensor, bool]]:
        """Weights and constants by name, and whether each is learned."""
        storages: dict[tuple[str, torch.dtype], Tensor] = {}
        tensors = {}
        for folder, kind in (("weights", "weight"), ("constants", "tensor")):
            config = self._json(f"data/{folder}/model_{folder}_config.json")["config"]
            check_limit("tensors", len(config), self._context.limits.entries)
            for name, entry in config.items():
                path, meta = entry["path_name"], entry["tensor_meta"]
                plain = re.fullmatch(rf"{kind}_\d+", path) and entry["use_pickle"] is False
                if not plain or meta["layout"] != _STRIDED:
                    raise broken(f"its {kind} {shown(name)} is no plain tensor")
                dtype = _DTYPES[meta["dtype"]]
                if (path, dtype) not in storages:
                    held = storage(self._members[f"data/{folder}/{path}"], dtype)
                    storages[path, dtype] = held.to(self._context.device, copy=True)
                numbers = ([e["as_int"] for e in meta[key]] for key in ("sizes", "strides"))
                offset = meta["storage_offset"]["as_int"]
                tensors[name] = (
                    strided(storages[path, dtype], offset, *numbers),
                    entry["is_param"] is True,
                )
        return tensors

    def _add_inputs(self, program: Program) -> None:
        tensors = self._tensors()
        for spec in self._module["signature"]["input_specs"]:
            ((kind, entry),) = spec.items()
            if kind == "user_input":
                name = entry["arg"]["as_tensor"]["name"]
                self.inputs.append(self._input(name))
                program.add_input(_plain(name), self.inputs[-1])
            elif kind in {"parameter", "buffer", "tensor_constant"}:
                key = entry[f"{kind}_name"]
                tensor, learned = tensors[key]
                program.add_weight(entry["arg"]["name"], tensor)
                if learned:
                    self.weights[_plain(key)] = tensor
            else:
                raise unsupported(f"the program has an input of the kind {shown(kind)}")

    def _input(self, name: str) -> Tensor:
        """A meta tensor of one sample, where the first dimension is dynamic."""
        meta = self._graph["tensor_values"][name]
        sizes = [
            size["as_int"] if "as_int" in size else 1 if axis == 0 else _hint(size)
            for axis, size in enumerate(meta["sizes"])
        ]
        tensor = torch.empty(extents(sizes), dtype=_DTYPES[meta["dtype"]], device="meta")
        check_limit("bytes of input", tensor.nbytes, self._context.limits.tensor_bytes)
        return tensor

    def _add_call(self, program: Program, node: dict[str, Any]) -> None:
        operation = find_operation(node["target"])
        args, kwargs = [], {}
        for argument in node["inputs"]:
            value = _argument(argument["arg"])
            if argument["kind"] == _POSITIONAL:
                args.append(value)
            else:
                kwargs[argument["name"]] = value
        if "dropout" in name_of(operation) and True in args:
            raise unsupported("the program was exported in training mode; call model.eval() first")
        outputs = [name for output in node["outputs"] for name in _names(output)]
        calls = _calls(node["metadata"].get("nn_module_stack", ""))
        program.call(operation, args, kwargs, outputs, Origin(op=op_name(operation), calls=calls))

    def _outputs(self) -> Any:
        leaves = []
        for spec in self._module["signature"]["output_specs"]:
            ((kind, entry),) = spec.items()
            if kind == "user_output":
                leaves.append(_argument(entry["arg"]))
            elif kind != "buffer_mutation":
                raise unsupported(f"the program has an output of the kind {shown(kind)}")
        signature = self._module["module_call_graph"][0]["signature"]
        return _nested(json.loads(signature["out_spec"])[1], iter(leaves))


def _plain(name: str) -> str:
    """A name, if it is made of what names in Python are made of, and dots."""
    if not re.fullmatch(r"[\w.\-]{1,300}", name):
        raise broken(f"{shown(name)} is no name")
    return name


def _hint(size: dict[str, Any]) -> Any:
    """The value that a dynamic size had at export; its expression is code, and not looked at."""
    return size["as_expr"]["hint"]["as_int"]


def _calls(stack: str) -> tuple[ModuleCall, ...]:
    """The module calls around a node, from `key,path,class;...`."""
    calls = []
    for entry in filter(None, stack.split(";")):
        key, path, kind = entry.split(",")
        if path and "_empty_nn_module_stack" not in path:
            _, _, again = key.rpartition("@")
            occurrence = int(again) if "@" in key and again.isdigit() else 0
            name = _plain(kind).rpartition(".")[2]
            calls.append(ModuleCall(path=_plain(path), module_class=name, occurrence=occurrence))
    return tuple(calls)


def _names(output: dict[str, Any]) -> Iterator[str]:
    ((kind, value),) = output.items()
    if kind == "as_tensors":
        yield from (tensor["name"] for tensor in value)
    elif kind == "as_tensor":
        yield value["name"]
    elif kind in {"as_sym_int", "as_sym_float", "as_sym_bool"}:
        yield value["as_name"]
    else:
        raise unsupported(f"an operation yields a value of the kind {shown(kind)}")


def _argument(argument: dict[str, Any]) -> Any:
    ((kind, value),) = argument.items()
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
    "as_optional_tensor": _argument,
    "as_int": _of(int),
    "as_float": _number,
    "as_bool": _of(bool),
    "as_string": _of(str),
    "as_sym_int": _symbol,
    "as_sym_float": _symbol,
    "as_sym_bool": _symbol,
    "as_scalar_type": _DTYPES.__getitem__,
    "as_memory_format": _MEMORY_FORMATS.__getitem__,
    "as_layout": lambda _: torch.strided,
    "as_device": lambda _: torch.device("meta"),  # the graph's own device takes its place
}


def _nested(spec: dict[str, Any], leaves: Iterator[Any]) -> Any:
    """Leaves in the nest of lists and dicts that a program returns."""
    if spec["type"] is None:
        return next(leaves)
    children = [_nested(child, leaves) for child in spec["children_spec"]]
    if spec["type"] in {"builtins.dict", "collections.OrderedDict"}:
        return dict(zip(map(_plain, json.loads(spec["context"])), children, strict=True))
    return tuple(children)
