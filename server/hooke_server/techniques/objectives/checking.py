"""Whether an objective can be measured in a model."""

from __future__ import annotations

from dataclasses import fields

from hooke_server.errors import FailedPreconditionError, Reason, invalid
from hooke_server.models.model import Model
from hooke_server.techniques.objectives.algebra import Objective
from hooke_server.techniques.objectives.measures import Blend, Direction, Measure, Response
from hooke_server.techniques.reach import layer_obstacle, photograph_obstacle
from hooke_server.techniques.targets import Site


def check_objective(model: Model, objective: Objective, path: str) -> None:
    """Raise for an objective that cannot be measured in this model."""
    if not objective.terms or not all(term.factors for term in objective.terms):
        raise invalid("an objective needs at least one term, and a term at least one factor", path)
    for site in objective.sites:
        if site.model:
            raise invalid("all places of an objective must lie in the model of the items", path)
        if reason := layer_obstacle(model, site):
            raise FailedPreconditionError(
                Reason.TECHNIQUE_NOT_APPLICABLE,
                f"layer {site.layer!r} cannot be optimized for: {reason}",
                field=path,
                layer=site.layer,
            )
    if objective.photographs:
        check_photographs(model, path)
    for measure in objective.measures:
        _check_measure(model, measure, path)


def check_photographs(model: Model, path: str) -> None:
    """Raise where a photograph is given and cannot be shown to the model."""
    if reason := photograph_obstacle(model):
        raise invalid(reason, path)


def _check_measure(model: Model, measure: Measure, path: str) -> None:
    if isinstance(measure, Response | Blend):
        return
    sites = [getattr(measure, each.name) for each in fields(measure)]
    for site in (each for each in sites if isinstance(each, Site)):
        positioned = site.position and not isinstance(measure, Direction)
        if site.unit is not None or positioned:
            name = type(measure).__name__
            raise invalid(f"{name} reads a whole layer; leave out unit and position", path)
    if isinstance(measure, Direction):
        units = model.layer(measure.location.layer).unit_count
        if len(measure.vector) != units or not any(measure.vector):
            raise invalid(
                f"the direction needs {units} numbers, one for each unit of"
                f" {measure.location.layer!r}, not all zero; {len(measure.vector)} came",
                path,
            )
