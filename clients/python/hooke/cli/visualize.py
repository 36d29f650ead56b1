"""`hooke visualize`: what a unit responds to, live; and `hooke techniques`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hooke.cli import save, show
from hooke.cli.options import ADDRESS, Address, EditTexts, Json, Name, Timeout, client

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from hooke import Checkpoint, Frame, Picture, Progress, Result


def visualize(
    name: Name,
    layer: Annotated[
        str | None, typer.Option("--layer", "-l", help="Id; left out, the model's output.")
    ] = None,
    unit: Annotated[list[int] | None, typer.Option("--unit", "-u", help="Index of a unit.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="Class, at the output.")] = None,
    position: Annotated[
        str | None, typer.Option(help="Of a neuron: '3,4' is row 3, column 4.")
    ] = None,
    technique: Annotated[
        str, typer.Option(help="Name; 'hooke techniques' lists them.")
    ] = "feature_visualization",
    photo: Annotated[
        Path | None, typer.Option(help="Picture that the technique looks at (its photograph).")
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", help="Parameter: steps=64, image.alpha=yes. May be repeated."),
    ] = None,
    edit: EditTexts = None,
    all_units: Annotated[bool, typer.Option("--all-units", help="Show each unit of it.")] = False,
    sheet: Annotated[
        int | None, typer.Option(help="One picture of all, each fitted into so many pixels.")
    ] = None,
    time_budget: Annotated[
        float | None, typer.Option(help="Seconds of work after which to stop with what there is.")
    ] = None,
    resume: Annotated[str | None, typer.Option(help="Checkpoint of a run to go on with.")] = None,
    seed: Annotated[int, typer.Option(help="Of every random choice.", min=0)] = 0,
    preview_every: Annotated[
        int, typer.Option(help="Keep a preview beside the output, new each so many steps.", min=0)
    ] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Picture to write: .png, .jpg, .webp.")
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
    given = {
        "layer": layer,
        "unit": "all" if all_units else unit or None,
        "label": label or None,
        "position": [int(each) for each in position.split(",")] if position else None,
    }
    with client(address, timeout) as connection:
        frames = connection.visualize(
            name,
            technique=lens(technique, assignments),
            seed=seed,
            preview_every=preview_every or None,
            format=save.PICTURES[path.suffix],
            sprite_sheet=SpriteSheet(tile_size=sheet) if sheet else None,
            time_budget=time_budget,
            resume_from=resume,
            edits=edits(edit),
            **{key: value for key, value in given.items() if value is not None},  # type: ignore[arg-type]
        )
        run = watch(frames, path)
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
    with Bar(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        yield progress, progress.add_task("starting", total=None)


def forward(progress: Bar, task: TaskID, frame: Progress) -> None:
    """Move a progress bar to where the work is."""
    objective = "" if frame.objective is None else f"objective {frame.objective:.3g}"
    told = "  ".join(filter(None, [frame.message, objective]))
    progress.update(task, completed=frame.step, total=frame.total_steps, description=told)


def techniques(
    name: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="Say which are valid on this model.")
    ] = None,
    layer: Annotated[str | None, typer.Option("--layer", "-l", help="... at this layer.")] = None,
    unit: Annotated[int | None, typer.Option("--unit", "-u", help="... at this unit.")] = None,
    address: Address = ADDRESS,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """List the techniques with their parameters."""
    place: dict[str, Any] = {"layer": layer} if layer else {}
    if unit is not None:
        place["unit"] = unit
    if place and not name:
        raise ValueError("--layer and --unit need the name of a model before them")
    with client(address, timeout) as connection:
        found = connection.techniques(name, **place)
    if as_json:
        return show.dump(found)
    for each in found:
        typer.echo(f"{each.name}: {each.title} ({each.source})")
        if each.applicable is not None:
            typer.echo("valid there" if each.applicable else f"not valid there: {each.obstacle}")
        rows = (
            (name, p.type.lower(), _default(p), _bounds(p), p.description)
            for name, p in _flat(each.parameters)
        )
        show.table(["parameter", "type", "#default", "allowed", "what it does"], rows)
    return None


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
