"""Models, layers and weights through a real server."""

import asyncio

import numpy as np
import pytest
from serving import failure, serving

from hooke.v1 import model_service_pb2 as pb
from hooke.v1 import tensor_pb2
from hooke_server.errors import FailedPreconditionError, Reason


async def layers_of(edge, **condition):
    request = pb.StreamLayersRequest(parent="models/net", filter=pb.LayerFilter(**condition))
    return [layer async for layer in edge.models.StreamLayers(request)]


async def test_models_are_listed_by_name(edge):
    listed = await edge.models.ListModels(pb.ListModelsRequest(page_size=1))
    assert [model.name for model in listed.models] == ["models/net"]
    rest = await edge.models.ListModels(pb.ListModelsRequest(page_token=listed.next_page_token))
    assert [model.name for model in rest.models] == ["models/pair"]
    assert not rest.next_page_token


async def test_a_loaded_model_tells_all_of_itself(edge, net):
    model = await edge.models.GetModel(pb.GetModelRequest(name="models/net"))
    assert model.state == pb.MODEL_STATE_READY
    assert model.format == pb.MODEL_FORMAT_TORCH
    assert (model.source, model.digest, model.device) == ("live", net.digest, "cpu")
    assert [(d.name, d.HasField("size"), d.size) for d in model.inputs[0].shape] == [
        ("batch", False, 0),
        ("unit", True, 3),
        ("height", True, 16),
        ("width", True, 16),
    ]
    assert model.inputs[0].dtype == tensor_pb2.DATA_TYPE_FP32
    assert [dimension.size for dimension in model.outputs[0].shape] == [0, 5]
    # 3 x 3 kernels and biases of the stem and the block, and the classifier.
    assert model.parameter_count == (3 * 9 + 1) * 6 + (6 * 9 + 1) * 6 + (6 + 1) * 5
    assert model.memory_bytes == 4 * model.parameter_count
    assert model.macs == 8 * 8 * 6 * 9 * (3 + 6) + 6 * 5
    assert model.differentiability.differentiable
    assert not model.HasField("parity_error")
    assert list(model.class_labels) == ["cork", "flea", "ice", "moss", "mould"]
    assert model.layer_count == len(net.layers)
    assert model.output_layer == "models/net/layers/fc"
    assert model.preprocessing.crop_height == 16
    assert model.preprocessing.std == pytest.approx([0.229, 0.224, 0.225])


async def test_layers_tell_how_they_hang_together(edge):
    layers = {layer.id: layer for layer in await layers_of(edge)}
    assert list(layers)[:3] == ["x", "stem", "relu"]
    add = layers["block.add"]
    assert add.name == "models/net/layers/block.add"
    assert (add.kind, add.op, add.module_class) == (pb.LAYER_KIND_OPERATION, "add", "")
    assert set(add.producer_ids) == {"block.conv", "relu"}
    assert len(add.inputs) == len(add.producer_ids)
    assert (add.unit_count, add.unit_axis) == (6, 1)
    conv = layers["block.conv"]
    assert (conv.kind, conv.op, conv.module_class) == (pb.LAYER_KIND_MODULE, "conv2d", "Conv2d")
    assert (conv.parent_id, conv.depth) == ("block", 1)
    assert [(w.name, list(w.shape)) for w in conv.weights] == [
        ("weight", [6, 6, 3, 3]),
        ("bias", [6]),
    ]
    assert [(field.size, field.jump) for field in conv.receptive_fields] == [(7, 2), (7, 2)]
    assert layers["block"].kind == pb.LAYER_KIND_BLOCK
    assert {weight.name for weight in layers["block"].weights} == {"conv.weight", "conv.bias"}
    assert layers["relu:1"].occurrence == 1


async def test_pages_of_layers_equal_the_stream(edge):
    streamed, token, listed = await layers_of(edge), "", []
    while True:
        page = await edge.models.ListLayers(
            pb.ListLayersRequest(parent="models/net", page_size=3, page_token=token)
        )
        assert page.total_size == len(streamed)
        listed += page.layers
        token = page.next_page_token
        if not token:
            break
        assert len(page.layers) == 3
    assert listed == streamed


@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        ({"globs": ["block*"]}, ["block.conv", "block.add", "block.relu", "block"]),
        ({"ops": ["conv2d", "linear"]}, ["stem", "block.conv", "fc"]),
        ({"kinds": [pb.LAYER_KIND_INPUT, pb.LAYER_KIND_BLOCK]}, ["x", "block"]),
        ({"globs": ["block*"], "ops": ["conv2d"]}, ["block.conv"]),
        ({"globs": ["nothing*"]}, []),
    ],
)
async def test_filters(edge, condition, ids):
    assert sorted(layer.id for layer in await layers_of(edge, **condition)) == sorted(ids)
    request = pb.ListLayersRequest(parent="models/net", filter=pb.LayerFilter(**condition))
    assert (await edge.models.ListLayers(request)).total_size == len(ids)


async def test_one_layer(edge):
    request = pb.GetLayerRequest(name="models/net/layers/relu:1")
    layer = await edge.models.GetLayer(request)
    assert layer in await layers_of(edge)


async def weights(edge, layer, **wanted):
    request = pb.StreamWeightsRequest(parent=f"models/net/layers/{layer}", **wanted)
    messages = [message async for message in edge.models.StreamWeights(request)]
    assert [message.sequence for message in messages] == list(range(1, len(messages) + 1))
    return messages


async def test_weights_in_numbers(edge, net):
    conv = net.weights["block.conv.weight"].numpy()
    bias, weight = sorted(
        (message.summary for message in await weights(edge, "block", histogram_bins=9)),
        key=lambda summary: summary.weight.name,
    )
    assert (bias.weight.name, weight.weight.name) == ("conv.bias", "conv.weight")
    assert weight.mean == pytest.approx(conv.astype(np.float64).mean(), rel=1e-12)
    assert (weight.minimum, weight.maximum) == (conv.min(), conv.max())
    assert sum(weight.histogram_counts) == conv.size
    assert len(weight.histogram_edges) == 10


async def test_weights_themselves(edge, net):
    messages = await weights(edge, "fc", weight_globs=["w*"], include_tensors=True)
    kinds = [message.WhichOneof("content") for message in messages]
    assert kinds == ["summary", "tensor_header", "tensor_chunk", "tensor_trailer"]
    header = messages[1].tensor_header
    assert (header.name, header.layer) == ("weight", "models/net/layers/fc")
    values = np.frombuffer(messages[2].tensor_chunk.data, "<f4").reshape(header.shape)
    assert np.array_equal(values, net.weights["fc.weight"].numpy())


FAILURES = [
    ("GetModel", pb.GetModelRequest(name="models/nett"), "NOT_FOUND", "MODEL_NOT_FOUND"),
    ("GetModel", pb.GetModelRequest(name="net"), "INVALID_ARGUMENT", "INVALID_FIELD"),
    ("GetModel", pb.GetModelRequest(name="models/.."), "INVALID_ARGUMENT", "INVALID_FIELD"),
    (
        "GetLayer",
        pb.GetLayerRequest(name="models/net/layers/bloc.conv"),
        "NOT_FOUND",
        "LAYER_NOT_FOUND",
    ),
    ("GetLayer", pb.GetLayerRequest(name="models/net"), "INVALID_ARGUMENT", "INVALID_FIELD"),
    ("ListModels", pb.ListModelsRequest(page_size=-1), "INVALID_ARGUMENT", "INVALID_FIELD"),
    (
        "ListModels",
        pb.ListModelsRequest(page_token="x"),  # noqa: S106  # not a password
        "INVALID_ARGUMENT",
        "INVALID_PAGE_TOKEN",
    ),
    (
        "ListLayers",
        pb.ListLayersRequest(parent="models/net", filter=pb.LayerFilter(kinds=[9])),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
    ),
    ("StreamLayers", pb.StreamLayersRequest(parent="models/x"), "NOT_FOUND", "MODEL_NOT_FOUND"),
    (
        "StreamWeights",
        pb.StreamWeightsRequest(parent="models/net/layers/fc", weight_globs=["wieght"]),
        "NOT_FOUND",
        "WEIGHT_NOT_FOUND",
    ),
    (
        "StreamWeights",
        pb.StreamWeightsRequest(parent="models/net/layers/fc", histogram_bins=1025),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
    ),
    ("LoadModel", pb.LoadModelRequest(model_id="a"), "PERMISSION_DENIED", "ADMIN_DISABLED"),
    ("UnloadModel", pb.UnloadModelRequest(name="a"), "PERMISSION_DENIED", "ADMIN_DISABLED"),
]


@pytest.mark.parametrize(("method", "request_", "code", "reason"), FAILURES)
async def test_failures(edge, method, request_, code, reason):
    got, info, _ = await failure(getattr(edge.models, method)(request_))
    assert (got, info.reason) == (code, reason)


async def test_an_unknown_layer_is_answered_with_the_nearest(edge):
    request = pb.GetLayerRequest(name="models/net/layers/block.conf")
    _, info, message = await failure(edge.models.GetLayer(request))
    assert info.metadata["layer"] == "block.conf"
    assert info.metadata["nearest"].split(",")[0] == "block.conv"
    assert "'block.conv'" in message
    assert "ListLayers" in message


async def test_models_come_and_go(net):
    def load(source):
        if source == "good:one":
            return net
        raise FailedPreconditionError(Reason.MODEL_INVALID, "this file is broken")

    async with serving({}, load=load, allow_admin=True) as edge:
        request = pb.LoadModelRequest(model_id="one", source="good:one")
        models = await asyncio.gather(*(edge.models.LoadModel(request) for _ in range(3)))
        assert {model.state for model in models} == {pb.MODEL_STATE_READY}

        other = pb.LoadModelRequest(model_id="one", source="good:two")
        code, info, _ = await failure(edge.models.LoadModel(other))
        assert (code, info.reason) == ("ALREADY_EXISTS", "MODEL_EXISTS")

        gone = await edge.models.UnloadModel(pb.UnloadModelRequest(name="models/one"))
        assert (gone.state, gone.digest) == (pb.MODEL_STATE_UNLOADED, "")
        page = await edge.models.ListLayers(pb.ListLayersRequest(parent="models/one"))
        assert page.total_size == len(net.layers)

        bad = pb.LoadModelRequest(model_id="bad", source="bad:file")
        layers = pb.ListLayersRequest(parent="models/bad")
        for method, request in ((edge.models.LoadModel, bad), (edge.models.ListLayers, layers)):
            code, info, _ = await failure(method(request))
            assert (code, info.reason) == ("FAILED_PRECONDITION", "MODEL_INVALID")
        failed = await edge.models.GetModel(pb.GetModelRequest(name="models/bad"))
        assert failed.state == pb.MODEL_STATE_FAILED
        assert failed.error.message == "this file is broken"

        wrong = pb.LoadModelRequest(model_id="../x", source="a:b")
        code, info, _ = await failure(edge.models.LoadModel(wrong))
        assert (code, info.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
