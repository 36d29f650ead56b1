"""Parameters: what a signature declares is what is checked."""

from enum import StrEnum
from typing import Annotated

import pytest

from hooke_server.errors import InvalidArgumentError
from hooke_server.techniques.parameters import Range, read_parameters


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def example(
    view: object,
    *,
    steps: Annotated[int, Range(1, 10), "How many."] = 5,
    width: Annotated[float, Range(0.1, 2), "How wide."] = 0.5,
    colour: Annotated[Colour, "Which."] = Colour.RED,
    open_end: Annotated[bool, "Whether."] = True,
) -> None: ...


PARAMETERS = read_parameters(example)


def test_a_signature_is_read_whole():
    assert list(PARAMETERS) == ["steps", "width", "colour", "open_end"]
    steps = PARAMETERS["steps"]
    assert (steps.type, steps.description, steps.default) == (int, "How many.", 5)
    assert steps.bounds == Range(1, 10)
    assert PARAMETERS["colour"].choices == ("red", "blue")
    assert PARAMETERS["open_end"].bounds is None


@pytest.mark.parametrize(
    ("name", "value", "result"),
    [
        ("steps", 1, 1),
        ("steps", 10, 10),
        ("steps", 4.0, 4),
        ("width", 2, 2.0),
        ("colour", "blue", Colour.BLUE),
        ("open_end", False, False),
    ],
)
def test_values_that_fit(name, value, result):
    checked = PARAMETERS[name].check(value, "example")
    assert checked == result
    assert type(checked) is PARAMETERS[name].type


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("steps", 0, "steps must be a whole number between 1 and 10, not 0"),
        ("steps", 11, "between 1 and 10"),
        ("steps", 2.5, "whole number"),
        ("steps", None, "not None"),
        ("steps", "many", "whole number"),
        ("width", float("nan"), "a number between 0.1 and 2, not nan"),
        ("width", float("inf"), "between 0.1 and 2"),
        ("steps", float("inf"), "whole number"),
        ("colour", "green", "one of red, blue, not 'green'"),
        ("open_end", "yes", "true or false"),
        ("open_end", 2, "true or false"),
    ],
)
def test_values_that_do_not_fit(name, value, message):
    with pytest.raises(InvalidArgumentError, match=message) as refused:
        PARAMETERS[name].check(value, "example")
    assert refused.value.field == f"example.{name}"


def test_a_parameter_without_description_cannot_be_declared():
    def nameless(view: object, *, steps: int = 5) -> None: ...

    with pytest.raises(TypeError, match=r"nameless\.steps needs Annotated"):
        read_parameters(nameless)
