"""The registry of rules: how each aten operation moves a `Trace`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from hooke_server.models.axes import Trace

Find = Callable[[Any], Trace | None]
"""The trace of a tensor; None for a constant and for what is no tensor."""

Rule = Callable[[Sequence[Any], Tensor, Find], Trace]
"""From an operation's arguments by position, one tensor of its value, and a `Find`."""

RULES: dict[str, Rule] = {}
"""By the aten operation's name. A rule is asked only if its first argument has a trace."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for operations."""

    def add(thing: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, thing))
        return thing

    return add


def trace_of(find: Find, tensor: Any) -> Trace:
    """The trace of the first argument, which there is."""
    trace = find(tensor)
    assert trace is not None  # noqa: S101  # see `RULES`
    return trace


def axes_of(dims: Any, rank: int) -> list[int]:
    """Dimensions as an operation takes them (one, several, none for all), from 0."""
    if dims is None or dims == []:
        return list(range(rank))
    return [d % rank for d in (dims if isinstance(dims, list | tuple) else [dims])] if rank else []
