"""Requests for attributions, checked: what to explain, how, and what it will cost.

    plan = bind(model, asked, content=digest of the inputs)

Every check that needs no pass through the network is here; running a plan has none left.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hooke_server.errors import FailedPreconditionError, InvalidArgumentError, Reason, invalid
from hooke_server.models.model import Model
from hooke_server.techniques.attribution.baselines import check_baselines
from hooke_server.techniques.attribution.drawing import Drawing
from hooke_server.techniques.attribution.evidence import Evidence, EvidenceMeasure
from hooke_server.techniques.attribution.method import Method, anywhere
from hooke_server.techniques.attribution.targets import Target
from hooke_server.techniques.objectives.checking import check_objective
from hooke_server.techniques.parameters import check_all
from hooke_server.techniques.plans import Item
from hooke_server.techniques.reach import gradient_obstacle, upstream
from hooke_server.techniques.signatures import plain_message
from hooke_server.techniques.targets import Site
from hooke_server.techniques.technique import all_techniques

NO_EVIDENCE = Evidence()
"""Nothing is measured."""

MAX_METHODS = 64
"""Methods of a request."""


@dataclass(frozen=True, kw_only=True)
class AskedMethod:
    """A method as it was asked for: name, patterns of layers, parameters that were given."""

    name: str
    globs: tuple[str, ...]
    given: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as it came."""

    targets: tuple[Item, ...]
    methods: tuple[AskedMethod, ...]
    drawings: tuple[Drawing, ...] = (Drawing.OVERLAY,)
    tensors: bool = True
    evidence: Evidence = NO_EVIDENCE
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class MethodPlan:
    """A method with the layers that it looks at and all its parameters."""

    name: str
    layers: tuple[str, ...]
    parameters: tuple[tuple[str, Any], ...]

    @property
    def method(self) -> Method:
        """Its declaration."""
        return find_method(self.name)


@dataclass(frozen=True, kw_only=True)
class AttributionPlan:
    """A checked request.

    Attributes
    ----------
    parameters_json : methods with every parameter's value, as JSON.
    """

    targets: tuple[Target, ...]
    methods: tuple[MethodPlan, ...]
    drawings: tuple[Drawing, ...]
    tensors: bool
    evidence: Evidence
    seed: int
    digest: str
    parameters_json: str

    @property
    def layers(self) -> tuple[str, ...]:
        """All that is looked at, each once."""
        return tuple(dict.fromkeys(layer for each in self.methods for layer in each.layers))


def find_method(name: str, field: str = "methods") -> Method:
    """The method of that name; InvalidArgumentError for another kind of technique."""
    found = all_techniques().find(name)
    if not isinstance(found, Method):
        message = f"{name} is no method of attribution; ListTechniques names them"
        raise InvalidArgumentError(Reason.INVALID_FIELD, message, field=field)
    return found


def bind(model: Model, asked: Asked, content: str = "") -> AttributionPlan:
    """Check a request against a model.

    Parameters
    ----------
    content : digest of the inputs.
    """
    _check_inputs(model)
    targets = tuple(
        _target(model, item, f"targets[{index}]") for index, item in enumerate(asked.targets)
    )
    if not asked.methods or len(asked.methods) > MAX_METHODS:
        raise invalid(f"name at least one method and at most {MAX_METHODS}", "methods")
    read = _target_layers(model, targets)
    methods = tuple(
        _method(model, each, read, f"methods[{index}]") for index, each in enumerate(asked.methods)
    )
    looked = [layer for each in methods for layer in each.layers]
    _check_evidence(model, asked.evidence, looked)
    plain = [
        {"method": each.name, "layers": each.layers, "parameters": _plain(each)} for each in methods
    ]
    facts = [
        model.state_digest,
        content,
        [plain_message(item) for item in asked.targets],
        plain,
        list(asked.drawings),
        asked.tensors,
        plain_message(asked.evidence),
        asked.seed,
    ]
    return AttributionPlan(
        targets=targets,
        methods=methods,
        drawings=asked.drawings,
        tensors=asked.tensors,
        evidence=asked.evidence,
        seed=asked.seed,
        digest="sha256:" + hashlib.sha256(json.dumps(facts).encode()).hexdigest(),
        parameters_json=json.dumps({"methods": plain, "evidence": plain_message(asked.evidence)}),
    )


def _check_inputs(model: Model) -> None:
    """Methods show many versions of each sample at once, so every input must be by sample."""
    if not model.by_sample:
        shapes = {spec.name: list(spec.shape) for spec in model.inputs}
        raise FailedPreconditionError(
            Reason.TECHNIQUE_NOT_APPLICABLE,
            "attribution shows versions of each sample side by side, so the first axis of every"
            f" input must be the batch; this model takes {shapes}. Export it with the others fixed",
            field="inputs",
        )


def _plain(plan: MethodPlan) -> dict[str, Any]:
    parameters = plan.method.parameters
    return {name: parameters[name].plain(value) for name, value in plan.parameters}


def _target(model: Model, item: Item, field: str) -> Target:
    if item.objective is not None:
        check_objective(model, item.objective, field)
        if not item.objective.layers(model):
            raise invalid("the objective reads no layer, so no part of one matters to it", field)
        if item.objective.photographs:
            told = "an attribution compares with no picture; name places and directions alone"
            raise invalid(told, field)
        return Target(objective=item.objective)
    if item.site is None or item.site.model:
        raise invalid("all targets must lie in the model that is asked about", field)
    return Target(site=item.site)


def _target_layers(model: Model, targets: Sequence[Target]) -> list[str]:
    asked = targets or (Target(strongest=(0,)),)
    return list(dict.fromkeys(layer for each in asked for layer in each.layers(model)))


def _method(model: Model, asked: AskedMethod, read: Sequence[str], field: str) -> MethodPlan:
    method, here = find_method(asked.name, field), f"{field}.{asked.name}"
    for layer in read:
        if reason := method.obstacle(model, Site(layer=layer)):
            raise _not_applicable(method.name, layer, reason, field)
    values = check_all(method.parameters, asked.given, here)
    method.check(model, here, **values)
    through = values.get("through")
    matched = [layer.id for layer in model.match(asked.globs)] if asked.globs else []
    layers = matched or list(method.default(model, read))
    for layer_id in layers:
        _check_place(model, method, layer_id, read, f"{field}.layer_globs")
        if reason := method.misfit(model, model.layer(layer_id), **values):
            raise invalid(f"{method.name} cannot divide {layer_id!r} so: {reason}", here)
        if isinstance(through, Site):
            _check_way(model, layer_id, through.layer, read, f"{here}.through")
    check_baselines(model, values.get("baselines", ()), layers, here)
    return MethodPlan(
        name=method.name,
        layers=tuple(layers),
        parameters=tuple(values.items()),
    )


def _check_place(
    model: Model, method: Method, layer_id: str, read: Sequence[str], field: str
) -> None:
    layer = model.layer(layer_id)
    if reason := method.places(model, layer):
        raise _not_applicable(method.name, layer_id, reason, field)
    if layer_id in {spec.name for spec in model.inputs}:
        return
    if reason := gradient_obstacle(model):  # only the graph can start at a layer
        raise _not_applicable(method.name, layer_id, reason, field)
    for target in read:
        if layer_id in read or not _leads(model, layer_id, target):
            raise invalid(
                f"{target!r}, which is explained, is not computed from {layer_id!r}; name a layer"
                " before it",
                field,
            )


def _check_way(model: Model, place: str, through: str, read: Sequence[str], field: str) -> None:
    """Raise where no real numbers flow from a place through a layer to what is explained."""
    if reason := anywhere(model, model.layer(through)):
        raise invalid(f"nothing can be passed through {through!r}: {reason}", field)
    if not _leads(model, place, through):
        message = f"{through!r} is not computed from {place!r}; name a layer behind that"
        raise invalid(message, field)
    for target in read:
        if not _leads(model, through, target):
            raise invalid(
                f"{target!r}, which is explained, is not computed from {through!r}; name a layer"
                " before it",
                field,
            )


def _leads(model: Model, layer: str, target: str) -> bool:
    """Whether what a layer says goes into what a target reads."""
    behind = {each.id for each in upstream(model, [target])}
    inside = {each.id for each in upstream(model, [layer])}
    blocks = model.graph.blocks if model.graph else {}
    return layer in behind or (layer in blocks and inside <= behind)


def _check_evidence(model: Model, evidence: Evidence, places: Sequence[str]) -> None:
    measures = evidence.measures
    if len(set(measures)) < len(measures):
        raise invalid("each measure can be named once", "evidence.measures")
    if EvidenceMeasure.POINTING in measures and evidence.region is None:
        raise invalid("pointing needs the region where the thing lies", "evidence.region")
    check_baselines(model, evidence.baselines, places, "evidence")
    if EvidenceMeasure.PARAMETER_RANDOMIZATION in measures:
        model.given_graph()  # which has the weights to shuffle


def _not_applicable(method: str, layer: str, reason: str, field: str) -> FailedPreconditionError:
    return FailedPreconditionError(
        Reason.TECHNIQUE_NOT_APPLICABLE,
        f"{method} is not valid for layer {layer!r}: {reason}",
        field=field,
        technique=method,
        layer=layer,
    )
