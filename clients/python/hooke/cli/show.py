"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from hooke import Estimate, Table

PIPE_WIDTH = 200
"""Columns of a table that no terminal limits."""

BARS = "▁▂▃▄▅▆▇█"


def console(*, errors: bool = False) -> Console:
    """Prints texts as they are; layer ids may look like markup."""
    from rich.console import Console

    stream = sys.stderr if errors else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(stderr=errors, width=width, markup=False, emoji=False, highlight=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; columns whose names begin with `#` hold numbers."""
    from rich.table import Table

    grid = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        number = name.startswith("#")
        grid.add_column(
            name.removeprefix("#"),
            justify="right" if number else "left",
            no_wrap=number,
            overflow="fold",
        )
    for row in rows:
        grid.add_row(*("" if cell is None else str(cell) for cell in row))
    console().print(grid)


def rows(found: Table) -> None:
    """Print a table that came from a server; its numbers to the right, empty cells empty."""
    names = [f"#{c.name}" if c.type in {"NUMBER", "INTEGER"} else c.name for c in found.columns]
    table(names, ([_cell(each) for each in row] for row in found.rows))


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else value


def facts(pairs: Iterable[tuple[str, object]]) -> None:
    """Print names and values, a line each; those without a value are left out."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        if value not in {None, ""}:
            grid.add_row(name, str(value))
    console().print(grid)


def estimate(cost: Estimate, *, as_json: bool) -> None:
    """Print what a call would cost."""
    if as_json:
        return dump(cost)
    return facts(
        [
            ("memory", f"{count(cost.memory_bytes)}B"),
            ("MACs", count(cost.macs)),
            ("to be sent", f"{count(cost.tensor_bytes)}B"),
            ("layers", ", ".join(cost.layer_ids)),
        ]
    )


def dump(value: Any) -> None:
    """Print JSON."""
    text = json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write(text + "\n")


def plain(value: Any) -> Any:
    """A value in JSON's words. Bytes, which are pictures, are left out.

    JSON has no number for NaN and infinities; they are texts, as protobuf's JSON has them.
    """
    if dataclasses.is_dataclass(value):
        members = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {name: plain(each) for name, each in members if not isinstance(each, bytes)}
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def shape(extents: Iterable[object]) -> str:
    """`batch x 64 x 56 x 56`."""
    return " x ".join(map(str, extents)) or "scalar"


def count(number: float) -> str:
    """`11.7 M`."""
    for unit in ("", " k", " M", " G", " T"):
        if abs(number) < 1000:
            return f"{number:.0f}" if not unit else f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g} P"


def sparkline(counts: Sequence[int]) -> str:
    """A histogram in one line of blocks."""
    top = max(counts, default=0) or 1
    return "".join(BARS[(len(BARS) - 1) * each // top] for each in counts)
