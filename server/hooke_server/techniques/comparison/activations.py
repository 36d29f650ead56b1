"""What the layers of two models say to the same inputs, and where they part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hooke_server.techniques.charts import CURVE, SECOND, Chart, heat_map, logarithmic
from hooke_server.techniques.comparison.differences import BLOCK_BYTES
from hooke_server.techniques.comparison.grams import GramJob, Grams, gram_jobs
from hooke_server.techniques.comparison.influence import Influence
from hooke_server.techniques.comparison.pairing import Pair, Pairing
from hooke_server.techniques.comparison.passes import Duo, grouped
from hooke_server.techniques.comparison.similarity import LEAST, Similarity
from hooke_server.techniques.comparison.tally import Tally
from hooke_server.techniques.comparison.verdict import Verdict
from hooke_server.techniques.frames import Estimate, Frame, Frames, Picture, Progress, Result
from hooke_server.techniques.tables import Column, ColumnType, Rows, Table

TEXT, NUMBER, BOOLEAN = ColumnType.TEXT, ColumnType.NUMBER, ColumnType.BOOLEAN

LAYERS = Table(
    name="layers",
    caption="Differences of the candidate's layers from the reference's, in running order",
    columns=(
        Column("layer", TEXT, "Id in the reference; empty where it has none."),
        Column("candidate_layer", TEXT, "Id in the candidate; empty where it has none."),
        Column("agrees", BOOLEAN, "Whether the relative error is within the tolerance."),
        Column("relative_error", NUMBER, "Largest difference over the largest magnitude."),
        Column("max_error", NUMBER, "Largest absolute difference."),
        Column("mean_error", NUMBER, "Mean absolute difference."),
        Column("cosine", NUMBER, "Cosine of the angle between all values of both."),
        Column("cka", NUMBER, "Linear CKA over the samples, 0 to 1."),
        Column("note", TEXT, "What else is to be known."),
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ActivationPlan:
    """A checked request.

    Attributes
    ----------
    map_layers : layers of the candidate that all of the reference are compared with by CKA.
    memory : bytes that the work may hold; None: any.
    """

    pairing: Pairing
    tolerance: float = 1e-3
    similarity: Similarity = field(default_factory=Similarity)
    map_layers: tuple[str, ...] = ()
    memory: int | None = None

    @property
    def layers(self) -> list[str]:
        """Layers of the reference, with and without a partner."""
        paired = [pair.layer for pair in self.pairing.pairs]
        return paired + [alone.layer for alone in self.pairing.alone]

    def groups(self, duo: Duo) -> list[list[Pair]]:
        """The pairs as they are run together."""
        return grouped(self.pairing.pairs, lambda pair: self._bytes(duo, pair), self.memory)

    def gram_jobs(self, duo: Duo) -> list[GramJob]:
        """What the map needs beside the pairs."""
        if not self.map_layers:
            return []
        read = [{pair.reads[side] for pair in self.pairing.pairs} for side in (0, 1)]
        wanted = ([e for e in names if e not in read[side]] for side, names in self._map_sides())
        return gram_jobs(duo, list(wanted), self.similarity, self.memory)

    def _map_sides(self) -> list[tuple[int, Sequence[str]]]:
        return [(0, self.layers), (1, self.map_layers)]

    def _bytes(self, duo: Duo, pair: Pair) -> int:
        sides = zip((duo.reference, duo.candidate), pair.reads, strict=True)
        return sum(
            side.bytes_of(layer, duo.part) + self.similarity.kept_bytes(side, layer)
            for side, layer in sides
        )

    def estimate(self, duo: Duo) -> Estimate:
        """What it will cost: the largest group, its largest layer widened, and every pass."""
        groups, jobs = self.groups(duo), self.gram_jobs(duo)
        sizes = [[self._bytes(duo, pair) for pair in group] for group in groups]
        sizes += [[size for _, size in job.layers] for job in jobs]
        grams = (len(self.layers) + len(self.map_layers)) * duo.samples**2 * 8
        macs = [side.model.macs * duo.samples for side in (duo.reference, duo.candidate)]
        return Estimate(
            memory_bytes=max(map(sum, sizes), default=0)
            + 4 * max((max(each) for each in sizes), default=0)
            + BLOCK_BYTES
            + (grams if self.map_layers else 0),
            macs=len(groups) * sum(macs) + sum(macs[job.side] for job in jobs),
            layers=tuple(self.layers),
        )


def compare_activations(duo: Duo, plan: ActivationPlan) -> Frames:
    """The frames of a plan."""
    groups, jobs, parts = plan.groups(duo), plan.gram_jobs(duo), duo.parts()
    total = (len(groups) + len(jobs)) * len(parts)
    table, grams, tallies, step = _table(duo, plan), Grams(duo, plan.similarity), [], 0
    yield table
    for group in groups:
        current = [Tally(duo, pair, plan.tolerance, plan.similarity) for pair in group]
        for part in parts:
            _run(duo, current, part)
            step += 1
            yield Progress(step=step, total=total, message=f"compared up to {group[-1].layer}")
        yield Rows(table, [tally.row(grams if plan.map_layers else None) for tally in current])
        tallies += current
    if alone := list(_alone(plan.pairing)):
        yield Rows(table, alone)
    influence = Influence(duo.candidate.model, duo.candidate.edited)
    verdict = Verdict(duo.reference.model, tallies, plan.tolerance, influence)
    if tallies:
        yield _errors(tallies, verdict, plan.tolerance)
    for job in jobs:
        for part in parts:
            grams.run(job, part)
            step += 1
            yield Progress(step=step, total=total, message="comparing all with all")
        grams.close(job)
    if plan.map_layers:
        yield from _map(plan, grams)
    yield from verdict.findings(plan.pairing)
    yield Result(metrics=_metrics(tallies, verdict, plan.pairing))


def _run(duo: Duo, tallies: Sequence[Tally], part: slice) -> None:
    reads = zip(*(tally.pair.reads for tally in tallies), strict=True)
    sides = zip((duo.reference, duo.candidate), reads, strict=True)
    here, there = (side.run(layers, part) for side, layers in sides)
    for tally in tallies:
        tally.add(here[tally.pair.reads[0]], there[tally.pair.reads[1]])


def _table(duo: Duo, plan: ActivationPlan) -> Table:
    least = LEAST[plan.similarity.unbiased]
    if duo.samples >= least:
        return LAYERS
    told = f"{LAYERS.caption}; CKA needs at least {least} samples, not {duo.samples}"
    return replace(LAYERS, caption=told)


def _alone(pairing: Pairing) -> Iterator[tuple[str | None, ...]]:
    empty = (None,) * (len(LAYERS.columns) - 3)
    yield from ((each.layer, None, *empty, each.why) for each in pairing.alone)
    yield from ((None, each.layer, *empty, each.why) for each in pairing.alone_in_candidate)


def _errors(tallies: Sequence[Tally], verdict: Verdict, tolerance: float) -> Picture:
    """Error by depth; beside it how unlike the representations are, where that is known."""
    errors = [each.differences.relative if each.differences else None for each in tallies]
    apart = [None if each.cka is None else max(1 - each.cka, 0.0) for each in tallies]
    known = [e for e in (*errors, *apart, tolerance) if e is not None]
    names = [each.pair.layer for each in tallies]
    chart = Chart("Difference by depth, in running order", names, logarithmic(known))
    chart.limit(tolerance, f"tolerance {tolerance:.3g}")
    chart.curve(errors)
    entries = [("relative error", CURVE)]
    if any(each is not None for each in apart):
        chart.curve(apart, SECOND)
        entries.append(("1 - CKA", SECOND))
    chart.legend(*entries)
    caption = f"relative error of {len(names)} layers by depth"
    if (first := verdict.first) is not None:
        place = names.index(first)
        chart.mark(place, errors[place] or 0.0)
        caption += f"; {first} is the first that diverges"
    return Picture(name="errors", pixels=chart.pixels(), caption=caption)


def _map(plan: ActivationPlan, grams: Grams) -> Iterator[Frame]:
    """Every layer with every layer, as a table and a picture."""
    rows, columns = plan.layers, plan.map_layers
    table = Table(
        name="cka",
        caption="Linear CKA of the reference's layers (rows) with the candidate's (columns)",
        columns=(
            Column("layer", TEXT, "Id in the reference."),
            *(Column(each, NUMBER, "A layer of the candidate.") for each in columns),
        ),
    )
    yield table
    values = [[grams.similarity(row, column) for column in columns] for row in rows]
    for row, found in zip(rows, values, strict=True):
        yield Rows(table, [(row, *found)])
    matrix = np.array(values, dtype=np.float64)  # None becomes NaN
    title = "CKA: reference (down) with candidate (across); red 1, white 0"
    yield Picture(name="cka", pixels=heat_map(matrix, rows, columns, title), caption=table.caption)


def _metrics(tallies: Sequence[Tally], verdict: Verdict, pairing: Pairing) -> dict[str, float]:
    compared = [each.differences for each in tallies if each.differences]
    return {
        "compared": len(compared),
        "diverging": len(verdict.diverging),
        "without_partner": len(pairing.alone) + len(pairing.alone_in_candidate),
        "largest_relative_error": max((each.relative for each in compared), default=0.0),
    }
