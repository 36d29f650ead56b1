"""Requests for attributions, and what comes of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hooke.edits import Edits, edit_messages
from hooke.filling import fill
from hooke.fitting import fit
from hooke.frames import Frame, Picture, Result, Tensor
from hooke.inputs import INLINE_BYTES, Inputs, inline, prepare, size
from hooke.messages import check_options, listed, model_name, number
from hooke.methods import METHODS, Method
from hooke.methods.baselines import Baseline
from hooke.methods.gradients import IntegratedGradients
from hooke.objectives import Algebra
from hooke.places import Place
from hooke.pointing import pointed_at
from hooke.readout import IMAGE_FORMAT
from hooke.tables import Finding, Table, joined
from hooke.v1 import attribution_service_pb2 as pb

_DRAWING = pb.DESCRIPTOR.enum_types_by_name["AttributionDrawing"]


@dataclass(frozen=True)
class At:
    """A method that looks at some layers: ids or patterns."""

    layers: str | Sequence[str]
    method: Method


@dataclass(frozen=True, kw_only=True)
class Region:
    """A part of a picture, in shares of its width and height."""

    left: float | None = None
    top: float | None = None
    right: float | None = None
    bottom: float | None = None


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is measured of each answer, to know whether it can be trusted.

    Parameters
    ----------
    measures : any of `completeness`, `infidelity`, `max_sensitivity`, `deletion`, `insertion`,
        `pointing`, `parameter_randomization`, `seed_interval`.
    samples : disturbances that are tried.
    steps : points of the deletion and insertion curves.
    seeds : seeds that are compared.
    baselines : what is compared with; by default that of the method.
    region : where the thing lies that is explained; `pointing` needs it.
    """

    measures: Sequence[str] = ()
    samples: int | None = None
    steps: int | None = None
    seeds: int | None = None
    baselines: Sequence[Baseline] = ()
    region: Region | None = None


class AttributeOptions(Place, total=False):
    """Options of `Client.attribute`: what is explained is a place or an objective.

    Without a place, an objective or a class each sample's strongest output is explained.

    objective : what to explain, or several, in place of places; see `hooke.objectives`.
    at : layers that all methods look at, unless one says its own by `At`.
    drawings : any of `overlay`, `heat_map`, `signed_map`, `top_regions`.
    tensors : whether the numbers are wanted.
    pictures : whether pictures are.
    format : of the pictures: `png`, `jpeg` or `webp`.
    seed : of every random choice.
    evidence : measures of each answer by name, or `Evidence`.
    edits : changes to what layers yield, while the model is asked; see `hooke.edits`.
    """

    objective: Algebra | Sequence[Algebra]
    at: str | Sequence[str]
    drawings: str | Sequence[str]
    tensors: bool
    pictures: bool
    format: str | None
    seed: int
    evidence: str | Sequence[str] | Evidence
    edits: Edits


@dataclass(kw_only=True, eq=False)
class Attributions:
    """What came of a request.

    `attributions["integrated_gradients"]` is that method's array [target, sample, ...].

    Attributes
    ----------
    targets : what was explained, with its value for each sample.
    tensors : all arrays with their axes and layers, in the order in which they came.
    pictures : the finished ones.
    tables : all tables, that of the targets among them.
    findings : what was found, in words.
    """

    result: Result
    tensors: list[Tensor] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def targets(self) -> Table:
        """What was explained."""
        return next(each for each in self.tables if each.name == "targets")

    @property
    def evidence(self) -> Table:
        """What was measured; KeyError where nothing was asked for."""
        for each in self.tables:
            if each.name == "evidence":
                return each
        raise KeyError("no evidence was asked for; give `evidence`")

    def __getitem__(self, name: str) -> np.ndarray:
        found = [each for each in self.tensors if each.name == name]
        if len(found) != 1:
            known = ", ".join(dict.fromkeys(each.name for each in self.tensors)) or "none"
            raise KeyError(f"{len(found)} arrays are named {name!r}; there are {known}")
        return found[0].real


def attribute_request(
    model: str,
    inputs: Inputs,
    methods: Method | At | Sequence[Method | At] | None,
    options: AttributeOptions,
) -> pb.AttributeRequest:
    """The request of a call; ValueError or TypeError for what the contract cannot say."""
    check_options(options, AttributeOptions.__annotations__)
    prepared = prepare(inputs)
    if size(prepared) > INLINE_BYTES:
        too_large = f"these inputs have {size(prepared)} bytes, at most {INLINE_BYTES} fit"
        raise ValueError(f"{too_large} into a request; explain a part of the batch at a time")
    # Whoever has no type checker may well pass a name.
    given: Any = IntegratedGradients() if methods is None else methods
    several = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    request = pb.AttributeRequest(
        model=model_name(model),
        inputs=inline(prepared),
        targets=_targets(model, options),
        edits=edit_messages(options.get("edits", ()), model),
        drawings=[number(_DRAWING, each, "drawings") for each in listed(options.get("drawings"))],
        include_tensors=options.get("tensors", True),
        include_pictures=options.get("pictures", True),
        seed=options.get("seed", 0),
    )
    for each in several:
        chosen = each if isinstance(each, At) else At(options.get("at", ()), each)
        _add(request, chosen, model)
    if evidence := options.get("evidence"):
        measures = (
            evidence if isinstance(evidence, Evidence) else Evidence(measures=listed(evidence))
        )
        fill(request.evidence, measures, model)
    if wanted := options.get("format"):
        request.format = number(IMAGE_FORMAT, wanted, "format")
    fit(request, request.methods)
    return request


def _add(request: pb.AttributeRequest, chosen: At, model: str) -> None:
    names = {kind: name for name, kind in METHODS.items()}
    if type(chosen.method) not in names:
        raise TypeError(
            f"{chosen.method!r} is no method of attribution, such as hooke.methods.Saliency()"
        )
    message = request.methods.add(layer_globs=listed(chosen.layers))
    fill(getattr(message, names[type(chosen.method)]), chosen.method, model)


def _targets(model: str, options: AttributeOptions) -> list[pb.AttributionTarget]:
    """None where nothing is pointed at: each sample's strongest output is explained then."""
    if not options.keys() & {"objective", *Place.__annotations__}:
        return []
    return pointed_at(pb.AttributionTarget, model, options)


def collect_attributions(frames: Iterable[Frame]) -> Attributions:
    """All that came, once the work is done."""
    found: list[Frame] = list(frames)
    results = [each for each in found if isinstance(each, Result)]
    return Attributions(
        result=results[-1],
        tensors=[each for each in found if isinstance(each, Tensor)],
        pictures=[each for each in found if isinstance(each, Picture) and each.final],
        tables=joined(found),
        findings=[each for each in found if isinstance(each, Finding)],
    )
