"""Parameters of a technique, read from its signature.

    steps: Annotated[int, Range(1, 4096), "Optimization steps."] = 512

gives name, type, bounds, description and default: one line is the declaration, the
check of a request, and what `TechniqueService` tells.
"""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from hooke_server.errors import InvalidArgumentError, Reason


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a number, both allowed."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """One parameter of a technique, read from its signature."""

    name: str
    type: type[int] | type[float] | type[bool] | type[enum.StrEnum]
    description: str
    default: Any
    bounds: Range | None = None

    @property
    def choices(self) -> tuple[str, ...]:
        """Allowed values, for a parameter that is one of a few words."""
        return tuple(self.type) if issubclass(self.type, enum.StrEnum) else ()

    def check(self, value: Any, field: str) -> Any:
        """The value as the parameter's type, or InvalidArgumentError."""
        try:
            exact: Any = self.type(value)
        except (TypeError, ValueError, OverflowError):
            exact = None
        # Equality refuses 2.5 for a whole number and 2 for a yes or no, and NaN.
        fits = exact is not None and exact == value
        if fits and self.bounds:
            fits = self.bounds.low <= exact <= self.bounds.high
        if not fits:
            raise InvalidArgumentError(
                Reason.INVALID_FIELD,
                f"{self.name} must be {self._allowed()}, not {value!r}",
                field=f"{field}.{self.name}",
                parameter=self.name,
            )
        return exact

    def _allowed(self) -> str:
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        words = {int: "a whole number", float: "a number", bool: "true or false"}
        between = f" between {self.bounds.low:g} and {self.bounds.high:g}" if self.bounds else ""
        return words[self.type] + between


def read_parameters(function: Callable[..., Any]) -> dict[str, Parameter]:
    """The keyword-only parameters of a function, each `Annotated[type, Range?, description]`."""
    hints = get_type_hints(function, include_extras=True)
    parameters = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        if get_origin(hints[name]) is not Annotated:
            raise TypeError(f"{function.__name__}.{name} needs Annotated[type, ..., description]")
        kind, *notes = get_args(hints[name])
        parameters[name] = Parameter(
            name=name,
            type=kind,
            description=next(note for note in notes if isinstance(note, str)),
            default=parameter.default,
            bounds=next((note for note in notes if isinstance(note, Range)), None),
        )
    return parameters
