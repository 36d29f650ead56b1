"""Models, layers and weights as messages."""

from __future__ import annotations

from hooke.v1 import error_reason_pb2, model_service_pb2, tensor_pb2
from hooke_server.engine.catalog import Entry
from hooke_server.models.layer import Layer, TensorSpec, Weight
from hooke_server.models.model import Model
from hooke_server.models.preprocessing import Preprocessing
from hooke_server.models.weights import Statistics
from hooke_server.rpc.names import layer_name, model_name
from hooke_server.rpc.tensors import wire_dtype


def model_message(entry: Entry) -> model_service_pb2.Model:
    """A model, with what only a loaded one knows where it is loaded."""
    message = model_service_pb2.Model(
        name=model_name(entry.name),
        state=model_service_pb2.ModelState.Value(f"MODEL_STATE_{entry.state.upper()}"),
        source=entry.source,
    )
    if entry.error is not None:
        message.error.reason = error_reason_pb2.ErrorReason.Value(
            f"ERROR_REASON_{entry.error.reason}"
        )
        message.error.message = entry.error.message
        for key, value in entry.error.metadata.items():
            message.error.metadata[key] = str(value)
    if entry.model is not None:
        message.MergeFrom(_loaded(entry.name, entry.model))
    return message


def _loaded(model_id: str, model: Model) -> model_service_pb2.Model:
    message = model_service_pb2.Model(
        format=model_service_pb2.ModelFormat.Value(f"MODEL_FORMAT_{model.format.upper()}"),
        digest=model.state_digest,
        inputs=map(spec_message, model.inputs),
        outputs=map(spec_message, model.outputs),
        class_labels=model.labels,
        parameter_count=model.parameter_count,
        macs=model.macs,
        memory_bytes=model.memory_bytes,
        differentiability=model_service_pb2.Differentiability(
            differentiable=not model.obstacle, reason=model.obstacle
        ),
        parity_error=model.parity_error,
        layer_count=len(model.layers),
        output_layer=layer_name(model_id, model.output_layer),
        device=str(model.device),
        notes=model.notes,
    )
    if model.preprocessing is not None:
        message.preprocessing.CopyFrom(_preprocessing(model.preprocessing))
    return message


def _preprocessing(steps: Preprocessing) -> model_service_pb2.Preprocessing:
    return model_service_pb2.Preprocessing(
        channels=steps.channels,
        resize_shorter_side=steps.resize_shorter_side or None,
        interpolation=model_service_pb2.Interpolation.Value(
            f"INTERPOLATION_{steps.interpolation.upper()}"
        ),
        crop_height=steps.crop_height,
        crop_width=steps.crop_width,
        mean=steps.mean,
        std=steps.std,
        declared=steps.declared,
    )


def layer_message(model_id: str, layer: Layer) -> model_service_pb2.Layer:
    """A layer of a model."""
    return model_service_pb2.Layer(
        name=layer_name(model_id, layer.id),
        id=layer.id,
        kind=model_service_pb2.LayerKind.Value(f"LAYER_KIND_{layer.kind.upper()}"),
        op=layer.op,
        module_class=layer.module_class,
        depth=layer.depth,
        parent_id=layer.parent,
        producer_ids=layer.producers,
        consumer_ids=layer.consumers,
        inputs=map(spec_message, layer.inputs),
        output=spec_message(layer.output),
        parameter_count=layer.parameter_count,
        macs=layer.macs,
        receptive_fields=[
            model_service_pb2.ReceptiveField(size=field.size, jump=field.jump, start=field.start)
            for field in layer.receptive_fields
        ],
        unit_count=layer.unit_count,
        unit_axis=layer.unit_axis,
        weights=map(weight_message, layer.weights),
        occurrence=layer.occurrence,
    )


def spec_message(spec: TensorSpec) -> tensor_pb2.TensorSpec:
    """What a tensor will look like. A dynamic extent has a name and no size."""
    names = spec.axes or tuple(extent if isinstance(extent, str) else "" for extent in spec.shape)
    return tensor_pb2.TensorSpec(
        name=spec.name,
        dtype=wire_dtype(spec.dtype),
        shape=[
            tensor_pb2.Dimension(size=extent if isinstance(extent, int) else None, name=name)
            for extent, name in zip(spec.shape, names, strict=True)
        ],
    )


def weight_message(weight: Weight) -> model_service_pb2.Weight:
    """A learned tensor of a layer."""
    return model_service_pb2.Weight(
        name=weight.name, dtype=wire_dtype(weight.dtype), shape=weight.shape
    )


def summary_message(weight: Weight, numbers: Statistics) -> model_service_pb2.WeightSummary:
    """What a learned tensor holds."""
    return model_service_pb2.WeightSummary(
        weight=weight_message(weight),
        minimum=numbers.min,
        maximum=numbers.max,
        mean=numbers.mean,
        std=numbers.std,
        zero_fraction=numbers.zero_fraction,
        histogram_edges=numbers.edges,
        histogram_counts=numbers.counts,
    )
