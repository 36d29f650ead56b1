"""Readouts from messages; see `hooke.v1.Readout`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from hooke.v1 import readout_pb2 as pb
from hooke.v1 import tensor_pb2
from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.models.model import Model
from hooke_server.rpc.codec.formats import read_format
from hooke_server.rpc.names import check_pattern
from hooke_server.rpc.presence import given
from hooke_server.techniques.binding import bind_readouts
from hooke_server.techniques.readouts import (
    FeatureMapForm,
    Histogram,
    Quantiles,
    Readout,
    ReadPlan,
    Reduction,
    Scope,
    Slice,
    Statistic,
    TensorForm,
    TopK,
)

CASTS = {
    tensor_pb2.DATA_TYPE_UNSPECIFIED: None,
    tensor_pb2.DATA_TYPE_FP32: torch.float32,
    tensor_pb2.DATA_TYPE_FP16: torch.float16,
    tensor_pb2.DATA_TYPE_BF16: torch.bfloat16,
    tensor_pb2.DATA_TYPE_UINT8: torch.uint8,
}

SCOPES = {
    pb.REDUCTION_SCOPE_UNSPECIFIED: Scope.POSITIONS,
    pb.REDUCTION_SCOPE_POSITIONS: Scope.POSITIONS,
    pb.REDUCTION_SCOPE_UNITS: Scope.UNITS,
    pb.REDUCTION_SCOPE_SAMPLE: Scope.SAMPLE,
    pb.REDUCTION_SCOPE_BATCH: Scope.BATCH,
}

STATISTICS = {
    pb.STATISTIC_MEAN: Statistic.MEAN,
    pb.STATISTIC_MAX: Statistic.MAX,
    pb.STATISTIC_MIN: Statistic.MIN,
    pb.STATISTIC_NORM: Statistic.NORM,
    pb.STATISTIC_ZERO_FRACTION: Statistic.ZERO_FRACTION,
}


def read_plan(model: Model, messages: Sequence[pb.Readout], field: str) -> ReadPlan:
    """Readouts of a request, checked against the model."""
    readouts = [_readout(each, f"{field}[{index}]") for index, each in enumerate(messages)]
    return bind_readouts(model, readouts, field)


def _readout(message: pb.Readout, field: str) -> Readout:
    form: TensorForm | FeatureMapForm = TensorForm()
    if message.WhichOneof("form") == "tensor":
        form = _tensor_form(message.tensor, f"{field}.tensor")
    elif message.WhichOneof("form") == "feature_maps":
        maps = message.feature_maps
        form = FeatureMapForm(
            **given(maps, "max_units", "tile_size"),
            format=read_format(maps.format, f"{field}.feature_maps.format"),
        )
    return Readout(
        layers=tuple(
            check_pattern(e, f"{field}.layer_globs[{i}]") for i, e in enumerate(message.layer_globs)
        ),
        units=tuple(message.units),
        positions=tuple(tuple(each.indices) for each in message.positions),
        slices=tuple(_slice(each) for each in message.slices),
        form=form,
    )


def _slice(message: pb.AxisSlice) -> Slice:
    return Slice(message.axis, **given(message, "start", "stop", "step"))


def _tensor_form(message: pb.TensorForm, field: str) -> TensorForm:
    dtype = _one_of(CASTS, message.dtype, f"{field}.dtype", "FP32, FP16, BF16 or UINT8")
    if not message.HasField("reduction"):
        return TensorForm(dtype=dtype)
    field, reduction = f"{field}.reduction", message.reduction
    scope = _one_of(SCOPES, reduction.scope, f"{field}.scope", "a known scope")
    return TensorForm(Reduction(_reduction(reduction, field), scope), dtype)


def _reduction(message: pb.Reduction, field: str) -> Statistic | TopK | Quantiles | Histogram:
    match message.WhichOneof("form"):
        case "statistic":
            known = ", ".join(STATISTICS.values())
            statistic: Statistic = _one_of(
                STATISTICS, message.statistic, f"{field}.statistic", f"one of {known}"
            )
            return statistic
        case "top_k":
            return TopK(message.top_k.k)
        case "quantiles":
            return Quantiles(tuple(message.quantiles.probabilities))
        case "histogram":
            return Histogram(**given(message.histogram, "bins", "low", "high"))
    raise InvalidArgumentError(Reason.INVALID_FIELD, f"{field} needs a form", field=f"{field}.form")


def _one_of(known: dict[Any, Any], value: int, field: str, allowed: str) -> Any:
    if value not in known:
        message = f"{field} must be {allowed}"
        raise InvalidArgumentError(Reason.INVALID_FIELD, message, field=field, value=value)
    return known[value]
