"""Which units of two layers correspond.

Their values are correlated over all samples and positions; see `correlations`.
Source: Li et al., Convergent learning: do different neural networks learn the same
representations?, 2016.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hooke_server.errors import invalid
from hooke_server.models.layer import Layer
from hooke_server.techniques.charts import heat_map
from hooke_server.techniques.comparison.correlations import Correlations, Numbers, match
from hooke_server.techniques.comparison.passes import Duo
from hooke_server.techniques.frames import Array, Estimate, Frames, Picture, Progress, Result
from hooke_server.techniques.tables import Column, ColumnType, Finding, Row, Rows, Table
from hooke_server.techniques.targets import Site

INTEGER, NUMBER = ColumnType.INTEGER, ColumnType.NUMBER

MAX_UNITS = 4096

CLOSE = 0.9
"""Correlation from which a partner is called close."""

BATCH = 256
"""Rows of the table that go in one frame."""

UNITS = Table(
    name="units",
    caption="The candidate's partner of each unit of the reference",
    columns=(
        Column("unit", INTEGER, "In the reference."),
        Column("partner", INTEGER, "Its partner one to one; empty where none is left."),
        Column("correlation", NUMBER, "Of the two."),
        Column("best", INTEGER, "The candidate's unit most like it, taken or not."),
        Column("best_correlation", NUMBER, "Of the two; empty where the unit is constant."),
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitPlan:
    """A checked request."""

    layer: str
    candidate: str
    absolute: bool = False
    include_correlations: bool = False

    def estimate(self, duo: Duo) -> Estimate:
        """What it will cost: both layers widened, sums of products and the matching."""
        sides = (duo.reference, self.layer), (duo.candidate, self.candidate)
        held = sum(side.bytes_of(layer, duo.part) for side, layer in sides)
        count = duo.reference.model.layer(self.layer).unit_count
        matrix = count * duo.candidate.model.layer(self.candidate).unit_count * 8
        return Estimate(
            memory_bytes=6 * held + 6 * matrix,
            macs=duo.samples * sum(side.model.macs for side, _ in sides),
            tensor_bytes=matrix // 2 if self.include_correlations else 0,
            layers=(self.layer,),
        )


def check_units(layer: Layer, field: str) -> None:
    """InvalidArgumentError where a layer's units cannot be matched."""
    if layer.unit_axis % max(len(layer.output.shape), 1) == 0:
        told = f"layer {layer.id!r} yields {list(layer.output.shape)}, without an axis of samples"
        raise invalid(f"{told} of its own, and units are correlated over samples", field)
    if not 1 <= layer.unit_count <= MAX_UNITS or layer.output.dtype.is_complex:
        told = f"layer {layer.id!r} has {layer.unit_count or 'no fixed number of'} units"
        raise invalid(f"{told}; 1 to {MAX_UNITS} can be matched", field)


def match_units(duo: Duo, plan: UnitPlan) -> Frames:
    """The frames of a plan."""
    found, parts = Correlations(), duo.parts()
    for step, part in enumerate(parts, 1):
        pooled = _count_in(duo, plan, part, found)
        yield Progress(step=step, total=len(parts), message="correlating")
    matrix = found.matrix()
    partners = match(matrix, absolute=plan.absolute)
    rows = [_row(matrix, unit, partners, absolute=plan.absolute) for unit in range(len(matrix))]
    yield UNITS
    for start in range(0, len(rows), BATCH):
        yield Rows(UNITS, rows[start : start + BATCH])
    yield _picture(matrix, partners, plan)
    if plan.include_correlations:
        yield Array(
            name="correlation",
            value=torch.from_numpy(matrix.astype(np.float32)),
            axes=("unit", "candidate_unit"),
            layer=plan.layer,
        )
    yield _finding(matrix, partners, plan, duo.samples, pooled=pooled)
    yield Result(metrics=_metrics(matrix, partners))


def _count_in(duo: Duo, plan: UnitPlan, part: slice, found: Correlations) -> bool:
    """Observations of a part; whether positions were averaged since they are not the same."""
    values = [
        side.run([layer], part)[layer]
        for side, layer in ((duo.reference, plan.layer), (duo.candidate, plan.candidate))
    ]
    sides = (duo.reference, plan.layer), (duo.candidate, plan.candidate)
    layers = [side.model.layer(layer) for side, layer in sides]
    a, b = (_by_unit(layer, value) for layer, value in zip(layers, values, strict=True))
    pooled = a.shape[1:-1] != b.shape[1:-1]
    if pooled:
        a, b = (each.flatten(1, -2).mean(1) if each.ndim > 2 else each for each in (a, b))
    if len(a) != len(b):
        raise invalid(
            f"{plan.layer!r} has {len(a)} rows and {plan.candidate!r} {len(b)} for the same"
            " samples, so that they cannot be matched",
            "candidate_layer_id",
        )
    a, b = a.flatten(0, -2), b.flatten(0, -2).to(a.device)
    if not (a.isfinite().all() and b.isfinite().all()):
        raise invalid("a layer holds NaN or infinity for these inputs", "inputs")
    found.add(a, b)
    return pooled


def _by_unit(layer: Layer, value: Tensor) -> Tensor:
    """[samples, *positions, units] in float64."""
    with torch.inference_mode():
        return value.to(torch.float64).movedim(layer.unit_axis % value.ndim, -1)


def _row(matrix: Numbers, unit: int, partners: dict[int, int], *, absolute: bool) -> Row:
    partner = partners.get(unit)
    own = matrix[unit]
    if np.isnan(own).all():
        return unit, None, None, None, None
    best = int(np.nanargmax(np.abs(own) if absolute else own))
    correlation = None if partner is None else own[partner]
    return unit, partner, correlation, best, own[best]


def _picture(matrix: Numbers, partners: dict[int, int], plan: UnitPlan) -> Picture:
    """Partners on the diagonal, the most alike first; then those without."""
    order = sorted(partners, key=lambda unit: -abs(matrix[unit, partners[unit]]))
    rows = order + [each for each in range(len(matrix)) if each not in partners]
    taken = [partners[each] for each in order]
    columns = taken + sorted(set(range(matrix.shape[1])) - set(taken))
    names = [f"unit {each}" for each in rows], [f"unit {each}" for each in columns]
    title = f"{plan.layer} (down) with {plan.candidate} (across): red 1, blue -1, grey constant"
    return Picture(
        name="correlation",
        pixels=heat_map(matrix[np.ix_(rows, columns)], *names, title),
        site=Site(layer=plan.layer),
        caption="correlation of units, partners on the diagonal, the most alike first",
    )


def _matched(matrix: Numbers, partners: dict[int, int]) -> list[float]:
    return [float(matrix[unit, partner]) for unit, partner in partners.items()]


def _finding(
    matrix: Numbers, partners: dict[int, int], plan: UnitPlan, samples: int, *, pooled: bool
) -> Finding:
    found = np.abs(_matched(matrix, partners))
    close = int((found >= CLOSE).sum())
    over = f"{samples} sample{'s' * (samples > 1)}"
    over += " (means over positions)" if pooled else " and all positions"
    text = (
        f"{len(partners)} of {len(matrix)} units of {plan.layer} have a partner among the"
        f" {matrix.shape[1]} of {plan.candidate}; {close} of them correlate by {CLOSE} or more"
        f" over {over}, and the mean is {found.mean() if len(found) else 0.0:.3f}"
    )
    sites = Site(layer=plan.layer), Site(layer=plan.candidate, model=1)
    return Finding(kind="matching", text=text, sites=sites)


def _metrics(matrix: Numbers, partners: dict[int, int]) -> dict[str, float]:
    found = _matched(matrix, partners)
    return {
        "matched": len(partners),
        "mean_correlation": float(np.mean(found)) if found else 0.0,
        "constant": int(np.isnan(matrix).all(1).sum()),
    }
