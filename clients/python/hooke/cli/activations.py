"""`hooke activations`: what layers say to a picture or an array."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hooke.cli import save, show
from hooke.cli.options import ADDRESS, Address, EditTexts, Json, Name, Timeout, client

if TYPE_CHECKING:
    from hooke import Activations, Client
    from hooke.readout import Reduce

REDUCE = "mean, max, min, norm, zero_fraction, top_k:K, quantiles:P,P,... or histogram:BINS."
SAMPLE = 8
"""Numbers of an array that the table shows."""


def activations(
    name: Name,
    inputs: Annotated[
        list[Path],
        typer.Argument(
            exists=True, dir_okay=False, help="Pictures, which make up a batch, or a .npy array."
        ),
    ],
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", "-l", help="Id or pattern; left out, the model's output."),
    ] = None,
    unit: Annotated[list[int] | None, typer.Option("--unit", "-u", help="Unit to keep.")] = None,
    reduce: Annotated[str | None, typer.Option(help=REDUCE)] = None,
    over: Annotated[
        str, typer.Option(help="Reduce over positions, units, sample or batch.")
    ] = "positions",
    dtype: Annotated[str | None, typer.Option(help="float32, float16, bfloat16 or uint8.")] = None,
    edit: EditTexts = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write .npy, .safetensors or .json; .png, .jpg or .webp for feature maps.",
        ),
    ] = None,
    address: Address = ADDRESS,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Show what layers say to pictures: numbers, or feature maps as a picture."""
    from hooke.cli.edits import edits

    options: dict[str, Any] = {}
    if output:
        save.check_suffix(output, [*save.ARRAYS, *save.PICTURES])
    if output and output.suffix in save.PICTURES:
        from hooke import FeatureMaps

        options["feature_maps"] = FeatureMaps(format=save.PICTURES[output.suffix])
    if reduce:
        options |= {"reduce": reduction(reduce), "over": over}
    if unit:
        options["units"] = unit
    if dtype:
        options["dtype"] = dtype
    with client(address, timeout) as connection:
        wanted = layer or [_output_layer(connection, name)]
        given = inputs[0] if len(inputs) == 1 else list(inputs)
        answer = connection.activations(name, given, wanted, edits=edits(edit), **options)
    _print(answer, _write(answer, output), as_json=as_json)


def _output_layer(connection: Client, name: str) -> str:
    """The layer that yields the model's first output; a model that is not loaded is."""
    if not (model := connection.model(name)).output_layer:
        connection.layers(name)
        model = connection.model(name)
    return model.output_layer


def reduction(text: str) -> Reduce:
    """The reduction that an option names, `histogram:20` for example."""
    from hooke import Histogram, Quantiles, TopK

    form, _, argument = text.partition(":")
    match form.replace("-", "_"):
        case "top_k":
            return TopK(int(argument or 5))
        case "quantiles":
            return Quantiles([float(each) for each in (argument or "0.25,0.5,0.75").split(",")])
        case "histogram":
            return Histogram(int(argument or 64))
        case statistic:
            return statistic


def _write(answer: Activations, output: Path | None) -> list[Path]:
    if output is None:
        return []
    if output.suffix in save.PICTURES:
        made = [each for pictures in answer.pictures.values() for each in pictures]
        return save.pictures(output, made)
    save.arrays(output, dict(answer.arrays()))
    return [output]


def _print(answer: Activations, written: list[Path], *, as_json: bool) -> None:
    if as_json:
        show.dump(
            {
                "tensors": [_summary(name, array) for name, array in answer.arrays()],
                "pictures": [each for some in answer.pictures.values() for each in some],
                "files": [str(path) for path in written],
                "result": answer.result,
            }
        )
        return
    rows = (
        (name, array.dtype, show.shape(array.shape), *_numbers(array))
        for name, array in answer.arrays()
    )
    if answer:
        show.table(["layer", "dtype", "shape", "#min", "#mean", "#max", "first values"], rows)
    for path in written:
        typer.echo(f"wrote {path}")


def _numbers(array: Any) -> list[str]:
    if not array.size:
        return []
    values = array.astype("f8")
    first = " ".join(f"{each:.4g}" for each in values.flat[:SAMPLE])
    more = " ..." if array.size > SAMPLE else ""
    return [*(f"{each:.4g}" for each in (values.min(), values.mean(), values.max())), first + more]


def _summary(name: str, array: Any) -> dict[str, Any]:
    """An array in JSON: its values as well, unless they are so many that a file is better."""
    values = array.astype("f8") if array.dtype.kind not in "iub" else array
    return {
        "name": name,
        "dtype": array.dtype.name,
        "shape": list(array.shape),
        "values": values.tolist() if array.size <= MAX_JSON_VALUES else None,
    }


MAX_JSON_VALUES = 100_000
"""Numbers of the largest array that `--json` prints."""
