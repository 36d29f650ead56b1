"""`hooke techniques`: what a model can be looked at with, and what each technique takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hooke.cli import show
from hooke.cli.options import ADDRESS, Address, Json, Timeout, client

if TYPE_CHECKING:
    from hooke import Technique


def techniques(
    name: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="Say which are valid on this model.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--name", "-n", help="Only the technique of this name, with its parameters."),
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="Only those of a kind: visualization or attribution.")
    ] = None,
    layer: Annotated[
        str | None, typer.Option("--layer", "-l", help="Say which are valid at this layer.")
    ] = None,
    unit: Annotated[
        int | None,
        typer.Option("--unit", "-u", help="Say which are valid at this unit.", min=0),
    ] = None,
    address: Address = ADDRESS,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """List the techniques; with --name, tell a technique's parameters."""
    place: dict[str, Any] = {"layer": layer} if layer else {}
    if unit is not None:
        place["unit"] = unit
    if place and not name:
        raise ValueError("--layer and --unit need the name of a model before them")
    with client(address, timeout) as connection:
        listed = connection.techniques(name, kind=kind, **place)
    found = _named(listed, only)
    if as_json:
        return show.dump(found)
    if not only:
        return _summed_up(found)
    for each in found:
        typer.echo(f"{each.name}: {each.title} ({each.source})")
        if each.applicable is not None:
            typer.echo("valid there" if each.applicable else f"not valid there: {each.obstacle}")
        rows = (
            (name, p.type.lower(), _default(p), _bounds(p), p.description)
            for name, p in _flat(each.parameters)
        )
        if each.parameters:
            show.table(["parameter", "type", "#default", "allowed", "what it does"], rows)
        typer.echo()
    return None


def _summed_up(found: list[Technique]) -> None:
    """A line for each, and whether it is valid at the place that was asked for."""
    rows = [
        (each.name, each.kind.lower(), *_validity(each), each.title)
        for each in sorted(found, key=lambda each: (each.kind, each.name))
    ]
    placed = len(rows[0]) > 3 if rows else False
    show.table(["name", "kind", *(["valid there"] if placed else []), "title"], rows)
    typer.echo("Parameters and papers: hooke techniques --name NAME")


def _validity(each: Technique) -> list[str]:
    if each.applicable is None:
        return []
    return ["yes" if each.applicable else f"no: {each.obstacle}"]


def _named(listed: list[Technique], names: list[str] | None) -> list[Technique]:
    """Those of some names; ValueError where a name is nobody's."""
    if not names:
        return listed
    wanted = [name.replace("-", "_") for name in names]
    known = [each.name for each in listed]
    if missing := [each for each in wanted if each not in known]:
        raise ValueError(f"no technique {missing[0]!r}; there are {', '.join(known)}")
    return [each for each in listed if each.name in wanted]


def _flat(parameters: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Parameters with their parts as dotted names, as `--set` takes them."""
    for parameter in parameters:
        name = "" if parameter.name == "ascent" else f"{path}{parameter.name}"
        inner = parameter.type == "MESSAGE" and not parameter.repeated
        if name and not (inner and parameter.fields):
            yield name, parameter
        if inner:
            yield from _flat(parameter.fields, name and f"{name}.")


def _default(parameter: Any) -> Any:
    if parameter.required:
        return "required"
    if isinstance(parameter.default, dict):
        return ", ".join(parameter.default)
    return "" if parameter.default in (None, [], ()) else parameter.default


def _bounds(parameter: Any) -> str:
    if parameter.choices:
        return ", ".join(parameter.choices)
    if parameter.minimum is None and parameter.maximum is None:
        return ""
    return f"{parameter.minimum:g} to {parameter.maximum:g}"
