"""One run of a graph that learns what each node yields and costs.

It runs on meta tensors, which have shapes and no memory, and watches the aten
operations that go by: so a torch module, a function and an ONNX operator are all
measured by the same rules. What cannot run without data runs on the real tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from hooke_server.models.axes import Atom, Role, Trace, customary, input_trace
from hooke_server.models.costs import macs_of
from hooke_server.models.flow import follow
from hooke_server.models.functional import NotFunctionalError, copy_with

Keys = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a tensor; without a trace it does not depend on the inputs."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    trace: Trace | None


@dataclass(frozen=True, slots=True)
class Measured:
    """What a node yields, a nest of `Seen` with None for what is no tensor, and its MACs."""

    value: Any
    macs: int = 0

    def tensors(self) -> Iterator[tuple[Keys, Seen]]:
        """The tensors inside the value, each with the keys that lead to it."""
        return _leaves(self.value, ())


def _leaves(value: Any, keys: Keys) -> Iterator[tuple[Keys, Seen]]:
    if isinstance(value, Seen):
        yield keys, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, (*keys, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _leaves(item, (*keys, index))


def measure(module: fx.GraphModule, example: tuple[Tensor, ...]) -> dict[str, Measured]:
    """What each node of `module`'s graph yields for `example`, by node name."""
    try:
        return _Run(module, meta=True).all(example)
    except Exception:  # many things do not work without data
        return _Run(module, meta=False).all(example)


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows traces and counts MACs through every aten operation."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = 0
        self.traces: Any = WeakTensorKeyDictionary()

    def trace(self, value: Any) -> Trace | None:
        return self.traces.get(value) if isinstance(value, Tensor) else None

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        self.macs += macs_of(name, args, out)
        for tensor in out if isinstance(out, list | tuple) else [out]:
            if isinstance(tensor, Tensor):
                trace = follow(name, args, tensor, self.trace)
                if trace is not None:
                    self.traces[tensor] = trace
        return out


class _Run(fx.Interpreter):
    """Runs a graph under a `_Watch`."""

    def __init__(self, module: fx.GraphModule, *, meta: bool) -> None:
        super().__init__(module)
        self.extra_traceback = False
        self._meta = meta
        self._watch = _Watch()
        self._leaves: dict[str, nn.Module] = {}
        self._found: dict[str, Measured] = {}

    def all(self, example: tuple[Tensor, ...]) -> dict[str, Measured]:
        inputs = [_on_meta(tensor) if self._meta else tensor.clone() for tensor in example]
        for tensor in inputs:
            self._watch.traces[tensor] = input_trace(tensor.shape)
        with torch.no_grad(), self._watch:
            self.run(*inputs)
        return self._found

    def run_node(self, n: fx.Node) -> Any:
        before = self._watch.macs
        value = super().run_node(n)
        self._found[n.name] = Measured(self._seen(value), self._watch.macs - before)
        return value

    def _seen(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return Seen(tuple(value.shape), value.dtype, self._watch.trace(value))
        if isinstance(value, Mapping):
            return {key: self._seen(item) for key, item in value.items()}
        if isinstance(value, list | tuple) and not isinstance(value, torch.Size):
            return tuple(self._seen(item) for item in value)
        return None

    def fetch_attr(self, target: str) -> Any:
        value = super().fetch_attr(target)
        return _on_meta(value) if self._meta and isinstance(value, Tensor) else value

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        leaf = self._leaf(target)
        versions = [arg._version for arg in args if isinstance(arg, Tensor)]
        if isinstance(leaf, nn.RNNBase) and self._meta and len(args) == 1:
            value = self._recurrent(leaf, *args)
        else:
            value = leaf(*args, **kwargs)
        if versions != [arg._version for arg in args if isinstance(arg, Tensor)]:
            raise NotFunctionalError(f"{target} overwrites what it is given")
        return value

    def _leaf(self, target: str) -> nn.Module:
        if target not in self._leaves:
            leaf = super().fetch_attr(target)
            self._leaves[target] = copy_with(leaf, _on_meta) if self._meta else leaf
        return self._leaves[target]

    def _recurrent(self, leaf: nn.RNNBase, source: Tensor) -> Any:
        """What a recurrent layer yields; on meta tensors torch would take each time step apart."""
        ways = 2 if leaf.bidirectional else 1
        samples = source.shape[0 if leaf.batch_first else 1 : 1 if leaf.batch_first else 2]
        hidden = leaf.proj_size or leaf.hidden_size
        lead = (leaf.num_layers * ways, *(samples if source.ndim == 3 else ()))
        out = source.new_empty((*source.shape[:-1], hidden * ways))
        state: Any = source.new_empty((*lead, hidden))
        if isinstance(leaf, nn.LSTM):
            state = (state, source.new_empty((*lead, leaf.hidden_size)))
        matrices = sum(p.numel() for name, p in leaf.named_parameters() if "weight" in name)
        self._watch.macs += source[..., 0].numel() * matrices
        trace = self._watch.trace(source)
        if trace is not None:
            unit = (Atom(Role.UNIT, hidden * ways),)
            self._watch.traces[out] = Trace((*trace.dims[:-1], unit), whole=True)
            for tensor in state if isinstance(state, tuple) else [state]:
                self._watch.traces[tensor] = customary(tensor.shape)
        return out, state


def _on_meta(tensor: Tensor) -> Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
