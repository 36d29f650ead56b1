"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hooke.cli.photographs import check_picture

if TYPE_CHECKING:
    from hooke import Client

Name = Annotated[str, typer.Argument(metavar="MODEL", help="Name of a model.")]
Address = Annotated[
    str,
    typer.Option(envvar="HOOKE_ADDRESS", help="Where the server listens: host:port or unix:PATH."),
]
Timeout = Annotated[
    float | None,
    typer.Option(help="Seconds after which to give up; left out, never.", min=0),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")]
Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="Pictures, which make up a batch, or a .npy array.",
    ),
]
Layer = Annotated[
    str | None,
    typer.Option("--layer", "-l", help="Id of a layer; left out, the model's output."),
]
Units = Annotated[
    list[int] | None,
    typer.Option("--unit", "-u", help="Index of a unit of the layer.", min=0),
]
AllUnits = Annotated[bool, typer.Option("--all-units", help="Each unit of the layer.")]
Labels = Annotated[
    list[str] | None, typer.Option(help="Class by its name, in place of a unit of the output.")
]
Position = Annotated[
    str | None, typer.Option(help="Of a neuron: '3,4' is row 3, column 4; left out, all.")
]
Seed = Annotated[int, typer.Option(help="Of every random choice.", min=0)]
Estimated = Annotated[
    bool, typer.Option("--estimate", help="Say what it would cost; nothing is computed.")
]

EditTexts = Annotated[
    list[str] | None,
    typer.Option(
        "--edit",
        "-e",
        metavar="EDIT",
        help="What a layer says instead: ablate:blocks.4.2#7, scale=0.5:blocks.3, clamp=0..1:stem,"
        " add=vector.npy:LAYER, replace=other.png:LAYER#UNITS. May be repeated.",
    ),
]

ADDRESS = "localhost:50051"
LONGEST = 365 * 24 * 3600
"""Seconds of a timeout that gRPC can still tell from one that has passed."""


def pointed(
    layer: str | None,
    unit: list[int] | None,
    label: list[str] | None,
    position: str | None,
    *,
    all_units: bool,
) -> dict[str, Any]:
    """The options of a call that say what it points at."""
    if all_units and (unit or label):
        raise ValueError("--all-units is each unit; leave out --unit and --label")
    given = {
        "layer": layer,
        "unit": "all" if all_units else unit,
        "label": label,
        "position": None if position is None else indices(position),
    }
    return {key: value for key, value in given.items() if value not in (None, [])}


def indices(text: str) -> list[int]:
    """Indices of a position, `3,4`."""
    parts = [each.strip() for each in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise ValueError(f"--position {text!r} is not ROW,COLUMN such as 3,4")
    return [int(part) for part in parts]


def batch(files: list[Path]) -> Path | list[Path]:
    """The inputs of a call: one file, which may be an array, or several pictures."""
    for file in files:
        check_picture(file)
    return files[0] if len(files) == 1 else list(files)


def client(address: str, timeout: float | None = None) -> Client:
    """A client for the command; a context manager."""
    import hooke

    endless = timeout is None or timeout > LONGEST
    return hooke.connect(address, timeout=None if endless else timeout)
