"""From a torch module to a graph: trace symbolically, export where that fails."""

from __future__ import annotations

import inspect
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from hooke_server.errors import FailedPreconditionError, InvalidArgumentError, Reason
from hooke_server.models.functional import NotFunctionalError, private_copy, remove_in_place
from hooke_server.models.graph import Graph, ModuleCall, Origin
from hooke_server.models.measure import Measured, measure
from hooke_server.models.ops import op_name
from hooke_server.models.places import Return, name_places, returns_from_origins

# fx replaces `nn.Module.__call__` while it traces, for all threads; two that did so
# at once would restore it in the wrong order.
_TRACING = threading.Lock()


def trace_module(
    module: nn.Module, example: tuple[Tensor, ...], *, prefer_export: bool = False
) -> Graph:
    """The graph of `module`, on the same weights; `module` itself is left as it is.

    Parameters
    ----------
    module : any module that takes tensors by position.
    example : one tensor for each input, on the module's device.
    prefer_export : show every operation inside torch's own modules (attention) too,
        for a tracing that takes seconds.

    Raises
    ------
    InvalidArgumentError : INPUT_MISMATCH, if it fails at the example by itself.
    FailedPreconditionError : MODEL_UNSUPPORTED, if it can be neither traced nor exported.
    """
    ways: list[Callable[[nn.Module, tuple[Tensor, ...]], Graph]] = [_symbolic, _exported]
    reasons = []
    for way in reversed(ways) if prefer_export else ways:
        try:
            with _TRACING:
                return way(module, example)
        except Exception as error:  # whatever foreign code raises
            reasons.append(f"{way.__name__.strip('_')}: {_reason(error)}")
    _check_runs(module, example)
    raise FailedPreconditionError(
        Reason.MODEL_UNSUPPORTED,
        f"this {type(module).__name__} can be neither traced nor exported ({'; '.join(reasons)}); "
        "exporting it to ONNX and loading that file may work",
        module=type(module).__name__,
    )


def _check_runs(module: nn.Module, example: tuple[Tensor, ...]) -> None:
    """InvalidArgumentError if the module fails at the example even where nothing is watched."""
    try:
        with torch.no_grad():
            private_copy(module)(*example)
    except Exception as error:  # whatever foreign code raises
        shapes = ", ".join(str(list(each.shape)) for each in example)
        raise InvalidArgumentError(
            Reason.INPUT_MISMATCH,
            f"this {type(module).__name__} does not run on its example input, of shape {shapes}: "
            f"{_reason(error)}",
            module=type(module).__name__,
        ) from None


def graph_from_origins(module: fx.GraphModule, example: tuple[Tensor, ...]) -> Graph:
    """The graph of a module whose every node carries its `Origin`.

    Which value a module call returned is inferred: the one computed inside it that
    is read outside. `example` is run, on meta tensors, to learn what is a tensor.
    """
    measured = measure(module, example)
    return _with_places(module, measured, returns_from_origins(module, measured))


def _symbolic(module: nn.Module, example: tuple[Tensor, ...]) -> Graph:
    duplicate = private_copy(module)
    tracer = _Tracer(duplicate, _input_names(duplicate, len(example)))
    traced = fx.GraphModule(duplicate, tracer.trace(duplicate))
    _drop_asserts(traced)
    moved = remove_in_place(traced)
    graph = _with_places(traced, measure(traced, example), tracer.returns)
    if moved:
        _check_equal(traced, private_copy(module), example)
    return graph


def _exported(module: nn.Module, example: tuple[Tensor, ...]) -> Graph:
    # torch.export brings sympy and more, seconds that most models never need.
    from hooke_server.models.export import export_module

    exported, returns = export_module(module, example)
    graph = _with_places(exported, measure(exported, example), returns)
    _check_equal(exported, private_copy(module), example)
    return graph


def _with_places(
    module: fx.GraphModule, measured: Mapping[str, Measured], returns: Sequence[Return]
) -> Graph:
    for node in module.graph.nodes:
        node.meta["measured"] = measured.get(node.name)
    named = name_places(module, measured, returns)
    return Graph(module=module, places=named.places, blocks=named.blocks)


class _Tracer(fx.Tracer):
    """Notes for each node the module calls around it, and what each call returned."""

    def __init__(self, module: nn.Module, input_names: Sequence[str]) -> None:
        super().__init__(param_shapes_constant=True)
        self.returns: list[Return] = []
        self._input_names = input_names
        self._buffers = {id(buffer): name for name, buffer in module.named_buffers()}
        self._around: tuple[ModuleCall, ...] = ()
        self._runs: Counter[str] = Counter()
        self._thread = threading.get_ident()

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """A module of torch, unless it only holds others."""
        whole = isinstance(m, nn.MultiheadAttention) or hasattr(m, "parametrizations")
        holds = any(True for _ in m.children()) and not whole
        return super().is_leaf_module(m, module_qualified_name) and not holds

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """Buffers, as parameters, are read when the graph runs: training of a live model shows."""
        if threading.get_ident() != self._thread:
            return attr_val
        name = self._buffers.get(id(attr_val))
        if name is None:
            return super().getattr(attr, attr_val, parameter_proxy_cache)
        if name not in parameter_proxy_cache:
            parameter_proxy_cache[name] = self.create_proxy("get_attr", name, (), {})
        return parameter_proxy_cache[name]

    def create_args_for_root(
        self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None
    ) -> tuple[Callable[..., Any], list[Any]]:
        """A placeholder for each input that the example has; other arguments keep their default."""
        inputs = [self.create_proxy("placeholder", name, (), {}) for name in self._input_names]
        return root_fn, [self.root, *inputs]

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Run or record a call, and remember what it returned."""
        if threading.get_ident() != self._thread:
            # Another model, computed meanwhile; see `_TRACING`.
            return forward(*args, **kwargs)
        path = self.path_of_module(m)
        name = type(m).__name__.removeprefix("Parametrized")
        call = ModuleCall(path=path, module_class=name, occurrence=self._runs[path])
        self._runs[path] += 1
        outside = self._around
        self._around = (*outside, call)
        last = next(iter(reversed(self.graph.nodes)))
        try:
            value = super().call_module(m, forward, args, kwargs)
        except Exception:  # whatever foreign code raises
            if any(True for _ in m.children()):
                raise
            # What looks at numbers inside, as padding by size does, is run as it is.
            self._forget_after(last)
            self.module_stack.popitem()
            value = self.create_proxy("call_module", path, args, kwargs)
        finally:
            self._around = outside
        leaves = pytree.tree_leaves(value)
        nodes = tuple(leaf.node for leaf in leaves if isinstance(leaf, fx.Proxy))
        last = next(iter(reversed(self.graph.nodes)))
        self.returns.append(Return((*outside, call), nodes, last))
        return value

    def _forget_after(self, last: fx.Node) -> None:
        """Erase the operations recorded after a node; weights are shared, and stay."""
        for node in reversed(self.graph.nodes):
            if node is last:
                return
            if node.op != "get_attr":
                self.graph.erase_node(node)

    def create_node(self, kind: str, target: Any, *args: Any, **kwargs: Any) -> fx.Node:
        """Record a node with its origin."""
        node = super().create_node(kind, target, *args, **kwargs)
        names = {
            "placeholder": "input",
            "call_module": self._around[-1].module_class if self._around else "",
        }
        node.meta["origin"] = Origin(op=op_name(names.get(kind, target)), calls=self._around)
        return node


def _input_names(module: nn.Module, count: int) -> list[str]:
    """Names of the first `count` positional parameters of `forward`."""
    parameters = inspect.signature(module.forward).parameters.values()
    names = [p.name for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "input")
    return [*names, *(f"{rest}_{index}" for index in range(len(names), count))][:count]


def _drop_asserts(module: fx.GraphModule) -> None:
    """Assertions keep what they look at alive; inputs are checked before they come here."""
    for node in reversed(module.graph.nodes):
        if node.op == "call_function" and node.target is torch._assert:
            module.graph.erase_node(node)


def _check_equal(traced: fx.GraphModule, original: nn.Module, example: tuple[Tensor, ...]) -> None:
    """Refuse a graph in which tensors that the module overwrites were rewired wrongly."""
    with torch.no_grad():
        inputs = [tensor.clone() for tensor in example]
        pairs = zip(
            pytree.tree_leaves(traced(*example)), pytree.tree_leaves(original(*inputs)), strict=True
        )
        if not all(torch.allclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True) for a, b in pairs):
            raise NotFunctionalError("in-place operations could not be removed")


def _reason(error: Exception) -> str:
    """The first line of a foreign error, without paths."""
    line = next(iter(str(error).strip().splitlines()), "")
    return re.sub(r"(?:/[\w.\-]+){2,}", "...", f"{type(error).__name__}: {line}")[:200]
