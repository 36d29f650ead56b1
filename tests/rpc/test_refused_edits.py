"""Edits that a server refuses, and what it says; edits without end."""

from dataclasses import replace

import pytest
import torch
from activation_streams import X, asked, by_hooks
from editing_calls import ABLATE, HALVE, OTHER, Edit, eager, edit, patch, read, value
from serving import ended, failure, serving
from test_hostile_readouts import refused_field

from hooke.v1 import edit_pb2, tensor_pb2
from hooke.v1 import visualization_service_pb2 as visualization
from hooke_server.models.model import Model

NOT_FINITE = tensor_pb2.Tensor(
    dtype="DATA_TYPE_FP32", shape=[1, 6, 8, 8], data=torch.full((384,), torch.nan).numpy().tobytes()
)
WRONG = {
    "no change": (edit(), "change"),
    "another model": (edit(model="pair", **ABLATE), "location.layer"),
    "no location": (Edit(**ABLATE), "location.layer"),
    "an unknown value": (edit(ablation={"value": 9}), "ablation.value"),
    "a unit twice": (edit(units=[1, 1], **ABLATE), "units"),
    "a unit and units": (edit(place={"unit": 1}, units=[2], **ABLATE), "units"),
    "a position and positions": (
        edit(place={"position": {"indices": [0, 0]}}, positions=[{"indices": [1, 1]}], **ABLATE),
        "positions",
    ),
    "a position with one index": (edit(positions=[{"indices": [1]}], **ABLATE), "positions[0]"),
    "a position where there are none": (
        edit("fc", positions=[{"indices": [1]}], **ABLATE),
        "positions[0]",
    ),
    "a sample twice": (edit(samples=[1, 1], **ABLATE), "samples"),
    "a sample before the first": (edit(samples=[-1], **ABLATE), "samples"),
    "a mean without positions": (
        edit("fc", ablation={"value": edit_pb2.ABLATION_VALUE_MEAN}),
        "ablation.value",
    ),
    "no factor": (edit(scaling={}), "scaling.factor"),
    "an infinite factor": (edit(scaling={"factor": torch.inf}), "scaling.factor"),
    "a factor beyond the type": (edit(scaling={"factor": 1e300}), "scaling.factor"),
    "no bounds": (edit(clamping={}), "clamping"),
    "bounds the wrong way": (edit(clamping={"low": 1, "high": 0}), "clamping.low"),
    "a bound that is no number": (edit(clamping={"low": torch.nan}), "clamping"),
    "a short direction": (
        edit(direction_addition={"vector": [1, 2]}),
        "direction_addition.vector",
    ),
    "no direction": (edit(direction_addition={}), "direction_addition.vector"),
    "a direction with NaN": (
        edit(direction_addition={"vector": [torch.nan] * 6}),
        "direction_addition.vector",
    ),
    "a direction too strong": (
        edit(direction_addition={"vector": [1e30] * 6, "strength": 1e30}),
        "direction_addition.strength",
    ),
    "no source": (edit(replacement={}), "replacement.source"),
    "no inputs": (edit(replacement={"inputs": {}}), "replacement.inputs.inputs"),
    "inputs of another shape": (
        edit(**patch(torch.zeros(1, 3, 8, 8))),
        "replacement.inputs.inputs[0]",
    ),
    "inputs of another batch": (edit(**patch(torch.zeros(3, 3, 16, 16))), "replacement"),
    "an input sent on another stream": (
        edit(replacement={"inputs": {"inputs": [{"tensor_id": 1}]}}),
        "replacement.inputs.inputs[0].tensor_id",
    ),
    "a broken picture": (
        edit(replacement={"inputs": {"inputs": [{"images": {"images": [{"data": b"no"}]}}]}}),
        "replacement.inputs.inputs[0].images.images[0].data",
    ),
    "a value of another shape": (edit(**value(torch.zeros(1, 6, 8, 7))), "replacement.value"),
    "a value of another batch": (edit(**value(torch.zeros(3, 6, 8, 8))), "replacement"),
    "a value of another type": (
        edit(**value(torch.zeros(1, 6, 8, 8).double())),
        "replacement.value",
    ),
    "an empty value": (edit(**value(torch.zeros(0, 6, 8, 8))), "replacement"),
    "a value that lies about its size": (
        edit(replacement={"value": {"dtype": 11, "shape": [10**9, 6, 8, 8], "data": b"1234"}}),
        "replacement.value",
    ),
    "a value with NaN": (edit(replacement={"value": NOT_FINITE}), "replacement.value"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_what_is_refused(edge, name):
    wrong, field = WRONG[name]
    request = asked("fc", edits=[edit(**HALVE), wrong], validate_only=True)
    assert await refused_field(edge.activations.StreamActivations(request)) == f"edits[1].{field}"


BEYOND = {
    "LAYER_NOT_FOUND": edit("sten", **ABLATE),
    "LABEL_NOT_FOUND": edit("", place={"label": "cat"}, **ABLATE),
    "UNIT_OUT_OF_RANGE": edit(units=[6], **ABLATE),
    "POSITION_OUT_OF_RANGE": edit(positions=[{"indices": [0, 8]}], **ABLATE),
}


@pytest.mark.parametrize("reason", BEYOND)
async def test_what_does_not_exist(edge, reason):
    _, info, _ = await failure(
        edge.activations.StreamActivations(asked("fc", edits=[BEYOND[reason]]))
    )
    assert info.reason == reason


async def test_a_sample_beyond_the_batch(edge):
    request = asked("fc", edits=[edit(samples=[2], **ABLATE)])
    code, info, told = await failure(edge.activations.StreamActivations(request))
    assert (code, info.reason) == ("OUT_OF_RANGE", "POSITION_OUT_OF_RANGE")
    assert "samples 0 to 1" in told


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (edit(samples=[0], **ABLATE), "samples"),
        (edit(**patch(OTHER)), "replacement"),
        (edit(**value(torch.ones(2, 6, 8, 8))), "replacement"),
        (edit(model="pair", **ABLATE), "location.layer"),
    ],
)
async def test_what_visualization_refuses(edge, wrong, field):
    request = visualization.VisualizeRequest(
        items=[{"location": {"layer": "models/net/layers/fc", "unit": 1}}],
        feature_visualization={},
        edits=[wrong],
    )
    assert await refused_field(edge.visualizations.Visualize(request)) == f"edits[0].{field}"


async def test_many_edits(edge):
    """As many as a call may have run; one more is refused; so are lists without end."""
    edits = [edit(units=[n % 6], **HALVE) for n in range(256)]
    tensors, _ = await read(edge, *edits)
    expected = eager("stem", lambda v: v * 0.5**42)[0].shape
    assert tensors["fc", "activations"].shape[1:] == expected
    request = asked("fc", edits=[*edits, edit(**HALVE)])
    assert await refused_field(edge.activations.StreamActivations(request)) == "edits"
    request = asked("fc", edits=[edit(direction_addition={"vector": [0.0] * 70_000})])
    field = await refused_field(edge.activations.StreamActivations(request))
    assert field == "edits[0].direction_addition.vector"


async def test_patches_count_against_memory(edge, net):
    request = asked("fc", edits=[edit(**patch(OTHER))], validate_only=True)
    [frame] = await ended(edge.activations.StreamActivations(request))
    plain = asked("fc", validate_only=True)
    [without] = await ended(edge.activations.StreamActivations(plain))
    estimate, bare = frame.result.estimate, without.result.estimate
    assert estimate.memory_bytes - bare.memory_bytes >= 2 * 6 * 8 * 8 * 4
    assert estimate.macs - bare.macs == 2 * net.layers["stem"].macs
    async with serving({"net": net}, memory=4096) as served:
        call = served.activations.StreamActivations(asked("fc", edits=[edit(**patch(OTHER))]))
        code, info, _ = await failure(call)
        assert (code, info.reason) == ("RESOURCE_EXHAUSTED", "MEMORY_BUDGET_EXCEEDED")
        tensors, _ = await read(served)
        assert torch.equal(tensors["fc", "activations"], by_hooks(["fc"], X)["fc"])


async def test_a_model_without_a_graph(net):
    opaque: Model = replace(net, graph=None, runtime=_Runtime(net), obstacle="it has secrets")
    async with serving({"net": opaque}) as served:
        tensors, _ = await read(served)
        assert torch.equal(tensors["fc", "activations"], by_hooks(["fc"], X)["fc"])
        request = asked("fc", edits=[edit(**ABLATE)])
        code, info, told = await failure(served.activations.StreamActivations(request))
        assert (code, info.reason) == ("FAILED_PRECONDITION", "MODEL_UNSUPPORTED")
        assert "it has secrets" in told


class _Runtime:
    """Computes with the graph of another model, as a model without one of its own does."""

    def __init__(self, model):
        self._model = model

    def run(self, layers, inputs):
        return self._model.forward(layers, inputs)
