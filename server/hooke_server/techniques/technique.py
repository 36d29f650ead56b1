"""What a technique is, how one is declared, and how a request is bound to one.

    @technique(
        kind=TechniqueKind.VISUALIZATION,
        title="Feature visualization",
        source="Olah, Mordvintsev, Schubert: Feature Visualization, Distill 2017",
        obstacle=needs_gradient,
        estimate=cost,
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
from typing import Any, TypeVar

from hooke_server.errors import FailedPreconditionError, InvalidArgumentError, Reason
from hooke_server.models.layer import Layer
from hooke_server.models.model import Model
from hooke_server.registry import Registry
from hooke_server.techniques.frames import Estimate, Frames
from hooke_server.techniques.parameters import Parameter, read_parameters


class TechniqueKind(StrEnum):
    """What a technique makes; as `hooke.v1.TechniqueKind`."""

    VISUALIZATION = "visualization"
    ATTRIBUTION = "attribution"


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
    preview_every: int | None = None

    @property
    def parameters_json(self) -> str:
        """Every parameter with the value used, as a JSON object."""
        return json.dumps(dict(self.parameters))

    @property
    def digest(self) -> str:
        """SHA-256 over everything that decides the result: neither model's name nor previews do."""
        content = asdict(self)
        del content["model"], content["preview_every"]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """What a technique sees: the model, the places, and the request's common values."""

    model: Model
    sites: tuple[Site, ...]
    seed: int = 0
    preview_every: int | None = None

    @property
    def layers(self) -> list[Layer]:
        """The layer of each site."""
        return [self.model.layer(site.layer) for site in self.sites]


Obstacle = Callable[[Model, Site], str]
"""Why a technique is not valid for a place; empty where it is."""


TechniqueFunction = Callable[..., Frames]
"""A generator `(view, *, parameters) -> Frames` whose parameters have annotations and defaults.

It yields a `Result` last; between two frames lies at most one step of work.
"""

EstimateFunction = Callable[..., Estimate]
"""What a run would cost, from the arguments of the run. May run the model once, never more."""

Function = TypeVar("Function", bound=TechniqueFunction)


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
    cost: EstimateFunction
    function: TechniqueFunction

    def bind(
        self,
        model: Model,
        model_name: str,
        sites: Sequence[Site],
        given: Mapping[str, Any],
        *,
        seed: int = 0,
        preview_every: int | None = None,
    ) -> Plan:
        """Check everything and freeze it; unset parameters take their defaults."""
        if not sites:
            raise _invalid("name at least one location", "locations")
        if preview_every is not None and preview_every < 1:
            raise _invalid("preview_every must be 1 or more", "preview_every")
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
            if name not in self.parameters:
                known = ", ".join(self.parameters)
                raise _invalid(f"{self.name} takes {known}, not {name!r}", f"{self.name}.{name}")
            values[name] = self.parameters[name].check(value, self.name)
        return Plan(
            technique=self.name,
            model=model_name,
            model_digest=model.state_digest,
            sites=tuple(sites),
            parameters=tuple(values.items()),
            seed=seed,
            preview_every=preview_every,
        )

    def run(self, model: Model, plan: Plan) -> Frames:
        """The frames of a plan that was bound to this model."""
        return self.function(_view(model, plan), **dict(plan.parameters))

    def estimate(self, model: Model, plan: Plan) -> Estimate:
        """What `run` would cost."""
        return self.cost(_view(model, plan), **dict(plan.parameters))


def _view(model: Model, plan: Plan) -> View:
    return View(model=model, sites=plan.sites, seed=plan.seed, preview_every=plan.preview_every)


def _invalid(message: str, field: str) -> InvalidArgumentError:
    return InvalidArgumentError(Reason.INVALID_FIELD, message, field=field)


_registry: Registry[Technique] = Registry("technique", Reason.TECHNIQUE_NOT_FOUND)


def technique(
    *,
    kind: TechniqueKind,
    title: str,
    source: str,
    obstacle: Obstacle,
    estimate: EstimateFunction,
) -> Callable[[Function], Function]:
    """Declare the decorated generator a technique, named like the function."""

    def declare(function: Function) -> Function:
        _registry.register(function.__name__)(
            Technique(
                name=function.__name__,
                kind=kind,
                title=title,
                description=inspect.getdoc(function) or "",
                source=source,
                parameters=MappingProxyType(read_parameters(function)),
                obstacle=obstacle,
                cost=estimate,
                function=function,
            )
        )
        return function

    return declare


@functools.cache
def all_techniques() -> Registry[Technique]:
    """Every technique: those under `hooke_server.techniques` and those of other distributions."""
    package = importlib.import_module("hooke_server.techniques")
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
    for entry_point in entry_points(group="hooke.techniques"):
        entry_point.load()
    return _registry
