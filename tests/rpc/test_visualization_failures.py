"""Requests for visualization that cannot be met, through a real server."""

import pytest
from serving import failure
from visualizing import UNIT, place, wanted

from hooke.v1 import visualization_service_pb2 as pb

OTHER = {"location": {"layer": "models/pair"}}


INVALID = ("INVALID_ARGUMENT", "INVALID_FIELD")


def spelled(**measure):
    return wanted({"objective": {"terms": [{"factors": [measure]}]}})


FAILURES = [
    (pb.VisualizeRequest(), *INVALID, "choose a technique"),
    (pb.VisualizeRequest(feature_visualization={}), *INVALID, "at least one layer"),
    (pb.VisualizeRequest(items=[OTHER]), *INVALID, "choose a technique"),
    (wanted({}, UNIT), *INVALID, "name a location, units or an objective"),
    (wanted(place("stm")), "NOT_FOUND", "LAYER_NOT_FOUND", "'stem'"),
    (wanted(place(unit=6)), "OUT_OF_RANGE", "UNIT_OUT_OF_RANGE", "0 to 5"),
    (wanted(place("fc", label="iec")), "NOT_FOUND", "LABEL_NOT_FOUND", "'ice'"),
    (
        wanted({"units": {"layer": "models/net", "units": [1, 9]}}),
        "OUT_OF_RANGE",
        "UNIT_OUT_OF_RANGE",
        "0 to 4",
    ),
    (
        wanted({"units": {"layer": "models/net", "units": [1, 1]}}),
        *INVALID,
        "each unit can be named once",
    ),
    (wanted(ascent={"steps": 0}), *INVALID, "between 1 and 8192"),
    (wanted(ascent={"learning_rate": float("nan")}), *INVALID, "learning_rate"),
    (wanted(ascent={"optimizer": 9}), *INVALID, "one of adam, nadam, cma_es"),
    (wanted(ascent={"transforms": {"transforms": [{}]}}), *INVALID, "choose a transform"),
    (
        wanted(ascent={"image": {"start": {"data": b"no"}}}),
        "INVALID_ARGUMENT",
        "IMAGE_UNREADABLE",
        "no readable",
    ),
    (
        wanted(ascent={"penalty": {"terms": [{"weight": -1}]}}),
        *INVALID,
        "a term at least one factor",
    ),
    (spelled(layer_energy=UNIT), *INVALID, "LayerEnergy reads a whole layer"),
    (
        spelled(direction={**place(), "vector": [1, 2]}),
        *INVALID,
        "the direction needs 6 numbers",
    ),
    (spelled(direction={**place(), "vector": [0] * 6}), *INVALID, "not all zero"),
    (
        wanted(UNIT, deep_dream={}),
        "FAILED_PRECONDITION",
        "TECHNIQUE_NOT_APPLICABLE",
        "it shows whole layers",
    ),
    (
        wanted(place("fc"), activation_grid={"photograph": {"data": b"no"}}),
        "FAILED_PRECONDITION",
        "TECHNIQUE_NOT_APPLICABLE",
        "it needs a map of height and width",
    ),
    (wanted(place(), caricature={}), *INVALID, "photograph must be given"),
    (wanted(format=9), *INVALID, "PNG, JPEG or WEBP"),
    (wanted(previews={"every": 0}), *INVALID, "every must be 1 or more"),
    (wanted(previews={"steps": [0]}), *INVALID, "numbers from 1"),
    (wanted(time_budget={}), *INVALID, "longer than nothing"),
    (wanted(sprite_sheet={"tile_size": 7}), *INVALID, "tile_size must be a whole number between 8"),
    (
        wanted(OTHER),
        "FAILED_PRECONDITION",
        "TECHNIQUE_NOT_APPLICABLE",
        "feature_visualization is not valid",
    ),
]


@pytest.mark.parametrize(("request_", "code", "reason", "said"), FAILURES)
async def test_failures(edge, request_, code, reason, said):
    got, info, message = await failure(edge.visualizations.Visualize(request_))
    assert (got, info.reason) == (code, reason)
    assert said in message


async def test_places_must_lie_in_one_model(edge):
    _, info, message = await failure(edge.visualizations.Visualize(wanted(UNIT, OTHER)))
    assert info.reason == "INVALID_FIELD"
    assert "in one model" in message
