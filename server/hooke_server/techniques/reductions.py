"""How many numbers become few.

    reduce(picked, Reduction(...)) -> Iterator[(name, tensor, axes)]

The reduced axes are moved to the end and merged, so that every form works on the
last dimension of a tensor [kept..., n]; without a reduced axis n is 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.techniques.picking import Axis, Picked
from hooke_server.techniques.readouts import (
    Histogram,
    Quantiles,
    Reduction,
    Scope,
    Statistic,
    TopK,
)

Named = tuple[str, Tensor, tuple[str, ...]]


def reduce(picked: Picked, reduction: Reduction) -> Iterator[Named]:
    """The tensors of a reduction, each with its name and the names of its axes."""
    value, axes = picked.value, picked.axes
    reduced = reduced_axes(value.ndim, picked.unit_axis, reduction.scope)
    kept = [axis for axis in range(value.ndim) if axis not in reduced]
    extents = [value.shape[axis] for axis in reduced]
    rows = value.permute(*kept, *reduced).reshape(
        *(value.shape[a] for a in kept), math.prod(extents)
    )
    if not rows.is_floating_point():
        rows = rows.float()
    names = tuple(axes[axis].name for axis in kept)
    match reduction.form:
        case Statistic() as statistic:
            yield statistic.value, _statistic(rows, statistic), names
        case TopK(k):
            yield from _top(rows, k, [axes[axis] for axis in reduced], names)
        case Quantiles(probabilities):
            yield "quantiles", quantiles(rows, probabilities), (*names, "quantile")
        case Histogram() as histogram:
            counts, edges = count(rows, histogram)
            yield "counts", counts, (*names, "bin")
            yield "edges", edges, ("edge",)


def reduced_axes(rank: int, unit_axis: int, scope: Scope) -> list[int]:
    """The dimensions that a reduction of that scope takes away."""
    unit = unit_axis % max(rank, 1)
    match scope:
        case Scope.POSITIONS:
            return [axis for axis in range(1, rank) if axis != unit]
        case Scope.UNITS:
            return [unit] if rank else []
        case Scope.SAMPLE:
            return list(range(1, rank))
        case Scope.BATCH:
            return [axis for axis in range(rank) if axis != unit]


def _statistic(rows: Tensor, statistic: Statistic) -> Tensor:
    match statistic:
        case Statistic.MEAN:
            return rows.mean(-1)
        case Statistic.MAX:
            return rows.amax(-1)
        case Statistic.MIN:
            return rows.amin(-1)
        case Statistic.NORM:
            norm: Tensor = torch.linalg.vector_norm(rows, dim=-1)
            return norm
        case Statistic.ZERO_FRACTION:
            return (rows == 0).float().mean(-1)


def _top(rows: Tensor, k: int, reduced: list[Axis], names: tuple[str, ...]) -> Iterator[Named]:
    """Values, and for each its indices in the layer, in the order of the layer's axes."""
    if k > rows.shape[-1]:
        raise InvalidArgumentError(
            Reason.INVALID_FIELD,
            f"k is {k}, but only {rows.shape[-1]} values are reduced to one answer",
            field="top_k.k",
            k=k,
            values=rows.shape[-1],
        )
    values, flat = rows.topk(k, dim=-1)
    yield "values", values, (*names, "rank")
    columns: dict[int, Tensor] = {}
    found = torch.unravel_index(flat, [axis.extent for axis in reduced] or [1])
    for axis, index in zip(reduced, found, strict=False):
        for number, places in axis.places.items():
            columns[number] = _table(places, flat.device)[index]
    indices = torch.stack([columns[number] for number in sorted(columns)] or list(found), dim=-1)
    yield "indices", indices, (*names, "rank", "axis")


def _table(places: Sequence[int], device: torch.device) -> Tensor:
    if isinstance(places, range):
        return torch.arange(places.start, places.stop, places.step, device=device)
    return torch.tensor(places, device=device)


def quantiles(rows: Tensor, probabilities: tuple[float, ...]) -> Tensor:
    """Quantiles of the last dimension, interpolated linearly; torch's own takes 16 M values."""
    ordered = rows.sort(-1).values
    places = torch.tensor(probabilities, dtype=torch.float64) * (rows.shape[-1] - 1)
    below = places.floor().long()
    above = places.ceil().long()
    weight = (places - below).to(rows)
    low, high = ordered[..., below.to(rows.device)], ordered[..., above.to(rows.device)]
    return torch.lerp(low, high, weight)


def count(rows: Tensor, histogram: Histogram) -> tuple[Tensor, Tensor]:
    """Counts [kept..., bins] and the edges [bins + 1] that all rows share.

    What is not finite, or outside the edges, is not counted.
    """
    finite = rows[rows.isfinite()]
    low = _edge(histogram.low, finite.amin() if len(finite) else None, 0.0)
    high = _edge(histogram.high, finite.amax() if len(finite) else None, 1.0)
    if low >= high:  # all values are equal, or lie beyond the one edge that was given
        low, high = (low - 0.5, low + 0.5) if low == high else (low, low + 1.0)
    edges = torch.linspace(low, high, histogram.bins + 1, dtype=torch.float64, device=rows.device)
    values = rows.double().contiguous()
    places = torch.bucketize(values, edges, right=True) - 1
    places[values == high] = histogram.bins - 1
    inside = (values >= low) & (values <= high)
    counts = torch.zeros(*rows.shape[:-1], histogram.bins, dtype=torch.int64, device=rows.device)
    counts.scatter_add_(-1, places.clamp(0, histogram.bins - 1), inside.long())
    return counts, edges


def _edge(given: float | None, found: Tensor | None, otherwise: float) -> float:
    if given is not None:
        return given
    return otherwise if found is None else float(found)
