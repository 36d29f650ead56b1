"""`hooke activations`: what layers say to a picture or an array."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hooke.cli import save, show
from hooke.cli.options import (
    ADDRESS,
    Address,
    EditTexts,
    Estimated,
    Files,
    Json,
    Name,
    Timeout,
    batch,
    client,
)

if TYPE_CHECKING:
    from hooke import Activations, Client
    from hooke.readout import Reduce

REDUCE = "mean, max, min, norm, zero_fraction, top_k:K, quantiles:P,P,... or histogram:BINS"
DTYPES = ("float32", "float16", "bfloat16", "uint8")
SAMPLE = 8
"""Numbers of an array that the table shows."""


def activations(
    name: Name,
    inputs: Files,
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", "-l", help="Id or pattern; left out, the model's output."),
    ] = None,
    unit: Annotated[
        list[int] | None,
        typer.Option("--unit", "-u", help="Index of a unit to keep; left out, all.", min=0),
    ] = None,
    reduce: Annotated[
        str | None, typer.Option(help=f"Few numbers for many: {REDUCE}; left out, every value.")
    ] = None,
    over: Annotated[
        str | None,
        typer.Option(
            help="What --reduce runs over: positions, units, sample or batch; positions by default."
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            help="How numbers travel: float32, float16, bfloat16 or uint8; left out, as they are."
        ),
    ] = None,
    edit: EditTexts = None,
    estimate: Estimated = False,
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
    if output and save.suffix(output) in save.PICTURES:
        from hooke import FeatureMaps

        options["feature_maps"] = FeatureMaps(format=save.PICTURES[save.suffix(output)])
    if reduce:
        options |= {"reduce": reduction(reduce), "over": over or "positions"}
    elif over:
        raise ValueError("--over is for --reduce, which says what becomes of the numbers")
    if unit:
        options["units"] = unit
    if dtype:
        if dtype not in DTYPES:
            raise ValueError(f"--dtype is one of {', '.join(DTYPES)}, not {dtype!r}")
        options["dtype"] = dtype
    options["edits"] = edits(edit)
    given = batch(inputs)
    with client(address, timeout) as connection:
        wanted = layer or [_output_layer(connection, name)]
        if estimate:
            cost = connection.estimate(name, given, wanted, **options)
            return show.estimate(cost, as_json=as_json)
        answer = connection.activations(name, given, wanted, **options)
    return _print(answer, _write(answer, output), as_json=as_json)


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
    try:
        match form.replace("-", "_"):
            case "top_k":
                return TopK(int(argument or 5))
            case "quantiles":
                return Quantiles([float(each) for each in (argument or "0.25,0.5,0.75").split(",")])
            case "histogram":
                return Histogram(int(argument or 64))
            case statistic if not argument:
                return statistic
    except ValueError:
        pass
    raise ValueError(f"--reduce {text!r} is none of {REDUCE}")


def _write(answer: Activations, output: Path | None) -> list[Path]:
    if output is None:
        return []
    if save.suffix(output) in save.PICTURES:
        made = [each for pictures in answer.pictures.values() for each in pictures]
        return save.pictures(output, made)
    return save.arrays(output, dict(answer.arrays()))


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
