"""Methods that look into attention; see `protos/hooke/v1/attention.proto`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class AttentionRollout:
    """How much of each patch reaches the class token, whatever the target."""


@dataclass(frozen=True, kw_only=True)
class GradientAttention:
    """What of each patch reaches the class token and speaks for the target."""


AttentionMethod = AttentionRollout | GradientAttention
"""Any of the classes above."""
