"""A name's place in the catalog, and which models must go for another one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from hooke_server.engine.entry import Entry, ModelState
from hooke_server.errors import Reason, ResourceExhaustedError


@dataclass(eq=False, slots=True)
class Slot:
    """A name's present entry and who needs it; the catalog's own.

    Attributes
    ----------
    live : whether the model lives in this process and so can never be loaded again.
    pins : how many use it now; `unpinned` is set when the last of them leaves.
    last_use : a number that grows from use to use.
    needed : bytes of its weights, once it was loaded; 0 before.
    change : the loading or unloading that runs or ran last.
    """

    entry: Entry
    live: bool = False
    pins: int = 0
    last_use: int = 0
    needed: int = 0
    change: asyncio.Task[Entry] | None = None
    unpinned: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def held(self) -> int:
        """Bytes of its weights that are in memory."""
        return self.entry.model.memory_bytes if self.entry.model else 0

    @property
    def idle(self) -> bool:
        """Whether its model may go."""
        return self.entry.state is ModelState.READY and not self.pins and not self.live


def displaced(slot: Slot, others: Iterable[Slot], budget: int | None) -> list[Slot]:
    """Idle models to unload so that `slot` fits, the one used longest ago first.

    ResourceExhaustedError where it would not fit even so.
    """
    if budget is None:
        return []
    loaded = [other for other in others if other is not slot and other.held]
    excess = sum(other.held for other in loaded) + slot.needed - budget
    leaving = []
    for other in sorted(loaded, key=lambda one: one.last_use):
        if excess > 0 and other.idle:
            excess -= other.held
            leaving.append(other)
    if excess > 0:
        raise _no_room(slot, [other for other in loaded if not other.idle], budget)
    return leaving


def _no_room(slot: Slot, staying: list[Slot], budget: int) -> ResourceExhaustedError:
    held = sum(other.held for other in staying)
    names = ", ".join(sorted(repr(other.entry.name) for other in staying))
    there = f"{max(budget - held, 0)} of the {budget} bytes for models can be had"
    return ResourceExhaustedError(
        Reason.MEMORY_BUDGET_EXCEEDED,
        f"the model {slot.entry.name!r} needs {slot.needed} bytes, but {there}"
        + (f" while {names} cannot be unloaded" if names else ""),
        model=slot.entry.name,
        memory_bytes=slot.needed,
        budget=budget,
        in_use=held,
    )
