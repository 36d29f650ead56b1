"""Edits as values: what some layers are to yield instead.

    Edit(layer="blocks.4.2", units=(7,), change=Ablation())

`edited.py` makes models of them. A batch may hold many experiments in one pass: each edit names
the samples that it is for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Ablation:
    """To zero, or to each unit's mean over positions."""

    value: Literal["zero", "mean"] = "zero"


@dataclass(frozen=True, slots=True)
class Scaling:
    """Times a factor."""

    factor: float


@dataclass(frozen=True, slots=True)
class Clamping:
    """Within bounds; None: no bound on that side."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class DirectionAddition:
    """Plus `strength` times a vector over units."""

    vector: tuple[float, ...]
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class Replacement:
    """Another value in its place; `digest` is that of the value or of what it was made from."""

    digest: str
    value: Tensor = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Patch:
    """What the layer says to other inputs in its place; `resolved` makes a `Replacement` of it."""

    digest: str
    inputs: tuple[Tensor, ...] = field(repr=False, compare=False)

    @property
    def batch(self) -> int:
        """Number of samples."""
        return next((len(tensor) for tensor in self.inputs if tensor.ndim), 1)


Change = Ablation | Scaling | Clamping | DirectionAddition | Replacement | Patch


@dataclass(frozen=True, kw_only=True, slots=True)
class Edit:
    """A change to what a layer yields; empty tuples stand for all units, positions, samples."""

    layer: str
    change: Change
    units: tuple[int, ...] = ()
    positions: tuple[tuple[int, ...], ...] = ()
    samples: tuple[int, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As JSON has it, tensors by their digests."""
        kept = {name: getattr(self, name) for name in ("units", "positions", "samples")}
        match self.change:
            case Replacement(digest) | Patch(digest):
                name, parts = "replacement", {"digest": digest}
            case change:
                name = _snake(type(change).__name__)
                parts = {k: v for k, v in asdict(change).items() if v is not None}
        return {"layer": self.layer, **{k: v for k, v in kept.items() if v}, name: parts}


def edits_json(edits: Sequence[Edit]) -> str:
    """The edits as a JSON array; empty for none."""
    return json.dumps([each.plain() for each in edits]) if edits else ""


def sample_count(change: Change) -> int:
    """How many samples a change tells apart."""
    match change:
        case Replacement(_, value):
            return len(value) if value.ndim else 1
        case Patch():
            return change.batch
        case _:
            return 1


def depend_on_place(edits: Sequence[Edit]) -> bool:
    """Whether it may depend on a sample's place in the batch what happens to it."""
    return any(each.samples or sample_count(each.change) > 1 for each in edits)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
