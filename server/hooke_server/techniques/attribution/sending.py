"""What of an answer is sent, and requests of which nothing could be."""

from __future__ import annotations

from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.techniques.attribution.plans import AttributionPlan

MAX_PICTURES = 1024
"""Pictures of one kind, of one method at one place; where there would be more, the tensor comes
alone."""


def has_room(targets: int, samples: int) -> bool:
    """Whether there are no more pictures than are drawn."""
    return targets * samples <= MAX_PICTURES


def check_sent(plan: AttributionPlan, samples: int) -> None:
    """InvalidArgumentError where methods would work and nothing of it would be sent."""
    if plan.tensors or any(each.method.tables for each in plan.methods) or plan.evidence.measures:
        return
    targets = len(plan.targets) or 1
    if not plan.drawings:
        raise InvalidArgumentError(
            Reason.INVALID_FIELD,
            "with neither tensors nor pictures there is nothing to send; ask for one of them, or"
            " for evidence",
            field="include_pictures",
        )
    if not has_room(targets, samples):
        raise InvalidArgumentError(
            Reason.INVALID_FIELD,
            f"{targets} targets of {samples} samples would be {targets * samples} pictures, and"
            f" more than {MAX_PICTURES} are not drawn; ask for fewer at once, or for the tensors",
            field="drawings",
            limit=MAX_PICTURES,
        )
