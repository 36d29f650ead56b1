"""Tables as messages; see `hooke.v1.TableHeader`."""

from __future__ import annotations

from typing import Any

from hooke.v1 import table_pb2
from hooke_server.techniques.tables import Cell, Column, ColumnType, Rows, Table

_CONVERSIONS: dict[ColumnType, tuple[str, type[Any]]] = {
    ColumnType.TEXT: ("text", str),
    ColumnType.NUMBER: ("number", float),
    ColumnType.INTEGER: ("integer", int),
    ColumnType.BOOLEAN: ("boolean", bool),
}
"""The field of a cell for each type, and what its value is made by."""


class TableCodec:
    """The tables of one piece of work, numbered in the order in which they are opened."""

    def __init__(self) -> None:
        self._numbers: dict[Table, int] = {}

    @property
    def count(self) -> int:
        """Tables opened so far."""
        return len(self._numbers)

    def header(self, table: Table) -> table_pb2.TableHeader:
        """The message that opens a table."""
        if table in self._numbers:
            raise ValueError(f"the table {table.name!r} was opened twice")
        self._numbers[table] = len(self._numbers) + 1
        return table_pb2.TableHeader(
            table_id=self._numbers[table],
            name=table.name,
            caption=table.caption,
            columns=map(_column, table.columns),
            item=table.item,
        )

    def rows(self, rows: Rows) -> table_pb2.TableRows:
        """Rows of a table that was opened."""
        types = [column.type for column in rows.table.columns]
        return table_pb2.TableRows(
            table_id=self._numbers[rows.table],
            rows=[
                table_pb2.Row(cells=[_cell(t, c) for t, c in zip(types, row, strict=True)])
                for row in rows.rows
            ],
        )


def _column(column: Column) -> table_pb2.Column:
    return table_pb2.Column(
        name=column.name,
        type=table_pb2.ColumnType.Value(f"COLUMN_TYPE_{column.type.upper()}"),
        unit=column.unit,
        description=column.description,
    )


def _cell(kind: ColumnType, value: Cell) -> table_pb2.Cell:
    if value is None:
        return table_pb2.Cell()
    field, make = _CONVERSIONS[kind]
    return table_pb2.Cell(**{field: make(value)})
