"""Commands about the layers of a model and their weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hooke.cli import save, show
from hooke.cli.options import ADDRESS, Address, Json, Name, Timeout, client


def layers(
    name: Name,
    glob: Annotated[
        list[str] | None, typer.Option(help="Only ids that fit a pattern: 'blocks.*'.")
    ] = None,
    op: Annotated[
        list[str] | None, typer.Option(help="Only those of an operation: conv2d.")
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="Only those of a kind: input, module, block or operation."),
    ] = None,
    address: Address = ADDRESS,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """List the layers of a model, in the order in which they run."""
    with client(address, timeout) as connection:
        found = connection.layers(name, glob=glob, op=op, kind=kind)
    if as_json:
        return show.dump(found)
    rows = [
        (
            layer.id,
            layer.kind.lower(),
            layer.op,
            show.shape(layer.output.shape),
            layer.unit_count or "",
            show.count(layer.parameter_count),
            show.count(layer.macs),
            show.shape(field.size for field in layer.receptive_fields)
            if layer.receptive_fields
            else "",
        )
        for layer in found
    ]
    columns = ["layer", "kind", "op", "output", "#units", "#parameters", "#MACs", "#sees"]
    return show.table(columns, rows)


def weights(
    name: Name,
    layer: Annotated[
        str, typer.Argument(metavar="LAYER", help="Id of a layer; 'hooke layers MODEL' lists them.")
    ],
    weight: Annotated[list[str] | None, typer.Option(help="Only this weight of the layer.")] = None,
    histogram: Annotated[int, typer.Option(help="Bins of the histogram.", min=1, max=1024)] = 24,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write .npy, .safetensors or .json.")
    ] = None,
    address: Address = ADDRESS,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Sum up a layer's weights, or write them to a file."""
    if output:
        save.check_suffix(output, save.ARRAYS)
    with client(address, timeout) as connection:
        found = connection.weights(
            name, layer, weight or (), histogram=histogram, tensors=output is not None
        )
    written = []
    if output:
        tensors = {key: each.tensor for key, each in found.items() if each.tensor is not None}
        written = save.arrays(output, tensors)
    if as_json:
        return show.dump([{**show.plain(each), "tensor": None} for each in found.values()])
    rows = [
        (
            each.name,
            each.dtype,
            show.shape(each.shape),
            *(f"{value:.4g}" for value in (each.minimum, each.mean, each.maximum, each.std)),
            f"{each.zero_fraction:.1%}",
            show.sparkline(each.histogram_counts),
        )
        for each in found.values()
    ]
    columns = ["weight", "dtype", "shape", "#min", "#mean", "#max", "#std", "#zeros", "values"]
    show.table(columns, rows)
    for path in written:
        typer.echo(f"wrote {path}")
    return None
