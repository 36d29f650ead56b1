"""Where relevance goes on its way back through a graph.

    Flow(graph).receivers(node)     the nodes that get the relevance of this one

A constant gets none, nor does a gate: it decides how much of a signal passes, and the signal gets
all that passed (Arras et al. 2017).
"""

from __future__ import annotations

from collections.abc import Container, Iterator

from torch import fx

from hooke_server.techniques.attribution.backwards import ACTIVATIONS, operation

CONVOLUTIONS = (
    *("conv1d", "conv2d", "conv3d", "conv2d_same"),
    *("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
)
DENSE = ("linear", "matmul")
"""Where one factor of a `matmul` is a weight; of two signals no rule speaks."""

WEIGHTED = (*CONVOLUTIONS, *DENSE)

NORMS = ("batch_norm",)
"""What scales and moves each channel by what it learned."""

SUMS = (
    *("avg_pool1d", "avg_pool2d", "avg_pool3d", "mean", "sum", "interpolate"),
    *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"),
)
"""Operations that are linear in their input, and have no weights."""

ADDED = ("add", "sub")
SCALED = ("mul", "div", "neg")

MOVED = (
    *("reshape", "permute", "transpose", "swapaxes", "movedim", "squeeze", "unsqueeze", "expand"),
    *("expand_as", "repeat", "tile", "cat", "stack", "split", "chunk", "unbind", "getitem"),
    *("select", "slice", "narrow", "gather", "index_select", "pad", "roll", "flip"),
    *("channel_shuffle", "pixel_shuffle", "pixel_unshuffle", "depth_to_space", "space_to_depth"),
    *("dropout", "dropout2d", "feature_dropout", "alpha_dropout", "stochastic_depth", "drop_path"),
    *("identity", "contiguous", "clone", "detach", "to", "float", "double", "alias", "where"),
    *("max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d"),
    *("adaptive_max_pool3d", "amax", "amin", "max", "min", "maximum", "minimum"),
)
"""Operations that move numbers about or choose among them: what they hand on is a gradient's."""

ENDS = (
    *(
        "input",
        "embedding",
        "size",
        "sym_size",
        "shape",
        "getattr",
        "dim",
        "numel",
        "floor_divide",
        "eq",
        "ne",
    ),
    *("lt", "le", "gt", "ge", "constant", "constant_of_shape", "range", "zeros_like", "ones_like"),
)
"""Where nothing is handed on: whole numbers, shapes and comparisons have no part in a sum."""

KNOWN = frozenset(
    {*ACTIVATIONS, *WEIGHTED, *NORMS, *SUMS, *ADDED, *SCALED, *MOVED, *ENDS, "get_attr", ""}
)

GATES = ("sigmoid", "hardsigmoid", "softmax")
CUT = ("relu6", "hardtanh", "clamp")
"""What exporters write a hard sigmoid with: relu6(x + 3) / 6."""


class Flow:
    """The way of relevance through one graph, as it is before anything is replaced.

    Attributes
    ----------
    signals : nodes that the inputs change, and not by their shapes alone.
    weighted : nodes behind an operation with weights.
    """

    def __init__(self, graph: fx.Graph) -> None:
        self.signals: set[fx.Node] = set()
        self.weighted: set[fx.Node] = set()
        for node in graph.nodes:
            given = [each for each in node.all_input_nodes if each in self.signals]
            if node.op == "placeholder" or (given and operation(node) not in ENDS):
                self.signals.add(node)
            if any(each in self.weighted or self.is_weighted(each) for each in given):
                self.weighted.add(node)

    def is_weighted(self, node: fx.Node) -> bool:
        """Whether it sums up products of one signal with weights."""
        first = node.args[int("addmm" in str(node.target))] if node.args else None
        alone = self.given(node) == [first] and node.args.count(first) == 1
        return operation(node) in WEIGHTED and alone

    def given(self, node: fx.Node) -> list[fx.Node]:
        """The signals that it is given, each once."""
        return [each for each in node.all_input_nodes if each in self.signals]

    def receivers(self, node: fx.Node) -> list[fx.Node]:
        """The signals that get its relevance."""
        given = self.given(node)
        if len(given) < 2:
            return given
        first, second = (*node.args, None, None)[:2]
        if operation(node) == "div":
            return [each for each in given if each is first]
        if operation(node) == "mul":
            open_ = [each for each in (first, second) if not self.is_gate(each)]
            return [each for each in given if each in open_] if len(open_) == 1 else given
        return given

    def is_gate(self, node: object) -> bool:
        """Whether a factor comes from what is made to be one."""
        while isinstance(node, fx.Node) and node in self.signals:
            op, given = operation(node), self.given(node)
            if op in GATES:
                return True
            if op in CUT:
                return operation(given[0]) == "add" and len(self.given(given[0])) == 1
            if op not in (*MOVED, *SCALED) or len(given) != 1:
                return False
            [node] = given
        return False

    def way(self, node: fx.Node) -> Iterator[fx.Node]:
        """All nodes that relevance which begins here comes to."""
        waiting, seen = [node], {node}
        while waiting:
            found = waiting.pop()
            yield found
            more = [each for each in self.receivers(found) if each not in seen]
            seen.update(more)
            waiting.extend(more)

    def unknown(self, node: fx.Node, real: Container[str]) -> str:
        """An operation on that way of which no rule speaks; empty where there is none.

        Parameters
        ----------
        real : nodes that say real numbers; others get no relevance.
        """
        for each in self.way(node):
            if each.name not in real:
                continue
            op = operation(each)
            if op not in KNOWN or (op in WEIGHTED and not self.is_weighted(each)):
                return op
        return ""
