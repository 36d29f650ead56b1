"""Edits through a real server: activations, recordings, pictures."""

import asyncio
import json

import pytest
import torch
from activation_streams import X, assembled, by_hooks, message
from editing_calls import (
    ABLATE,
    HALVE,
    OTHER,
    eager,
    edit,
    patch,
    pictures,
    read,
    value,
    zero,
)
from serving import Net, ended, failure, model_of, serving

from hooke.v1 import activation_service_pb2, edit_pb2, readout_pb2
from hooke.v1 import visualization_service_pb2 as visualization

ALL = slice(None)
CASES = {
    "a layer": (edit(**ABLATE), zero(ALL)),
    "a unit": (edit(place={"unit": 2}, **ABLATE), zero((ALL, 2))),
    "units": (edit(units=[2, 4], **ABLATE), zero((ALL, [2, 4]))),
    "a neuron": (
        edit(place={"unit": 2, "position": {"indices": [1, 3]}}, **ABLATE),
        zero((ALL, 2, 1, 3)),
    ),
    "positions": (
        edit(positions=[{"indices": [1, 3]}, {"indices": [0, 0]}], **ABLATE),
        zero((ALL, ALL, [1, 0], [3, 0])),
    ),
    "a sample": (edit(samples=[1], **ABLATE), zero(1)),
    "scaling": (edit(**HALVE), lambda v: v * 0.5),
    "scaling of a unit": (
        edit(units=[2], **HALVE),
        lambda v: v * torch.tensor([1, 1, 0.5, 1, 1, 1])[:, None, None],
    ),
    "a mean": (
        edit(ablation={"value": edit_pb2.ABLATION_VALUE_MEAN}),
        lambda v: v.mean((2, 3), keepdim=True).expand_as(v).clone(),
    ),
    "clamping": (edit(clamping={"low": 0.1}), lambda v: v.clamp(min=0.1)),
    "a direction": (
        edit(direction_addition={"vector": [0, 1, 0, 0, 0, -1], "strength": 2}),
        lambda v: v + torch.tensor([0, 2.0, 0, 0, 0, -2.0])[:, None, None],
    ),
    "a direction at its own length": (
        edit(direction_addition={"vector": [0, 1, 0, 0, 0, -1]}),
        lambda v: v + torch.tensor([0, 1.0, 0, 0, 0, -1.0])[:, None, None],
    ),
    "a value": (edit(**value(torch.ones(1, 6, 8, 8))), torch.ones_like),
    "patching": (edit(**patch(OTHER)), lambda v: by_hooks(["stem"], OTHER)["stem"]),
}


@pytest.mark.parametrize("name", CASES)
async def test_changes(edge, name):
    wanted, change = CASES[name]
    tensors, result = await read(edge, wanted, layers=("stem", "fc"))
    assert torch.equal(tensors["fc", "activations"], eager("stem", change))
    expected = change(by_hooks(["stem"], X)["stem"].clone())
    assert torch.equal(tensors["stem", "activations"], expected)
    [told] = json.loads(result.provenance.edits_json)
    assert (told["model"], told["layer"]) == ("net", "stem")


async def test_a_class_by_its_label(edge):
    tensors, _ = await read(edge, edit("", place={"label": "flea"}, **ABLATE))
    assert torch.equal(
        tensors["fc", "activations"], zero((ALL, 1))(by_hooks(["fc"], X)["fc"].clone())
    )


async def test_patching_all_of_the_input_gives_the_others_answer(edge):
    tensors, _ = await read(edge, edit("x", **patch(OTHER)), layers=("relu:1", "fc"))
    plain, _ = await read(edge, x=OTHER, layers=("relu:1", "fc"))
    assert all(torch.equal(tensors[key], plain[key]) for key in plain)


async def test_digests_and_provenance(edge):
    _, plain = await read(edge)
    _, one = await read(edge, edit(**HALVE))
    _, again = await read(edge, edit(**HALVE))
    _, two = await read(edge, edit(units=[1], **HALVE))
    _, three = await read(edge, edit(**patch(OTHER)))
    _, four = await read(edge, edit(**patch(X)))
    assert one.plan_digest == again.plan_digest
    results = [plain, one, two, three, four]
    assert len({result.plan_digest for result in results}) == 5
    assert len({result.provenance.edits_json for result in results}) == 5
    assert plain.provenance.edits_json == ""
    assert len({result.provenance.models[0].digest for result in results}) == 1


async def test_recordings(edge):
    configuration = activation_service_pb2.RecordingConfiguration(
        model="models/net",
        readouts=[readout_pb2.Readout(layer_globs=["fc"])],
        edits=[edit(units=[2], **ABLATE), edit("block", units=[1], **patch(OTHER[:1]))],
    )
    runs = [X, OTHER, X]
    request = activation_service_pb2.RecordActivationsRequest
    requests = [request(configuration=configuration)]
    requests += [request(run={"inputs": [{"tensor": message(x)}]}) for x in runs]
    frames = await ended(edge.activations.RecordActivations(iter(requests)))
    ends = [index for index, frame in enumerate(frames) if frame.HasField("result")]
    answers = [
        assembled(frames[begin + 1 : end])["fc", "activations"]
        for begin, end in zip([-1, *ends], ends, strict=False)
    ]
    there = by_hooks(["block"], OTHER[:1])["block"]

    def one(value):
        value[:, 2] = 0
        return value

    torch.manual_seed(0)
    module = Net().eval()
    module.stem.register_forward_hook(lambda _, __, v: one(v.clone()))

    def other(_, __, value):
        changed = value.clone()
        changed[:, 1] = there[:, 1]
        return changed

    module.block.register_forward_hook(other)
    with torch.inference_mode():
        assert all(torch.equal(a, module(x)) for a, x in zip(answers, runs, strict=True))


async def test_mixed_requests_at_once(edge, net):
    """Sixteen clients, edited and plain, on one shared model: each gets what it gets alone."""
    wanted = [
        [],
        [edit(units=[2], **ABLATE)],
        [edit(**HALVE)],
        [edit("block", **patch(OTHER))],
        [edit(samples=[1], **ABLATE)],
        [edit(**HALVE), edit("block", units=[0], clamping={"high": 0.1})],
        [edit(**patch(OTHER[:1])), edit("block.relu", **HALVE)],
        [],
    ]
    inputs = [X, OTHER]
    alone = {
        (i, j): (await read(edge, *edits, x=x))[0]["fc", "activations"]
        for i, edits in enumerate(wanted)
        for j, x in enumerate(inputs)
    }
    for _ in range(4):
        got = await asyncio.gather(
            *(read(edge, *wanted[i], x=inputs[j], layers=("fc",)) for i, j in alone)
        )
        for key, (tensors, _) in zip(alone, got, strict=True):
            assert torch.allclose(tensors["fc", "activations"], alone[key], atol=1e-6), key
    assert torch.equal(alone[0, 0], by_hooks(["fc"], X)["fc"])
    assert not any("edit" in node.name for node in net.graph.module.graph.nodes)
    # Plain ones twice each; where all of a layer is another input's, both inputs say the same.
    assert len({tuple(value.flatten().tolist()) for value in alone.values()}) == 11


async def test_visualization(edge):
    [plain], without = await pictures(edge, [])
    [same], scaled = await pictures(edge, [edit(scaling={"factor": 1.0})])
    [changed], halved = await pictures(edge, [edit(units=[0, 1, 2], **ABLATE)])
    [patched], _ = await pictures(edge, [edit("block", units=[0, 1], **patch(OTHER[:1]))])
    assert plain == same
    assert len({plain, changed, patched}) == 3
    digests = {each.plan_digest for each in (without, scaled, halved)}
    assert len(digests) == 3
    [told] = json.loads(halved.provenance.edits_json)
    assert told == {
        "model": "net",
        "layer": "stem",
        "units": [0, 1, 2],
        "ablation": {"value": "zero"},
    }
    assert without.provenance.edits_json == ""


async def test_positions_and_values_count_at_the_declared_size(edge):
    """Pictures of other sizes are resized to it, so that the edit lies where it was named."""
    for wanted in (
        edit(positions=[{"indices": [7, 7]}], **ABLATE),
        edit(**value(torch.ones(1, 6, 8, 8))),
    ):
        [made], _ = await pictures(edge, [wanted], size=24)
        [plain], _ = await pictures(edge, [], size=24)
        assert made != plain


async def test_a_picture_of_an_edited_model_is_the_picture_of_a_model_that_is_so():
    """Scaling a convolution's value is scaling its weights and bias."""
    torch.manual_seed(0)
    module, twin = Net().eval(), Net().eval()
    twin.load_state_dict(module.state_dict())
    with torch.no_grad():
        twin.stem.weight.mul_(2.0)
        twin.stem.bias.mul_(2.0)
    models = [model_of(each, torch.zeros(1, 3, 16, 16)) for each in (module, twin)]
    async with serving({"net": models[0]}) as served:
        [edited], _ = await pictures(served, [edit(scaling={"factor": 2.0})])
    async with serving({"net": models[1]}) as served:
        [scaled], _ = await pictures(served, [])
    assert edited == scaled


async def test_going_on_needs_the_same_edits(edge):
    request = visualization.VisualizeRequest(
        items=[{"location": {"layer": "models/net/layers/fc", "unit": 1}}],
        feature_visualization={"ascent": {"steps": 2, "size": 16}},
        edits=[edit(**HALVE)],
    )
    first = (await ended(edge.visualizations.Visualize(request)))[0].checkpoint.id
    request.resume_from = first
    request.feature_visualization.ascent.steps = 4
    frames = await ended(edge.visualizations.Visualize(request))
    assert frames[-1].HasField("result")
    del request.edits[:]
    request.resume_from = frames[0].checkpoint.id
    code, info, _ = await failure(edge.visualizations.Visualize(request))
    assert info.reason in {"CHECKPOINT_NOT_FOUND", "INVALID_FIELD"}, code
