"""From a module that overwrites its tensors to a graph that keeps every one.

`private_copy` gives a module of our own whose parameters are the original's;
`remove_in_place` then turns each in-place operation of a traced graph into the
operation that returns a new tensor, and lets whoever read the overwritten tensor
later read the new one.
"""

from __future__ import annotations

import copy
import inspect
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from hooke_server.models.ops import op_name


class NotFunctionalError(Exception):
    """An in-place operation that cannot be removed by looking at the graph alone."""


def private_copy(module: nn.Module) -> nn.Module:
    """A copy of the structure on the same memory: training of the original shows in it.

    The copy is in eval mode, its parameters require no gradients, and hooks of the
    original's user are gone; those of torch itself (weight normalization) stay.
    """
    duplicate = copy_with(module, Tensor.detach).eval()
    for part in duplicate.modules():
        for hooks in (part._forward_hooks, part._forward_pre_hooks):
            for key, hook in list(hooks.items()):
                if not type(hook).__module__.startswith("torch."):
                    del hooks[key]
    return duplicate


def copy_with(module: nn.Module, replace: Callable[[Tensor], Tensor]) -> nn.Module:
    """A copy of the structure in which every tensor is another; parameters stay parameters."""
    memo: dict[int, Any] = {}
    for part in module.modules():
        for tensor in (*part._parameters.values(), *part._buffers.values(), *vars(part).values()):
            if isinstance(tensor, nn.Parameter):
                memo[id(tensor)] = nn.Parameter(replace(tensor.detach()), requires_grad=False)
            elif isinstance(tensor, Tensor):
                memo[id(tensor)] = replace(tensor)
    return copy.deepcopy(module, memo)


# Operations that may return the tensor they are given, or a view of it.
_VIEWS = frozenset({
    *("reshape", "transpose", "permute", "squeeze", "unsqueeze", "expand"),
    *("expand_as", "getitem", "chunk", "split", "tensor_split", "unbind", "narrow", "select"),
    *("contiguous", "detach", "swapaxes", "swapdims", "movedim", "diagonal", "unfold", "to"),
    *("type_as", "float", "getattr", "identity", "stochastic_depth", "drop_path"),
    *("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"),
})  # fmt: skip

_OPERATORS: dict[Any, Any] = {
    getattr(operator, f"i{name}"): getattr(operator, name)
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")
} | {operator.iand: operator.and_, operator.ior: operator.or_, operator.ixor: operator.xor}


def remove_in_place(module: fx.GraphModule) -> bool:
    """Make `module` functional; true if a later read of an overwritten tensor had to move.

    Raises
    ------
    NotFunctionalError : a view of an overwritten tensor is read afterwards, or an
        operation has no twin that returns a new tensor.
    """
    order = {node: index for index, node in enumerate(module.graph.nodes)}
    root: dict[fx.Node, fx.Node] = {}
    numbers: set[fx.Node] = set()
    moved = False
    for node in module.graph.nodes:
        if _is_number(node, numbers):
            numbers.add(node)
        source = node.args[0] if node.args and isinstance(node.args[0], fx.Node) else None
        written = source if source and _make_functional(module, node) else None
        is_view = source is not None and not written and _op(module, node) in _VIEWS
        root[node] = root[source] if is_view and source else node
        if written is not None and written not in numbers:
            late = {user for user in written.users if order[user] > order[node]}
            _check_views(written, node, root, order)
            written.replace_all_uses_with(node, delete_user_cb=late.__contains__)
            moved = moved or bool(late)
    for part in module.modules():
        if getattr(part, "inplace", False) is True:
            part.inplace = False  # type: ignore[assignment]
    module.recompile()
    return moved


def _check_views(
    written: fx.Node, by: fx.Node, root: dict[fx.Node, fx.Node], order: dict[fx.Node, int]
) -> None:
    others = (n for n in root if root[n] is root[written] and n not in {written, by})
    for other in others:
        if any(order[user] > order[by] for user in other.users):
            raise NotFunctionalError(f"{other.name} is read after {by.name} overwrote it")


def _op(module: fx.GraphModule, node: fx.Node) -> str:
    if node.op == "call_module":
        return op_name(type(module.get_submodule(str(node.target))))
    return op_name(node.target)


def _make_functional(module: fx.GraphModule, node: fx.Node) -> bool:
    """Change `node` so that it returns a new tensor; false if it always did."""
    if node.kwargs.get("out") is not None:
        raise NotFunctionalError(f"{node.name} writes into an out argument")
    if node.op == "call_module":
        return getattr(module.get_submodule(str(node.target)), "inplace", False) is True
    if node.op == "call_function" and node.target in _OPERATORS:
        node.target = _OPERATORS[node.target]
        return True
    if node.op == "call_function" and _clear_flag(node):
        return True
    name = str(getattr(node.target, "__name__", node.target))
    if node.op not in {"call_method", "call_function"} or not name.endswith("_"):
        return False
    if name.endswith("__"):
        return False
    node.target = _twin(name, node)
    return True


def _clear_flag(node: fx.Node) -> bool:
    """Set an argument `inplace=True` to false; false if there is none."""
    if node.kwargs.get("inplace"):
        node.update_kwarg("inplace", False)
        return True
    if not inspect.isfunction(node.target):
        return False
    names = list(inspect.signature(node.target).parameters)
    index = names.index("inplace") if "inplace" in names else len(node.args)
    if index < len(node.args) and node.args[index] is True:
        node.update_arg(index, False)
        return True
    return False


def _twin(name: str, node: fx.Node) -> str | Callable[..., Any]:
    plain = name[:-1]
    homes = [Tensor] if node.op == "call_method" else [torch, F]
    for home in homes:
        if hasattr(home, plain):
            return plain if home is Tensor else getattr(home, plain)
    raise NotFunctionalError(f"{name} has no twin that returns a new tensor")


def _is_number(node: fx.Node, numbers: set[fx.Node]) -> bool:
    """Whether a node is known to yield a number, which nothing overwrites."""
    if node.op == "call_method":
        return node.target in {"size", "dim", "numel", "stride", "item"}
    if node.op != "call_function":
        return False
    if node.target is getattr:
        return node.args[1] in {"shape", "ndim"}
    return bool(node.all_input_nodes) and numbers.issuperset(node.all_input_nodes)
