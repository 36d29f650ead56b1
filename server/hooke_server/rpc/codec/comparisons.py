"""Requests that compare models, as plans; see `hooke.v1.ComparisonService`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hooke.v1 import comparison_service_pb2 as pb
from hooke_server.errors import invalid
from hooke_server.models.model import Model
from hooke_server.rpc.names import check_pattern, check_text
from hooke_server.rpc.presence import given
from hooke_server.techniques.comparison.activations import ActivationPlan
from hooke_server.techniques.comparison.pairing import Pairing, named_pairs, pair_layers
from hooke_server.techniques.comparison.passes import Duo
from hooke_server.techniques.comparison.similarity import Similarity
from hooke_server.techniques.comparison.units import UnitPlan, check_units
from hooke_server.techniques.comparison.weights import WeightPlan, bind_weights

MAX_MAP = 512
"""Layers along an edge of a map."""

_FLATTENED = {
    pb.FEATURE_FORM_UNSPECIFIED: False,
    pb.FEATURE_FORM_POOLED: False,
    pb.FEATURE_FORM_FLATTENED: True,
}


def read_activations(
    request: pb.CompareActivationsRequest, duo: Duo, memory: int | None
) -> ActivationPlan:
    """The plan of a request, checked against both models and the number of samples."""
    reference, candidate = duo.reference.model, duo.candidate.model
    pairing = _pairing(request, reference, candidate)
    similarity = _similarity(request.similarity)
    map_globs = _patterns(request.similarity.map_globs, "similarity.map_globs")
    map_layers = tuple(layer.id for layer in candidate.match(map_globs)) if map_globs else ()
    plan = ActivationPlan(
        pairing=pairing,
        similarity=similarity,
        map_layers=map_layers,
        memory=memory,
        **given(request, "tolerance"),
    )
    if not (math.isfinite(plan.tolerance) and plan.tolerance > 0):
        raise invalid(f"tolerance must be above 0, not {plan.tolerance}", "tolerance")
    if (map_layers or similarity.unbiased) and duo.samples < similarity.least:
        told = f"this takes at least {similarity.least} samples, not {duo.samples}"
        raise invalid(told, "similarity", samples=duo.samples)
    if map_layers and max(len(map_layers), len(plan.layers)) > MAX_MAP:
        told = f"a map has at most {MAX_MAP} layers on either side, not {len(plan.layers)} and"
        raise invalid(f"{told} {len(map_layers)}; ask for fewer", "similarity.map_globs")
    if not pairing.pairs and not map_layers:
        raise invalid(
            "no layer of the reference has a partner of the same id in the candidate; name"
            " pairs, or ask for a map of all with all",
            "layer_globs",
        )
    return plan


def read_weights(
    request: pb.CompareWeightsRequest, reference: Model, candidate: Model
) -> WeightPlan:
    """The plan of a request, checked against both models."""
    return bind_weights(reference, candidate, _patterns(request.weight_globs, "weight_globs"))


def read_units(request: pb.MatchUnitsRequest, duo: Duo) -> UnitPlan:
    """The plan of a request, checked against both models."""
    layer = check_text(request.layer_id, "layer_id")
    other = request.candidate_layer_id if request.HasField("candidate_layer_id") else layer
    plan = UnitPlan(
        layer=layer,
        candidate=check_text(other, "candidate_layer_id"),
        absolute=request.absolute,
        include_correlations=request.include_correlations,
    )
    check_units(duo.reference.model.layer(plan.layer), "layer_id")
    check_units(duo.candidate.model.layer(plan.candidate), "candidate_layer_id")
    return plan


def activation_parameters(plan: ActivationPlan) -> dict[str, Any]:
    """Every parameter with the value used."""
    return {
        "pairs": [(pair.layer, pair.candidate, *pair.reads) for pair in plan.pairing.pairs],
        "tolerance": plan.tolerance,
        "features": "flattened" if plan.similarity.flatten else "pooled",
        "unbiased": plan.similarity.unbiased,
        "map_layers": plan.map_layers,
    }


def unit_parameters(plan: UnitPlan) -> dict[str, Any]:
    """Every parameter with the value used."""
    return {
        "layer_id": plan.layer,
        "candidate_layer_id": plan.candidate,
        "absolute": plan.absolute,
        "include_correlations": plan.include_correlations,
    }


def _pairing(request: pb.CompareActivationsRequest, reference: Model, candidate: Model) -> Pairing:
    if not request.pairs:
        globs = _patterns(request.layer_globs, "layer_globs")
        return pair_layers(reference, candidate, globs)
    if request.layer_globs:
        raise invalid("name pairs or patterns, not both", "layer_globs")
    pairs = [
        (
            check_text(each.layer_id, f"pairs[{i}].layer_id"),
            check_text(each.candidate_layer_id, f"pairs[{i}].candidate_layer_id"),
        )
        for i, each in enumerate(request.pairs)
    ]
    return named_pairs(reference, candidate, pairs)


def _similarity(message: pb.SimilarityOptions) -> Similarity:
    if message.features not in _FLATTENED:
        raise invalid("features must be POOLED or FLATTENED", "similarity.features")
    return Similarity(flatten=_FLATTENED[message.features], unbiased=message.unbiased)


def _patterns(globs: Sequence[str], field: str) -> list[str]:
    return [check_pattern(each, f"{field}[{i}]") for i, each in enumerate(globs)]
