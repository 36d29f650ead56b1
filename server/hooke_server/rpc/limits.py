"""How much of everything a client may ask for."""

from __future__ import annotations

from dataclasses import dataclass

from hooke_server.errors import Reason, ResourceExhaustedError
from hooke_server.techniques.frames import Estimate


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of one server.

    Attributes
    ----------
    message_bytes : size of the largest message, in and out.
    calls : how many calls may be under way at once; health checks do not count.
    input_bytes : what the inputs of one call may hold at once, decoded.
    work_bytes : what one call may need beside the model while it runs; None: anything.
    """

    message_bytes: int = 4 << 20
    calls: int = 256
    input_bytes: int = 1 << 30
    work_bytes: int | None = None

    def check(self, cost: Estimate) -> None:
        """Refuse work that needs more memory than there is."""
        if self.work_bytes is not None and cost.memory_bytes > self.work_bytes:
            raise ResourceExhaustedError(
                Reason.MEMORY_BUDGET_EXCEEDED,
                f"this needs about {cost.memory_bytes} bytes of memory, more than the"
                f" {self.work_bytes} that one call may use; ask for less at once",
                memory_bytes=cost.memory_bytes,
                budget=self.work_bytes,
            )
