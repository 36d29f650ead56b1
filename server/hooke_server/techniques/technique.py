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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, TypeVar

from hooke_server.errors import FailedPreconditionError, Reason, invalid
from hooke_server.models.model import Model
from hooke_server.registry import Registry
from hooke_server.techniques.frames import Estimate, Frames
from hooke_server.techniques.parameters import Parameter, check_all
from hooke_server.techniques.plans import Control, Item, Plan, Previews, View
from hooke_server.techniques.signatures import plain_message, read_parameters
from hooke_server.techniques.targets import Site, decoding_bytes


class TechniqueKind(StrEnum):
    """What a technique makes; as `hooke.v1.TechniqueKind`."""

    VISUALIZATION = "visualization"
    ATTRIBUTION = "attribution"


Obstacle = Callable[[Model, Site], str]
"""Why a technique is not valid for a place; empty where it is."""


TechniqueFunction = Callable[..., Iterator[Any]]
"""A generator `(view, *, parameters) -> Frames` whose parameters have annotations.

It yields a `Result` last; between two frames lies at most one step of work. Methods of
attribution are asked a `Question` in place of a view, and yield answers.
"""

EstimateFunction = Callable[..., Estimate]
"""What a run would cost, from the arguments of the run. May run the model once, never more."""

Check = Callable[..., None]
"""Raises for what cannot be run, from the arguments of the run."""

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
    check: Check
    function: TechniqueFunction
    takes_objectives: bool
    resumable: bool
    several_models: bool

    def bind(
        self,
        models: Sequence[Model],
        items: Sequence[Item],
        given: Mapping[str, Any],
        *,
        seed: int = 0,
        previews: Previews | None = None,
        memory: int | None = None,
    ) -> Plan:
        """Check everything and freeze it; unset parameters take their defaults."""
        if not items:
            raise invalid("name at least one item", "items")
        if len(models) > 1 and not self.several_models:
            raise invalid(f"all places that {self.name} is given must lie in one model", "items")
        for index, item in enumerate(items):
            self._check_item(models, item, f"items[{index}]")
        values = check_all(self.parameters, given, self.name)
        plain = {name: p.plain(values[name]) for name, p in self.parameters.items()}
        digests = tuple(model.state_digest for model in models)
        content = [self.name, digests, [plain_message(item) for item in items], plain, seed]
        plan = Plan(
            technique=self.name,
            model_digests=digests,
            items=tuple(items),
            parameters=tuple(values.items()),
            parameters_json=json.dumps(plain),
            digest=_digest(content),
            series=_digest(_without_steps(content)),
            seed=seed,
            previews=previews or Previews(),
            memory=memory,
        )
        self.check(_view(models, plan, Control()), **values)
        return plan

    def run(self, models: Sequence[Model], plan: Plan, control: Control | None = None) -> Frames:
        """The frames of a plan that was bound to these models."""
        view = _view(models, plan, control or Control())
        return self.function(view, **dict(plan.parameters))

    def estimate(self, models: Sequence[Model], plan: Plan) -> Estimate:
        """What `run` would cost."""
        cost = self.cost(_view(models, plan, Control()), **dict(plan.parameters))
        decoding = decoding_bytes((plan.items, plan.parameters))
        return replace(cost, memory_bytes=cost.memory_bytes + decoding)

    def _check_item(self, models: Sequence[Model], item: Item, path: str) -> None:
        if item.site is None:
            if not self.takes_objectives:
                raise invalid(f"{self.name} takes locations and units, no objectives", path)
        elif item.site.model:
            raise invalid("all items must lie in one model", path)
        elif reason := self.obstacle(models[item.site.model], item.site):
            raise FailedPreconditionError(
                Reason.TECHNIQUE_NOT_APPLICABLE,
                f"{self.name} is not valid for layer {item.site.layer!r}: {reason}",
                field=path,
                technique=self.name,
                layer=item.site.layer,
            )


def _view(models: Sequence[Model], plan: Plan, control: Control) -> View:
    return View(
        models=tuple(models),
        items=plan.items,
        seed=plan.seed,
        previews=plan.previews,
        memory=plan.memory,
        control=control,
    )


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _without_steps(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_steps(value) for key, value in content.items() if key != "steps"}
    return [_without_steps(each) for each in content] if isinstance(content, list) else content


def _nothing(view: View, **parameters: Any) -> None:
    """No check beyond the parameters' own."""


_registry: Registry[Technique] = Registry("technique", Reason.TECHNIQUE_NOT_FOUND)


def technique(
    *,
    kind: TechniqueKind,
    title: str,
    source: str,
    obstacle: Obstacle,
    estimate: EstimateFunction,
    check: Check = _nothing,
    takes_objectives: bool = False,
    resumable: bool = False,
    several_models: bool = False,
) -> Callable[[Function], Function]:
    """Declare the decorated generator a technique, named like the function.

    Parameters
    ----------
    check : raises for arguments that do not fit each other or the models.
    takes_objectives : whether items may be objectives.
    resumable : whether it keeps states to go on from.
    several_models : whether its parameters may name places in another model than the items.
    """

    def declare(function: Function) -> Function:
        register(
            Technique(
                **described(function),
                kind=kind,
                title=title,
                source=source,
                obstacle=obstacle,
                cost=estimate,
                check=check,
                takes_objectives=takes_objectives,
                resumable=resumable,
                several_models=several_models,
            )
        )
        return function

    return declare


def described(function: TechniqueFunction) -> dict[str, Any]:
    """What a technique's function says of it: name, description, parameters."""
    return {
        "name": function.__name__,
        "description": inspect.getdoc(function) or "",
        "parameters": MappingProxyType(read_parameters(function)),
        "function": function,
    }


def register(declared: Technique) -> None:
    """Make a technique known."""
    _registry.register(declared.name)(declared)


@functools.cache
def all_techniques() -> Registry[Technique]:
    """Every technique: those under `hooke_server.techniques` and those of other distributions."""
    package = importlib.import_module("hooke_server.techniques")
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
    for entry_point in entry_points(group="hooke.techniques"):
        entry_point.load()
    return _registry
