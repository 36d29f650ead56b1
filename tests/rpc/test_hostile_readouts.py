"""Small requests that ask for endless work are refused at once, and the server stays quick."""

import io
import resource

import grpc
import pytest
import torch
from activation_streams import asked
from google.rpc.error_details_pb2 import BadRequest
from grpc_status import rpc_status
from PIL import Image
from serving import ended, failure, model_of, serving
from torch import nn

from hooke.v1 import (
    activation_service_pb2,
    image_pb2,
    input_pb2,
    location_pb2,
    model_service_pb2,
    readout_pb2,
    visualization_service_pb2,
)

Readout, TensorForm, Reduction = readout_pb2.Readout, readout_pb2.TensorForm, readout_pb2.Reduction


async def refused_field(call):
    """The field that an INVALID_ARGUMENT names; its message must be short."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ended(call)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT, caught.value.details()
    assert len(caught.value.details()) < 300
    (violations,) = [
        detail
        for detail in rpc_status.from_call(caught.value).details
        if detail.Is(BadRequest.DESCRIPTOR)
    ]
    found = BadRequest()
    violations.Unpack(found)
    return found.field_violations[0].field


def reduced(**form):
    return TensorForm(reduction=Reduction(**form))


def positions(*places):
    return [location_pb2.Position(indices=place) for place in places]


def quantiles(count):
    return readout_pb2.Quantiles(probabilities=[0.5] * count)


HOSTILE = {
    "one unit, often": (Readout(layer_globs=["stem"], units=[0, 1, 0]), ".units"),
    "one unit, a million times": (Readout(layer_globs=["stem"], units=[0] * 10**6), ".units"),
    "one position, often": (
        Readout(layer_globs=["stem"], positions=positions([0, 1], [0, 1])),
        ".positions",
    ),
    "many quantiles": (
        Readout(layer_globs=["stem"], tensor=reduced(quantiles=quantiles(1001))),
        ".tensor.reduction.quantiles.probabilities",
    ),
    "half a million quantiles": (
        Readout(layer_globs=["stem"], tensor=reduced(quantiles=quantiles(500_000))),
        ".tensor.reduction.quantiles.probabilities",
    ),
    "many patterns": (Readout(layer_globs=["*"] * 400_000), ".layer_globs"),
    "a long pattern": (Readout(layer_globs=["*a" * 200]), ".layer_globs[0]"),
    "many positions": (
        Readout(layer_globs=["stem"], positions=positions(*[[0, 0]] * 1001)),
        ".positions",
    ),
    "many slices": (
        Readout(layer_globs=["stem"], slices=[readout_pb2.AxisSlice(axis="unit")] * 1001),
        ".slices",
    ),
}


@pytest.mark.parametrize(("readout", "field"), HOSTILE.values(), ids=list(HOSTILE))
async def test_readouts(edge, readout, field):
    call = edge.activations.StreamActivations(asked(readouts=[readout], validate_only=True))
    assert await refused_field(call) == f"readouts[0]{field}"


async def test_many_readouts(edge):
    readouts = [Readout(layer_globs=["stem"])] * 1001
    call = edge.activations.StreamActivations(asked(readouts=readouts))
    assert await refused_field(call) == "readouts"


async def test_lists_count_together(edge):
    readouts = [Readout(layer_globs=["stem"] * 100)] * 10
    call = edge.activations.StreamActivations(asked(readouts=readouts))
    assert await refused_field(call) == "readouts[9].layer_globs"


async def test_recordings_are_bound_by_the_same(edge):
    configuration = activation_service_pb2.RecordingConfiguration(
        model="models/net", readouts=[Readout(layer_globs=["*"] * 1001)]
    )
    request = activation_service_pb2.RecordActivationsRequest(configuration=configuration)
    assert (
        await refused_field(edge.activations.RecordActivations(iter([request])))
        == "configuration.readouts[0].layer_globs"
    )


@pytest.mark.parametrize("name", ["ListLayers", "StreamLayers"])
@pytest.mark.parametrize("wanted", [{"globs": ["*"] * 400_000}, {"globs": ["?" * 257]}])
async def test_filters_of_layers(edge, name, wanted):
    kind = getattr(model_service_pb2, f"{name}Request")
    request = kind(parent="models/net", filter=model_service_pb2.LayerFilter(**wanted))
    field = await refused_field(getattr(edge.models, name)(request))
    assert field.startswith("filter.globs")


WHOLE = {"layer": "models/net/layers/stem"}
DIRECTION = {"direction": {"location": WHOLE, "vector": [1.0] * 70_000}}
MANY = {
    "items": {"items": [{"location": {"layer": "models/net", "unit": 0}}] * 5000},
    "items[0].units.units": {"items": [{"units": {**WHOLE, "units": range(10**6)}}]},
    "items[0].objective.terms": {
        "items": [
            {"objective": {"terms": [{"factors": [{"layer_energy": {"location": WHOLE}}]}] * 300}}
        ]
    },
    "items[0].objective.terms[0].factors[0].direction.vector": {
        "items": [{"objective": {"terms": [{"factors": [DIRECTION]}]}}]
    },
    "previews.steps": {"items": [{"location": WHOLE}], "previews": {"steps": range(1, 2000)}},
}


@pytest.mark.parametrize("field", MANY)
async def test_many_of_a_kind(edge, field):
    request = visualization_service_pb2.VisualizeRequest(feature_visualization={}, **MANY[field])
    assert await refused_field(edge.visualizations.Visualize(request)) == field


X = torch.zeros(8, 3, 16, 16)
COSTLY = {
    "quantiles": Readout(layer_globs=["*"], tensor=reduced(quantiles=quantiles(1000), scope=2)),
    "feature maps": Readout(
        layer_globs=["stem"], feature_maps=readout_pb2.FeatureMapForm(tile_size=1024)
    ),
}


@pytest.mark.parametrize("readout", COSTLY.values(), ids=list(COSTLY))
async def test_what_is_made_counts_against_the_memory(net, readout):
    """The layers themselves take a hundredth of the budget."""
    async with serving({"net": net}, memory=8 << 20) as served:
        request = asked(x=X, readouts=[readout])
        code, info, _ = await failure(served.activations.StreamActivations(request))
        assert (code, info.reason) == ("RESOURCE_EXHAUSTED", "MEMORY_BUDGET_EXCEEDED")


async def test_pictures_that_nobody_could_send():
    wide = model_of(nn.Conv2d(3, 1024, 1), torch.zeros(1, 3, 16, 16))
    maps = readout_pb2.FeatureMapForm(max_units=1024, tile_size=1024)
    async with serving({"net": wide}) as served:
        request = asked(readouts=[Readout(layer_globs=["*"], feature_maps=maps)])
        field = await refused_field(served.activations.StreamActivations(request))
        assert field == "readouts[0].feature_maps.tile_size"


async def test_what_is_customary_fits_into_little(net):
    async with serving({"net": net}, memory=8 << 20) as served:
        maps = readout_pb2.FeatureMapForm()
        request = asked(readouts=[Readout(layer_globs=["stem", "block"], feature_maps=maps)])
        frames = [frame async for frame in served.activations.StreamActivations(request)]
        assert frames[-1].result.picture_count == 4


def long_picture(height):
    file = io.BytesIO()
    Image.new("L", (8, height)).save(file, "PNG")
    images = [image_pb2.EncodedImage(data=file.getvalue())]
    return input_pb2.ModelInput(images=input_pb2.ImageBatch(images=images))


async def test_long_pictures(edge):
    """One that is taken, though it would be resized to a long one; one that is not."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    request = asked("fc", inputs=[long_picture(60_000)])
    frames = await ended(edge.activations.StreamActivations(request))
    assert frames[-1].HasField("result")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10
    request = asked("fc", inputs=[long_picture(66_000)])
    code, info, _ = await failure(edge.activations.StreamActivations(request))
    assert (code, info.reason) == ("INVALID_ARGUMENT", "IMAGE_TOO_LARGE")
