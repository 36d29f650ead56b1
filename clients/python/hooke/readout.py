"""What to read from layers: pick units and positions, reduce, cast, or draw.

    Readout(layers=["blocks.*"], reduce="mean")
    Readout(layers=["conv1"], units=[3, 7], reduce=TopK(5), over="positions")
    Readout(layers=["conv1"], feature_maps=FeatureMaps(max_units=16))

See `hooke.v1.Readout`, which explains each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

import numpy as np

from hooke.messages import given_wholes, number, whole, wholes
from hooke.places import position_messages
from hooke.tensors import wire_dtype
from hooke.v1 import image_pb2
from hooke.v1 import readout_pb2 as pb

_SCOPE = pb.DESCRIPTOR.enum_types_by_name["ReductionScope"]
_STATISTIC = pb.DESCRIPTOR.enum_types_by_name["Statistic"]
IMAGE_FORMAT = image_pb2.DESCRIPTOR.enum_types_by_name["ImageFormat"]


@dataclass(frozen=True)
class TopK:
    """The `k` largest values, and the place of each in the layer.

    `indices` has one number for each reduced axis, in the order of the layer's axes, and
    counts as the layer does, whatever was picked: unit numbers, rows and columns.
    """

    k: int


@dataclass(frozen=True)
class Quantiles:
    """Quantiles at probabilities in 0..1."""

    probabilities: Sequence[float]


@dataclass(frozen=True)
class Histogram:
    """Counts in equal bins, by default from the smallest to the largest value."""

    bins: int | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class FeatureMaps:
    """One picture a sample, a tile for each of its most active units. None: the server's choice."""

    max_units: int | None = None
    tile_size: int | None = None
    format: str | None = None

    def message(self) -> pb.FeatureMapForm:
        """The message of this value."""
        counts = given_wholes({"max_units": self.max_units, "tile_size": self.tile_size})
        form = pb.FeatureMapForm()
        for name, count in counts.items():
            setattr(form, name, count)
        if self.format:
            form.format = number(IMAGE_FORMAT, self.format, "format")
        return form


Reduce = str | TopK | Quantiles | Histogram
"""`mean`, `max`, `min`, `norm`, `zero_fraction`, or one of the values above."""


class ReadoutOptions(TypedDict, total=False):
    """The fields of a `Readout` beside its layers, as keyword arguments."""

    units: Sequence[int]
    positions: Sequence[Sequence[int]]
    slices: Mapping[str, slice]
    reduce: Reduce | None
    over: str
    dtype: np.dtype | str | None
    feature_maps: FeatureMaps | bool


@dataclass(frozen=True, kw_only=True)
class Readout:
    """What to read from some layers.

    Parameters
    ----------
    layers : ids, or patterns with `*`, `?` and `[...]`.
    units, positions, slices : what to keep; slices by the names of axes.
    reduce : how many numbers become few; None: every value.
    over : what the reduction runs over: `positions`, `units`, `sample` or `batch`.
    dtype : float32, float16, bfloat16, or uint8 for a quarter of the bytes, mapped
        back to real values on arrival.
    feature_maps : pictures in place of numbers.
    """

    layers: Sequence[str]
    units: Sequence[int] = ()
    positions: Sequence[Sequence[int]] = ()
    slices: Mapping[str, slice] = field(default_factory=dict)
    reduce: Reduce | None = None
    over: str = "positions"
    dtype: np.dtype | str | None = None
    feature_maps: FeatureMaps | bool = False

    def message(self) -> pb.Readout:
        """The message of this value; ValueError where two of its fields contradict."""
        message = pb.Readout(
            layer_globs=self.layers,
            units=wholes(self.units, "unit"),
            positions=position_messages(self.positions),
            slices=[_slice(axis, each) for axis, each in self.slices.items()],
        )
        if self.feature_maps:
            if self.reduce is not None or self.dtype is not None:
                raise ValueError("feature maps are pictures; leave out reduce and dtype")
            maps = FeatureMaps() if self.feature_maps is True else self.feature_maps
            message.feature_maps.CopyFrom(maps.message())
            return message
        if self.reduce is not None:
            message.tensor.reduction.CopyFrom(_reduction(self.reduce))
            message.tensor.reduction.scope = number(_SCOPE, self.over, "over")
        if self.dtype is not None:
            message.tensor.dtype = wire_dtype(self.dtype)
        return message


def readouts(
    layers: str | Readout | Iterable[str | Readout], options: ReadoutOptions
) -> list[pb.Readout]:
    """Messages for layers that share `options`, and for readouts that bring their own."""
    wanted = [layers] if isinstance(layers, str | Readout) else list(layers)
    ids = [each for each in wanted if isinstance(each, str)]
    own = [each for each in wanted if isinstance(each, Readout)]
    if options and not ids:
        raise ValueError(f"{', '.join(options)}: a Readout has its own; say it there")
    shared = [Readout(layers=ids, **options)] if ids else []
    return [each.message() for each in shared + own]


def _reduction(reduce: Reduce) -> pb.Reduction:
    match reduce:
        case TopK(k):
            return pb.Reduction(top_k=pb.TopK(k=whole(k, "k")))
        case Quantiles(probabilities):
            return pb.Reduction(quantiles=pb.Quantiles(probabilities=probabilities))
        case Histogram(bins, low, high):
            counted = given_wholes({"bins": bins})
            return pb.Reduction(histogram=pb.HistogramReduction(**counted, low=low, high=high))
        case str():
            return pb.Reduction(statistic=number(_STATISTIC, reduce, "reduce"))


def _slice(axis: str, wanted: slice) -> pb.AxisSlice:
    ends = {"start": wanted.start, "stop": wanted.stop, "step": wanted.step}
    return pb.AxisSlice(axis=axis, **given_wholes(ends))
