"""Names that are asked for: as they are, or by patterns."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection


def is_pattern(text: str) -> bool:
    """Whether a text that is no name can fit any."""
    return any(each in text for each in "*?[")


def fitting(pattern: str, names: Collection[str]) -> list[str]:
    """The names that a name or a pattern with `*`, `?` and `[...]` fits, in their order.

    What is a name itself fits that alone. Case counts on every system.

    Parameters
    ----------
    names : best a mapping or a set, since the pattern is looked up in it first.
    """
    if pattern in names:
        return [pattern]
    if not is_pattern(pattern):
        return []
    fits = re.compile(fnmatch.translate(pattern)).match
    return [name for name in names if fits(name)]
