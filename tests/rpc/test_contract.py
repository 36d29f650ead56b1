"""Contract, server and Python client name the same things: techniques, and all they are made of."""

import dataclasses

import pytest
from google.protobuf.descriptor import FieldDescriptor

import hooke
from hooke import techniques as client_techniques
from hooke.v1 import (
    attribution_service_pb2,
    technique_service_pb2,
    visualization_service_pb2,
)
from hooke_server.rpc.codec.techniques import real_oneof
from hooke_server.techniques.attribution.drawing import Drawing
from hooke_server.techniques.attribution.evidence import Evidence
from hooke_server.techniques.parameters import ParameterType
from hooke_server.techniques.plans import Item
from hooke_server.techniques.sheets import SpriteSheet
from hooke_server.techniques.signatures import message_fields
from hooke_server.techniques.technique import TechniqueKind, all_techniques

REQUEST = visualization_service_pb2.VisualizeRequest.DESCRIPTOR
METHOD = attribution_service_pb2.AttributionMethod.DESCRIPTOR
LENS_FIELDS = {field.name: field for field in REQUEST.oneofs_by_name["technique"].fields}
METHOD_FIELDS = {field.name: field for field in METHOD.oneofs_by_name["technique"].fields}
FIELDS = LENS_FIELDS | METHOD_FIELDS
CLASSES = hooke.techniques.LENSES | hooke.methods.METHODS

SCALARS = {
    ParameterType.INTEGER: {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64},
    ParameterType.NUMBER: {FieldDescriptor.CPPTYPE_DOUBLE},
    ParameterType.BOOLEAN: {FieldDescriptor.CPPTYPE_BOOL},
    ParameterType.TEXT: {FieldDescriptor.CPPTYPE_STRING},
}
MESSAGES = {ParameterType.LOCATION: "Location", ParameterType.IMAGE: "EncodedImage"}


def groups(kind):
    """Fields of a message in order, the members of a oneof together under its name."""
    found = {}
    for field in kind.fields:
        group = real_oneof(field)
        found.setdefault(group.name if group else field.name, []).append(field)
    return found


def same(parameter, fields, path):
    """Assert that a parameter is what its field, or the members of its oneof, say."""
    if parameter.type is ParameterType.ONE_OF and len(fields) == 1:
        [wrapper] = fields  # a message that consists of one oneof
        assert wrapper.is_repeated == parameter.repeated, path
        [fields] = groups(wrapper.message_type).values()
    if parameter.type is ParameterType.ONE_OF:
        assert [field.name for field in fields] == list(parameter.fields), path
        for field in fields:
            same_parts(parameter.fields[field.name], field.message_type, f"{path}.{field.name}")
        return
    [field] = fields
    assert field.is_repeated == parameter.repeated, path
    assert field.is_repeated or field.has_presence, path
    if parameter.type is ParameterType.MESSAGE:
        same_parts(parameter, field.message_type, path)
    elif parameter.type is ParameterType.CHOICE:
        names = [value.name for value in field.enum_type.values]
        prefix = names[0].removesuffix("UNSPECIFIED")
        assert [name.removeprefix(prefix).lower() for name in names[1:]] == list(parameter.choices)
    elif parameter.type in MESSAGES:
        assert field.message_type.name == MESSAGES[parameter.type], path
    else:
        assert field.cpp_type in SCALARS[parameter.type], path


def same_parts(parameter, message, path):
    assert list(groups(message)) == list(parameter.fields), path
    for name, fields in groups(message).items():
        same(parameter.fields[name], fields, f"{path}.{name}")


def test_every_technique_has_its_message():
    kinds = {name: technique.kind for name, technique in all_techniques().items()}
    lenses = {name for name, kind in kinds.items() if kind is TechniqueKind.VISUALIZATION}
    assert lenses == set(LENS_FIELDS)
    assert kinds.keys() - lenses == set(METHOD_FIELDS)


@pytest.mark.parametrize("name", list(FIELDS))
def test_messages_are_signatures_to_their_leaves(name):
    message, parameters = FIELDS[name].message_type, all_techniques()[name].parameters
    assert list(groups(message)) == list(parameters)
    for part, fields in groups(message).items():
        same(parameters[part], fields, f"{name}.{part}")


@pytest.mark.parametrize(
    ("enum", "ours"),
    [
        (technique_service_pb2.TechniqueKind, TechniqueKind),
        (technique_service_pb2.ParameterType, ParameterType),
        (attribution_service_pb2.AttributionDrawing, Drawing),
    ],
)
def test_enums_have_the_same_words(enum, ours):
    prefix, *names = enum.keys()
    prefix = prefix.removesuffix("UNSPECIFIED")
    assert [name.removeprefix(prefix).lower() for name in names] == list(ours)


def test_items_and_sheets_are_those_of_the_contract():
    item = REQUEST.fields_by_name["items"].message_type
    assert {field.name for field in item.fields} == {"location", "units", "objective"}
    assert {field.name for field in dataclasses.fields(Item)} == {"site", "objective"}
    sheet = REQUEST.fields_by_name["sprite_sheet"].message_type
    for kind in (SpriteSheet, hooke.SpriteSheet):
        assert [f.name for f in dataclasses.fields(kind)] == [f.name for f in sheet.fields]


def test_evidence_is_that_of_the_contract():
    message = attribution_service_pb2.AttributeRequest.DESCRIPTOR.fields_by_name["evidence"]
    parameters = message_fields(Evidence)
    for part, fields in groups(message.message_type).items():
        same(parameters[part], fields, f"evidence.{part}")
    for kind in (Evidence, hooke.Evidence):
        assert [f.name for f in dataclasses.fields(kind)] == list(groups(message.message_type))


@pytest.mark.parametrize("name", list(FIELDS))
def test_the_clients_classes_have_the_fields_of_the_messages(name):
    """Those of `ascent` are a technique's own."""
    message, kind = FIELDS[name].message_type, CLASSES[name]
    expected = set(groups(message))
    if "ascent" in expected:
        ascent = message.fields_by_name["ascent"].message_type
        expected = expected - {"ascent"} | set(groups(ascent))
    assert {field.name for field in dataclasses.fields(kind)} == expected


def messages_below(message, seen):
    for field in message.fields:
        if field.message_type and field.message_type.name not in seen:
            seen[field.message_type.name] = field.message_type
            messages_below(field.message_type, seen)
    return seen


def test_the_clients_classes_cover_all_messages_below():
    """Those that consist of one oneof are left out: the client gives an alternative directly."""
    for field in FIELDS.values():
        for name, message in messages_below(field.message_type, {}).items():
            alone = len(groups(message)) == 1 and len(message.fields) > 1
            known = {"Location", "EncodedImage", "Position", "Objective", "Term"}
            if name in known or alone or not name.isidentifier():
                continue
            homes = (client_techniques, hooke.methods, hooke.objectives)
            kind = next(found for home in homes if (found := getattr(home, name, None)))
            assert {f.name for f in dataclasses.fields(kind)} == set(groups(message)), name
