"""What the server tells about models, layers, weights and techniques, as frozen values.

The fields are those of the messages of the same names, which explain each.
Extents are numbers, or names where they are dynamic (`"batch"`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hooke.messages import copy, layer_id, model_id
from hooke.tensors import dtype_name
from hooke.v1 import model_service_pb2 as pb
from hooke.v1 import technique_service_pb2, tensor_pb2


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """What a tensor will look like: `dtype` in NumPy's words, a name for each axis."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    axes: tuple[str, ...]

    @classmethod
    def read(cls, message: tensor_pb2.TensorSpec) -> TensorSpec:
        """The value of a message."""
        shape = (each.size if each.HasField("size") else each.name for each in message.shape)
        axes = tuple(each.name for each in message.shape)
        return cls(
            name=message.name, dtype=dtype_name(message.dtype), shape=tuple(shape), axes=axes
        )


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How a picture becomes the input: resize, crop the centre, subtract mean, divide by std."""

    channels: int
    resize_shorter_side: int | None
    interpolation: str
    crop_height: int
    crop_width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    declared: bool


@dataclass(frozen=True, kw_only=True)
class Model:
    """A network that the server knows; most is unset unless `state` is READY.

    `error` says why the state is FAILED; `obstacle` why the model is not differentiable.
    """

    name: str
    state: str
    source: str
    error: str
    format: str
    digest: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    preprocessing: Preprocessing | None
    class_labels: tuple[str, ...] = field(repr=False)
    parameter_count: int
    macs: int
    memory_bytes: int
    differentiable: bool
    obstacle: str
    parity_error: float | None
    layer_count: int
    output_layer: str
    device: str
    notes: tuple[str, ...]

    @classmethod
    def read(cls, message: pb.Model) -> Model:
        """The value of a message."""
        prepared = message.HasField("preprocessing")
        return copy(
            cls,
            message,
            name=model_id(message.name),
            error=message.error.message,
            inputs=tuple(map(TensorSpec.read, message.inputs)),
            outputs=tuple(map(TensorSpec.read, message.outputs)),
            preprocessing=copy(Preprocessing, message.preprocessing) if prepared else None,
            differentiable=message.differentiability.differentiable,
            obstacle=message.differentiability.reason,
            output_layer=layer_id(message.output_layer),
        )


@dataclass(frozen=True, kw_only=True)
class ReceptiveField:
    """Along one axis: extent, distance of neighbours' fields, centre of the first, in pixels."""

    size: int
    jump: int
    start: float


@dataclass(frozen=True, kw_only=True)
class Weight:
    """A learned tensor of a layer."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @classmethod
    def read(cls, message: pb.Weight) -> Weight:
        """The value of a message."""
        return copy(cls, message, dtype=dtype_name(message.dtype))


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A place in the graph that yields a tensor, with its table of facts."""

    id: str
    model: str
    kind: str
    op: str
    module_class: str
    depth: int
    parent_id: str
    producer_ids: tuple[str, ...]
    consumer_ids: tuple[str, ...]
    inputs: tuple[TensorSpec, ...]
    output: TensorSpec
    parameter_count: int
    macs: int
    receptive_fields: tuple[ReceptiveField, ...]
    unit_count: int
    unit_axis: int
    weights: tuple[Weight, ...]
    occurrence: int

    @classmethod
    def read(cls, message: pb.Layer) -> Layer:
        """The value of a message."""
        fields = tuple(copy(ReceptiveField, each) for each in message.receptive_fields)
        return copy(
            cls,
            message,
            model=model_id(message.name),
            inputs=tuple(map(TensorSpec.read, message.inputs)),
            output=TensorSpec.read(message.output),
            receptive_fields=fields,
            weights=tuple(map(Weight.read, message.weights)),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightSummary:
    """What a weight holds, in numbers; the tensor itself where it was asked for."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    minimum: float
    maximum: float
    mean: float
    std: float
    zero_fraction: float
    histogram_edges: tuple[float, ...] = ()
    histogram_counts: tuple[int, ...] = ()
    tensor: np.ndarray | None = None

    @classmethod
    def read(cls, message: pb.WeightSummary) -> WeightSummary:
        """The value of a message, without the tensor, which comes after it."""
        weight = Weight.read(message.weight)
        return copy(cls, message, name=weight.name, dtype=weight.dtype, shape=weight.shape)


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of a technique: type, default, and bounds, choices or parts (`fields`).

    `max_values` is how many there may be where `repeated`.
    """

    name: str
    type: str
    description: str
    default: Any
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    repeated: bool
    max_values: int | None
    fields: tuple[Parameter, ...]
    required: bool

    @classmethod
    def read(cls, message: technique_service_pb2.TechniqueParameter) -> Parameter:
        """The value of a message."""
        kind = message.default_value.WhichOneof("value")
        default = getattr(message.default_value, kind) if kind else None
        return copy(
            cls,
            message,
            default=json.loads(str(default)) if kind == "json" else default,
            fields=tuple(map(Parameter.read, message.fields)),
            required=kind is None,
        )


@dataclass(frozen=True, kw_only=True)
class Technique:
    """A lens. `applicable` and `obstacle` are set where a location was asked about."""

    name: str
    title: str
    description: str
    source: str
    kind: str
    parameters: tuple[Parameter, ...]
    takes_objectives: bool
    applicable: bool | None
    obstacle: str

    @classmethod
    def read(cls, message: technique_service_pb2.Technique) -> Technique:
        """The value of a message."""
        asked = message.HasField("applicability")
        return copy(
            cls,
            message,
            parameters=tuple(map(Parameter.read, message.parameters)),
            applicable=message.applicability.applicable if asked else None,
            obstacle=message.applicability.reason,
        )
