"""Parameters of a technique: what each may be, and the check of a request's value.

They are read from signatures; see `signatures.py`.
"""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hooke_server.errors import InvalidArgumentError, invalid
from hooke_server.techniques.targets import Photograph, Site

REQUIRED = inspect.Parameter.empty
"""The default of what must be given."""

MAX_REPEATED = 256
"""Most values of a parameter that may have several, unless it says `AtMost`."""


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a number, both allowed."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class AtMost:
    """How many values a parameter may have that may have several."""

    count: int


class ParameterType(enum.StrEnum):
    """As `hooke.v1.ParameterType`."""

    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    MESSAGE = "message"
    ONE_OF = "one_of"
    LOCATION = "location"
    IMAGE = "image"
    TEXT = "text"


SIMPLE: dict[type, ParameterType] = {
    int: ParameterType.INTEGER,
    float: ParameterType.NUMBER,
    bool: ParameterType.BOOLEAN,
    str: ParameterType.TEXT,
    Site: ParameterType.LOCATION,
    Photograph: ParameterType.IMAGE,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """One parameter of a technique, or a part of one.

    Attributes
    ----------
    kind : the Python type of a value, or of one of several.
    default : REQUIRED where it must be given, None where it may be left out.
    repeated : whether there may be several, `most` of them.
    fields : parts of a message, or alternatives of one-of.
    """

    name: str
    kind: type[Any]
    type: ParameterType
    description: str
    default: Any = REQUIRED
    bounds: Range | None = None
    repeated: bool = False
    most: int = MAX_REPEATED
    fields: Mapping[str, Parameter]

    @property
    def choices(self) -> tuple[str, ...]:
        """Allowed values, for a parameter that is one of a few words."""
        return tuple(map(str, self.kind)) if self.type is ParameterType.CHOICE else ()  # type: ignore[call-overload]

    def check(self, value: Any, field: str) -> Any:
        """The value as the parameter's type, or InvalidArgumentError.

        Parameters
        ----------
        value : a value of the type, or what a request says: for a message a mapping from
            names to the parts that were given, for one-of a pair of a name and a mapping.
        field : path of the message that holds it.
        """
        path = f"{field}.{self.name}" if self.name else field
        if not self.repeated:
            return self._one(value, path, self.default)
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise self._wrong(value, path)
        if len(value) > self.most:
            raise invalid(f"{self.name} has at most {self.most} values", path)
        if None in value:  # as of several choices one that is not specified
            raise self._wrong(None, f"{path}[{value.index(None)}]")
        return tuple(self._one(each, f"{path}[{i}]", None) for i, each in enumerate(value))

    def plain(self, value: Any) -> Any:
        """The value as JSON has it, with the contract's names; a picture by its digest."""
        if self.repeated:
            return [replace(self, repeated=False).plain(each) for each in value]
        match value:
            case Photograph():
                return {"sha256": value.digest}
            case Site():
                place = {"unit": value.unit, "position": value.position, "model": value.model}
                return {"layer": value.layer} | {k: v for k, v in place.items() if v or v == 0}
            case None:
                return None
        if self.type is ParameterType.MESSAGE:
            return {name: p.plain(getattr(value, name)) for name, p in self.fields.items()}
        if self.type is ParameterType.ONE_OF:
            name = snake(type(value).__name__)
            return {name: self.fields[name].plain(value)}
        return value

    def _one(self, value: Any, path: str, default: Any) -> Any:
        if value is None and default is None:
            return None
        if self.type is ParameterType.ONE_OF:
            return self._alternative(value, path, default)
        if self.type is ParameterType.MESSAGE:
            return self._message(value, path, default)
        if self.type in {ParameterType.LOCATION, ParameterType.IMAGE}:
            if not isinstance(value, self.kind):
                raise self._wrong(value, path)
            if isinstance(value, Photograph):
                value.fitted(1)  # reads the file's header: raises for what is no picture
            return value
        return self._scalar(value, path)

    def _alternative(self, value: Any, path: str, default: Any) -> Any:
        if not isinstance(value, tuple):
            value = snake(type(value).__name__), value
        name, content = value
        if name not in self.fields:
            known = ", ".join(self.fields)
            raise invalid(f"{self.name or 'it'} must be one of {known}", path)
        chosen = self.fields[name]
        base = default if isinstance(default, chosen.kind) else None
        return chosen._message(content, f"{path}.{name}", base)

    def _message(self, value: Any, path: str, default: Any) -> Any:
        if isinstance(value, self.kind):
            value = {name: getattr(value, name) for name in self.fields}
        if not isinstance(value, Mapping):
            raise self._wrong(value, path)
        base = default if isinstance(default, self.kind) else None
        parts = {
            name: part if base is None else replace(part, default=getattr(base, name))
            for name, part in self.fields.items()
        }
        return self.kind(**check_all(parts, value, path))

    def _scalar(self, value: Any, path: str) -> Any:
        try:
            exact: Any = self.kind(value)
        except (TypeError, ValueError, OverflowError):
            exact = None
        # Equality refuses 2.5 for a whole number and 2 for a yes or no, and NaN.
        fits = exact is not None and exact == value
        if fits and self.bounds:
            fits = self.bounds.low <= exact <= self.bounds.high
        if not fits:
            raise self._wrong(value, path)
        return exact

    def _wrong(self, value: Any, path: str) -> InvalidArgumentError:
        shown = repr(value) if self.type in WORDS or self.choices else type(value).__name__
        return invalid(f"{self.name} must be {self._allowed()}, not {shown}", path)

    def _allowed(self) -> str:
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        between = f" between {self.bounds.low:g} and {self.bounds.high:g}" if self.bounds else ""
        article = "an" if self.type is ParameterType.IMAGE else "a"
        return WORDS.get(self.type, f"{article} {self.type}") + between


WORDS = {
    ParameterType.INTEGER: "a whole number",
    ParameterType.NUMBER: "a number",
    ParameterType.BOOLEAN: "true or false",
    ParameterType.TEXT: "a text",
}


def check_all(
    parameters: Mapping[str, Parameter], given: Mapping[str, Any], field: str
) -> dict[str, Any]:
    """A value for each parameter: the given ones checked, for the rest the defaults."""
    for name in given:
        if name not in parameters:
            known = ", ".join(parameters) or "nothing"
            raise invalid(f"this takes {known}, not {name!r}", f"{field}.{name}")
    values = {}
    for name, parameter in parameters.items():
        if name in given:
            values[name] = parameter.check(given[name], field)
        elif parameter.default is REQUIRED:
            raise invalid(f"{name} must be given: {parameter.description}", f"{field}.{name}")
        else:
            values[name] = parameter.default
    return values


def snake(name: str) -> str:
    """`PixelImage` as `pixel_image`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
