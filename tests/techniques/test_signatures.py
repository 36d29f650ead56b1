"""Parameters read from signatures: what is declared is what there is."""

from typing import Annotated

import pytest
from paintings import PARAMETERS, Brush

from hooke_server.techniques.parameters import (
    REQUIRED,
    ParameterType,
    Range,
)
from hooke_server.techniques.signatures import message_fields, read_parameters


def test_a_signature_is_read_whole():
    types = {
        "steps": ParameterType.INTEGER, "width": ParameterType.NUMBER,
        "colour": ParameterType.CHOICE, "open_end": ParameterType.BOOLEAN,
        "extra": ParameterType.NUMBER, "sizes": ParameterType.INTEGER,
        "painting": ParameterType.MESSAGE, "other": ParameterType.MESSAGE,
        "place": ParameterType.LOCATION, "photographs": ParameterType.IMAGE,
    }  # fmt: skip
    assert {name: p.type for name, p in PARAMETERS.items()} == types
    assert list(PARAMETERS) == list(types)
    steps = PARAMETERS["steps"]
    assert (steps.kind, steps.description, steps.default) == (int, "How many.", 5)
    assert steps.bounds == Range(1, 10)
    assert PARAMETERS["colour"].choices == ("red", "blue")
    assert PARAMETERS["open_end"].bounds is None
    assert PARAMETERS["open_end"].choices == ()
    assert PARAMETERS["place"].default is REQUIRED
    assert [name for name, p in PARAMETERS.items() if p.repeated] == ["sizes", "photographs"]


def test_messages_and_alternatives_are_read_to_their_leaves():
    painting = PARAMETERS["painting"].fields
    assert list(painting) == ["tool", "layers", "frame"]
    tool = painting["tool"]
    assert tool.type is painting["layers"].type is ParameterType.ONE_OF
    assert list(tool.fields) == ["brush", "spray_can"]
    assert tool.fields["brush"].type is ParameterType.MESSAGE
    assert tool.fields["brush"].description == "What strokes are made with."
    assert tool.fields["brush"].fields["width"].default is REQUIRED
    assert tool.fields["brush"].fields["width"].bounds == Range(1, 9)
    assert tool.fields["spray_can"].fields["pressure"].default is None
    assert painting["layers"].repeated


def test_a_parameter_without_description_cannot_be_declared():
    def nameless(view: object, *, steps: int = 5) -> None: ...

    with pytest.raises(TypeError, match=r"steps needs Annotated"):
        read_parameters(nameless)


def test_a_parameter_of_no_known_type_cannot_be_declared():
    def wrong(view: object, *, steps: Annotated[list[int], "Steps."] = ()) -> None: ...

    with pytest.raises(TypeError, match=r"no parameter's type|issubclass"):
        read_parameters(wrong)


def test_a_message_is_read_once():
    assert message_fields(Brush) is message_fields(Brush)
