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
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx

from hooke_server.models.archives import read_archive
from hooke_server.models.aten import IGNORED, WITHOUT_GRADIENT, find_operation, name_of
from hooke_server.models.blobs import extents, map_file, storage, strided
from hooke_server.models.graph import Origin
from hooke_server.models.limits import broken, check_limit, shown, unsupported
from hooke_server.models.loaders import LoadContext
from hooke_server.models.loaders.export_schema import (
    DTYPES,
    POSITIONAL,
    SCHEMA,
    STRIDED,
    module_calls,
    nested,
    output_names,
    plain_name,
    to_argument,
)
from hooke_server.models.model import Model, ModelFormat
from hooke_server.models.ops import op_name
from hooke_server.models.preprocessing import customary_preprocessing
from hooke_server.models.program import Program
from hooke_server.models.sources import Source
from hooke_server.models.structure import assemble
from hooke_server.models.trace import graph_from_origins

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
    if not example:
        raise unsupported("the program has no input")
    try:
        return assemble(
            graph_from_origins(module, example),
            example,
            source=str(source),
            format=ModelFormat.TORCH_EXPORT,
            weights=reader.weights,
            preprocessing=customary_preprocessing(example[0].shape),
            obstacle=_obstacle(module),
        )
    except (RuntimeError, *_DAMAGED):  # shapes may fit where the values do not
        raise unsupported("the program does not run") from None


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
        if document["schema_version"]["major"] != SCHEMA:
            raise broken(
                f"its schema is none of version {SCHEMA}; export it with torch 2.9 or newer"
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
                if not plain or meta["layout"] != STRIDED:
                    raise broken(f"its {kind} {shown(name)} is no plain tensor")
                dtype = DTYPES[meta["dtype"]]
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
                program.add_input(plain_name(name), self.inputs[-1])
            elif kind in {"parameter", "buffer", "tensor_constant"}:
                key = entry[f"{kind}_name"]
                tensor, learned = tensors[key]
                program.add_weight(entry["arg"]["name"], tensor)
                if learned:
                    self.weights[plain_name(key)] = tensor
            else:
                raise unsupported(f"the program has an input of the kind {shown(kind)}")

    def _input(self, name: str) -> Tensor:
        """A meta tensor of one sample, where the first dimension is dynamic."""
        meta = self._graph["tensor_values"][name]
        sizes = [
            size["as_int"] if "as_int" in size else 1 if axis == 0 else _hint(size)
            for axis, size in enumerate(meta["sizes"])
        ]
        tensor = torch.empty(extents(sizes), dtype=DTYPES[meta["dtype"]], device="meta")
        check_limit("bytes of input", tensor.nbytes, self._context.limits.tensor_bytes)
        return tensor

    def _add_call(self, program: Program, node: dict[str, Any]) -> None:
        operation = find_operation(node["target"])
        args, kwargs = [], {}
        for argument in node["inputs"]:
            value = to_argument(argument["arg"])
            if argument["kind"] == POSITIONAL:
                args.append(value)
            else:
                kwargs[argument["name"]] = value
        if "dropout" in name_of(operation) and True in args:
            raise unsupported("the program was exported in training mode; call model.eval() first")
        outputs = [name for output in node["outputs"] for name in output_names(output)]
        calls = module_calls(node["metadata"].get("nn_module_stack", ""))
        program.call(operation, args, kwargs, outputs, Origin(op=op_name(operation), calls=calls))

    def _outputs(self) -> Any:
        leaves = []
        for spec in self._module["signature"]["output_specs"]:
            ((kind, entry),) = spec.items()
            if kind == "user_output":
                leaves.append(to_argument(entry["arg"]))
            elif kind != "buffer_mutation":
                raise unsupported(f"the program has an output of the kind {shown(kind)}")
        signature = self._module["module_call_graph"][0]["signature"]
        return nested(json.loads(signature["out_spec"])[1], iter(leaves))


def _hint(size: dict[str, Any]) -> Any:
    """The value that a dynamic size had at export; its expression is code, and not looked at."""
    return size["as_expr"]["hint"]["as_int"]
