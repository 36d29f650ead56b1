"""Parameters read from signatures.

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
import types
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Union, cast, get_args, get_origin, get_type_hints

from hooke_server.techniques.parameters import (
    MAX_REPEATED,
    REQUIRED,
    SIMPLE,
    AtMost,
    Parameter,
    ParameterType,
    Range,
    snake,
)


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
