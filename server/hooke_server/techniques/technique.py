"""What a technique is, how one is declared, and how a request is bound to one.

    @technique(
        kind=TechniqueKind.VISUALIZATION,
        title="Feature visualization",
        source="Olah, Mordvintsev, Schubert: Feature Visualization, Distill 2017",
        obstacle=needs_gradient,
    )
    def feature_visualization(
        view: View, *, steps: Annotated[int, Range(1, 4096), "Optimization steps."] = 512
    ) -> Frames:
        '''What it shows and how.'''

The function's keyword parameters *are* its schema: checking, listing and calling
read the same signature. Every check happens in `bind`, before any work; a bound
`Plan` is a picklable value whose digest names its result.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Annotated, Any, Protocol, get_args, get_origin, get_type_hints

from hooke_server.errors import FailedPreconditionError, InvalidArgumentError, Reason
from hooke_server.models.layer import Layer
from hooke_server.models.model import Model
from hooke_server.registry import Registry
from hooke_server.techniques.frames import Frames


class TechniqueKind(StrEnum):
    """What a technique makes; as `hooke.v1.TechniqueKind`."""

    VISUALIZATION = "visualization"
    ATTRIBUTION = "attribution"


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
            value = self.type(value)
        except ValueError:
            value = None
        allowed = f"one of {', '.join(self.choices)}" if self.choices else "a number"
        if self.bounds:
            allowed = f"between {self.bounds.low:g} and {self.bounds.high:g}"
        # Written so that NaN is refused too.
        fits = value is not None and (
            self.bounds is None or self.bounds.low <= value <= self.bounds.high
        )
        if not fits:
            raise InvalidArgumentError(
                Reason.INVALID_FIELD,
                f"{self.name} must be {allowed}",
                field=f"{field}.{self.name}",
                parameter=self.name,
            )
        return value


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """A place that was asked about and found to exist: a layer, a unit, a neuron."""

    layer: str
    unit: int | None = None
    position: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A checked request: what to run, where, with which parameters.

    Picklable and free of the model, which `model_digest` names.
    """

    technique: str
    model: str
    model_digest: str
    sites: tuple[Site, ...]
    parameters: tuple[tuple[str, Any], ...]
    seed: int = 0
    preview_every: int = 0

    @property
    def digest(self) -> str:
        """SHA-256 over everything that decides the result; the model's name does not."""
        content = asdict(self)
        del content["model"]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """What a technique sees: the model, the places, and the request's common values."""

    model: Model
    sites: tuple[Site, ...]
    seed: int = 0
    preview_every: int = 0

    @property
    def layers(self) -> list[Layer]:
        """The layer of each site."""
        return [self.model.layer(site.layer) for site in self.sites]


Obstacle = Callable[[Model, Site], str]
"""Why a technique is not valid for a place; empty where it is."""


class TechniqueFunction(Protocol):
    """A generator of frames; its keyword parameters have annotations and defaults."""

    __name__: str

    def __call__(self, view: View, **parameters: Any) -> Frames:
        """Yield frames, a `Result` last; between two frames lies at most one step."""
        ...


@dataclass(frozen=True, kw_only=True)
class Technique:
    """A lens: a function with what the contract tells about it."""

    name: str
    kind: TechniqueKind
    title: str
    description: str
    source: str
    parameters: Mapping[str, Parameter]
    obstacle: Obstacle
    function: TechniqueFunction

    def bind(
        self,
        model: Model,
        model_name: str,
        sites: Sequence[Site],
        given: Mapping[str, Any],
        *,
        seed: int = 0,
        preview_every: int = 0,
    ) -> Plan:
        """Check everything and freeze it; unset parameters take their defaults."""
        for site in sites:
            if reason := self.obstacle(model, site):
                raise FailedPreconditionError(
                    Reason.TECHNIQUE_NOT_APPLICABLE,
                    f"{self.name} is not valid for layer {site.layer!r}: {reason}",
                    technique=self.name,
                    layer=site.layer,
                )
        values = {name: p.default for name, p in self.parameters.items()}
        for name, value in given.items():
            values[name] = self.parameters[name].check(value, self.name)
        return Plan(
            technique=self.name,
            model=model_name,
            model_digest=model.digest,
            sites=tuple(sites),
            parameters=tuple(values.items()),
            seed=seed,
            preview_every=preview_every,
        )

    def run(self, model: Model, plan: Plan) -> Frames:
        """The frames of a plan that was bound to this model."""
        view = View(model=model, sites=plan.sites, seed=plan.seed, preview_every=plan.preview_every)
        return self.function(view, **dict(plan.parameters))


_registry: Registry[Technique] = Registry("technique", Reason.TECHNIQUE_NOT_FOUND)


def technique(
    *, kind: TechniqueKind, title: str, source: str, obstacle: Obstacle
) -> Callable[[TechniqueFunction], TechniqueFunction]:
    """Declare the decorated generator a technique, named like the function."""

    def declare(function: TechniqueFunction) -> TechniqueFunction:
        _registry.register(function.__name__)(
            Technique(
                name=function.__name__,
                kind=kind,
                title=title,
                description=inspect.getdoc(function) or "",
                source=source,
                parameters=MappingProxyType(_parameters(function)),
                obstacle=obstacle,
                function=function,
            )
        )
        return function

    return declare


def _parameters(function: TechniqueFunction) -> dict[str, Parameter]:
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


@functools.cache
def all_techniques() -> Registry[Technique]:
    """Every technique: those under `hooke_server.techniques` and those of other distributions."""
    package = importlib.import_module("hooke_server.techniques")
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
    for entry_point in entry_points(group="hooke.techniques"):
        entry_point.load()
    return _registry
