"""Interleaved timing, and the rows that it fills."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from hooke_server.devices import work_memory

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
"""Where both sides compute; servers find it by themselves."""

MEMORY = work_memory(DEVICE, 8 << 30)
"""What a server there would have for work."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table: what was measured, against what, and the goal.

    `at_most` says whether a smaller value is better.
    """

    id: str
    what: str
    against: str
    value: float
    unit: str
    goal: float | None = None
    at_most: bool = True
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.goal is None:
            return None
        return self.value <= self.goal if self.at_most else self.value >= self.goal


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes, with what it left to a GPU."""
    start = time.perf_counter()
    call()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def interleaved(
    calls: Mapping[str, Callable[[], object]], rounds: int, warmup: int = 2
) -> dict[str, float]:
    """Median seconds of each call; the calls take turns, so that noise hits all alike."""
    for call in calls.values():
        for _ in range(warmup):
            call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(seconds(call))
    return {name: statistics.median(values) for name, values in times.items()}
