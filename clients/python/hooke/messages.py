"""Between the contract's messages and plain Python values.

Values are frozen dataclasses whose fields have the names of the message's fields.
Enum values are their names without the prefix that the contract needs:
`MODEL_STATE_READY` is `"READY"`; ids are plain, resource names stay on the wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message

V = TypeVar("V")

LARGEST = 2**31 - 1
"""Of the contract's numbers that count places, samples and steps."""


def copy(kind: type[V], message: Message, **own: Any) -> V:
    """A value of a dataclass: its fields are `own`, and the message's of the same names."""
    # Every kind is a dataclass, which a type variable cannot say.
    names = [field.name for field in fields(kind) if field.name not in own]  # type: ignore[arg-type]
    known = message.DESCRIPTOR.fields_by_name
    return kind(**{name: _value(message, known[name]) for name in names if name in known}, **own)


def _value(message: Message, field: Any) -> Any:
    value = getattr(message, field.name)
    if field.is_repeated:
        return tuple(value)
    if field.has_presence and not message.HasField(field.name):
        return None
    return short(field.enum_type, value) if field.enum_type else value


def short(kind: EnumDescriptor, number: int) -> str:
    """An enum value's name without its prefix; the number where this client is too old for it."""
    value = kind.values_by_number.get(number)
    return value.name.removeprefix(_prefix(kind)) if value else str(number)


def number(kind: EnumDescriptor, name: str, what: str) -> Any:
    """The enum value of a short name, in either case, or ValueError with all names."""
    value = kind.values_by_name.get(_prefix(kind) + name.upper().replace("-", "_"))
    if value is None or value.number == 0:
        names = [short(kind, each.number).lower() for each in kind.values if each.number]
        raise ValueError(f"{what} {name!r} is unknown; it is one of {', '.join(names)}")
    return value.number


def whole(value: int, what: str) -> int:
    """The number itself if the contract's 32 bits hold it, else ValueError."""
    if not -LARGEST <= value <= LARGEST:
        raise ValueError(f"{what} {value} is too large; at most {LARGEST} can be asked for")
    return value


def wholes(values: Iterable[int], what: str) -> list[int]:
    """The numbers themselves if the contract's 32 bits hold them, else ValueError."""
    return [whole(each, what) for each in values]


def given_wholes(numbers: Mapping[str, int | None]) -> dict[str, int]:
    """Those that are given, by name, if the contract's 32 bits hold them; else ValueError."""
    return {name: whole(each, name) for name, each in numbers.items() if each is not None}


def _prefix(kind: EnumDescriptor) -> str:
    return kind.values_by_number[0].name.removesuffix("UNSPECIFIED")


def model_name(model: str) -> str:
    """The resource name of a model."""
    return f"models/{model}"


def layer_name(model: str, layer: str) -> str:
    """The resource name of a layer; characters that have a meaning there are escaped."""
    return f"models/{model}/layers/{quote(layer, safe='.-_~:@')}"


def model_id(name: str) -> str:
    """The model in a resource name."""
    return name.split("/")[1] if "/" in name else name


def layer_id(name: str) -> str:
    """The layer in a resource name; empty where it names none."""
    return unquote(name.partition("/layers/")[2])


def check_options(given: Iterable[str], known: Iterable[str]) -> None:
    """TypeError for an option that a call has not, which only type checkers would find."""
    have = list(known)
    for name in given:
        if name not in have:
            near = get_close_matches(name, have, 1)
            guess = f"did you mean {near[0]}?" if near else f"there are {', '.join(have)}"
            raise TypeError(f"there is no option {name!r}; {guess}")


def listed(value: str | Iterable[str] | None) -> list[str]:
    """One text or several, as a list."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)
