"""Options that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hooke import Client

Name = Annotated[str, typer.Argument(metavar="MODEL", help="Name of a model.")]
Address = Annotated[
    str,
    typer.Option(envvar="HOOKE_ADDRESS", help="Where the server listens: host:port or unix:PATH."),
]
Timeout = Annotated[float | None, typer.Option(help="Seconds after which to give up.", min=0)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")]

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


def client(address: str, timeout: float | None = None) -> Client:
    """A client for the command; a context manager."""
    import hooke

    return hooke.connect(address, timeout=timeout)
