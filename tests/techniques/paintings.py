"""A technique's signature with parameters of every kind."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from hooke_server.techniques.parameters import (
    Range,
)
from hooke_server.techniques.signatures import read_parameters
from hooke_server.techniques.targets import Photograph, Site


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, kw_only=True)
class Brush:
    """What strokes are made with.

    Not said.
    """

    width: Annotated[int, Range(1, 9), "Of a stroke."]
    colour: Annotated[Colour, "Which."] = Colour.RED


@dataclass(frozen=True, kw_only=True)
class SprayCan:
    """What clouds are made with."""

    pressure: Annotated[float | None, Range(0, 1), "How much."] = None


@dataclass(frozen=True, kw_only=True)
class Painting:
    """A picture with its frame."""

    tool: Annotated[Brush | SprayCan, "With what."] = SprayCan(pressure=0.5)
    layers: Annotated[tuple[Brush | SprayCan, ...], "One over another."] = ()
    frame: Annotated[Brush, "Around it."] = Brush(width=2)


def example(
    view: object,
    *,
    steps: Annotated[int, Range(1, 10), "How many."] = 5,
    width: Annotated[float, Range(0.1, 2), "How wide."] = 0.5,
    colour: Annotated[Colour, "Which."] = Colour.RED,
    open_end: Annotated[bool, "Whether."] = True,
    extra: Annotated[float | None, Range(0, 1), "Perhaps."] = None,
    sizes: Annotated[tuple[int, ...], Range(2, 64), "Several."] = (2, 4),
    painting: Annotated[Painting, "What."] = Painting(frame=Brush(width=7, colour=Colour.BLUE)),
    other: Annotated[Painting | None, "Beside it."] = None,
    place: Annotated[Site, "Where."],
    photographs: Annotated[tuple[Photograph, ...], "Of what."] = (),
) -> None: ...


PARAMETERS = read_parameters(example)
