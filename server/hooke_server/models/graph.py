"""One kind of graph for every format, and the places in it that are layers.

The graph is a `torch.fx.GraphModule` without in-place operations, so that every
value it computes can be kept. A `Place` says where a layer's tensor is found in
it: the node that computes it and, where the node yields a tuple or dict, the
path of keys to the tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import fx


@dataclass(frozen=True, kw_only=True, slots=True)
class ModuleCall:
    """One call of a module: its path, its class's name, and which call of it, from 0."""

    path: str
    module_class: str = ""
    occurrence: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where a node comes from; `node.meta["origin"]` in every graph of ours.

    Attributes
    ----------
    op : what the node computes, in torch's words: `conv2d`, `add`, `reshape`.
    calls : the module calls around it, outermost first, without the root.
    name : what the format calls the value, where it knows no modules.
    """

    op: str
    calls: tuple[ModuleCall, ...] = ()
    name: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a layer's tensor is found: `value_of(node)[key_1][key_2]...`.

    `module_path`, `module_class` and `occurrence` name the module call that it is
    the value of; the class is empty for an operation outside any leaf module,
    whose path is then that of the module around it. `depth` counts the modules
    around it, and `parent` is the id of the innermost of them that is a layer.
    """

    node: str
    keys: tuple[int | str, ...] = ()
    module_path: str = ""
    module_class: str = ""
    occurrence: int = 0
    depth: int = 0
    parent: str = ""

    def pick(self, value: Any) -> Any:
        """The tensor inside the node's value."""
        for key in self.keys:
            value = value[key]
        return value


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A functional graph with its places.

    Attributes
    ----------
    module : the executable graph; its parameters do not require gradients.
    places : where each layer is found, by layer id, in the order in which they run.
    blocks : for each block's id, the ids of the layers that its module ran inside.
    """

    module: fx.GraphModule
    places: Mapping[str, Place]
    blocks: Mapping[str, frozenset[str]]

    @property
    def input_names(self) -> list[str]:
        """Names of the placeholders, in order."""
        return [node.name for node in self.module.graph.nodes if node.op == "placeholder"]
