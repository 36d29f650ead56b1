"""Modules that cannot be traced symbolically, through torch.export.

The program is decomposed, so it has no in-place operation; its weights, which
export makes inputs, become attributes again.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from hooke_server.models.functional import private_copy
from hooke_server.models.graph import ModuleCall, Origin
from hooke_server.models.ops import op_name


def export_module(module: nn.Module, example: tuple[Tensor, ...]) -> fx.GraphModule:
    """The functional graph of `module` on the same weights, every node with its origin.

    Any batch size, where the module allows it; else the example's.
    """
    duplicate = private_copy(module)
    # Without gradients export would record torch's fused attention, which has none.
    duplicate.requires_grad_(True)
    try:
        program = _export(duplicate, example).run_decompositions({})
    finally:
        duplicate.requires_grad_(False)
    return _with_attributes(duplicate, program)


def _export(module: nn.Module, example: tuple[Tensor, ...]) -> torch.export.ExportedProgram:
    pair = tuple(torch.cat([tensor, tensor]) for tensor in example)
    dynamic = tuple({0: torch.export.Dim.DYNAMIC} for _ in example)
    shapes: Any = dict(zip(_names(module), dynamic, strict=False))
    if len(shapes) != len(example):
        shapes = (dynamic,)  # forward(*inputs)
    try:
        return torch.export.export(module, pair, dynamic_shapes=shapes, strict=False)
    except Exception:  # export raises anything where the batch is baked in
        return torch.export.export(module, example, strict=False)


def _names(module: nn.Module) -> list[str]:
    parameters = inspect.signature(module.forward).parameters.values()
    return [p.name for p in parameters if p.kind is not p.VAR_POSITIONAL]


def _with_attributes(module: nn.Module, program: torch.export.ExportedProgram) -> fx.GraphModule:
    """The program as a module that owns its weights, under the names that `module` gives them."""
    signature = program.graph_signature
    held = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    lifted = signature.inputs_to_lifted_tensor_constants
    graph = fx.Graph()
    values: dict[fx.Node, fx.Node] = {}
    for node in program.graph.nodes:
        if node.op == "output":
            continue
        if node.name in held or node.name in lifted:
            key = held.get(node.name) or f"constant_{len(values)}"
            if node.name in lifted:
                module.register_buffer(key, program.constants[lifted[node.name]])
            values[node] = graph.get_attr(key)
        elif "_assert" not in str(node.target) and "_guards_fn" not in str(node.target):
            values[node] = graph.node_copy(node, values.__getitem__)
        else:
            continue
        values[node].meta = {"origin": _origin(node)}
    by_name = {node.name: copy for node, copy in values.items()}
    returned = [by_name.get(name) for name in signature.user_outputs]
    graph.output(pytree.tree_unflatten(returned, program.call_spec.out_spec))
    graph.eliminate_dead_code()
    return fx.GraphModule(module, graph)


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
