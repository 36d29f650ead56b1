"""Edits from messages; see `hooke.v1.Edit`.

Decoding the inputs of replacements takes time, so it belongs on a thread.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hooke.v1 import edit_pb2 as pb
from hooke_server.errors import InvalidArgumentError, Reason, invalid
from hooke_server.models.edits import (
    Ablation,
    Change,
    Clamping,
    DirectionAddition,
    Edit,
    Patch,
    Replacement,
    Scaling,
)
from hooke_server.models.model import Model
from hooke_server.rpc.codec.inputs import decoding_bytes, held_bytes, is_finite, read_inputs
from hooke_server.rpc.codec.items import Places
from hooke_server.rpc.codec.locations import model_of
from hooke_server.rpc.presence import given, optional
from hooke_server.rpc.tensors import read_tensor
from hooke_server.techniques.edits import bind_edit, check_count


@dataclass(frozen=True)
class RequestedEdits:
    """The edits of a request: for each of its models those of it, in the order given."""

    edits: tuple[tuple[Edit, ...], ...]
    json: str = ""

    def __bool__(self) -> bool:
        return bool(self.json)


def edits_held(places: Places, messages: Sequence[pb.Edit], path: str) -> int:
    """Bytes that what comes with the edits will hold."""
    return sum(
        held_bytes(_model(places, each, f"{path}[{index}]"), each.replacement.inputs.inputs)
        + each.replacement.value.ByteSize()
        for index, each in enumerate(messages)
    )


def edits_decoding(places: Places, messages: Sequence[pb.Edit], path: str) -> int:
    """Bytes that decoding them will take for a while."""
    sizes = (
        decoding_bytes(
            _model(places, each, f"{path}[{index}]"),
            each.replacement.inputs.inputs,
            f"{path}[{index}].replacement.inputs.inputs",
        )
        for index, each in enumerate(messages)
    )
    return max(sizes, default=0)


def read_edits(places: Places, messages: Sequence[pb.Edit], path: str) -> RequestedEdits:
    """Edits of a request, checked against its models."""
    check_count(len(messages), path)
    edits: list[list[Edit]] = [[] for _ in places.models]
    told: list[dict[str, Any]] = []
    for index, message in enumerate(messages):
        field = f"{path}[{index}]"
        model = _model(places, message, field)
        edit = _edit(places, model, message, field)
        bind_edit(model, edit, field)
        number = list(places.models).index(model)
        edits[number].append(edit)
        told.append({"model": places.names[number], **edit.plain()})
    return RequestedEdits(tuple(map(tuple, edits)), json.dumps(told) if told else "")


def _model(places: Places, message: pb.Edit, field: str) -> Model:
    name = model_of(message.location, f"{field}.location")
    if name not in places.names:
        known = ", ".join(map(repr, places.names))
        raise invalid(
            f"an edit of the model {name!r}; it must be of {known}", f"{field}.location.layer"
        )
    return places.models[places.names.index(name)]


def _edit(places: Places, model: Model, message: pb.Edit, field: str) -> Edit:
    site = places.site(message.location, f"{field}.location")
    units, positions = tuple(message.units), tuple(tuple(p.indices) for p in message.positions)
    for name, one, several in (
        ("unit", site.unit is not None, units),
        ("position", bool(site.position), positions),
    ):
        if one and several:
            message_ = f"give the location's {name} or several {name}s, not both"
            raise invalid(message_, f"{field}.{name}s")
    return Edit(
        layer=site.layer,
        change=_change(model, message, field),
        units=units if site.unit is None else (site.unit,),
        positions=positions or ((site.position,) if site.position else ()),
        samples=tuple(message.samples),
    )


def _change(model: Model, message: pb.Edit, field: str) -> Change:
    match message.WhichOneof("change"):
        case "ablation":
            return _ablation(message.ablation, f"{field}.ablation.value")
        case "scaling":
            if not message.scaling.HasField("factor"):
                raise invalid("scaling needs a factor", f"{field}.scaling.factor")
            return Scaling(message.scaling.factor)
        case "clamping":
            return Clamping(**given(message.clamping, "low", "high"))
        case "direction_addition":
            added = message.direction_addition
            strength = optional(added, "strength")
            return DirectionAddition(tuple(added.vector), 1.0 if strength is None else strength)
        case "replacement":
            return _replacement(model, message.replacement, f"{field}.replacement")
    raise invalid("an edit needs a change", f"{field}.change")


def _ablation(message: pb.Ablation, field: str) -> Ablation:
    match message.value:
        case pb.ABLATION_VALUE_UNSPECIFIED | pb.ABLATION_VALUE_ZERO:
            return Ablation("zero")
        case pb.ABLATION_VALUE_MEAN:
            return Ablation("mean")
    raise invalid("the value of an ablation is ZERO or MEAN", field)


def _replacement(model: Model, message: pb.Replacement, field: str) -> Change:
    match message.WhichOneof("source"):
        case "inputs":
            inputs = read_inputs(model, message.inputs.inputs, {}, f"{field}.inputs.inputs")
            return Patch(f"inputs:{inputs.digest}", inputs.tensors)
        case "value":
            value = read_tensor(message.value, f"{field}.value")
            if not is_finite(value):
                raise InvalidArgumentError(
                    Reason.INPUT_NOT_FINITE,
                    f"{field}.value holds NaN or infinity",
                    field=f"{field}.value",
                )
            return Replacement(f"value:{_digest(value)}", value.to(model.device))
    raise invalid("a replacement needs inputs or a value", f"{field}.source")


def _digest(value: Tensor) -> str:
    content = hashlib.sha256(f"{value.dtype}{tuple(value.shape)}".encode())
    content.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return content.hexdigest()
