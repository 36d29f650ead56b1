"""Binding edits to a model: every check that needs no run, and what they cost.

bind_edit(model, edit, path)                  layer, units, positions, numbers
bind_batch(model, edits, inputs.batch, path)  what depends on the batch of the call
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from hooke_server.errors import InvalidArgumentError, OutOfRangeError, Reason, invalid
from hooke_server.models.edited import check_editable
from hooke_server.models.edits import (
    Ablation,
    Change,
    Clamping,
    DirectionAddition,
    Edit,
    Patch,
    Replacement,
    Scaling,
    sample_count,
)
from hooke_server.models.layer import Dimension, Layer, LayerKind, extent_at
from hooke_server.models.model import Model
from hooke_server.techniques.binding import check_position, check_units
from hooke_server.techniques.frames import Estimate

MAX_EDITS = 256
"""Edits of a call; each is an operation more in the graph."""


def check_count(count: int, path: str) -> None:
    """Refuse more edits than a call may have."""
    if count > MAX_EDITS:
        raise invalid(f"{count} edits are more than the {MAX_EDITS} that a call may have", path)


def bind_batch(model: Model, edits: Sequence[Edit], batch: int, path: str) -> None:
    """Check edits against the batch of the call's inputs."""
    for index, edit in enumerate(edits):
        if any(sample >= batch for sample in edit.samples):
            raise OutOfRangeError(
                Reason.POSITION_OUT_OF_RANGE,
                f"the inputs have samples 0 to {batch - 1}; there is no sample {max(edit.samples)}",
                field=f"{path}[{index}].samples",
                batch=batch,
            )
        shape = _source_shape(model, edit)
        here = [extent_at(extent, batch) for extent in model.layers[edit.layer].output.shape]
        if shape is not None and shape not in (here, [1, *here[1:]]):
            raise InvalidArgumentError(
                Reason.INPUT_MISMATCH,
                f"what replaces layer {edit.layer!r} has the shape {shape}, and the layer yields"
                f" {here} for the {batch} samples of this call; give one sample, or {batch}",
                field=f"{path}[{index}].replacement",
                batch=batch,
                shape=shape,
            )


def bind_alone(edits: Sequence[Edit], path: str) -> None:
    """Check edits for work that chooses its own batches."""
    for index, edit in enumerate(edits):
        if edit.samples:
            message = "this work chooses its own batches, so that no samples of them can be named"
            raise invalid(message, f"{path}[{index}].samples")
        if sample_count(edit.change) > 1:
            message = "a replacement must be one sample here, which stands in for each picture"
            raise invalid(message, f"{path}[{index}].replacement")


def _source_shape(model: Model, edit: Edit) -> list[int] | None:
    """The shape of what replaces a layer; None for other changes."""
    match edit.change:
        case Replacement(_, value):
            return list(value.shape)
        case Patch():
            spec = model.layers[edit.layer].output
            return [extent_at(extent, edit.change.batch) for extent in spec.shape]
        case _:
            return None


def with_edits(model: Model, cost: Estimate, edits: Sequence[Edit]) -> Estimate:
    """What work costs together with what its edits hold and with the passes of patches."""
    memory = macs = 0
    seen: dict[str, set[str]] = {}
    for edit in edits:
        output = model.layers[edit.layer].output
        match edit.change:
            case Patch():
                fresh = edit.layer not in seen.setdefault(edit.change.digest, set())
                seen[edit.change.digest].add(edit.layer)
                memory += 2 * fresh * output.count(edit.change.batch) * output.item_bytes
            case Replacement(_, value):
                memory += value.nbytes
            case DirectionAddition(vector):
                memory += len(vector) * output.item_bytes
    batches = {e.change.digest: e.change.batch for e in edits if isinstance(e.change, Patch)}
    for digest, batch in batches.items():
        macs += batch * _macs(model, seen[digest])
    return replace(cost, memory_bytes=cost.memory_bytes + memory, macs=cost.macs + macs)


def _macs(model: Model, wanted: set[str]) -> int:
    """Operations of a pass as far as the deepest of the layers."""
    order = list(model.layers.values())
    deepest = max(index for index, layer in enumerate(order) if layer.id in wanted)
    return sum(each.macs for each in order[: deepest + 1] if each.kind is not LayerKind.BLOCK)


def bind_edit(model: Model, edit: Edit, path: str) -> None:
    """Check an edit against the model.

    Parameters
    ----------
    path : the request's field that holds it, for messages.
    """
    check_editable(model)
    layer = model.layer(edit.layer)
    if not layer.output.dtype.is_floating_point:
        raise invalid(
            f"layer {layer.id!r} yields {_name(layer.output.dtype)}; only floating-point numbers"
            " can be edited",
            f"{path}.location",
            layer=layer.id,
        )
    for name, picks in (("units", edit.units), ("samples", edit.samples)):
        if len(set(picks)) < len(picks):
            raise invalid(f"{name} must differ from each other", f"{path}.{name}")
    check_units(layer, edit.units, f"{path}.units")
    for index, position in enumerate(edit.positions):
        check_position(layer, position, f"{path}.positions[{index}]")
    _check_samples(model, layer, edit.samples, f"{path}.samples")
    _check_change(layer, edit.change, path)


def _check_samples(model: Model, layer: Layer, samples: tuple[int, ...], path: str) -> None:
    if any(sample < 0 for sample in samples):
        raise invalid("samples count from 0", path)
    if samples and layer.output.shape[:1] not in {("batch",), (model.fixed_batch,)}:
        message = f"the first axis of layer {layer.id!r} does not count samples; edit all of them"
        raise invalid(message, path, layer=layer.id)


def _check_change(layer: Layer, change: Change, path: str) -> None:
    match change:
        case Ablation("mean") if not layer.position_axes:
            message = f"layer {layer.id!r} has no positions to take a mean over; ablate to zero"
            raise invalid(message, f"{path}.ablation.value", layer=layer.id)
        case Scaling(factor):
            _check_finite(layer, [factor], f"{path}.scaling.factor")
        case Clamping(low, high):
            here = f"{path}.clamping"
            bounds = [bound for bound in (low, high) if bound is not None]
            if not bounds:
                raise invalid("name a lower or an upper bound", here)
            _check_finite(layer, bounds, here)
            if bounds != sorted(bounds):
                raise invalid(f"low must not be above high; {low} is above {high}", f"{here}.low")
        case DirectionAddition():
            _check_direction(layer, change, f"{path}.direction_addition")
        case Replacement(_, value):
            _check_value(layer, value, f"{path}.replacement.value")


def _check_direction(layer: Layer, change: DirectionAddition, path: str) -> None:
    if not layer.unit_count:
        message = f"layer {layer.id!r} has no fixed number of units, so no directions"
        raise invalid(message, path, layer=layer.id)
    if len(change.vector) != layer.unit_count:
        raise invalid(
            f"a direction in layer {layer.id!r} has {layer.unit_count} numbers, one for each"
            f" unit; {len(change.vector)} came",
            f"{path}.vector",
            layer=layer.id,
            units=layer.unit_count,
        )
    _check_finite(layer, [change.strength], f"{path}.strength")
    _check_finite(layer, change.vector, f"{path}.vector")
    _check_finite(layer, [each * change.strength for each in change.vector], f"{path}.strength")


def _check_finite(layer: Layer, numbers: Sequence[float], path: str) -> None:
    """Each must be finite, in the layer's own type too."""
    largest = torch.finfo(layer.output.dtype).max
    for number in numbers:
        if not math.isfinite(number) or abs(number) > largest:
            message = f"{path.rpartition('.')[2]} must be finite numbers up to {largest:.3g}"
            raise invalid(message, path, value=number)


def _check_value(layer: Layer, value: torch.Tensor, path: str) -> None:
    spec = layer.output
    shape: tuple[Dimension, ...] = tuple(value.shape)
    fits = len(shape) == len(spec.shape) and all(
        axis == 0 or isinstance(expected, str) or extent == expected
        for axis, (extent, expected) in enumerate(zip(shape, spec.shape, strict=True))
    )
    if value.dtype != spec.dtype or not fits:
        raise InvalidArgumentError(
            Reason.INPUT_MISMATCH,
            f"layer {layer.id!r} yields {_name(spec.dtype)} {_listed(spec.shape)}; what replaces it"
            f" must be like that, not {_name(value.dtype)} {_listed(shape)}",
            field=path,
            layer=layer.id,
        )


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _listed(shape: Sequence[Dimension]) -> str:
    return f"[{', '.join(map(str, shape))}]"
