"""Which values of a graph are layers, and what each is called.

A call of a module without modules of its own *owns* the tensors that it returns:
they are found under its path alone. A block's value keeps the name that it has
inside, and is found under the block's path too. Everything else that yields a
tensor is an operation, `path.op`.

    conv1   bn1   relu   layer1.0.conv1 ...   layer1.0.add   layer1.0.relu:1   layer1.0
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import fx, nn

from hooke_server.models.graph import ModuleCall, Origin, Place
from hooke_server.models.measure import Keys, Measured

Chain = tuple[ModuleCall, ...]
Tensor = tuple[str, Keys]
"""A tensor in a graph: the node, and the keys to it in the node's value."""

# Inside these torch modules there is nothing that anyone would look at: where a
# format spells a Linear as MatMul and Add, only its value is a layer.
_ATOMIC = frozenset(
    name
    for name, kind in vars(nn).items()
    if isinstance(kind, type) and issubclass(kind, nn.Module)
) - {"Module", "MultiheadAttention", "Transformer", "TransformerEncoderLayer"} - {
    *("TransformerDecoderLayer", "TransformerEncoder", "TransformerDecoder", "Sequential"),
    "AdaptiveLogSoftmaxWithLoss",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Return:
    """The end of a module call: what it returned, and the last node that ran before.

    `numbers` count the nodes among the tensors that it returned, of which some may lead nowhere;
    without them the nodes hold all.
    """

    chain: Chain
    nodes: tuple[fx.Node, ...]
    after: fx.Node
    numbers: tuple[int, ...] = ()


def returns_from_origins(module: fx.GraphModule, measured: Mapping[str, Measured]) -> list[Return]:
    """The returns of an operation-level graph: what is computed inside and read outside."""
    inside: dict[Chain, list[fx.Node]] = defaultdict(list)
    for node in module.graph.nodes:
        calls = _origin(node).calls
        for depth in range(1, len(calls) + 1):
            inside[calls[:depth]].append(node)
    # Inner calls end before outer ones.
    return [
        Return(chain, tuple(_read_outside(inside[chain], chain, measured)), inside[chain][-1])
        for chain in sorted(inside, key=lambda chain: -len(chain))
    ]


def _read_outside(
    nodes: Sequence[fx.Node], chain: Chain, measured: Mapping[str, Measured]
) -> Iterator[fx.Node]:
    for node in nodes:
        depends = any(seen.trace for _, seen in measured[node.name].tensors())
        if depends and any(not _within(user, chain) or user.op == "output" for user in node.users):
            yield node


def _origin(node: fx.Node) -> Origin:
    origin = node.meta.get("origin")
    return origin if isinstance(origin, Origin) else Origin(op=node.op)


class _Names:
    """Ids that are taken, and the next free one for each stem."""

    def __init__(self) -> None:
        self.places: dict[str, Place] = {}
        self.reserved: set[str] = set()
        self._counts: Counter[str] = Counter()

    def operation(self, stem: str) -> str:
        while True:
            count = self._counts[stem]
            self._counts[stem] += 1
            layer_id = f"{stem}:{count}" if count else stem
            if layer_id not in self.reserved and layer_id not in self.places:
                return layer_id


@dataclass(frozen=True, slots=True)
class Named:
    """The layers of a graph by id, and the ids inside of each block."""

    places: Mapping[str, Place]
    blocks: Mapping[str, frozenset[str]]


def name_places(
    module: fx.GraphModule, measured: Mapping[str, Measured], returns: Sequence[Return]
) -> Named:
    """Name every tensor that a module returned or that depends on the inputs."""
    return _Naming(module, measured, returns).all()


class _Naming:
    def __init__(
        self, module: fx.GraphModule, measured: Mapping[str, Measured], returns: Sequence[Return]
    ) -> None:
        self._nodes = list(module.graph.nodes)
        self._measured = measured
        self._names = _Names()
        chains = {_origin(node).calls for node in self._nodes} | {r.chain for r in returns}
        self._blocks = {chain[:d] for chain in chains for d in range(1, len(chain))}
        self._ends: dict[fx.Node, list[Return]] = defaultdict(list)
        self._owned: set[Tensor] = set()
        for end in returns:
            self._ends[end.after].append(end)
            self._names.reserved.update(_call_id(end.chain[-1], k) for k in range(2))
            if end.chain not in self._blocks:
                self._owned.update(t for n, t in self._values(end) if _within(n, end.chain))
        self._ids: dict[Chain, str] = {}
        self._found: list[tuple[str, Chain]] = []

    def all(self) -> Named:
        for node in self._nodes:
            if node.op == "placeholder":
                self._input(node)
            elif node.op not in {"output", "get_attr"}:
                self._operation(node)
            for end in self._ends[node]:
                self._call(end)
        return self._with_blocks()

    def _tensors(self, node: fx.Node) -> Iterator[Tensor]:
        if node.name in self._measured:
            for keys, _ in self._measured[node.name].tensors():
                yield resolve(node, keys, self._measured)

    def _values(self, end: Return) -> Iterator[tuple[fx.Node, Tensor]]:
        for node in end.nodes:
            for tensor in self._tensors(node):
                yield node, tensor

    def _depends(self, node: fx.Node) -> bool:
        return any(seen.trace for _, seen in self._measured[node.name].tensors())

    def _add(self, layer_id: str, place: Place, chain: Chain) -> None:
        self._names.places[layer_id] = place
        self._found.append((layer_id, chain))

    def _input(self, node: fx.Node) -> None:
        name = str(node.meta.get("input_name", node.target))
        inner = [n for n in self._nodes if n.op != "placeholder" and not _origin(n).calls]
        roots = {_origin(n).name or _origin(n).op for n in inner}
        while name in self._names.reserved or name in self._names.places or name in roots:
            name = f"input.{name}"
        self._add(name, Place(node=node.name), ())

    def _operation(self, node: fx.Node) -> None:
        origin = _origin(node)
        hidden = origin.calls and origin.calls[-1].module_class in _ATOMIC
        if is_item(node, self._measured) or not self._depends(node):
            return
        if hidden and origin.calls not in self._blocks:
            return
        path = origin.calls[-1].path if origin.calls else ""
        stem = (
            self._names.operation(origin.name or (f"{path}.{origin.op}" if path else origin.op))
            if any(tensor not in self._owned for tensor in self._tensors(node))
            else ""
        )
        for k, tensor in enumerate(self._tensors(node)):
            if tensor not in self._owned:
                place = Place(node=tensor[0], keys=tensor[1], module_path=path)
                self._add(stem + (f"@{k}" if k else ""), place, origin.calls)

    def _call(self, end: Return) -> None:
        call = end.chain[-1]
        values = list(self._values(end))
        numbers = dict(zip(end.nodes, end.numbers, strict=bool(end.numbers)))
        for k, (source, (node, keys)) in enumerate(values):
            layer_id = _call_id(call, numbers.get(source, k))
            place = Place(
                node=node,
                keys=keys,
                module_path=call.path,
                module_class=call.module_class,
                occurrence=call.occurrence,
            )
            self._ids.setdefault(end.chain, layer_id)
            self._add(layer_id, place, end.chain)

    def _with_blocks(self) -> Named:
        inside: dict[Chain, set[str]] = defaultdict(set)
        places: dict[str, Place] = {}
        for layer_id, chain in self._found:
            place = self._names.places[layer_id]
            around = chain[:-1] if place.module_class else chain
            for depth in range(1, len(around) + 1):
                inside[chain[:depth]].add(layer_id)
            parents = (self._ids.get(around[:depth]) for depth in range(len(around), 0, -1))
            parent = next((p for p in parents if p), "")
            places[layer_id] = replace(place, depth=len(around), parent=parent)
        blocks = {
            layer_id: frozenset(inside[chain])
            for layer_id, chain in self._found
            if places[layer_id].module_class and chain in self._blocks
        }
        return Named(places, blocks)


def _call_id(call: ModuleCall, k: int) -> str:
    repeated = f":{call.occurrence}" if call.occurrence else ""
    return f"{call.path}{repeated}" + (f"@{k}" if k else "")


def _within(node: fx.Node, chain: Chain) -> bool:
    return _origin(node).calls[: len(chain)] == chain


def is_item(node: fx.Node, measured: Mapping[str, Measured]) -> bool:
    """Whether a node only picks a tensor out of another node's tuple or dict."""
    if node.op != "call_function" or getattr(node.target, "__name__", "") != "getitem":
        return False
    source = node.args[0]
    return (
        isinstance(source, fx.Node)
        and isinstance(node.args[1], int | str)
        and source.name in measured
        and isinstance(measured[source.name].value, tuple | dict)
    )


def resolve(node: fx.Node, keys: Keys, measured: Mapping[str, Measured]) -> Tensor:
    """Where a tensor was computed: through nodes that only pick items."""
    while is_item(node, measured):
        source, key = node.args[0], node.args[1]
        assert isinstance(source, fx.Node)  # noqa: S101  # by `is_item`
        assert isinstance(key, int | str)  # noqa: S101
        node, keys = source, (key, *keys)
    return node.name, keys
