"""Commands about models, and whether the server is well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hooke.cli import show
from hooke.cli.options import ADDRESS, Address, Json, Name, Timeout, client

if TYPE_CHECKING:
    from hooke import Model, TensorSpec


def models(address: Address = ADDRESS, timeout: Timeout = None, as_json: Json = False) -> None:
    """List the models that the server knows."""
    with client(address, timeout) as connection:
        found = connection.models()
    if as_json:
        return show.dump(found)
    rows = [
        (
            m.name,
            m.state,
            m.source,
            show.count(m.parameter_count) if m.parameter_count else "",
            m.layer_count or "",
            m.error,
        )
        for m in found
    ]
    return show.table(["model", "state", "source", "#parameters", "#layers", "error"], rows)


def model(
    name: Name, address: Address = ADDRESS, timeout: Timeout = None, as_json: Json = False
) -> None:
    """Show what a model is."""
    with client(address, timeout) as connection:
        found = connection.model(name)
    if as_json:
        return show.dump(found)
    return show.facts([*_known(found), *(_measured(found) if found.digest else ())])


def _known(model: Model) -> list[tuple[str, object]]:
    return [
        ("model", model.name),
        ("state", model.state),
        ("error", model.error),
        ("source", model.source),
        ("device", model.device),
    ]


def _measured(model: Model) -> list[tuple[str, object]]:
    """What only a loaded model knows."""
    gradients = "yes" if model.differentiable else f"no: {model.obstacle}"
    return [
        ("format", model.format),
        ("digest", model.digest),
        *(("input", _spec(each)) for each in model.inputs),
        *(("output", _spec(each)) for each in model.outputs),
        ("classes", len(model.class_labels) or ""),
        ("parameters", f"{model.parameter_count:,}"),
        ("MACs", f"{model.macs:,}"),
        ("memory", f"{show.count(model.memory_bytes)}B"),
        ("layers", model.layer_count),
        ("gradients", gradients),
        ("parity error", model.parity_error),
        *(("note", note) for note in model.notes),
    ]


def _spec(spec: TensorSpec) -> str:
    return f"{spec.name} {spec.dtype} {show.shape(spec.shape)}".strip()


def load(
    name: Name,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="torchvision:NAME, timm:NAME, or file:FILE in a folder that the server was"
            " started with (--model-root).",
        ),
    ],
    address: Address = ADDRESS,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Add a model to a server that was started with --allow-admin, and load it."""
    with client(address, timeout) as connection:
        found = connection.load(name, source)
    _state(found, as_json=as_json)


def unload(
    name: Name, address: Address = ADDRESS, timeout: Timeout = None, as_json: Json = False
) -> None:
    """Take a model out of the memory of a server that was started with --allow-admin."""
    with client(address, timeout) as connection:
        found = connection.unload(name)
    _state(found, as_json=as_json)


def _state(model: Model, *, as_json: bool) -> None:
    if as_json:
        show.dump(model)
    else:
        show.facts(_known(model))


def health(
    service: Annotated[
        str,
        typer.Argument(
            metavar="SERVICE", help="A service or a model; left out, the server as a whole."
        ),
    ] = "",
    address: Address = ADDRESS,
    timeout: Timeout = 5.0,
    as_json: Json = False,
) -> None:
    """Say whether the server is well; the exit code tells programs."""
    with client(address, timeout) as connection:
        serving = connection.serving(service)
    if as_json:
        show.dump({"serving": serving})
    else:
        typer.echo("serving" if serving else "not serving")
    raise typer.Exit(0 if serving else 1)
