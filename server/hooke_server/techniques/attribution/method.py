"""How a method of attribution is declared.

    @method(title="Saliency", source="...", effort=lambda **_: Effort(rows=1))
    def saliency(question: Question, *, absolute: Annotated[bool, "..."] = True) -> Answers:
        '''What it shows and how.'''

It is a technique like any other: its keyword parameters are its schema. Beside that it says
where it may look (`places`), where it looks if nobody says (`default`), and its effort.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.models.layer import Layer, LayerKind
from hooke_server.models.model import Model
from hooke_server.techniques.frames import Estimate
from hooke_server.techniques.reach import gradient_obstacle, upstream
from hooke_server.techniques.targets import Site
from hooke_server.techniques.technique import (
    Obstacle,
    Technique,
    TechniqueFunction,
    TechniqueKind,
    described,
    register,
)

Function = TypeVar("Function", bound=TechniqueFunction)


@dataclass(frozen=True, kw_only=True)
class Effort:
    """What a method does for each sample and place.

    Attributes
    ----------
    rows : versions of the sample that go through the network; where that depends on the place,
        from its layer and its value's shape.
    gradients : whether they go back too.
    shared : whether one such pass serves all places and methods that share it.
    errors : whether standard errors are sent beside the values.
    keeps_scores : whether all rows' targets are held until the end.
    scratch : other bytes that it holds at a place, from its layer and its value's shape.
    copies : of an answer, held at once: the sum, what is added to it, what is sent.
    beside : bytes of what it holds of other layers, from the model and the number of targets.
    """

    rows: int | Callable[[Layer, Sequence[int]], int]
    gradients: bool = True
    shared: bool = False
    errors: bool = False
    keeps_scores: bool = False
    scratch: Callable[[Layer, Sequence[int]], int] = lambda *_: 0
    copies: int = 4
    beside: Callable[[Model, int], int] = lambda *_: 0

    def rows_at(self, layer: Layer, shape: Sequence[int]) -> int:
        """Versions of the sample for one place."""
        return self.rows if isinstance(self.rows, int) else self.rows(layer, shape)


PlaceObstacle = Callable[[Model, Layer], str]
"""Why a method cannot look at a layer; empty where it can."""


def anywhere(model: Model, layer: Layer) -> str:
    """For methods that look at inputs and layers alike."""
    if not layer.output.dtype.is_floating_point:
        return "its values are not real numbers; choose a layer behind it"
    if not layer.output.shape or layer.output.shape[:1] != model.inputs[0].shape[:1]:
        return "its first axis is not the batch"
    return ""


def inner(model: Model, layer: Layer) -> str:
    """For methods that look at layers, not at inputs."""
    if layer.kind is LayerKind.INPUT:
        return "it is an input, and the method looks at layers: name one in layer_globs"
    return anywhere(model, layer)


def behind_numbers(model: Model, layer: Layer) -> str:
    """For methods that look at layers while the model's first input moves."""
    given = model.inputs[0]
    if reason := inner(model, layer):
        return reason
    if given.name not in {each.id for each in upstream(model, [layer.id])}:
        return (
            f"it is not computed from {given.name!r} by real numbers, and the method follows a line"
            " of that; use integrated_gradients, which has a line of the layer itself"
        )
    return ""


def only_inputs(model: Model, layer: Layer) -> str:
    """For methods that look at the model's inputs."""
    if layer.kind is not LayerKind.INPUT:
        return "it is a layer, and the method looks at the model's inputs"
    return anywhere(model, layer)


def maps(model: Model, layer: Layer) -> str:
    """For methods that look at layers with height and width."""
    if len(layer.position_axes) != 2:
        return "it has no height and width"
    return anywhere(model, layer)


def first_input(model: Model, targets: Sequence[str]) -> list[str]:
    """The model's first input."""
    return [model.inputs[0].name]


@dataclass(frozen=True, kw_only=True)
class Method(Technique):
    """A technique of attribution.

    Attributes
    ----------
    effort : from its parameters.
    places : where it may look.
    default : from the model and the layers of the targets, where it looks by itself.
    check : raises for what cannot be asked, from the model, the field and the parameters.
    misfit : why its parameters do not fit a layer where it may look; empty where they do.
    tables : whether it sends tables, beside tensors and pictures.
    complete : whether its sum is to be the change of the target from the baseline to the sample.
    """

    effort: Callable[..., Effort]
    places: PlaceObstacle
    default: Callable[[Model, Sequence[str]], Sequence[str]]
    misfit: Callable[..., str]
    tables: bool
    complete: bool


def method(
    *,
    title: str,
    source: str,
    effort: Callable[..., Effort],
    places: PlaceObstacle = anywhere,
    default: Callable[[Model, Sequence[str]], Sequence[str]] = first_input,
    gradients: bool = True,
    check: Callable[..., None] = lambda *_, **__: None,
    target: Obstacle = lambda model, site: "",
    misfit: Callable[..., str] = lambda *_, **__: "",
    tables: bool = False,
    complete: bool = False,
) -> Callable[[Function], Function]:
    """Declare the decorated generator a method, named like the function.

    Parameters
    ----------
    gradients : whether it needs a model that has them.
    check : (model, field, **parameters), raises for what cannot be asked.
    target : why what a place says cannot be explained so; empty where it can.
    misfit : (model, layer, **parameters), says why they do not fit a layer.
    tables : whether it sends tables too.
    complete : whether its sum is to be the change of the target from the baseline to the sample.
    """

    def declare(function: Function) -> Function:
        register(
            Method(
                **described(function),
                kind=TechniqueKind.ATTRIBUTION,
                title=title,
                source=source,
                obstacle=lambda model, site: (
                    _target_obstacle(model, site, gradients=gradients) or target(model, site)
                ),
                cost=_unasked,
                check=check,
                takes_objectives=True,
                resumable=False,
                several_models=False,
                effort=effort,
                places=places,
                default=default,
                misfit=misfit,
                tables=tables,
                complete=complete,
            )
        )
        return function

    return declare


def _target_obstacle(model: Model, site: Site, *, gradients: bool) -> str:
    if gradients and (reason := gradient_obstacle(model)):
        return reason
    reason = anywhere(model, model.layer(site.layer))
    return f"it explains numbers of layers, and of this one {reason}" if reason else ""


def check_neuron(model: Model, field: str, *, through: Site, **parameters: Any) -> None:
    """Raise where nothing can be passed through a neuron."""
    if through.unit is None:
        message = "name a unit of the layer, and perhaps a position"
        raise InvalidArgumentError(Reason.INVALID_FIELD, message, field=f"{field}.through")


def _unasked(*_: Any, **__: Any) -> Estimate:
    raise AssertionError("what methods cost is told by the plan of the whole request")
