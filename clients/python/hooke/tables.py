"""Tables that come row by row, and findings in words; see `hooke.v1.TableHeader`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from hooke.errors import DataLossError
from hooke.messages import copy, layer_id
from hooke.places import Location
from hooke.v1 import table_pb2 as pb

Cell = str | float | int | bool | None
"""A value of the column's type; None where the cell is empty."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column: `type` is TEXT, NUMBER, INTEGER or BOOLEAN; `unit` is that of its numbers."""

    name: str
    type: str
    unit: str = ""
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table, or on a stream the rows of it that came last; `joined` makes one of its parts.

    `table["mean"]` is a column as a list, `table.rows` are tuples, `dict(table)` holds
    all columns by name, which is what pandas and polars take. Empty cells are None.
    """

    name: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...] = field(default=(), repr=False)
    caption: str = ""
    item: int = 0

    def keys(self) -> list[str]:
        """Names of the columns."""
        return [column.name for column in self.columns]

    def __getitem__(self, name: str) -> list[Cell]:
        names = self.keys()
        if name not in names:
            raise KeyError(f"no column {name!r} in table {self.name!r}; it has {', '.join(names)}")
        index = names.index(name)
        return [row[index] for row in self.rows]

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def column(self, name: str) -> list[Cell]:
        """A column's cells, from the first row to the last."""
        return self[name]

    def dicts(self) -> list[dict[str, Cell]]:
        """Each row as a dict by column."""
        names = self.keys()
        return [dict(zip(names, row, strict=True)) for row in self.rows]

    def save(self, path: str | Path) -> Path:
        """Write a CSV file with a line of names."""
        import csv  # seldom needed

        path = Path(path)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(self.keys())
            writer.writerows(self.rows)
        return path


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found, in plain words; `kind` is one word, `locations` the places it is about.

    `layer` is the one whose values show it, empty for none and for several. Of an attribution
    `item` counts the methods, `target` what is explained and `sample` the samples of the input,
    the latter two None where the finding is about all of them.
    """

    kind: str
    text: str
    locations: tuple[Location, ...] = ()
    item: int = 0
    sample: int | None = None
    target: int | None = None
    layer: str = ""

    @classmethod
    def read(cls, message: pb.Finding) -> Finding:
        """The value of a message."""
        return copy(
            cls,
            message,
            locations=tuple(map(Location.read, message.locations)),
            layer=layer_id(message.layer),
        )


class TableReader:
    """Reads the tables of one stream, several of which may be open at once."""

    def __init__(self) -> None:
        self._open: dict[int, Table] = {}

    def header(self, message: pb.TableHeader) -> Table:
        """The table, without rows yet."""
        columns = tuple(copy(Column, each) for each in message.columns)
        table = copy(Table, message, columns=columns, rows=())
        self._open[message.table_id] = table
        return table

    def rows(self, message: pb.TableRows) -> Table:
        """The table with these rows alone."""
        if message.table_id not in self._open:
            raise DataLossError("rows of a table came without its header")
        table = self._open[message.table_id]
        rows = tuple(tuple(map(_value, row.cells)) for row in message.rows)
        if any(len(row) != len(table.columns) for row in rows):
            raise DataLossError(f"a row of the table {table.name!r} is not as long as its header")
        return replace(table, rows=rows)


def joined(frames: Iterable[object]) -> list[Table]:
    """The tables among the frames of a piece of work, each whole, in the order of their opening."""
    parts: dict[tuple[object, ...], list[Table]] = {}
    for frame in frames:
        if isinstance(frame, Table):
            key = frame.name, frame.item, frame.caption, frame.columns
            parts.setdefault(key, []).append(frame)
    return [replace(some[0], rows=tuple(_rows(some))) for some in parts.values()]


def _rows(parts: Iterable[Table]) -> Iterator[tuple[Cell, ...]]:
    return (row for part in parts for row in part.rows)


def _value(cell: pb.Cell) -> Cell:
    kind = cell.WhichOneof("value")
    value: Cell = getattr(cell, kind) if kind else None
    return value
