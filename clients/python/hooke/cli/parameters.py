"""Parameters of techniques on the command line: `--set steps=64 --set image.alpha=yes`."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from hooke.methods import METHODS, Method
from hooke.places import Location
from hooke.techniques import LENSES, Lens

YES_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

T = TypeVar("T")

Tree = dict[str, Any]
"""Texts by dotted path: the text of a node itself stands under the empty name."""


def lens(name: str, assignments: Sequence[str]) -> Lens:
    """The lens of that name with parameters given as `name=value`."""
    return chosen(LENSES, name, assignments)


def method(name: str, assignments: Sequence[str]) -> Method:
    """The method of attribution of that name with parameters given as `name=value`."""
    return chosen(METHODS, name, assignments)


def chosen(kinds: Mapping[str, type[T]], name: str, assignments: Sequence[str]) -> T:
    """One of some techniques with parameters given as `name=value`."""
    if name not in kinds:
        raise ValueError(f"no technique {name!r} in this client; there are {', '.join(kinds)}")
    tree: Tree = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise ValueError(f"--set {assignment!r} is not NAME=VALUE")
        node = tree
        for part in path.strip().replace("-", "_").split("."):
            node = node.setdefault(part, {})
        node[""] = text.strip()
    made: T = _built(kinds[name], tree, name)
    return made


def place(text: str) -> Location:
    """The place in `[MODEL::]LAYER[#UNIT]`; what is no number after the `#` is a label."""
    model, _, rest = text.rpartition("::")
    layer, _, unit = rest.partition("#")
    number = int(unit) if unit.isdecimal() else None
    label = unit if unit and number is None else None
    return Location(layer or None, unit=number, label=label, model=model or None)


def _built(kind: Any, tree: Tree, path: str) -> Any:
    hints = get_type_hints(kind)
    values = {}
    for key, node in tree.items():
        if key == "":
            continue
        if key not in hints:
            raise ValueError(f"{path} takes {', '.join(hints) or 'nothing'}, not {key!r}")
        values[key] = _value(hints[key], node, key)
    missing = [
        each.name for each in fields(kind) if each.default is MISSING and each.name not in values
    ]
    if missing:
        raise ValueError(f"{path} needs --set {missing[0]}=...")
    return kind(**values)


def _value(hint: Any, node: Tree, path: str) -> Any:
    union = get_origin(hint) in {Union, types.UnionType}
    kinds = [k for k in (get_args(hint) if union else (hint,)) if k is not types.NoneType]
    text = node.get("", "")
    if len(kinds) > 1:
        named = {_snake(kind.__name__): kind for kind in kinds}
        if text not in named:
            raise ValueError(f"{path} is one of {', '.join(named)}, not {text!r}")
        return _built(named[text], node, text)
    [kind] = kinds
    if kind is Location:
        return place(text)
    if get_origin(kind) is not None:  # a sequence
        [each] = get_args(kind)
        return [_value(each, {"": part.strip()}, path) for part in text.split(",") if part.strip()]
    if is_dataclass(kind):
        if text and text != "none":
            raise ValueError(f"set a part of {path}, such as {path}.{fields(kind)[0].name}=...")
        return _built(kind, node, path)
    return _simple(text, kind, path)


def _simple(text: str, kind: Any, path: str) -> Any:
    if kind is Any or kind is str:
        return text
    if kind is bool:
        if text.lower() not in YES_NO:
            raise ValueError(f"{path} is yes or no, not {text!r}")
        return YES_NO[text.lower()]
    if kind not in {int, float}:
        raise ValueError(f"{path} cannot be set on the command line; use Python")
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{path} is a number, not {text!r}") from None


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
