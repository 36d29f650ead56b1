"""Named things of one kind, each registered where it is defined.

    loaders: Registry[Loader] = Registry("loader", Reason.SOURCE_NOT_FOUND)

    @loaders.register("onnx")
    def load_onnx(...): ...

A registry refuses a second thing of the same name, and answers an unknown name
with the nearest known ones.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from hooke_server.errors import NotFoundError, Reason

T = TypeVar("T")


def nearest(name: str, names: Iterable[str], count: int = 3) -> list[str]:
    """The at most `count` names most like `name`, best first, without regard to case.

    Those that hold it as a word, then those that hold it anywhere, then those of like letters.
    """
    sought, known = name.lower(), {candidate.lower(): candidate for candidate in names}
    word = re.compile(rf"(?<!\w){re.escape(sought)}(?!\w)")
    holding = [each for each in known if len(sought) > 2 and sought in each]
    holding.sort(key=lambda each: (not word.search(each), len(each)))
    like = difflib.get_close_matches(sought, known, count, cutoff=0.5)
    return [known[each] for each in dict.fromkeys([*holding[:count], *like])][:count]


def not_found(
    kind: str, name: str, names: Iterable[str], reason: Reason, hint: str = "", **metadata: object
) -> NotFoundError:
    """The error for an unknown name: says the nearest known ones, then `hint`."""
    near = nearest(name, names)
    guess = f"; the nearest are {', '.join(map(repr, near))}" if near else ""
    facts: dict[str, Any] = {kind.replace(" ", "_"): name, "nearest": ",".join(near), **metadata}
    return NotFoundError(reason, f"no {kind} {name!r}{guess}{hint and '; '}{hint}", **facts)


class Registry(Mapping[str, T]):
    """A mapping from names to things that can only grow.

    Parameters
    ----------
    kind : what the things are, for messages.
    reason : the error's reason for an unknown name.
    """

    def __init__(self, kind: str, reason: Reason) -> None:
        self._kind = kind
        self._reason = reason
        self._things: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that adds what it decorates under `name`."""

        def add(thing: T) -> T:
            if name in self._things:
                raise ValueError(f"there are two {self._kind}s of the name {name!r}")
            self._things[name] = thing
            return thing

        return add

    def find(self, name: str) -> T:
        """The thing of that name, or NotFoundError naming the nearest."""
        if name not in self._things:
            everything = f"there are {', '.join(sorted(self._things))}"
            raise not_found(self._kind, name, self._things, self._reason, everything)
        return self._things[name]

    def __getitem__(self, name: str) -> T:
        return self._things[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._things))

    def __len__(self) -> int:
        return len(self._things)
