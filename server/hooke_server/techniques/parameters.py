"""Parameters of a technique, read from its signature.

    steps: Annotated[int, Range(1, 4096), "Optimization steps."] = 512

gives name, type, bounds, description and default: one line is the declaration, the
check of a request, and what `TechniqueService` tells. A dataclass is a message with its
fields declared in the same way, a union of dataclasses one of several messages,
`tuple[T, ...]` any number of T, `T | None` one that may be left out. A
parameter without a default must be given.
"""

from __future__ import annotations

import enum
import inspect
import re
import types
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Annotated, Any, Union, cast, get_args, get_origin, get_type_hints

from hooke_server.errors import InvalidArgumentError, Reason
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
            raise _invalid(f"{self.name} has at most {self.most} values", path)
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
            raise _invalid(f"{self.name or 'it'} must be one of {known}", path)
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
        return _invalid(f"{self.name} must be {self._allowed()}, not {shown}", path)

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
            raise _invalid(f"this takes {known}, not {name!r}", f"{field}.{name}")
    values = {}
    for name, parameter in parameters.items():
        if name in given:
            values[name] = parameter.check(given[name], field)
        elif parameter.default is REQUIRED:
            raise _invalid(f"{name} must be given: {parameter.description}", f"{field}.{name}")
        else:
            values[name] = parameter.default
    return values


def read_parameters(function: Callable[..., Any]) -> dict[str, Parameter]:
    """The keyword-only parameters of a function, each `Annotated[type, Range?, description]`."""
    hints = get_type_hints(function, include_extras=True)
    return {
        name: _parameter(name, hints[name], each.default)
        for name, each in inspect.signature(function).parameters.items()
        if each.kind is inspect.Parameter.KEYWORD_ONLY
    }


def _parameter(name: str, hint: Any, default: Any) -> Parameter:
    if get_origin(hint) is not Annotated:
        raise TypeError(f"{name} needs Annotated[type, ..., description]")
    kind, *notes = get_args(hint)
    description = next(note for note in notes if isinstance(note, str))
    bounds = next((note for note in notes if isinstance(note, Range)), None)
    most = next((note.count for note in notes if isinstance(note, AtMost)), MAX_REPEATED)
    repeated = get_origin(kind) is tuple
    if repeated:
        kind = get_args(kind)[0]
    kinds = [each for each in _alternatives(kind) if each is not types.NoneType]
    form, parts = _form(kinds)
    return Parameter(
        name=name,
        kind=kinds[0] if len(kinds) == 1 else object,
        type=form,
        description=description,
        default=default,
        bounds=bounds,
        repeated=repeated,
        most=most,
        fields=parts,
    )


def _form(kinds: Sequence[Any]) -> tuple[ParameterType, Mapping[str, Parameter]]:
    if len(kinds) > 1:
        return ParameterType.ONE_OF, {snake(each.__name__): _whole(each) for each in kinds}
    [kind] = kinds
    if kind in SIMPLE:
        return SIMPLE[kind], {}
    if issubclass(kind, enum.StrEnum):
        return ParameterType.CHOICE, {}
    return ParameterType.MESSAGE, message_fields(kind)


def _alternatives(kind: Any) -> Sequence[Any]:
    return get_args(kind) if get_origin(kind) in {Union, types.UnionType} else (kind,)


def _whole(kind: type[Any]) -> Parameter:
    """A dataclass as an alternative."""
    return Parameter(
        name="",
        kind=kind,
        type=ParameterType.MESSAGE,
        description=(inspect.getdoc(kind) or "").partition("\n\n")[0],
        fields=message_fields(kind),
    )


def message_fields(kind: type[Any]) -> Mapping[str, Parameter]:
    """The parts of a dataclass that is a message."""
    return _message_fields(cast("Hashable", kind))


@cache
def _message_fields(kind: Hashable) -> Mapping[str, Parameter]:
    if not (isinstance(kind, type) and is_dataclass(kind)):
        raise TypeError(f"{kind} is no parameter's type")
    hints = get_type_hints(kind, include_extras=True)
    defaults = {
        each.name: REQUIRED if each.default is MISSING else each.default for each in fields(kind)
    }
    return {name: _parameter(name, hints[name], default) for name, default in defaults.items()}


def plain_message(message: Any) -> dict[str, Any]:
    """A dataclass that is a message as JSON has it."""
    parts = message_fields(type(message))
    return {name: part.plain(getattr(message, name)) for name, part in parts.items()}


def snake(name: str) -> str:
    """`PixelImage` as `pixel_image`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _invalid(message: str, field: str) -> InvalidArgumentError:
    return InvalidArgumentError(Reason.INVALID_FIELD, message, field=field)
