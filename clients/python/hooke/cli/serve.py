"""`hooke serve`: hands over to the server, which is another package with its own options."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Annotated

import typer

from hooke.version import __version__

NEEDED = ("hooke_server", "torch", "torchvision", "timm", "onnx", "onnxruntime", "PIL")


def serve(
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Options of the server; --help lists them.")
    ] = None,
) -> None:
    """Start a server; 'hooke serve --help' lists its options."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"the server needs {', '.join(missing)}: pip install 'hooke[server]'"
            " (or 'hooke[server-cpu]' for a machine without a GPU)"
        )
    # Threads of torch that wait by spinning slow down whatever shares their cores.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    # The server takes the place of this process, so that signals reach it.
    os.execv(sys.executable, [sys.executable, "-m", "hooke_server", *(arguments or [])])  # noqa: S606  # its own arguments, no shell


def about(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """A microscope for neural networks."""
    if version:
        typer.echo(f"hooke {__version__}")
        raise typer.Exit
