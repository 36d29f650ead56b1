"""Techniques through a real server, and whether the contract and the code agree on them."""

import pytest
from google.protobuf.descriptor import FieldDescriptor
from serving import failure

from hooke.v1 import location_pb2, visualization_service_pb2
from hooke.v1 import technique_service_pb2 as pb
from hooke_server.rpc.codec.techniques import read_technique
from hooke_server.techniques.technique import TechniqueKind, all_techniques

CHOSEN = visualization_service_pb2.VisualizeRequest.DESCRIPTOR.oneofs_by_name["technique"]
FIELDS = {field.name: field.message_type.fields_by_name for field in CHOSEN.fields}

TYPES = {
    int: {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64},
    float: {FieldDescriptor.CPPTYPE_DOUBLE},
    bool: {FieldDescriptor.CPPTYPE_BOOL},
}


def test_every_technique_has_its_message():
    kinds = {name: technique.kind for name, technique in all_techniques().items()}
    assert {n for n, kind in kinds.items() if kind is TechniqueKind.VISUALIZATION} == set(FIELDS)


@pytest.mark.parametrize("name", list(FIELDS))
def test_messages_are_signatures(name):
    parameters = all_techniques().find(name).parameters
    fields = FIELDS[name]
    assert [field.name for field in fields.values()] == list(parameters)
    for parameter in parameters.values():
        field = fields[parameter.name]
        assert field.has_presence
        if parameter.choices:
            request = visualization_service_pb2.VisualizeRequest()
            words = []
            for value in field.enum_type.values[1:]:
                setattr(getattr(request, name), parameter.name, value.number)
                words.append(read_technique(request)[1][parameter.name])
            assert words == list(parameter.choices)
        else:
            assert field.cpp_type in TYPES[parameter.type]


def test_an_enums_zero_is_the_default_and_unknown_numbers_stay_wrong():
    lens = visualization_service_pb2.FeatureVisualization(parameterization=0, steps=7)
    request = visualization_service_pb2.VisualizeRequest(feature_visualization=lens)
    assert read_technique(request) == ("feature_visualization", {"steps": 7})
    lens.parameterization = 99
    request = visualization_service_pb2.VisualizeRequest(feature_visualization=lens)
    assert read_technique(request)[1]["parameterization"] == 99


async def test_a_technique_tells_its_schema(edge):
    got = await edge.techniques.GetTechnique(pb.GetTechniqueRequest(name="feature_visualization"))
    assert got.kind == pb.TECHNIQUE_KIND_VISUALIZATION
    assert "Distill 2017" in got.source
    assert got.description
    parameters = {parameter.name: parameter for parameter in got.parameters}
    steps = parameters["steps"]
    assert steps.type == pb.PARAMETER_TYPE_INTEGER
    assert (steps.default_value.integer, steps.minimum, steps.maximum) == (512, 1, 4096)
    assert parameters["learning_rate"].default_value.number == 0.05
    assert parameters["decorrelate"].default_value.boolean is True
    assert not parameters["decorrelate"].HasField("minimum")
    assert list(parameters["parameterization"].choices) == ["fourier", "pixel"]
    assert parameters["parameterization"].default_value.choice == "fourier"
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
