"""Probes made quicker: batch norms folded into convolutions, weights laid out channels last.

Both are exact but for rounding (about 1e-6 of a layer's largest value), so they serve
optimization, never the values that a client reads. Measured on a CPU, forward and back to the
input through 13 blocks of a resnet50: 1.4 to 1.9 times as fast.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn


class Folded:
    """Convolutions of one model as they are used by its quick probes, made once each.

    Their weights are copies, so they are thrown away when the model's weights change.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._changes = 0
        self._made: dict[tuple[str, str], nn.Conv2d] = {}

    def apply(self, module: fx.GraphModule, changes: int) -> None:
        """Fold a probe's own graph.

        Parameters
        ----------
        changes : how often the model's weights were changed.
        """
        with self._lock:
            if changes != self._changes:
                self._made.clear()
                self._changes = changes
            for number, (conv, norm) in enumerate(list(_convolutions(module))):
                key = str(conv.target), _name(norm)
                if key not in self._made:
                    self._made[key] = _folded(module, conv, norm)
                name = f"folded_{number}"
                module.add_submodule(name, self._made[key])
                conv.target = name
                if norm is not None:
                    norm.replace_all_uses_with(conv)
                    module.graph.erase_node(norm)
        module.graph.eliminate_dead_code()
        module.delete_all_unused_submodules()
        module.recompile()


def _convolutions(module: fx.GraphModule) -> Iterator[tuple[fx.Node, fx.Node | None]]:
    """Each 2-D convolution, with the batch norm that is all that reads it."""
    for node in module.graph.nodes:
        if node.op == "call_module" and type(module.get_submodule(node.target)) is nn.Conv2d:
            readers = [user for user in node.users if not _asks_shape(user)]
            norm = readers[0] if len(readers) == 1 and _statistics(module, readers[0]) else None
            yield node, norm if norm is not None and norm.args[0] is node else None


def _name(norm: fx.Node | None) -> str:
    """Tells a batch norm from others; empty for none."""
    if norm is None:
        return ""
    named: Any = norm if norm.op == "call_module" else norm.args[1]
    return str(named.target)


def _asks_shape(node: fx.Node) -> bool:
    """Whether a node only looks at a value's number of dimensions, which stays."""
    return node.target is getattr and bool(node.args[1] == "ndim")


def _folded(module: fx.GraphModule, conv: fx.Node, norm: fx.Node | None) -> nn.Conv2d:
    found: Any = module.get_submodule(str(conv.target))
    weight, bias = found.weight.detach(), found.bias
    if norm is not None and (statistics := _statistics(module, norm)):
        mean, variance, scale, shift, epsilon = statistics
        factor = torch.rsqrt(variance + epsilon) * (1 if scale is None else scale)
        moved = -mean if bias is None else bias.detach() - mean
        weight = weight * factor.reshape(-1, 1, 1, 1)
        bias = moved * factor + (0 if shift is None else shift)
    made = nn.Conv2d.__new__(nn.Conv2d)
    nn.Module.__init__(made)
    made.__dict__.update({k: v for k, v in vars(found).items() if not k.startswith("_")})
    made.padding_mode, made._reversed_padding_repeated_twice = (
        found.padding_mode, found._reversed_padding_repeated_twice,
    )  # fmt: skip
    made.weight = nn.Parameter(
        weight.contiguous(memory_format=torch.channels_last), requires_grad=False
    )
    made.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)
    return made


Statistics = tuple[Tensor, Tensor, Tensor | None, Tensor | None, float]
"""Mean, variance, weight, bias, epsilon."""


def _statistics(module: fx.GraphModule, node: fx.Node) -> Statistics | None:
    """What a batch norm with fixed statistics applies; None for other nodes."""
    if node.op == "call_module":
        norm = module.get_submodule(str(node.target))
        if type(norm) is not nn.BatchNorm2d or norm.training or norm.running_mean is None:
            return None
        return norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.eps  # type: ignore[return-value]
    if node.target is not F.batch_norm or len(node.args) < 3 or node.kwargs.get("training"):
        return None
    attributes = [*node.args[1:3], node.kwargs.get("weight"), node.kwargs.get("bias")]
    if not all(each is None or getattr(each, "op", "") == "get_attr" for each in attributes):
        return None
    values = [None if each is None else _attribute(module, each.target) for each in attributes]  # type: ignore[union-attr]
    if len(node.args) > 3 or values[0] is None:
        return None
    return (*values, node.kwargs.get("eps", 1e-5))  # type: ignore[return-value]


def _attribute(module: nn.Module, path: Any) -> Any:
    owner, _, name = path.rpartition(".")
    return getattr(module.get_submodule(owner), name)
