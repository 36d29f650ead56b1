"""Declaring and binding: schema against the contract, checks before work, plans as values."""

import dataclasses
import json
import pickle
from typing import Annotated

import pytest

from hooke_server.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    Reason,
)
from hooke_server.techniques.objectives.algebra import of
from hooke_server.techniques.objectives.measures import Response
from hooke_server.techniques.parameters import REQUIRED, ParameterType
from hooke_server.techniques.plans import Item, Previews
from hooke_server.techniques.targets import Site
from hooke_server.techniques.technique import TechniqueKind, all_techniques, technique
from hooke_server.techniques.visualization.ascent import Ascent
from hooke_server.techniques.visualization.optimizers import Adam

LENS = all_techniques()["feature_visualization"]
NAMES = list(all_techniques())


def leaves(parameters, path):
    for name, parameter in parameters.items():
        yield parameter, f"{path}.{name}"
        yield from leaves(parameter.fields, f"{path}.{name}")


@pytest.mark.parametrize("name", NAMES)
def test_schema_is_complete(name):
    """Each part says what it is, numbers have bounds, and the defaults are allowed."""
    lens = all_techniques()[name]
    assert lens.title
    assert lens.source
    assert lens.description
    for parameter, path in leaves(lens.parameters, name):
        assert parameter.description.endswith("."), path
        if parameter.default not in (REQUIRED, None):
            assert parameter.check(parameter.default, name) == parameter.default, path
        numbers = {ParameterType.INTEGER, ParameterType.NUMBER}
        assert (parameter.bounds is not None) == (parameter.type in numbers), path


def test_defaults_of_feature_visualization_are_lucids(resnet):
    plain = {
        name: parameter.plain(parameter.default)
        for name, parameter in all_techniques()["feature_visualization"].parameters.items()
    }
    ascent = plain.pop("ascent")
    assert plain == {"sign": "positive", "pictures": 1, "diversity": 1.0}
    assert (ascent["steps"], ascent["size"]) == (512, 128)
    assert Ascent().optimizer_for(resnet, 0) == Adam(0.05)
    image = ascent["image"]
    assert image["storage"] == {"fourier_image": {"decay_power": 1.0}}
    assert (image["decorrelate_colors"], image["alpha"]) == (True, False)
    kinds = [next(iter(each)) for each in ascent["transforms"]["transforms"]]
    assert kinds == ["pad", "jitter", "scale", "rotate", "jitter"]


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
    given = {"ascent": {"steps": 7} | changes.pop("ascent", {})} | changes.pop("given", {})
    items = [Item(site=Site(layer=model.output_layer, unit=1))]
    return LENS.bind([model], items, given, **changes)


def test_a_plan_is_a_value_that_can_travel(resnet):
    plan = bound(resnet, seed=2**64 - 1)
    assert pickle.loads(pickle.dumps(plan)) == plan  # noqa: S301  # just made here
    assert hash(plan) == hash(bound(resnet, seed=2**64 - 1))
    told = json.loads(plan.parameters_json)
    assert list(told) == list(LENS.parameters)
    assert told["ascent"]["steps"] == 7
    assert told["ascent"]["size"] == 128


def test_the_digest_is_over_all_that_decides_the_result(resnet):
    digest = bound(resnet).digest
    assert bound(resnet, ascent={"size": 128}).digest == digest
    assert bound(resnet, previews=Previews(every=1), memory=2**40).digest == digest
    for changes in (
        {"seed": 1},
        {"ascent": {"size": 64}},
        {"ascent": {"steps": 8}},
        {"ascent": {"transforms": {"transforms": [("jitter", {"pixels": 3})]}}},
        {"given": {"sign": "negative"}},
    ):
        assert bound(resnet, **changes).digest != digest
    assert bound(dataclasses.replace(resnet, digest="sha256:1")).digest != digest


def test_a_series_is_all_but_the_steps(resnet):
    series = bound(resnet).series
    assert bound(resnet, ascent={"steps": 99}).series == series
    assert bound(resnet, ascent={"size": 64}).series != series
    assert bound(resnet, seed=1).series != series


def test_a_place_where_it_is_not_valid_is_refused(resnet):
    with pytest.raises(FailedPreconditionError, match="not valid for layer 'fc': it shows") as no:
        LENS.bind([resnet], [Item(site=Site(layer="fc"))], {})
    assert no.value.reason is Reason.TECHNIQUE_NOT_APPLICABLE
    assert no.value.field == "items[0]"
    assert no.value.metadata == {"technique": "feature_visualization", "layer": "fc"}


def test_items_and_parameters_are_checked(resnet):
    with pytest.raises(InvalidArgumentError, match="at least one item"):
        LENS.bind([resnet], [], {})
    with pytest.raises(
        InvalidArgumentError, match=r"takes ascent, sign, .* not 'stpes'"
    ) as unknown:
        bound(resnet, given={"stpes": 3})
    assert unknown.value.field == "feature_visualization.stpes"
    dream = all_techniques()["deep_dream"]
    spelled = Item(objective=of(Response(location=Site(layer="fc", unit=0))))
    with pytest.raises(InvalidArgumentError, match="takes locations and units, no objectives"):
        dream.bind([resnet], [spelled], {})
    LENS.bind([resnet], [spelled], {})
