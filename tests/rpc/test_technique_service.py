"""Techniques through a real server: what they tell of themselves, and where they are valid."""

import json

import pytest
from serving import failure

from hooke.v1 import location_pb2, visualization_service_pb2
from hooke.v1 import technique_service_pb2 as pb
from hooke_server.rpc.codec.items import Places
from hooke_server.rpc.codec.techniques import read_technique
from hooke_server.techniques.parameters import MAX_REPEATED
from hooke_server.techniques.targets import Photograph, Site
from hooke_server.techniques.technique import all_techniques


def read(net, **technique):
    request = visualization_service_pb2.VisualizeRequest(**technique)
    return read_technique(request, Places(["net"], [net]))[1]


def test_an_enums_zero_is_the_default_and_unknown_numbers_stay_wrong(net):
    assert read(net, feature_visualization={"sign": 0, "pictures": 2}) == {"pictures": 2}
    assert read(net, feature_visualization={"sign": 99}) == {"sign": 99}
    assert read(net, feature_visualization={"sign": 3}) == {"sign": "both"}


def test_messages_one_ofs_lists_places_and_pictures_are_read(net):
    ascent = {
        "image": {
            "pattern_network": {"units": 3},
            "shared_factors": [2, 4],
            "start": {"data": b"x"},
        },
        "transforms": {"transforms": [{"jitter": {"pixels": 2}}, {"rotate": {"degrees": [1, 2]}}]},
    }
    got = read(net, feature_visualization={"ascent": ascent})["ascent"]
    assert got == {
        "image": {
            "storage": ("pattern_network", {"units": 3}),
            "shared_factors": [2, 4],
            "start": Photograph(b"x"),
        },
        "transforms": {"transforms": [("jitter", {"pixels": 2}), ("rotate", {"degrees": [1, 2]})]},
    }
    assert got["image"]["start"].field == "feature_visualization.ascent.image.start"
    other = read(net, comparison={"other": {"layer": "models/net/layers/stem", "unit": 2}})
    assert other == {"other": Site(layer="stem", unit=2)}
    # None, and given as none: only the second puts off the default.
    assert read(net, feature_visualization={}) == {}
    assert read(net, feature_visualization={"ascent": {"transforms": {}}}) == {
        "ascent": {"transforms": {"transforms": []}}
    }


async def test_a_technique_tells_its_schema(edge):
    got = await edge.techniques.GetTechnique(pb.GetTechniqueRequest(name="feature_visualization"))
    assert got.kind == pb.TECHNIQUE_KIND_VISUALIZATION
    assert "Distill 2017" in got.source
    assert got.description
    assert got.takes_objectives
    parameters = {parameter.name: parameter for parameter in got.parameters}
    assert list(parameters) == ["ascent", "sign", "pictures", "diversity"]
    sign = parameters["sign"]
    assert list(sign.choices) == ["positive", "negative", "both"]
    assert sign.default_value.choice == "positive"
    assert parameters["diversity"].default_value.number == 1.0
    ascent = {part.name: part for part in parameters["ascent"].fields}
    assert parameters["ascent"].type == pb.PARAMETER_TYPE_MESSAGE
    steps = ascent["steps"]
    assert steps.type == pb.PARAMETER_TYPE_INTEGER
    assert (steps.default_value.integer, steps.minimum, steps.maximum) == (512, 1, 8192)
    assert not steps.HasField("max_values")
    image = {part.name: part for part in ascent["image"].fields}
    assert image["shared_factors"].max_values == MAX_REPEATED
    assert image["storage"].type == pb.PARAMETER_TYPE_ONE_OF
    assert [part.name for part in image["storage"].fields] == [
        "pixel_image", "fourier_image", "laplacian_pyramid", "pattern_network", "fixed_magnitude",
    ]  # fmt: skip
    assert json.loads(image["storage"].default_value.json) == {"fourier_image": {"decay_power": 1}}
    assert image["decorrelate_colors"].default_value.boolean is True
    assert not image["decorrelate_colors"].HasField("minimum")
    assert image["shared_factors"].repeated
    assert json.loads(image["shared_factors"].default_value.json) == []


async def test_what_must_be_given_has_no_default(edge):
    got = await edge.techniques.GetTechnique(pb.GetTechniqueRequest(name="caricature"))
    photograph = got.parameters[0]
    assert (photograph.name, photograph.type) == ("photograph", pb.PARAMETER_TYPE_IMAGE)
    assert not photograph.HasField("default_value")
    assert not got.takes_objectives
    assert not got.HasField("applicability")


async def applicability(edge, layer, **place):
    location = location_pb2.Location(layer=layer, **place)
    listed = await edge.techniques.ListTechniques(pb.ListTechniquesRequest(location=location))
    return {technique.name: technique.applicability for technique in listed.techniques}


async def test_techniques_say_where_they_are_valid(edge):
    valid = (await applicability(edge, "models/net", unit=2))["feature_visualization"]
    assert (valid.applicable, valid.reason) == (True, "")
    pair = (await applicability(edge, "models/pair"))["feature_visualization"]
    assert not pair.applicable
    assert pair.reason


async def test_listing_by_kind_and_page(edge):
    every = await edge.techniques.ListTechniques(pb.ListTechniquesRequest())
    assert [each.name for each in every.techniques] == sorted(all_techniques())
    kind = pb.TECHNIQUE_KIND_ATTRIBUTION
    none = await edge.techniques.ListTechniques(pb.ListTechniquesRequest(kind=kind))
    assert {each.kind for each in none.techniques} <= {kind}


@pytest.mark.parametrize(
    ("request_", "code", "reason"),
    [
        (pb.ListTechniquesRequest(kind=77), "INVALID_ARGUMENT", "INVALID_FIELD"),
        (
            pb.ListTechniquesRequest(page_token="AAAA"),  # noqa: S106  # not a password
            "INVALID_ARGUMENT",
            "INVALID_PAGE_TOKEN",
        ),
        (
            pb.ListTechniquesRequest(location=location_pb2.Location(layer="models/no")),
            "NOT_FOUND",
            "MODEL_NOT_FOUND",
        ),
        (
            pb.ListTechniquesRequest(location=location_pb2.Location(layer="models/net", unit=5)),
            "OUT_OF_RANGE",
            "UNIT_OUT_OF_RANGE",
        ),
    ],
)
async def test_failures(edge, request_, code, reason):
    got, info, _ = await failure(edge.techniques.ListTechniques(request_))
    assert (got, info.reason) == (code, reason)


async def test_an_unknown_technique_is_answered_with_the_nearest(edge):
    request = pb.GetTechniqueRequest(name="feature_visualisation")
    code, info, message = await failure(edge.techniques.GetTechnique(request))
    assert (code, info.reason) == ("NOT_FOUND", "TECHNIQUE_NOT_FOUND")
    assert info.metadata["technique"] == "feature_visualisation"
    assert "'feature_visualization'" in message
