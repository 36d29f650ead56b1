"""Parameters of techniques on the command line, as `--set NAME=VALUE`.

    steps=64                            a number, a text, yes or no
    image.alpha=yes                     a part of a parameter
    families=line,curve                 several; or the same again with another value
    features=grid_features              one of several kinds, and
    features.cells=4                    a part of it
    baselines=blur_baseline             several of several kinds;
    baselines.deviation=50              a part where there is one,
    baselines.0.deviation=50            or of that at an index
    photograph=cat.png                  a picture; a folder or paths where there are several
    concepts.fur=folder                 a concept by its name
    target=blocks.3#7[2,4]              a place: [MODEL::]LAYER[#UNIT][POSITION], or #CLASS

Nothing is left out: what finds no place is an error that says what there is.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from hooke.cli.assignments import Node, plain, tree
from hooke.cli.photographs import photograph, photographs
from hooke.methods import METHODS, Concept, Method
from hooke.places import Location
from hooke.techniques import LENSES, Lens

INT32 = 2**31 - 1
"""Largest whole number of a parameter."""

YES_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

_PLACE = re.compile(
    r"(?P<layer>[^#\[]*)(?:#(?P<unit>[^\[]+))?(?:\[(?P<position>\d+(?:, ?\d+)*)\])?"
)
_COMMA = re.compile(r",(?![^\[]*\])")
"""Between elements, not between the indices of a position."""

T = TypeVar("T")


def lens(name: str, assignments: Sequence[str]) -> Lens:
    """The lens of that name with parameters given as `name=value`."""
    if plain(name) in METHODS:
        raise ValueError(f"{name} explains an answer: hooke attribute MODEL FILE --method {name}")
    return chosen(LENSES, name, assignments)


def method(name: str, assignments: Sequence[str]) -> Method:
    """The method of attribution of that name with parameters given as `name=value`."""
    if plain(name) in LENSES:
        raise ValueError(f"{name} makes pictures: hooke visualize MODEL --technique {name}")
    return chosen(METHODS, name, assignments)


def chosen(kinds: Mapping[str, type[T]], name: str, assignments: Sequence[str]) -> T:
    """One of some techniques with parameters given as `name=value`."""
    key = plain(name)
    if key not in kinds:
        near = get_close_matches(key, kinds, 3)
        known = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(kinds)}"
        raise ValueError(f"no technique {name!r} in this client; {known}")
    return parsed(kinds[key], key, assignments)


def parsed(kind: type[T], name: str, assignments: Sequence[str], option: str = "--set") -> T:
    """A value of a dataclass, called `name`, from assignments that came with an option."""
    made: T = _built(kind, tree(assignments, option), name)
    return made


def place(text: str) -> Location:
    """The place in `[MODEL::]LAYER[#UNIT][POSITION]`; a unit that is no number is a label."""
    model, _, rest = text.rpartition("::")
    found = _PLACE.fullmatch(rest)
    if found is None:
        raise ValueError(f"{text!r} is no place such as blocks.3, blocks.3#7[2,4] or #tabby")
    unit = found["unit"]
    number = int(unit) if unit and unit.isdecimal() else None
    return Location(
        found["layer"] or None,
        unit=number,
        label=unit if unit and number is None else None,
        position=[int(each) for each in (found["position"] or "").split(",") if each],
        model=model or None,
    )


def _built(kind: Any, node: Node, name: str) -> Any:
    hints = get_type_hints(kind)
    for key in node.parts:
        if key not in hints:
            raise ValueError(f"{name} takes {', '.join(hints) or 'no parameters'}, not {key!r}")
    for each in fields(kind):
        if each.default is MISSING and each.name not in node.parts:
            raise ValueError(f"{name} needs {node.option} {node.part(each.name).path}=...")
    return kind(**{key: _value(hints[key], part) for key, part in node.parts.items()})


def _value(hint: Any, node: Node) -> Any:
    union = get_origin(hint) in {Union, types.UnionType}
    kinds = [k for k in (get_args(hint) if union else (hint,)) if k is not types.NoneType]
    if len(kinds) > 1:
        return _variant(kinds, node)
    [kind] = kinds
    if get_origin(kind) is not None:
        return _sequence(get_args(kind)[0], node)
    if is_dataclass(kind) and kind is not Location:
        if (text := node.text()) and (text != "none" or node.parts):
            part = fields(kind)[0].name
            raise ValueError(f"set a part of {node.path}, such as {node.path}.{part}=...")
        return _built(kind, node, node.path)
    return _simple(kind, node)


def _variant(kinds: Sequence[Any], node: Node) -> Any:
    """One of several kinds, which the text names."""
    named = {_snake(kind.__name__): kind for kind in kinds}
    text = plain(node.text())
    if not text:
        having = [n for n, k in named.items() if set(node.parts) <= set(get_type_hints(k))]
        example = f"{node.option} {node.path}={(having or list(named))[0]}"
        raise ValueError(f"{node.path} is one of {', '.join(named)}; say which: {example}")
    if text not in named:
        raise ValueError(f"{node.path} is one of {', '.join(named)}, not {text!r}")
    return _built(named[text], node, text)


def _sequence(each: Any, node: Node) -> list[Any]:
    if each is Concept:
        return list(_concepts(node))
    if each is Any:
        _no_parts(node)
        return photographs(node.path, node.texts)
    return [_value(each, element) for element in _elements(node)]


def _concepts(node: Node) -> Iterator[Concept]:
    if node.texts or not node.parts:
        raise ValueError(f"{node.path} have names: {node.option} {node.path}.NAME=FOLDER")
    for part in node.parts.values():
        _no_parts(part)
        yield Concept(name=part.name, images=photographs(part.path, part.texts))


def _elements(node: Node) -> list[Node]:
    """The elements of a sequence, each with the parts that were said of it."""
    texts = [part.strip() for text in node.texts for part in _COMMA.split(text) if part.strip()]
    found = {index: node.part(str(index)) for index in range(len(texts))}
    for index, text in enumerate(texts):
        found[index].texts.insert(0, text)
    if len(texts) == 1:
        found[0].path = node.path
    shared = {}
    for key, part in node.parts.items():
        if key.isdecimal() and key == str(int(key)):
            found[int(key)] = part
        else:
            shared[key] = part
    if shared and len(found) > 1:
        name = next(iter(shared))
        raise ValueError(
            f"{node.path} has {len(found)} elements; say of which {name!r} is:"
            f" {node.path}.0.{name}=..."
        )
    if shared and not found:
        return [Node(node.path, node.option, node.name, parts=shared)]
    for index in range(len(found)):
        if index not in found:
            raise ValueError(f"{node.path}.{max(found)} is given, but no {node.path}.{index}")
    for part in shared.values():
        found[0].adopt(part)
    return [found[index] for index in range(len(found))]


def _simple(kind: Any, node: Node) -> Any:
    _no_parts(node)
    text, path = node.text(), node.path
    if kind is Any:
        return photograph(path, text)
    if kind is Location:
        return place(text)
    if kind is str:
        return text
    if kind is bool:
        if text.lower() not in YES_NO:
            raise ValueError(f"{path} is yes or no, not {text!r}")
        return YES_NO[text.lower()]
    if kind not in {int, float}:
        raise ValueError(f"{path} cannot be set on the command line; use Python")
    try:
        number = kind(text)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise ValueError(f"{path} is {wanted}, not {text!r}") from None
    if kind is int and abs(number) > INT32:
        raise ValueError(f"{path} is at most {INT32}, not {text!r}")
    return number


def _no_parts(node: Node) -> None:
    for part in node.parts.values():
        raise ValueError(f"{node.path} has no parts, so {part.path}=... says nothing")


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
