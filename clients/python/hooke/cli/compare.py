"""`hooke compare`, `compare-weights`, `match-units`: two models side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hooke.cli import save, show
from hooke.cli.options import ADDRESS, Address, Files, Json, Timeout, batch, client

if TYPE_CHECKING:
    from hooke import Compared, Frame, Table
    from hooke.comparison import Watch

OUTPUT = (".csv", *save.PICTURES)
ROWS = 20
"""Rows that are printed where not all are asked for."""

Reference = Annotated[
    str, typer.Argument(metavar="REFERENCE", help="Model that differences are taken from.")
]
Candidate = Annotated[str, typer.Argument(metavar="CANDIDATE", help="Model compared with it.")]
CandidateInput = Annotated[
    list[Path] | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="What the candidate gets, where it is not the same: as many samples.",
    ),
]
SameTensors = Annotated[
    bool,
    typer.Option(
        "--same-tensors",
        help="Prepare pictures once, as the reference has it; else each model as it declares.",
    ),
]
CandidateEdits = Annotated[
    list[str] | None,
    typer.Option(
        "--edit",
        "-e",
        metavar="EDIT",
        help="What a layer of the candidate says instead, as for `hooke activations`:"
        " ablate:blocks.4.2#7. May be repeated.",
    ),
]
Output = Annotated[
    list[Path] | None,
    typer.Option(
        "--output",
        "-o",
        help="Write the table (.csv) or the picture (.png, .jpg, .webp). May be repeated.",
    ),
]
All = Annotated[bool, typer.Option("--all", help=f"Print every row, not {ROWS}.")]


def compare(
    reference: Reference,
    candidate: Candidate,
    inputs: Files,
    layer: Annotated[
        list[str] | None, typer.Option("--layer", "-l", help="Id or pattern; left out, all.")
    ] = None,
    pair: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LAYER=LAYER", help="Layers to compare, of the reference and the candidate."
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            help="Difference that still agrees, as a share of a layer's largest value;"
            " 0.001 by default.",
            min=0,
        ),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            help="What similarity (CKA) compares: pooled over positions, the default, or flattened."
        ),
    ] = None,
    unbiased: Annotated[
        bool, typer.Option("--unbiased", help="Estimate CKA without bias; takes 4 samples.")
    ] = False,
    cka_map: Annotated[
        list[str] | None,
        typer.Option(
            "--map", help="Layers of the candidate, ids or patterns, to compare all with, by CKA."
        ),
    ] = None,
    candidate_input: CandidateInput = None,
    same_tensors: SameTensors = False,
    edit: CandidateEdits = None,
    output: Output = None,
    every: All = False,
    address: Address = ADDRESS,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Compare the layers of two models on the same inputs; find where they part."""
    options: dict[str, Any] = {"same_tensors": same_tensors, "tolerance": tolerance}
    options |= {"unbiased": unbiased, **_own(candidate_input, edit)}
    if features:
        options["features"] = features
    if pair:
        options["pairs"] = [_pair(each) for each in pair]
    if cka_map:
        options["map"] = cka_map
    form = _format(output)
    with client(address, timeout) as connection, _watching() as watch:
        found = connection.compare(
            reference, candidate, batch(inputs), layer, format=form, watch=watch, **options
        )
    _tell(found, output, as_json=as_json, every=every, by="relative_error")


def compare_weights(
    reference: Reference,
    candidate: Candidate,
    weight: Annotated[
        list[str] | None, typer.Option("--weight", "-w", help="Name or pattern; left out, all.")
    ] = None,
    output: Output = None,
    every: All = False,
    address: Address = ADDRESS,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Compare the weights of two models, two checkpoints for instance."""
    form = _format(output)
    with client(address, timeout) as connection, _watching() as watch:
        found = connection.compare_weights(reference, candidate, weight, format=form, watch=watch)
    _tell(found, output, as_json=as_json, every=every, by="relative_change")


def match_units(
    reference: Reference,
    candidate: Candidate,
    inputs: Files,
    layer: Annotated[str, typer.Option("--layer", "-l", help="Id of the layer.")],
    candidate_layer: Annotated[
        str | None, typer.Option(help="Id in the candidate, where it is another.")
    ] = None,
    absolute: Annotated[
        bool, typer.Option("--absolute", help="A unit and its negative are partners.")
    ] = False,
    candidate_input: CandidateInput = None,
    same_tensors: SameTensors = False,
    edit: CandidateEdits = None,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            help="Write the table (.csv), the picture (.png, .jpg, .webp), or the correlations of"
            " every unit with every other (.npy). May be repeated.",
        ),
    ] = None,
    every: All = False,
    address: Address = ADDRESS,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Find the unit of another model's layer that does what a unit of this one does."""
    form = _format(output, ".npy")
    with client(address, timeout) as connection, _watching() as watch:
        found = connection.match_units(
            reference,
            candidate,
            batch(inputs),
            layer,
            candidate_layer=candidate_layer,
            absolute=absolute,
            correlations=any(save.suffix(path) == ".npy" for path in output or ()),
            same_tensors=same_tensors,
            format=form,
            watch=watch,
            **_own(candidate_input, edit),
        )
    _tell(found, output, as_json=as_json, every=every, by="correlation")


def _own(files: list[Path] | None, texts: list[str] | None) -> dict[str, Any]:
    """The options that are the candidate's own."""
    from hooke.cli.edits import edits

    own: dict[str, Any] = {"candidate_inputs": batch(files)} if files else {}
    return own | {"candidate_edits": edits(texts)}


def _pair(text: str) -> tuple[str, str]:
    layer, equals, other = text.partition("=")
    if not (layer and equals and other):
        raise ValueError(f"--pair {text!r} is not LAYER=LAYER")
    return layer, other


def _format(output: list[Path] | None, *more: str) -> str | None:
    """The format of the pictures; ValueError for files that cannot be, or not together."""
    for path in output or ():
        save.check_suffix(path, [*OUTPUT, *more])
    suffixes = map(save.suffix, output or ())
    forms = {save.PICTURES[suffix] for suffix in suffixes if suffix in save.PICTURES}
    if len(forms) > 1:
        raise ValueError(f"pictures come in one format, not in {' and '.join(sorted(forms))}")
    return forms.pop() if forms else None


@contextmanager
def _watching() -> Iterator[Watch]:
    """A progress bar that frames move."""
    from hooke import Progress
    from hooke.cli.visualize import bar

    with bar() as (progress, task):

        def watch(frame: Frame) -> None:
            if isinstance(frame, Progress):
                told = frame.message
                progress.update(
                    task, completed=frame.step, total=frame.total_steps, description=told
                )

        yield watch


def _tell(
    found: Compared, output: list[Path] | None, *, as_json: bool, every: bool, by: str
) -> None:
    written = [path for each in output or () for path in _write(found, each)]
    if as_json:
        return show.dump(
            {
                "findings": found.findings,
                "tables": {name: table.dicts() for name, table in found.tables.items()},
                "files": [str(path) for path in written],
                "result": found.result,
            }
        )
    shown = found.table if every else _most(found.table, by, ROWS)
    show.rows(shown)
    if len(shown) < len(found.table):
        typer.echo(f"the {len(shown)} of {len(found.table)} rows with the largest {by}; --all")
    for finding in found.findings:
        typer.echo(f"\n{finding.text}.")
    for path in written:
        typer.echo(f"wrote {path}")
    return None


def _most(table: Table, by: str, count: int) -> Table:
    """The rows with the largest numbers in a column, NaN first, in the table's order."""
    values = [float("-inf") if each is None else float(each) for each in table[by]]
    keys = [float("inf") if math.isnan(each) else each for each in values]
    order = sorted(range(len(table)), key=lambda row: -keys[row])[:count]
    return replace(table, rows=tuple(table.rows[row] for row in sorted(order)))


def _write(found: Compared, path: Path) -> Iterator[Path]:
    """The table or the pictures; beside the first file those of the others, by their names."""
    if save.suffix(path) == ".npy" and found.correlations is not None:
        yield from save.arrays(path, {"correlations": found.correlations})
    elif save.suffix(path) == ".csv":
        for number, (name, table) in enumerate(found.tables.items()):
            yield table.save(path if not number else path.with_stem(f"{path.stem}-{name}"))
    else:
        for number, (name, picture) in enumerate(found.pictures.items()):
            yield picture.save(path if not number else path.with_stem(f"{path.stem}-{name}"))
