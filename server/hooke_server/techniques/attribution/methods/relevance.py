"""Layer-wise relevance propagation: the target's value, shared out on the way back.

    R_i = sum_j  c_ij / (sum_i c_ij) R_j,   c_ij = x_i w_ij for the epsilon rule

What goes back through the graph here is relevance, not gradient: `relevance.rules` has the rules,
`relevance.way` puts them into a graph, `relevance.flow` knows which way it goes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import islice, product
from typing import Annotated

import torch
from torch import Tensor

from hooke_server.models.layer import LayerKind
from hooke_server.models.model import Model
from hooke_server.techniques.attribution.baselines import is_picture
from hooke_server.techniques.attribution.inquiry import Inquiry
from hooke_server.techniques.attribution.method import Effort, method
from hooke_server.techniques.attribution.question import Answer, Answers, Place, Question
from hooke_server.techniques.attribution.relevance.flow import Flow
from hooke_server.techniques.attribution.relevance.rules import (
    Rule,
    alpha_beta_rule,
    box_rule,
    epsilon_rule,
    flat_rule,
    gamma_rule,
    squared_weights_rule,
)
from hooke_server.techniques.attribution.relevance.way import RelevanceWay, Rules
from hooke_server.techniques.frames import Progress
from hooke_server.techniques.parameters import Range
from hooke_server.techniques.tables import Finding
from hooke_server.techniques.targets import Site

KEPT = 0.05
"""Up to this share of the target's value may be lost or come in excess before it is said so."""

MAX_FINDINGS = 16
"""Answers of which it is told, so that a large batch is not all words."""


class RelevanceComposite(StrEnum):
    """Which rules; as `hooke.v1.RelevanceComposite`."""

    EPSILON = "epsilon"
    EPSILON_PLUS = "epsilon_plus"
    EPSILON_GAMMA = "epsilon_gamma"
    EPSILON_ALPHA2_BETA1 = "epsilon_alpha2_beta1"


class RelevanceFirstLayer(StrEnum):
    """The rule of the first layer; as `hooke.v1.RelevanceFirstLayer`."""

    SAME = "same"
    BOX = "box"
    FLAT = "flat"
    SQUARED_WEIGHTS = "squared_weights"


def relevance_obstacle(model: Model, site: Site) -> str:
    """Why what a place says cannot be shared out; empty where it can."""
    graph = model.given_graph()
    flow = Flow(graph.module.graph)
    name = graph.places[site.layer].node
    [node] = [each for each in graph.module.graph.nodes if each.name == name]
    real = {
        place.node
        for layer, place in graph.places.items()
        if model.layer(layer).output.dtype.is_floating_point
    }
    if op := flow.unknown(node, real):
        return (
            f"relevance would have to go through {op!r}, of which no rule speaks;"
            " gradient_attention (of vision transformers) and integrated_gradients answer there"
        )
    return ""


@method(
    title="Layer-wise relevance propagation",
    source="Bach, Binder, Montavon, Klauschen, Müller, Samek: On Pixel-Wise Explanations for "
    "Non-Linear Classifier Decisions by Layer-Wise Relevance Propagation, PLOS ONE 2015, "
    "https://doi.org/10.1371/journal.pone.0130140",
    effort=lambda **_: Effort(rows=5),
    target=relevance_obstacle,
)
def relevance_propagation(
    question: Question,
    *,
    composite: Annotated[RelevanceComposite, "Which rules."] = RelevanceComposite.EPSILON_PLUS,
    epsilon: Annotated[
        float, Range(0, 1), "Keeps small sums from dividing by nothing; takes relevance up."
    ] = 1e-6,
    gamma: Annotated[float, Range(0, 100), "How much what pulls along is favoured."] = 0.25,
    first_layer: Annotated[
        RelevanceFirstLayer, "The rule of the layer that looks at the picture."
    ] = RelevanceFirstLayer.BOX,
) -> Answers:
    """The target's value, handed back layer by layer by each input's share in the sums.

    Red has contributed, blue has held back. A finding tells how much of the target's value has
    arrived.
    """
    inquiry = question.inquiry
    rules = relevance_rules(inquiry.model, composite, epsilon, gamma, first_layer)
    for index, place in enumerate(question.places):
        begin, end = _nodes(inquiry, inquiry.target_layers), _nodes(inquiry, [place.id])
        way = RelevanceWay(rules, begin, end)
        passed = inquiry.differentiate(place.id, place.value, inquiry.samples, rewrite=way)
        yield Progress(step=index + 1, total=len(question.places))
        values = passed.gradients[place.id]
        yield Answer(place=place, values=values)
        yield from _findings(inquiry, place, values)


def relevance_rules(
    model: Model,
    composite: RelevanceComposite,
    epsilon: float,
    gamma: float,
    first_layer: RelevanceFirstLayer,
) -> Rules:
    """The rules of a composite."""
    dense = epsilon_rule(epsilon)
    convolutional = {
        RelevanceComposite.EPSILON: dense,
        RelevanceComposite.EPSILON_PLUS: alpha_beta_rule(1.0, 0.0),
        RelevanceComposite.EPSILON_GAMMA: gamma_rule(gamma),
        RelevanceComposite.EPSILON_ALPHA2_BETA1: alpha_beta_rule(2.0, 1.0),
    }[composite]
    return Rules(
        name=f"{composite} {epsilon} {gamma} {first_layer}",
        convolutional=convolutional,
        dense=dense,
        first=_first(first_layer),
        boxed=_boxed(model) if first_layer is RelevanceFirstLayer.BOX else {},
        epsilon=epsilon,
        biased=composite is RelevanceComposite.EPSILON,
    )


def _first(first_layer: RelevanceFirstLayer) -> Rule | None:
    match first_layer:
        case RelevanceFirstLayer.FLAT:
            return flat_rule
        case RelevanceFirstLayer.SQUARED_WEIGHTS:
            return squared_weights_rule
        case _:
            return None


def _boxed(model: Model) -> dict[str, Rule]:
    """The box of each input that is a picture, by the input's node."""
    found = {}
    for spec in model.inputs:
        if is_picture(model.layer(spec.name)):
            node = model.given_graph().places[spec.name].node
            steps = model.preprocessing if spec.name == model.inputs[0].name else None
            low, high = None, None
            if steps is not None and steps.declared:
                mean, std = torch.tensor(steps.mean), torch.tensor(steps.std)
                low, high = -mean / std, (1 - mean) / std
            found[node] = box_rule(low, high)
    return found


def _nodes(inquiry: Inquiry, layers: Sequence[str]) -> frozenset[str]:
    places = inquiry.model.given_graph().places
    return frozenset(places[layer].node for layer in layers)


def _findings(inquiry: Inquiry, place: Place, values: Tensor) -> Iterator[Finding]:
    """How much of each target's value has arrived."""
    inner = place.layer.kind is not LayerKind.INPUT
    sums = values.flatten(2).double().sum(2).tolist()
    each = product(range(len(inquiry.targets)), range(inquiry.batch))
    for target, sample in islice(each, MAX_FINDINGS):
        explained = inquiry.targets[target]
        score, arrived = float(inquiry.scores[sample, target]), sums[target][sample]
        kept = arrived / score if score else math.nan
        name = explained.name(inquiry.model, sample)
        yield Finding(
            kind="conserved" if abs(kept - 1) <= KEPT else "unconserved",
            text=f"Of {score:.3g} for {name}, {arrived:.3g} has arrived at {place.id}"
            f"{_told(kept, inner)}.",
            sites=(explained.site,) if explained.site else (),
            sample=sample,
            target=target,
            layer=place.id,
        )


def _told(kept: float, inner: bool) -> str:
    if not math.isfinite(kept):
        return ""
    if abs(kept - 1) <= KEPT:
        return f", {kept:.0%}"
    around = ", or goes around this layer" if inner else ""
    if 0 <= kept < 1:
        return f", {kept:.0%}; the rest was taken up by biases and by epsilon{around}"
    return (
        f", {kept:.3g} times as much: sums close to 0 have blown shares up, so trust where it lies"
        f" more than its size{around}, and try another composite"
    )
