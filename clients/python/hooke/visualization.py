"""Requests for pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hooke.edits import Edits, edit_messages
from hooke.filling import fill
from hooke.messages import check_options, number, whole, wholes
from hooke.objectives import Algebra
from hooke.places import Place
from hooke.pointing import pointed_at
from hooke.readout import IMAGE_FORMAT
from hooke.techniques import LENSES, FeatureVisualization, Lens
from hooke.v1 import visualization_service_pb2 as pb


@dataclass(frozen=True, kw_only=True)
class SpriteSheet:
    """One picture that holds all, with an index: `Picture.tiles`.

    Parameters
    ----------
    tile_size : edge that each picture is fitted into; None: as they are.
    columns : tiles in a row; None: as near to a square as can be.
    """

    tile_size: int | None = None
    columns: int | None = None


class VisualizeOptions(Place, total=False):
    """Options of `Client.visualize`, beside the place; see `Place`.

    objective : what to optimize, or several, in place of places; see `hooke.objectives`.
    seed : of every random choice; the same gives the same pictures.
    preview_every : a preview each so many steps; left out: no previews.
    preview_steps : and after these.
    format : `png`, `jpeg` or `webp`; by default previews as JPEG, the rest as PNG.
    sprite_sheet : all pictures as one.
    time_budget : seconds of work after which to stop with what there is.
    resume_from : id of the `Checkpoint` of a run that stopped, to go on from there.
    edits : changes to what layers yield, while pictures are made; see `hooke.edits`.
    """

    objective: Algebra | Sequence[Algebra]
    seed: int
    preview_every: int | None
    preview_steps: Sequence[int]
    format: str | None
    sprite_sheet: SpriteSheet | None
    time_budget: float | None
    resume_from: str | None
    edits: Edits


def visualize_request(
    model: str, technique: Lens | None = None, options: VisualizeOptions | None = None
) -> pb.VisualizeRequest:
    """The request of a call; ValueError or TypeError for what the contract cannot say."""
    given: VisualizeOptions = options or {}
    check_options(given, VisualizeOptions.__annotations__)
    request = pb.VisualizeRequest(
        items=pointed_at(pb.VisualizationItem, model, given),
        seed=given.get("seed", 0),
        resume_from=given.get("resume_from") or "",
        edits=edit_messages(given.get("edits", ()), model),
    )
    lens = technique or FeatureVisualization()
    names = {kind: name for name, kind in LENSES.items()}
    if type(lens) not in names:
        raise TypeError(f"{lens!r} is no lens, such as hooke.FeatureVisualization()")
    fill(getattr(request, names[type(lens)]), lens, model)
    if (every := given.get("preview_every")) is not None:
        request.previews.every = whole(every, "preview_every")
    if steps := given.get("preview_steps"):
        request.previews.steps.extend(wholes(steps, "preview_steps"))
    if wanted := given.get("format"):
        request.format = number(IMAGE_FORMAT, wanted, "format")
    if (sheet := given.get("sprite_sheet")) is not None:
        fill(request.sprite_sheet, sheet, model)
    if (seconds := given.get("time_budget")) is not None:
        request.time_budget.FromNanoseconds(round(seconds * 1e9))
    return request
