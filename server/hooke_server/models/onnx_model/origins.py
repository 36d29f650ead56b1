"""Where the nodes of an ONNX graph come from, as far as the exporter tells.

    torch's exporter (dynamo)    metadata of each node: scopes, classes, the torch operation
    torch's older exporter       node names: `/layer1/layer1.0/conv1/Conv`
    others                       the node's own name, else that of its value

A batch normalization that the exporter folded into the convolution before it has no
node of its own; see `folded`.
"""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hooke_server.models.graph import ModuleCall, Origin
from hooke_server.models.ops import op_name

_PREFIX = "pkg.torch.onnx."
_RULE = "pkg.onnxscript.rewriter.rule_name"
_TARGET = re.compile(r"target=(?:torch\.ops\.\w+\.|operator\.|_operator\.)?(\w+)")
_TEXT_BYTES = 1 << 16
_CONVOLUTION = {3: "Conv1d", 4: "Conv2d", 5: "Conv3d"}

# What a leaf module was, by the operators in it, where no class is told.
_CLASSES: list[tuple[frozenset[str], str]] = [
    (frozenset({"Gemm"}), "Linear"),
    (frozenset({"MatMul", "Add"}), "Linear"),
    (frozenset({"MatMul"}), "Linear"),
    (frozenset({"BatchNormalization"}), "BatchNorm2d"),
    (frozenset({"LayerNormalization"}), "LayerNorm"),
    (frozenset({"ReduceMean", "Sub", "Pow", "Add", "Sqrt", "Div", "Mul"}), "LayerNorm"),
    (frozenset({"Div", "Erf", "Add", "Mul"}), "GELU"),
    (frozenset({"Gelu"}), "GELU"),
    (frozenset({"Sigmoid", "Mul"}), "SiLU"),
    (frozenset({"Relu"}), "ReLU"),
    (frozenset({"Clip"}), "ReLU6"),
    (frozenset({"LeakyRelu"}), "LeakyReLU"),
    (frozenset({"PRelu"}), "PReLU"),
    (frozenset({"Sigmoid"}), "Sigmoid"),
    (frozenset({"Tanh"}), "Tanh"),
    (frozenset({"Softmax"}), "Softmax"),
    (frozenset({"HardSwish"}), "Hardswish"),
    (frozenset({"HardSigmoid"}), "Hardsigmoid"),
    (frozenset({"MaxPool"}), "MaxPool2d"),
    (frozenset({"AveragePool"}), "AvgPool2d"),
    (frozenset({"Pad", "AveragePool"}), "AvgPool2d"),
    (frozenset({"GlobalAveragePool"}), "AdaptiveAvgPool2d"),
    (frozenset({"Flatten"}), "Flatten"),
    (frozenset({"LSTM"}), "LSTM"),
    (frozenset({"GRU"}), "GRU"),
]

Step = tuple[str, str]
"""A module around a node: its path and its class's name, which may be empty."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The origin of each node, in their order, and that of the normalization folded into it."""

    nodes: Sequence[Origin]
    folded: Sequence[Origin | None]


def read_origins(nodes: Sequence[Any]) -> Sources:
    """The origins of a graph's nodes."""
    told = [{p.key: p.value for p in node.metadata_props} for node in nodes]
    if any(_PREFIX + "name_scopes" in props for props in told):
        return _from_metadata(nodes, told)
    if sum(_is_scoped(node) for node in nodes) * 2 > len(nodes):
        return _from_names(nodes)
    return Sources([_from_name(node) for node in nodes], [None] * len(nodes))


class _Calls:
    """Tells one call of a module from the next, by what runs twice after a pause.

    An operation that runs again in a module which was left meanwhile belongs to
    another call of it.
    """

    def __init__(self) -> None:
        self._call: Counter[str] = Counter()
        self._seen: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self._around: set[str] = set()

    def enter(self, steps: Sequence[Step], op: str) -> tuple[ModuleCall, ...]:
        mark = (steps[-1][0] if steps else "", op)
        for path, _ in steps:
            if path not in self._around and mark in self._seen[path]:
                self._call[path] += 1
                self._seen[path].clear()
            self._seen[path].add(mark)
        self._around = {path for path, _ in steps}
        return tuple(
            ModuleCall(path=path, module_class=kind, occurrence=self._call[path])
            for path, kind in steps
        )


def _from_metadata(nodes: Sequence[Any], told: Sequence[dict[str, str]]) -> Sources:
    origins: list[Origin] = []
    folded: list[Origin | None] = []
    calls = _Calls()
    last = {_torch_node(props): index for index, props in enumerate(told)}
    parts = Counter(_torch_node(p) for n, p in zip(nodes, told, strict=True) if _is_part(n))
    everywhere = {path: kind for props in told for path, kind in _scopes(props)}
    scopes = _all_scopes(nodes, told)
    for index, (node, props) in enumerate(zip(nodes, told, strict=True)):
        steps = scopes[index]
        name = _TARGET.search(props.get(_PREFIX + "fx_node", "")[:_TEXT_BYTES])
        # An operation of torch may take several nodes; the last has its value, if there is one.
        whole = name and last[_torch_node(props)] == index and parts[_torch_node(props)] < 2
        op = op_name(name[1] if name and whole else node.op_type)
        normalization = None
        if "FuseBatchNorm" in props.get(_RULE, "") and len(node.input) > 1:
            normalization = Origin(op=op, calls=calls.enter(steps, op))
            steps = list(_steps_of(node, everywhere)) or steps
            op = op_name(node.op_type)
            if steps == scopes[index]:
                normalization = None
        origins.append(Origin(op=op, calls=calls.enter(steps, op)))
        folded.append(normalization)
    return Sources(origins, folded)


def _is_part(node: Any) -> bool:
    """Whether it has one of several values of an operation, as torch's exporter calls them."""
    return bool(node.output) and node.output[0].partition("_")[0] == "getitem"


def _all_scopes(nodes: Sequence[Any], told: Sequence[dict[str, str]]) -> list[list[Step]]:
    """The modules around each node.

    Some of the exporter's rewritings tell nothing (those that make a `Split`). Such a
    node is taken to be in the innermost module that holds all its neighbours.
    """
    scopes: list[list[Step] | None] = [
        list(_scopes(props)) if _PREFIX + "name_scopes" in props else None for props in told
    ]
    makers = {name: index for index, node in enumerate(nodes) for name in node.output}
    readers: dict[str, list[int]] = defaultdict(list)
    for index, node in enumerate(nodes):
        for name in node.input:
            readers[name].append(index)
    for index, node in enumerate(nodes):
        if scopes[index] is None:
            beside = [makers[name] for name in node.input if name in makers]
            beside += [reader for name in node.output for reader in readers[name]]
            around = [known for known in map(scopes.__getitem__, beside) if known is not None]
            scopes[index] = list(_shared(around))
    return [known or [] for known in scopes]


def _shared(around: Sequence[Sequence[Step]]) -> Iterator[Step]:
    """The steps that all begin with."""
    for steps in zip(*around, strict=False):
        if any(step != steps[0] for step in steps):
            return
        yield steps[0]


def _torch_node(props: dict[str, str]) -> str:
    return props.get(_PREFIX + "fx_node", "").partition(" ")[0]


def _scopes(props: dict[str, str]) -> Iterator[Step]:
    """The modules around a node, outermost first, without the root and the operation."""
    scopes = _names(props.get(_PREFIX + "name_scopes", ""))
    kinds = _names(props.get(_PREFIX + "class_hierarchy", ""))
    if len(kinds) != len(scopes):
        kinds = [""] * len(scopes)
    for path, kind in list(zip(scopes, kinds, strict=True))[:-1]:
        if path and "_empty_nn_module_stack" not in path:
            yield clean(path), clean(kind.rpartition(".")[2]) or "Module"


def _names(text: str) -> list[str]:
    try:
        value = ast.literal_eval(text) if len(text) < _TEXT_BYTES else []
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return []
    return [str(item) for item in value] if isinstance(value, list) else []


def _steps_of(convolution: Any, everywhere: dict[str, str]) -> Iterator[Step]:
    """The modules around a convolution, by the name of its weight."""
    path, dot, weight = convolution.input[1].rpartition(".")
    if not dot or weight != "weight" or not re.fullmatch(r"[\w.-]+", path):
        return
    parts = path.split(".")
    for depth in range(1, len(parts)):
        outer = ".".join(parts[:depth])
        if outer in everywhere:
            yield outer, everywhere[outer]
    kernel = next((a.ints for a in convolution.attribute if a.name == "kernel_shape"), [0, 0])
    yield path, everywhere.get(path) or _CONVOLUTION.get(len(kernel) + 2, "Conv2d")


def _is_scoped(node: Any) -> bool:
    return bool(re.fullmatch(rf"/(?:.+/)?{re.escape(node.op_type)}(?:_\d+)?", node.name))


def _from_names(nodes: Sequence[Any]) -> Sources:
    scoped = [tuple(n.name.split("/")[1:-1]) if _is_scoped(n) else () for n in nodes]
    inside: dict[tuple[str, ...], list[Any]] = defaultdict(list)
    for scope, node in zip(scoped, nodes, strict=True):
        for depth in range(1, len(scope) + 1):
            inside[scope[:depth]].append((scope, node))
    calls: dict[tuple[str, ...], ModuleCall] = {}
    runs: Counter[str] = Counter()
    for scope, held in inside.items():
        outer = calls[scope[:-1]].path if len(scope) > 1 else ""
        path = _path(outer, scope[-2] if len(scope) > 1 else "", _once(scope, inside))
        calls[scope] = ModuleCall(
            path=path, module_class=_class(scope, held), occurrence=runs[path]
        )
        runs[path] += 1
    origins = [
        Origin(op=op_name(n.op_type), calls=tuple(calls[s[:d]] for d in range(1, len(s) + 1)))
        for s, n in zip(scoped, nodes, strict=True)
    ]
    return Sources(origins, [None] * len(nodes))


def _once(scope: tuple[str, ...], inside: dict[tuple[str, ...], list[Any]]) -> str:
    """The module's name without the number that marks a further call of it."""
    match = re.fullmatch(r"(.+)_\d+", scope[-1])
    first = (*scope[:-1], str(match[1])) if match else scope
    if first in inside and _shape(first, inside) == _shape(scope, inside):
        return first[-1]
    return scope[-1]


def _shape(scope: tuple[str, ...], inside: dict[tuple[str, ...], list[Any]]) -> Counter[str]:
    computed = {"Constant", "Identity", "Shape", "Gather", "Unsqueeze", "Concat", "Cast"}
    return Counter(n.op_type for _, n in inside[scope] if n.op_type not in computed)


def _path(outer: str, around: str, name: str) -> str:
    """Path of a module: children of containers are named with the container's own name."""
    if around and name.startswith(f"{around}."):
        name = name[len(around) + 1 :]
    return clean(f"{outer}.{name}" if outer else name)


def _class(scope: tuple[str, ...], held: list[tuple[tuple[str, ...], Any]]) -> str:
    operators = frozenset(node.op_type for _, node in held) - {"Constant", "Identity"}
    if any(inner != scope for inner, _ in held):
        return "Module"
    if operators & {"Conv", "ConvTranspose"} and len(operators - {"Pad"}) == 1:
        node = next(node for _, node in held if node.op_type in {"Conv", "ConvTranspose"})
        kernel = next((a.ints for a in node.attribute if a.name == "kernel_shape"), [0, 0])
        kind = _CONVOLUTION.get(len(kernel) + 2, "Conv2d")
        return kind if node.op_type == "Conv" else kind.replace("Conv", "ConvTranspose")
    return next((kind for names, kind in _CLASSES if names == operators), "Module")


def _from_name(node: Any) -> Origin:
    name = node.name or next((output for output in node.output if output), "")
    return Origin(op=op_name(node.op_type), name=clean(name))


def clean(name: str) -> str:
    """A name of the file as text that can be shown and asked for."""
    return "".join(c if c.isprintable() else "_" for c in name[:300])
