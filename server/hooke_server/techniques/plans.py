"""Plans: checked requests as values, and what a technique sees of one while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from hooke_server.models.model import Model
from hooke_server.techniques.objectives.algebra import Objective
from hooke_server.techniques.targets import Site


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """Something to show: a place, or an objective that was spelled out."""

    site: Annotated[Site | None, "A place."] = None
    objective: Annotated[Objective | None, "An objective."] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Previews:
    """After which steps previews are wanted: regularly, and after some."""

    every: int | None = None
    steps: frozenset[int] = frozenset()

    def due(self, step: int) -> bool:
        """Whether one is wanted after that step."""
        return step in self.steps or bool(self.every and step % self.every == 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A checked request: what to run, where, with which parameters.

    Picklable and free of the models, which `model_digests` name.

    Attributes
    ----------
    parameters_json : every parameter with the value used, as a JSON object.
    digest : SHA-256 over everything that decides the result.
    series : the same without the number of steps: runs of one series go the same way.
    memory : bytes that the work may hold; None: any.
    """

    technique: str
    model_digests: tuple[str, ...]
    items: tuple[Item, ...]
    parameters: tuple[tuple[str, Any], ...]
    parameters_json: str
    digest: str
    series: str
    seed: int = 0
    previews: Previews = Previews()  # frozen
    memory: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """How a run is watched and stopped.

    Attributes
    ----------
    expired : whether the time for the work is used up.
    states : where parts of the run stand, by the technique's own names: written after
        each step, and read by a run that goes on.
    """

    expired: Callable[[], bool] = lambda: False
    states: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """What a technique sees: the models, what to show, and the request's common values."""

    models: tuple[Model, ...]
    items: tuple[Item, ...]
    seed: int = 0
    previews: Previews = Previews()  # frozen
    memory: int | None = None
    control: Control = field(default_factory=Control)

    @property
    def model(self) -> Model:
        """The model of the items."""
        return self.models[0]
