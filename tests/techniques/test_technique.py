"""Declaring and binding: schema against the contract, checks before work, plans as values."""

import dataclasses
import json
import pickle
from typing import Annotated

import pytest

from hooke.v1 import technique_service_pb2, visualization_service_pb2
from hooke_server.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    Reason,
)
from hooke_server.techniques.technique import Site, TechniqueKind, all_techniques, technique

LENS = all_techniques()["feature_visualization"]
NAMES = list(all_techniques())
REQUESTS = {TechniqueKind.VISUALIZATION: visualization_service_pb2.VisualizeRequest}


@pytest.mark.parametrize("name", NAMES)
def test_message_and_signature_have_the_same_fields(name):
    """Same names in the same order, of kinds that hold each other, each optional."""
    lens = all_techniques()[name]
    choice = REQUESTS[lens.kind].DESCRIPTOR.oneofs_by_name["technique"]
    message = next(f for f in choice.fields if f.name == name).message_type
    assert [f.name for f in message.fields] == list(lens.parameters)
    for field in message.fields:
        parameter = lens.parameters[field.name]
        assert field.has_presence
        kinds = {
            field.TYPE_INT32: int,
            field.TYPE_INT64: int,
            field.TYPE_DOUBLE: float,
            field.TYPE_BOOL: bool,
        }
        if field.type == field.TYPE_ENUM:
            prefix = field.enum_type.values[0].name.removesuffix("UNSPECIFIED")
            names = [v.name.removeprefix(prefix).lower() for v in field.enum_type.values[1:]]
            assert names == list(parameter.choices)
        else:
            assert kinds[field.type] is parameter.type


def test_every_technique_of_the_contract_is_there():
    for kind, request in REQUESTS.items():
        fields = request.DESCRIPTOR.oneofs_by_name["technique"].fields
        assert {f.name for f in fields} == {n for n in NAMES if all_techniques()[n].kind is kind}


def test_kinds_are_those_of_the_contract():
    values = technique_service_pb2.TechniqueKind.keys()[1:]
    assert [v.removeprefix("TECHNIQUE_KIND_").lower() for v in values] == list(TechniqueKind)


@pytest.mark.parametrize("name", NAMES)
def test_schema_is_complete(name):
    """Each parameter says what it is, numbers have bounds, and the default is allowed."""
    lens = all_techniques()[name]
    assert lens.title
    assert lens.source
    assert lens.description
    for parameter in lens.parameters.values():
        assert parameter.description.endswith(".")
        assert type(parameter.default) is parameter.type
        assert parameter.check(parameter.default, name) == parameter.default
        assert (parameter.bounds is not None) == (parameter.type in {int, float})


def test_defaults_of_feature_visualization_are_lucids():
    parameters = all_techniques()["feature_visualization"].parameters
    assert {name: parameter.default for name, parameter in parameters.items()} == {
        "steps": 512,
        "size": 128,
        "learning_rate": 0.05,
        "parameterization": "fourier",
        "decorrelate": True,
        "transforms": True,
        "negative": False,
    }


def test_unknown_technique_names_the_nearest():
    with pytest.raises(NotFoundError, match="nearest are 'feature_visualization'") as unknown:
        all_techniques().find("feature_visualisation")
    assert unknown.value.reason is Reason.TECHNIQUE_NOT_FOUND


def test_a_name_is_taken_once():
    declare = technique(
        kind=TechniqueKind.VISUALIZATION,
        title="Another",
        source="-",
        obstacle=lambda model, site: "",
        estimate=lambda view: None,
    )

    def feature_visualization(view, *, steps: Annotated[int, "Steps."] = 1):
        yield from ()

    with pytest.raises(ValueError, match="two techniques of the name 'feature_visualization'"):
        declare(feature_visualization)


def bound(model, **changes):
    request = {"steps": 7} | changes.pop("given", {})
    sites = [Site(layer=model.output_layer, unit=1)]
    return LENS.bind(model, changes.pop("name", "m"), sites, request, **changes)


def test_a_plan_is_a_value_that_can_travel(resnet):
    plan = bound(resnet, seed=2**64 - 1)
    assert pickle.loads(pickle.dumps(plan)) == plan  # noqa: S301  # just made here
    assert hash(plan) == hash(bound(resnet, seed=2**64 - 1))
    assert json.loads(plan.parameters_json) == {
        "steps": 7,
        "size": 128,
        "learning_rate": 0.05,
        "parameterization": "fourier",
        "decorrelate": True,
        "transforms": True,
        "negative": False,
    }


def test_the_digest_is_over_all_that_decides_the_result(resnet):
    digest = bound(resnet).digest
    assert bound(resnet, name="other").digest == digest
    assert bound(resnet, given={"size": 128}).digest == digest
    assert bound(resnet, seed=1).digest != digest
    assert bound(resnet, given={"size": 64}).digest != digest
    assert bound(dataclasses.replace(resnet, digest="sha256:1")).digest != digest


def test_a_place_where_it_is_not_valid_is_refused(resnet):
    with pytest.raises(FailedPreconditionError, match="not valid for layer 'fc': it shows") as no:
        LENS.bind(resnet, "m", [Site(layer="fc")], {})
    assert no.value.reason is Reason.TECHNIQUE_NOT_APPLICABLE
    assert no.value.metadata == {"technique": "feature_visualization", "layer": "fc"}


def test_locations_parameters_and_previews_are_checked(resnet):
    with pytest.raises(InvalidArgumentError, match="at least one location"):
        LENS.bind(resnet, "m", [], {})
    with pytest.raises(InvalidArgumentError, match="preview_every must be 1 or more"):
        bound(resnet, preview_every=0)
    with pytest.raises(InvalidArgumentError, match=r"takes steps, size, .* not 'stpes'") as unknown:
        bound(resnet, given={"stpes": 3})
    assert unknown.value.field == "feature_visualization.stpes"
