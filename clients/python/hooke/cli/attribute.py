"""`hooke attribute`: which parts of a picture, or of a layer, an answer is due to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hooke.cli import save, show
from hooke.cli.options import ADDRESS, Address, EditTexts, Json, Name, Timeout, client
from hooke.cli.visualize import bar, forward

if TYPE_CHECKING:
    from hooke import At, Attributions
    from hooke.frames import Frame
    from hooke.methods import Method


def attribute(
    name: Name,
    inputs: Annotated[
        list[Path],
        typer.Argument(
            exists=True, dir_okay=False, help="Pictures, which make up a batch, or a .npy array."
        ),
    ],
    method: Annotated[
        list[str] | None,
        typer.Option("--method", "-m", help="How; `hooke techniques` lists the methods."),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="NAME=VALUE", help="A parameter of the method."),
    ] = None,
    label: Annotated[list[str] | None, typer.Option(help="Class to explain.")] = None,
    layer: Annotated[
        str | None, typer.Option("--layer", "-l", help="Layer whose unit is explained.")
    ] = None,
    unit: Annotated[list[int] | None, typer.Option("--unit", "-u", help="Unit to explain.")] = None,
    at: Annotated[
        list[str] | None, typer.Option(help="Layer, or pattern, where the answer is looked for.")
    ] = None,
    drawing: Annotated[
        list[str] | None, typer.Option(help="overlay, heat_map, signed_map or top_regions.")
    ] = None,
    evidence: Annotated[
        list[str] | None,
        typer.Option(
            help="Measure each answer: completeness, infidelity, max_sensitivity, deletion,"
            " insertion, parameter_randomization or seed_interval."
        ),
    ] = None,
    edit: EditTexts = None,
    seed: Annotated[int, typer.Option(help="Of every random choice.", min=0)] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write a picture, or the numbers: .npy, .safetensors, .json."
        ),
    ] = None,
    address: Address = ADDRESS,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Show what an answer is due to; without a target, the most likely class is explained."""
    from hooke.cli.edits import edits

    path = output or Path(f"{name}-{(method or ['attribution'])[0]}.png")
    save.check_suffix(path, [*save.ARRAYS, *save.PICTURES])
    drawn = path.suffix in save.PICTURES
    options: dict[str, Any] = {"seed": seed, "tensors": not drawn, "pictures": drawn}
    given: dict[str, Any] = {
        "label": label,
        "layer": layer,
        "unit": unit,
        "at": at,
        "drawings": drawing,
    }
    given |= {"evidence": evidence, "edits": edits(edit)}
    options |= {key: value for key, value in given.items() if value}
    if drawn:
        options["format"] = save.PICTURES[path.suffix]
    with client(address, timeout) as connection:
        frames = connection.attribute(
            name,
            inputs[0] if len(inputs) == 1 else list(inputs),
            _methods(method or ["integrated_gradients"], parameter or ()),
            **options,
        )
        answer = _watched(frames)
    _print(answer, _written(answer, path), as_json=as_json)


def _methods(names: list[str], assignments: Any) -> list[Method | At]:
    from hooke.cli.parameters import method

    if assignments and len(names) > 1:
        raise ValueError("--set goes with one --method; use Python to give several parameters")
    return [method(each, assignments) for each in names]


def _watched(frames: Any) -> Attributions:
    """All that came, behind a progress bar."""
    from hooke import Progress
    from hooke.attributions import collect_attributions

    found: list[Frame] = []
    with bar() as (progress, task):
        for frame in frames:
            if isinstance(frame, Progress):
                forward(progress, task, frame)
            else:
                found.append(frame)
    return collect_attributions(found)


def _written(answer: Attributions, path: Path) -> list[Path]:
    if path.suffix in save.PICTURES:
        return save.pictures(path, answer.pictures)
    named = {
        each.name
        if len(answer.tensors) == 1
        else f"{each.item}/{each.layer}/{each.name}": each.real
        for each in answer.tensors
    }
    save.arrays(path, named)
    return [path]


def _print(answer: Attributions, written: list[Path], *, as_json: bool) -> None:
    if as_json:
        pictures = [show.plain(each) for each in answer.pictures]
        show.dump(
            {
                "targets": answer.targets.dicts(),
                "tables": {each.name: each.dicts() for each in answer.tables},
                "findings": answer.findings,
                "pictures": pictures,
                "files": list(map(str, written)),
                "result": answer.result,
            }
        )
        return
    for table in answer.tables:
        typer.echo(f"{table.name}: {table.caption}")
        show.rows(table)
    for finding in answer.findings:
        typer.echo(finding.text)
    for file in written:
        typer.echo(f"wrote {file}")
