"""`hooke visualize`: what a unit responds to, live."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hooke.cli import save, show
from hooke.cli.options import (
    ADDRESS,
    Address,
    AllUnits,
    EditTexts,
    Estimated,
    Json,
    Labels,
    Layer,
    Name,
    Position,
    Seed,
    Timeout,
    Units,
    client,
    pointed,
)

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from hooke import Checkpoint, Frame, Picture, Progress, Result


def visualize(
    name: Name,
    layer: Layer = None,
    unit: Units = None,
    label: Labels = None,
    position: Position = None,
    technique: Annotated[
        str, typer.Option(help="How; 'hooke techniques --kind visualization' lists them.")
    ] = "feature_visualization",
    photo: Annotated[
        Path | None,
        typer.Option(help="Picture that the technique looks at; short for --set photograph=FILE."),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="NAME=VALUE",
            help="Parameter of the technique: steps=64, image.alpha=yes. May be repeated.",
        ),
    ] = None,
    edit: EditTexts = None,
    all_units: AllUnits = False,
    sheet: Annotated[
        int | None,
        typer.Option(help="One picture of all, each fitted into so many pixels.", min=1),
    ] = None,
    columns: Annotated[
        int | None,
        typer.Option(help="Pictures in a row of the sheet; left out, as many as rows.", min=1),
    ] = None,
    time_budget: Annotated[
        float | None,
        typer.Option(help="Seconds of work after which to stop with what there is.", min=0),
    ] = None,
    resume: Annotated[str | None, typer.Option(help="Checkpoint of a run to go on with.")] = None,
    seed: Seed = 0,
    preview_every: Annotated[
        int,
        typer.Option(
            help="Keep a preview beside the output, new each so many steps; 0: none.", min=0
        ),
    ] = 0,
    estimate: Estimated = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Picture to write: .png, .jpg, .webp; MODEL.png by default."
        ),
    ] = None,
    address: Address = ADDRESS,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Make a picture of what a unit, a neuron or a class responds to."""
    from hooke import SpriteSheet
    from hooke.cli.edits import edits
    from hooke.cli.parameters import lens

    assignments = [*([f"photograph={photo}"] if photo else []), *(parameter or ())]
    path = output or Path(f"{name}.png")
    save.check_suffix(path, list(save.PICTURES))
    chosen = lens(technique, assignments)
    options = pointed(layer, unit, label, position, all_units=all_units)
    options |= {
        "seed": seed,
        "preview_every": preview_every or None,
        "format": save.PICTURES[save.suffix(path)],
        "time_budget": time_budget,
        "resume_from": resume,
        "edits": edits(edit),
    }
    if sheet or columns:
        options["sprite_sheet"] = SpriteSheet(tile_size=sheet, columns=columns)
    with client(address, timeout) as connection:
        if estimate:
            cost = connection.visualization_estimate(name, chosen, **options)
            return show.estimate(cost, as_json=as_json)
        run = watch(connection.visualize(name, chosen, **options), path)
    made = run.pictures
    written = save.pictures(path, made)
    if as_json:
        files = map(str, written)
        return show.dump(
            {
                "pictures": [
                    {**show.plain(picture), "file": file}
                    for picture, file in zip(made, files, strict=True)
                ],
                "result": run.result,
                "checkpoint": run.checkpoint,
            }
        )
    for picture, file in zip(made, written, strict=True):
        typer.echo(f"wrote {file}: {picture.caption or picture.layer}")
    if run.result is not None and run.result.outcome == "TIME_BUDGET":
        _tell_how_to_go_on(run)
    return None


@dataclass
class Run:
    """What has come of a run."""

    pictures: list[Picture] = field(default_factory=list)
    result: Result | None = None
    checkpoint: Checkpoint | None = None


def watch(frames: Iterable[Frame], path: Path) -> Run:
    """Take frames to their end behind a progress bar; previews go beside `path` as they come."""
    from hooke import Checkpoint, Picture, Progress, Result

    run = Run()
    try:
        with bar() as (progress, task):
            for frame in frames:
                match frame:
                    case Checkpoint():
                        run.checkpoint = frame
                    case Progress():
                        forward(progress, task, frame)
                    case Picture(final=True):
                        run.pictures.append(frame)
                    case Picture():
                        preview(frame, path)
                    case Result():
                        run.result = frame
    except KeyboardInterrupt:
        _tell_how_to_go_on(run)
        raise
    return run


def _tell_how_to_go_on(run: Run) -> None:
    if run.checkpoint is not None:
        minutes = run.checkpoint.time_to_live / 60
        told = f"go on within {minutes:.0f} minutes: the same with --resume {run.checkpoint.id}"
        typer.echo(told, err=True)


def preview(picture: Picture, path: Path) -> Path:
    """Write a preview, over the last one of its unit."""
    name = "-".join(filter(None, (path.stem, save.unit_word(picture), "preview")))
    return picture.save(path.with_name(name + picture.suffix))


@contextmanager
def bar() -> Iterator[tuple[Bar, TaskID]]:
    """A progress bar on standard error that leaves when the work is done."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    console = show.console(errors=True)
    # Where nobody watches, a bar would leave an empty line.
    hidden = not sys.stderr.isatty()
    with Bar(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=hidden
    ) as progress:
        yield progress, progress.add_task("starting", total=None)


def forward(progress: Bar, task: TaskID, frame: Progress) -> None:
    """Move a progress bar to where the work is."""
    objective = "" if frame.objective is None else f"objective {frame.objective:.3g}"
    told = "  ".join(filter(None, [frame.message, objective]))
    progress.update(task, completed=frame.step, total=frame.total_steps, description=told)
