"""`hooke attribute`: which parts of a picture, or of a layer, an answer is due to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hooke.cli import save, show
from hooke.cli.options import (
    ADDRESS,
    Address,
    AllUnits,
    EditTexts,
    Estimated,
    Files,
    Json,
    Labels,
    Name,
    Position,
    Seed,
    Timeout,
    Units,
    batch,
    client,
    pointed,
)
from hooke.cli.visualize import bar, forward

if TYPE_CHECKING:
    from hooke import Attributions, Evidence, Table
    from hooke.frames import Frame
    from hooke.methods import Method

METHOD = "integrated_gradients"


def attribute(
    name: Name,
    inputs: Files,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            "-m",
            help=f"How; {METHOD} by default. 'hooke techniques --kind attribution' lists them.",
        ),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="NAME=VALUE",
            help="Parameter of the method: steps=64, baselines=blur_baseline,"
            " baselines.deviation=50, concepts.fur=FOLDER. With several methods METHOD.NAME=VALUE.",
        ),
    ] = None,
    label: Labels = None,
    layer: Annotated[
        str | None,
        typer.Option(
            "--layer", "-l", help="Layer whose unit is explained; left out, the model's output."
        ),
    ] = None,
    unit: Units = None,
    all_units: AllUnits = False,
    position: Position = None,
    at: Annotated[
        list[str] | None,
        typer.Option(
            help="Layer, or pattern, to which the answer is traced; left out, the input,"
            " or what the method looks at."
        ),
    ] = None,
    drawing: Annotated[
        list[str] | None,
        typer.Option(
            help="overlay, heat_map, signed_map or top_regions; left out, what suits the method."
        ),
    ] = None,
    evidence: Annotated[
        list[str] | None,
        typer.Option(
            help="Measure each answer: completeness, infidelity, max_sensitivity, deletion,"
            " insertion, pointing, parameter_randomization or seed_interval."
        ),
    ] = None,
    evidence_set: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Parameter of the evidence: samples=16, steps=32, seeds=4,"
            " baselines=blur_baseline.",
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="LEFT,TOP,RIGHT,BOTTOM",
            help="Where the thing lies, for --evidence pointing; in shares of the picture as the"
            " model gets it: 0.2,0.1,0.8,0.9.",
        ),
    ] = None,
    edit: EditTexts = None,
    seed: Seed = 0,
    estimate: Estimated = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write pictures (.png, .jpg, .webp) or numbers (.npy, .safetensors, .json);"
            " MODEL-METHOD.png by default.",
        ),
    ] = None,
    address: Address = ADDRESS,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Show what an answer is due to; without a target, the most likely class is explained."""
    from hooke.cli.edits import edits

    names = method or [METHOD]
    path = output or Path(f"{name}-{names[0]}.png")
    save.check_suffix(path, [*save.ARRAYS, *save.PICTURES])
    drawn = save.suffix(path) in save.PICTURES
    methods = _methods(names, parameter or ())
    options = pointed(layer, unit, label, position, all_units=all_units)
    options |= {"seed": seed, "tensors": not drawn, "pictures": drawn, "edits": edits(edit)}
    given = {"at": at, "drawings": drawing, "evidence": _evidence(evidence, evidence_set, region)}
    options |= {key: value for key, value in given.items() if value}
    if drawn:
        options["format"] = save.PICTURES[save.suffix(path)]
    with client(address, timeout) as connection:
        if estimate:
            cost = connection.attribution_estimate(name, batch(inputs), methods, **options)
            return show.estimate(cost, as_json=as_json)
        answer = _watched(connection.attribute(name, batch(inputs), methods, **options))
    return _print(answer, list(_written(answer, path, names)), as_json=as_json)


def _methods(names: list[str], assignments: Sequence[str]) -> list[Method]:
    """Each method with its parameters, which say whose they are where there are several."""
    from hooke.cli.parameters import method

    if len(names) == 1:
        return [method(names[0], assignments)]
    if len({each.replace("-", "_") for each in names}) < len(names):
        raise ValueError("each --method is given once; use Python for one with several parameters")
    own: dict[str, list[str]] = {name: [] for name in names}
    for assignment in assignments:
        owner, dot, rest = assignment.partition(".")
        if not dot or owner not in own:
            raise ValueError(
                f"--set {assignment!r} does not say of which method; there are several: "
                f"{names[0]}.NAME=VALUE"
            )
        own[owner].append(rest)
    return [method(name, own[name]) for name in names]


def _evidence(
    measures: list[str] | None, settings: list[str] | None, region: str | None
) -> Evidence | None:
    from hooke import Evidence
    from hooke.cli.parameters import parsed

    if not measures:
        if settings or region:
            raise ValueError("--evidence-set and --region need --evidence, which says what for")
        return None
    if region and "pointing" not in measures:
        raise ValueError("--region is for --evidence pointing")
    sides = _sides(region) if region else []
    if "pointing" in measures and not any(
        text.startswith("region.") for text in [*sides, *(settings or ())]
    ):
        raise ValueError("pointing needs --region LEFT,TOP,RIGHT,BOTTOM, where the thing lies")
    said = [f"measures={each}" for each in measures]
    return parsed(Evidence, "evidence", [*said, *sides, *(settings or ())], "--evidence-set")


def _sides(region: str) -> list[str]:
    sides = ("left", "top", "right", "bottom")
    try:
        left, top, right, bottom = (float(share) for share in region.split(","))
        sound = 0 <= left < right <= 1 and 0 <= top < bottom <= 1
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(
            f"--region {region!r} is not LEFT,TOP,RIGHT,BOTTOM in shares from 0 to 1, such as"
            " 0.2,0.1,0.8,0.9"
        )
    return [f"region.{side}={share}" for side, share in zip(sides, region.split(","), strict=True)]


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


def _written(answer: Attributions, path: Path, names: Sequence[str]) -> Iterator[Path]:
    """Files, named by methods where there are several."""
    if save.suffix(path) in save.PICTURES:
        for item, name in enumerate(names):
            own = path if len(names) == 1 else path.with_stem(f"{path.stem}-{name}")
            yield from save.pictures(own, [each for each in answer.pictures if each.item == item])
        return
    single = len({(each.item, each.layer) for each in answer.tensors}) == 1
    yield from save.arrays(
        path,
        {
            each.name if single else f"{each.item}/{each.layer}/{each.name}": each.real
            for each in answer.tensors
        },
    )


def _print(answer: Attributions, written: list[Path], *, as_json: bool) -> None:
    if as_json:
        show.dump(
            {
                "targets": answer.targets.dicts(),
                "tables": _by_name(answer.tables),
                "findings": answer.findings,
                "pictures": answer.pictures,
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


def _by_name(tables: Sequence[Table]) -> dict[str, list[dict[str, Any]]]:
    """The rows of tables; those of one name, of several layers for instance, follow each other."""
    found: dict[str, list[dict[str, Any]]] = {}
    for table in tables:
        found.setdefault(table.name, []).extend(table.dicts())
    return found
