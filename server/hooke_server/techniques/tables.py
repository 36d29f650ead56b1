"""Tables that come row by row, and findings in words.

    LAYERS = Table(name="layers", columns=(Column("layer", TEXT, "Its id."), ...))
    yield LAYERS
    yield Rows(LAYERS, [("conv1", 0.5), ("fc", None)])

A table says all that is needed to read it, so a client shows one that it has never
heard of. Cells are plain values; None is an empty one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from hooke_server.techniques.targets import Site

Cell = str | float | int | bool | None
Row = Sequence[Cell]


class ColumnType(StrEnum):
    """What the cells of a column hold; as `hooke.v1.ColumnType`."""

    TEXT = "text"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, what its cells hold, what they say, and the unit of its numbers."""

    name: str
    type: ColumnType
    description: str
    unit: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Opens a table; to be yielded once, before its rows.

    `item` is the index of the part of the request that it answers.
    """

    name: str
    columns: tuple[Column, ...]
    caption: str = ""
    item: int = 0


@dataclass(frozen=True, slots=True)
class Rows:
    """More rows of a table, each with a cell for every column; some hundred at most."""

    table: Table
    rows: Sequence[Row]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What was found, in plain words; `kind` is one word for programs, `sites` what it is about.

    `item`, `sample`, `target` and `layer` tell which answer it is about, as in `Picture`.
    """

    kind: str
    text: str
    sites: tuple[Site, ...] = ()
    item: int = 0
    sample: int | None = None
    target: int | None = None
    layer: str = ""
