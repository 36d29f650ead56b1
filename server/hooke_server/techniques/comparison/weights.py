"""What differs between the weights of two models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from hooke_server.errors import Reason
from hooke_server.models.model import Model, ModelFormat
from hooke_server.models.patterns import fitting
from hooke_server.registry import not_found
from hooke_server.techniques.charts import Chart, linear
from hooke_server.techniques.comparison.differences import BLOCK_BYTES, Differences
from hooke_server.techniques.frames import Estimate, Frames, Picture, Progress, Result
from hooke_server.techniques.tables import Column, ColumnType, Finding, Row, Rows, Table

TEXT, NUMBER = ColumnType.TEXT, ColumnType.NUMBER

WEIGHTS = Table(
    name="weights",
    caption="Differences of the candidate's weights from the reference's, in running order",
    columns=(
        Column("weight", TEXT, "Its name."),
        Column("shape", TEXT, "In the reference; empty where it has none."),
        Column("candidate_shape", TEXT, "In the candidate; empty where it has none."),
        Column("relative_change", NUMBER, "Norm of the difference over the reference's norm."),
        Column("max_change", NUMBER, "Largest absolute difference."),
        Column("mean_change", NUMBER, "Mean absolute difference."),
        Column("cosine", NUMBER, "Cosine of the angle between both as vectors."),
        Column("changed", NUMBER, "Entries that are not equal, 0 to 1.", unit="share"),
        Column("note", TEXT, "What else is to be known."),
    ),
)


@dataclass(frozen=True, slots=True)
class WeightPlan:
    """A checked request: tensors of both by name, in the order in which they are told."""

    names: tuple[str, ...]
    reference: Mapping[str, Tensor]
    candidate: Mapping[str, Tensor]

    def estimate(self) -> Estimate:
        """What it will cost: tensors pass through in blocks."""
        return Estimate(memory_bytes=BLOCK_BYTES, macs=0)


def bind_weights(reference: Model, candidate: Model, globs: Sequence[str]) -> WeightPlan:
    """The tensors that the patterns fit; NotFoundError for a pattern that fits none of either."""
    here, there = tensors(reference), tensors(candidate)
    names = dict.fromkeys([*here, *there])
    wanted: set[str] = set()
    for glob in globs or ["*"]:
        found = fitting(glob, names)
        if globs and not found:
            hint = f"the models have {len(names)} tensors"
            raise not_found("weight", glob, names, Reason.WEIGHT_NOT_FOUND, hint)
        wanted.update(found)
    return WeightPlan(tuple(name for name in names if name in wanted), here, there)


def tensors(model: Model) -> dict[str, Tensor]:
    """All learned tensors of a model by name, and its buffers of real numbers, in running order."""
    order = [weight.key for layer in model.layers.values() for weight in layer.weights]
    names = dict.fromkeys([*(each for each in order if each in model.weights), *model.weights])
    found = {name: model.weights[name] for name in names}
    if model.graph is not None and model.format is not ModelFormat.ONNX:
        # An ONNX graph holds its constants as buffers, under names that Hooke made up.
        buffers = model.graph.module.named_buffers()
        found |= {n: b for n, b in buffers if n not in found and b.is_floating_point()}
    modules = list(dict.fromkeys(map(_module, found)))
    return {name: found[name] for name in sorted(found, key=lambda n: modules.index(_module(n)))}


def _module(name: str) -> str:
    return name.rpartition(".")[0]


def compare_weights(plan: WeightPlan) -> Frames:
    """The frames of a plan."""
    yield WEIGHTS
    total = len(plan.names)
    changes: dict[str, Differences | None] = {}
    for number, name in enumerate(plan.names, 1):
        changes[name], row = _compared(plan, name)
        yield Rows(WEIGHTS, [row])
        yield Progress(step=number, total=total, message=name)
    compared = {name: each for name, each in changes.items() if each is not None}
    if compared:
        yield _picture(compared)
    yield from _findings(plan, compared)
    yield Result(
        metrics={
            "compared": len(compared),
            "changed": sum(each.changed > 0 for each in compared.values()),
            "without_partner": len(set(plan.names) - (set(plan.reference) & set(plan.candidate))),
            "largest_relative_change": max(
                (each.relative_norm for each in compared.values()), default=0.0
            ),
        }
    )


def _compared(plan: WeightPlan, name: str) -> tuple[Differences | None, Row]:
    a, b = plan.reference.get(name), plan.candidate.get(name)
    shapes = tuple(None if each is None else _shape(each) for each in (a, b))
    if a is None or b is None:
        why = "not in the reference" if a is None else "not in the candidate"
        return None, (name, *shapes, *(None,) * 5, why)
    if a.shape != b.shape:
        return None, (name, *shapes, *(None,) * 5, "shapes differ")
    found = Differences()
    found.add(a, b)
    note = None if a.dtype == b.dtype else f"{_dtype(a)} and {_dtype(b)}"
    share = found.changed / max(found.count, 1)
    numbers = found.relative_norm, found.maximum, found.mean, found.cosine, share
    return found, (name, *shapes, *numbers, note)


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "scalar"


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _picture(compared: Mapping[str, Differences]) -> Picture:
    values = [each.relative_norm for each in compared.values()]
    finite = [each for each in values if each < float("inf")]
    names = list(compared)
    chart = Chart(
        "Relative change of each weight, in running order",
        names,
        linear(0.0, max(finite, default=0.0) or 1.0),
    )
    chart.bars(values)
    largest = max(names, key=lambda name: compared[name].relative_norm)
    if compared[largest].relative_norm > 0:
        chart.mark(names.index(largest), compared[largest].relative_norm)
    caption = f"norm of the difference over the norm, for {len(names)} weights"
    return Picture(name="changes", pixels=chart.pixels(), caption=caption)


def _findings(plan: WeightPlan, compared: Mapping[str, Differences]) -> Frames:
    changed = {name: each for name, each in compared.items() if each.changed}
    if changed:
        largest = max(changed, key=lambda name: changed[name].relative_norm)
        found = changed[largest]
        text = (
            f"{len(changed)} of {len(compared)} weights differ; most of all {largest}, by"
            f" {found.relative_norm:.3g} of its norm, in {found.changed} of {found.count} entries"
        )
        yield Finding(kind="largest_change", text=text)
    elif compared:
        yield Finding(kind="equal", text=f"all {len(compared)} weights are equal, bit for bit")
    missing = [
        f"{len(names)} weights are only in the {side} ({_some(names)})"
        for side, names in (
            ("reference", [n for n in plan.names if n not in plan.candidate]),
            ("candidate", [n for n in plan.names if n not in plan.reference]),
        )
        if names
    ]
    if missing:
        yield Finding(kind="without_partner", text=" and ".join(missing))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
