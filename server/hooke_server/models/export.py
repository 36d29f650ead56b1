"""Modules that cannot be traced symbolically, through torch.export.

The program is decomposed, so it has no in-place operation; its weights, which
export makes inputs, become attributes again. What each module returned is marked
by an operation of ours, which is taken out afterwards: export itself forgets
modules that computed nothing.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import itertools
import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from hooke_server.models.functional import private_copy
from hooke_server.models.graph import ModuleCall, Origin
from hooke_server.models.ops import op_name
from hooke_server.models.places import Chain, Return


@torch.library.custom_op("hooke::returned", mutates_args=())
def _returned(tensor: Tensor, call: int, number: int) -> Tensor:
    return tensor.clone()


@_returned.register_fake
def _(tensor: Tensor, call: int, number: int) -> Tensor:
    return tensor.clone()


def export_module(
    module: nn.Module, example: tuple[Tensor, ...]
) -> tuple[fx.GraphModule, list[Return]]:
    """The functional graph of `module` on the same weights, and what its modules returned.

    Takes any batch size, where the module allows it; else the example's.
    """
    duplicate = private_copy(module)
    # Without gradients export would record torch's fused attention, which has none.
    duplicate.requires_grad_(True)
    try:
        program, calls = _export(duplicate, example)
    finally:
        duplicate.requires_grad_(False)
    return _with_attributes(duplicate, program, calls)


def _export(
    module: nn.Module, example: tuple[Tensor, ...]
) -> tuple[torch.export.ExportedProgram, list[Chain]]:
    pair = tuple(torch.cat([tensor, tensor]) for tensor in example)
    dynamic = tuple({0: torch.export.Dim.DYNAMIC} for _ in example)
    names = [p.name for p in _parameters(module) if p.kind is not p.VAR_POSITIONAL]
    shapes: Any = dict(zip(names, dynamic, strict=False))
    if len(shapes) != len(example):
        shapes = (dynamic,)  # forward(*inputs)
    attempts: list[tuple[tuple[Tensor, ...], Any]] = [(pair, shapes), (example, None)]
    for inputs, sizes in attempts:
        marks = _Marks(module)
        try:
            with _quietly():
                exported = torch.export.export(module, inputs, dynamic_shapes=sizes, strict=False)
            return exported.run_decompositions({}), marks.calls
        except Exception:  # export raises anything where the batch is baked in
            if inputs is example:
                raise
        finally:
            marks.remove()
    raise AssertionError  # the last attempt returns or raises


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Torch prints the graph of what it cannot export; the error says what there is to say."""
    log = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        log.setLevel(level)


def _parameters(module: nn.Module) -> list[inspect.Parameter]:
    return list(inspect.signature(module.forward).parameters.values())


class _Marks:
    """Hooks on a private copy that mark every tensor that a module returns."""

    def __init__(self, module: nn.Module) -> None:
        self.calls: list[Chain] = []
        self._around: Chain = ()
        self._runs: Counter[str] = Counter()
        self._handles = []
        for path, part in module.named_modules():
            if path:
                self._handles.append(part.register_forward_pre_hook(self._enter(path)))
                self._handles.append(part.register_forward_hook(self._leave))

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()

    def _enter(self, path: str) -> Any:
        def enter(part: nn.Module, args: Any) -> None:
            call = ModuleCall(
                path=path, module_class=type(part).__name__, occurrence=self._runs[path]
            )
            self._runs[path] += 1
            self._around = (*self._around, call)

        return enter

    def _leave(self, part: nn.Module, args: Any, value: Any) -> Any:
        call, number = len(self.calls), itertools.count()
        self.calls.append(self._around)
        self._around = self._around[:-1]
        return pytree.tree_map_only(
            Tensor, lambda tensor: _returned(tensor, call, next(number)), value
        )


def _with_attributes(
    module: nn.Module, program: torch.export.ExportedProgram, calls: list[Chain]
) -> tuple[fx.GraphModule, list[Return]]:
    """The program as a module that owns its weights, under the names that `module` gives them."""
    signature = program.graph_signature
    held = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    lifted = signature.inputs_to_lifted_tensor_constants
    graph = fx.Graph()
    values: dict[fx.Node, fx.Node] = {}
    ends: dict[int, Return] = {}
    for node in program.graph.nodes:
        if node.target is torch.ops.hooke.returned.default:
            source, call, number = node.args
            values[node] = values[source]
            last = next(iter(reversed(graph.nodes)))
            before = ends.get(call, Return(calls[call], (), last))
            nodes, numbers = (*before.nodes, values[source]), (*before.numbers, number)
            ends[call] = Return(calls[call], nodes, last, numbers)
            continue
        if node.op == "output" or "_assert" in str(node.target):
            continue
        if node.name in held or node.name in lifted:
            key = held.get(node.name) or f"constant_{len(values)}"
            if node.name in lifted:
                module.register_buffer(key, program.constants[lifted[node.name]])
            values[node] = graph.get_attr(key)
        else:
            values[node] = graph.node_copy(node, values.__getitem__)
        values[node].meta = {"origin": _origin(node)}
    by_name = {node.name: copy for node, copy in values.items()}
    returned = [by_name.get(name, name) for name in signature.user_outputs]
    graph.output(pytree.tree_unflatten(returned, program.call_spec.out_spec))
    return fx.GraphModule(module, graph), list(ends.values())


def _origin(node: fx.Node) -> Origin:
    stack: dict[str, tuple[str, Any]] = node.meta.get("nn_module_stack") or {}
    calls = []
    for key, (path, kind) in stack.items():
        if not path or "_empty_nn_module_stack" in path:
            continue
        name = kind if isinstance(kind, str) else kind.__name__
        _, _, again = key.rpartition("@")
        calls.append(
            ModuleCall(
                path=path,
                module_class=name.rpartition(".")[2],
                occurrence=int(again) if "@" in key and again.isdigit() else 0,
            )
        )
    op = "input" if node.op == "placeholder" else op_name(node.target)
    return Origin(op=op, calls=tuple(calls))
