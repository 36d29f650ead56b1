"""Parameters: what a signature declares is what is checked."""

from typing import Annotated

import pytest
from paintings import PARAMETERS, Brush, Colour, Painting, SprayCan

from hooke_server.errors import InvalidArgumentError
from hooke_server.techniques.parameters import (
    MAX_REPEATED,
    AtMost,
    check_all,
)
from hooke_server.techniques.signatures import plain_message, read_parameters
from hooke_server.techniques.targets import Photograph, Site


def checked(name, value):
    return PARAMETERS[name].check(value, "example")


def refused(name, value):
    with pytest.raises(InvalidArgumentError) as error:
        checked(name, value)
    return str(error.value), error.value.field


@pytest.mark.parametrize(
    ("name", "value", "result"),
    [
        ("steps", 1, 1),
        ("steps", 10, 10),
        ("steps", 4.0, 4),
        ("width", 2, 2.0),
        ("colour", "blue", Colour.BLUE),
        ("open_end", False, False),
        ("extra", None, None),
        ("extra", 0.25, 0.25),
        ("sizes", [], ()),
        ("sizes", [2, 64.0], (2, 64)),
        ("other", None, None),
        ("place", Site(layer="a"), Site(layer="a")),
    ],
)
def test_values_that_fit(name, value, result):
    assert checked(name, value) == result
    assert type(checked(name, value)) is type(result)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("steps", 0, "steps must be a whole number between 1 and 10, not 0"),
        ("steps", 11, "between 1 and 10"),
        ("steps", 2.5, "whole number"),
        ("steps", None, "not None"),
        ("steps", "many", "whole number"),
        ("steps", float("inf"), "whole number"),
        ("width", float("nan"), "a number between 0.1 and 2, not nan"),
        ("width", float("inf"), "between 0.1 and 2"),
        ("colour", "green", "one of red, blue, not 'green'"),
        ("colour", 7, "one of red, blue, not 7"),
        ("open_end", "yes", "true or false"),
        ("open_end", 2, "true or false"),
        ("extra", 2, "extra must be a number between 0 and 1, not 2"),
        ("sizes", 3, "sizes must be a whole number between 2 and 64"),
        ("sizes", "33", "sizes must be"),
        ("place", "conv1", "place must be a location, not str"),
        ("place", None, "place must be a location, not NoneType"),
        ("painting", 3, "painting must be a message, not int"),
        ("other", [1], "other must be a message, not list"),
    ],
)
def test_values_that_do_not_fit(name, value, message):
    said, field = refused(name, value)
    assert message in said
    assert field == f"example.{name}"


@pytest.mark.parametrize(
    ("name", "value", "field", "message"),
    [
        ("sizes", [2, 4, 1], "sizes[2]", "between 2 and 64, not 1"),
        ("painting", {"size": 3}, "painting.size", "takes tool, layers, frame, not 'size'"),
        ("painting", {"frame": {"width": 10}}, "painting.frame.width", "between 1 and 9"),
        ("painting", {"tool": ("brush", {})}, "painting.tool.brush.width", "width must be given"),
        (
            "painting",
            {"tool": ("pen", {})},
            "painting.tool",
            "one of brush, spray_can",
        ),
        ("painting", {"tool": Site(layer="a")}, "painting.tool", "one of brush, spray_can"),
        (
            "painting",
            {"layers": [("brush", {"width": 1}), ("spray_can", {"pressure": 2})]},
            "painting.layers[1].spray_can.pressure",
            "between 0 and 1",
        ),
        ("photographs", [b""], "photographs[0]", "must be an image, not bytes"),
    ],
)
def test_errors_tell_the_path_to_what_is_wrong(name, value, field, message):
    said, where = refused(name, value)
    assert where == f"example.{field}"
    assert message in said


def test_there_may_not_be_more_than_so_many():
    assert len(checked("sizes", [2] * MAX_REPEATED)) == MAX_REPEATED
    said, field = refused("sizes", [2] * (MAX_REPEATED + 1))
    assert (said, field) == (f"sizes has at most {MAX_REPEATED} values", "example.sizes")


def test_a_parameter_may_have_more_where_it_says_so():
    def many(
        view: object, *, vector: Annotated[tuple[float, ...], AtMost(600), "Many."]
    ) -> None: ...

    vector = read_parameters(many)["vector"]
    assert len(vector.check([0.5] * 600, "many")) == 600
    with pytest.raises(InvalidArgumentError, match="at most 600 values"):
        vector.check([0.5] * 601, "many")


def test_parts_that_are_left_out_are_those_of_the_wholes_default():
    """Not those of the message: a technique may have defaults of its own."""
    painting = checked("painting", {"frame": {"width": 3}})
    assert painting.frame == Brush(width=3, colour=Colour.BLUE)
    assert painting.tool == SprayCan(pressure=0.5)
    assert checked("painting", {"frame": {}}).frame == Brush(width=7, colour=Colour.BLUE)
    assert checked("other", {"frame": {"width": 3}}).frame == Brush(width=3)
    assert checked("other", {}) == Painting()


def test_an_alternative_keeps_the_default_where_it_is_the_same():
    assert checked("painting", {"tool": ("spray_can", {})}).tool == SprayCan(pressure=0.5)
    assert checked("painting", {"tool": ("brush", {"width": 4})}).tool == Brush(width=4)
    layers = [("spray_can", {}), Brush(width=5), ("brush", {"width": 1, "colour": "blue"})]
    assert checked("painting", {"layers": layers}).layers == (
        SprayCan(),
        Brush(width=5),
        Brush(width=1, colour=Colour.BLUE),
    )


def test_a_value_of_the_type_is_checked_like_any_other():
    wrong = Painting(frame=Brush(width=99))
    assert checked("painting", Painting()) == Painting()
    said, field = refused("painting", wrong)
    assert (field, "between 1 and 9, not 99" in said) == ("example.painting.frame.width", True)


def test_all_at_once():
    place = Site(layer="a", unit=2)
    values = check_all(PARAMETERS, {"place": place, "steps": 3}, "example")
    assert list(values) == list(PARAMETERS)
    assert (values["steps"], values["place"], values["sizes"]) == (3, place, (2, 4))
    with pytest.raises(InvalidArgumentError, match=r"place must be given: Where\.") as missing:
        check_all(PARAMETERS, {}, "example")
    assert missing.value.field == "example.place"
    with pytest.raises(InvalidArgumentError, match=r"this takes steps, .*, not 'stpes'") as unknown:
        check_all(PARAMETERS, {"stpes": 1}, "example")
    assert unknown.value.field == "example.stpes"


def test_plain_values_are_those_of_the_contract():
    file = Photograph(b"abc")
    plain = {
        "steps": (5, 5),
        "colour": (Colour.BLUE, "blue"),
        "sizes": ((2, 3), [2, 3]),
        "other": (None, None),
        "place": (Site(layer="a", unit=0, position=(1, 2)), {
            "layer": "a", "unit": 0, "position": (1, 2), "model": 0}),
        "photographs": ((file,), [{"sha256": file.digest}]),
        "painting": (
            Painting(layers=(Brush(width=1),)),
            {
                "tool": {"spray_can": {"pressure": 0.5}},
                "layers": [{"brush": {"width": 1, "colour": "red"}}],
                "frame": {"width": 2, "colour": "red"},
            },
        ),
    }  # fmt: skip
    for name, (value, expected) in plain.items():
        assert PARAMETERS[name].plain(value) == expected
    assert plain_message(Painting())["layers"] == []
    assert file.digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_plain_values_come_back():
    """What a provenance says can be asked for again, alternatives as pairs."""
    painting = Painting(tool=Brush(width=3), layers=(SprayCan(pressure=0.25), Brush(width=1)))
    plain = PARAMETERS["painting"].plain(painting)
    plain["tool"] = next(iter(plain["tool"].items()))
    plain["layers"] = [next(iter(each.items())) for each in plain["layers"]]
    assert checked("painting", plain) == painting
