"""Assignments `a.b=value` of the command line as a tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Node:
    """What was said of a parameter: its own texts, and its parts by name."""

    path: str
    option: str
    name: str = ""
    texts: list[str] = field(default_factory=list)
    parts: dict[str, Node] = field(default_factory=dict)

    def part(self, name: str) -> Node:
        """The part of that name, made where it is new; `-` and `_` are the same."""
        key = plain(name)
        path = f"{self.path}.{key}" if self.path else key
        return self.parts.setdefault(key, Node(path, self.option, name))

    def text(self) -> str:
        """The one text of it, empty where there is none."""
        if len(self.texts) > 1:
            raise ValueError(f"{self.path} is given {len(self.texts)} times, and takes one value")
        return self.texts[0] if self.texts else ""

    def adopt(self, part: Node) -> None:
        """Say of this what was said of another's part."""
        own = self.parts.setdefault(plain(part.name), part)
        if own is not part:
            own.texts += part.texts
            for each in part.parts.values():
                own.adopt(each)


def tree(assignments: Sequence[str], option: str) -> Node:
    """All assignments that came with an option; ValueError for what is none."""
    root = Node("", option)
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        parts = path.strip().split(".")
        if not equals or not all(parts):
            raise ValueError(f"{option} {assignment!r} is not NAME=VALUE")
        node = root
        for part in parts:
            node = node.part(part)
        node.texts.append(text.strip())
    return root


def plain(name: str) -> str:
    """A name with `_` where `-` may stand as well."""
    return name.replace("-", "_")
