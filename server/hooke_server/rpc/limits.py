"""How much of everything a client may ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of one server.

    Attributes
    ----------
    message_bytes : size of the largest message, in and out.
    calls : how many calls may be under way at once; health checks do not count.
    input_bytes : what the inputs of one call may hold at once, decoded.
    """

    message_bytes: int = 4 << 20
    calls: int = 256
    input_bytes: int = 1 << 30
