"""Activations through a real server, against the module itself run with hooks."""

import asyncio
import io

import grpc
import numpy as np
import pytest
import torch
from activation_streams import X, asked, assembled, by_hooks, message
from PIL import Image
from serving import ended, failure

from hooke.v1 import activation_service_pb2 as pb
from hooke.v1 import (
    activation_service_pb2_grpc,
    frame_pb2,
    image_pb2,
    input_pb2,
    location_pb2,
    readout_pb2,
    tensor_pb2,
)


async def run(edge, request):
    frames = await ended(edge.activations.StreamActivations(request))
    assert [frame.sequence for frame in frames] == list(range(1, len(frames) + 1))
    numbers = [f.tensor_header.tensor_id for f in frames if f.HasField("tensor_header")]
    assert numbers == list(range(1, len(numbers) + 1))
    kinds = [frame.WhichOneof("content") for frame in frames]
    assert kinds[-1] == "result"
    assert kinds.count("result") == 1
    assert frames[-1].result.tensor_count == kinds.count("tensor_header")
    return frames


async def test_values_are_those_of_the_module_bit_for_bit(edge):
    layers = ["stem", "block.conv", "fc", "block"]
    got = assembled(await run(edge, asked(*layers)))
    expected = by_hooks(layers, X)
    # In the order in which they run.
    assert list(got) == [(name, "activations") for name in ("stem", "block.conv", "block", "fc")]
    for name, value in expected.items():
        assert torch.equal(got[name, "activations"], value)


async def test_a_pattern_names_layers_and_small_chunks_make_no_difference(edge):
    x = X.repeat(40, 1, 1, 1)
    frames = await run(edge, asked("block*", "stem", x=x, chunk_bytes=65536))
    chunks = [frame.tensor_chunk.data for frame in frames if frame.HasField("tensor_chunk")]
    assert {len(data) for data in chunks if len(data) != 65536} == {80 * 6 * 8 * 8 * 4 % 65536}
    got = assembled(frames)
    assert len(got) == 5
    assert torch.equal(got["stem", "activations"], by_hooks(["stem"], x)["stem"])


async def test_readouts_pick_reduce_and_cast(edge):
    mean = readout_pb2.Reduction(statistic=readout_pb2.STATISTIC_MEAN)
    readouts = [
        readout_pb2.Readout(
            layer_globs=["stem"], units=[4, 1], tensor=readout_pb2.TensorForm(reduction=mean)
        ),
        readout_pb2.Readout(
            layer_globs=["block"],
            slices=[readout_pb2.AxisSlice(axis="height", start=2, stop=4)],
            tensor=readout_pb2.TensorForm(dtype=tensor_pb2.DATA_TYPE_FP16),
        ),
        readout_pb2.Readout(
            layer_globs=["fc"],
            tensor=readout_pb2.TensorForm(
                reduction=readout_pb2.Reduction(top_k=readout_pb2.TopK(k=2), scope=3)
            ),
        ),
        readout_pb2.Readout(
            layer_globs=["block.conv"],
            positions=[
                location_pb2.Position(indices=[0, 7]),
                location_pb2.Position(indices=[3, 3]),
            ],
        ),
    ]
    got = assembled(await run(edge, asked(readouts=readouts)))
    expected = by_hooks(["stem", "block", "block.conv", "fc"], X)
    stem = expected["stem"][:, [4, 1]].mean((2, 3))
    assert torch.allclose(got["stem", "mean"].float(), stem, rtol=1e-6, atol=1e-7)
    assert torch.equal(got["block", "activations"], expected["block"][:, :, 2:4].half())
    conv = expected["block.conv"]
    picked = torch.stack([conv[:, :, 0, 7], conv[:, :, 3, 3]], -1)
    assert torch.equal(got["block.conv", "activations"].squeeze(), picked)
    top = expected["fc"].topk(2, 1)
    assert torch.equal(got["fc", "values"], top.values)
    assert torch.equal(got["fc", "indices"].squeeze().long(), top.indices)


async def test_the_largest_are_told_by_the_layers_own_numbers(edge):
    top = readout_pb2.Reduction(top_k=readout_pb2.TopK(k=3), scope=3)
    readout = readout_pb2.Readout(
        layer_globs=["stem"],
        units=[5, 4],
        slices=[readout_pb2.AxisSlice(axis="height", start=3)],
        tensor=readout_pb2.TensorForm(reduction=top),
    )
    got = assembled(await run(edge, asked(readouts=[readout])))
    stem = by_hooks(["stem"], X)["stem"]
    expected = stem[:, 4:, 3:].flatten(1).topk(3).values
    assert torch.equal(got["stem", "values"], expected)
    for sample, indices in enumerate(got["stem", "indices"]):
        assert torch.equal(stem[sample][tuple(indices.T)], expected[sample])


async def test_pictures_go_in(edge, net):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    batch = input_pb2.ImageBatch(images=[image_pb2.EncodedImage(data=file.getvalue())] * 2)
    got = assembled(await run(edge, asked("fc", inputs=[input_pb2.ModelInput(images=batch)])))
    x = net.preprocessing.decode(file.getvalue())
    assert torch.equal(got["fc", "activations"], by_hooks(["fc"], torch.stack([x, x]))["fc"])


async def test_pictures_come_out(edge):
    readout = readout_pb2.Readout(
        layer_globs=["stem"],
        feature_maps=readout_pb2.FeatureMapForm(
            max_units=4, tile_size=16, format=image_pb2.IMAGE_FORMAT_PNG
        ),
    )
    frames = await run(edge, asked(readouts=[readout]))
    pictures = [frame.picture for frame in frames if frame.HasField("picture")]
    assert len(pictures) == frames[-1].result.picture_count == 2
    for picture in pictures:
        assert picture.location.layer == "models/net/layers/stem"
        assert picture.mime_type == "image/png"
        assert Image.open(io.BytesIO(picture.data)).size == (picture.width, picture.height)
        assert picture.caption


async def test_two_inputs_by_name(edge):
    left, right = torch.randn(2, 2, 3), torch.randn(2, 4, 3)
    inputs = [
        input_pb2.ModelInput(name="right", tensor=message(right)),
        input_pb2.ModelInput(name="left", tensor=message(left)),
    ]
    frames = await run(edge, asked("*", model="models/pair", inputs=inputs))
    (got,) = [t for (layer, _), t in assembled(frames).items() if "matmul" in layer]
    assert torch.equal(got, left @ right.transpose(1, 2))


async def test_the_result_says_what_made_it(edge, net):
    result = (await run(edge, asked("fc")))[-1].result
    assert result.provenance.models[0].name == "models/net"
    assert result.provenance.models[0].digest == net.digest
    assert result.provenance.technique == ""
    assert "torch" in result.provenance.versions
    again = (await run(edge, asked("fc", chunk_bytes=65536)))[-1].result
    other = (await run(edge, asked("fc", x=X + 1)))[-1].result
    layer = (await run(edge, asked("stem")))[-1].result
    assert again.plan_digest == result.plan_digest
    assert len({result.plan_digest, other.plan_digest, layer.plan_digest}) == 3


async def test_validate_only_answers_with_the_estimate(edge):
    (frame,) = await run(edge, asked("stem", "fc", validate_only=True))
    assert frame.result.outcome == frame_pb2.OUTCOME_VALIDATED
    estimate = frame.result.estimate
    assert list(estimate.layer_ids) == ["stem", "fc"]
    assert estimate.tensor_bytes == 2 * 6 * 8 * 8 * 4 + 2 * 5 * 4
    assert estimate.memory_bytes >= estimate.tensor_bytes
    assert estimate.macs > 0


NAN = X.clone()
NAN[1, 2, 3, 4] = float("nan")
FEATURE_MAPS = readout_pb2.Readout(layer_globs=["fc"], feature_maps=readout_pb2.FeatureMapForm())

FAILURES = {
    "no model": (asked("fc", model=""), "INVALID_ARGUMENT", "INVALID_FIELD"),
    "unknown model": (asked("fc", model="models/x"), "NOT_FOUND", "MODEL_NOT_FOUND"),
    "no readout": (
        pb.StreamActivationsRequest(model="models/net", inputs=asked().inputs),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
    ),
    "no layer": (asked(), "INVALID_ARGUMENT", "INVALID_FIELD"),
    "unknown layer": (asked("stm"), "NOT_FOUND", "LAYER_NOT_FOUND"),
    "unknown pattern": (asked("blck*"), "NOT_FOUND", "LAYER_NOT_FOUND"),
    "unit": (
        asked(readouts=[readout_pb2.Readout(layer_globs=["fc"], units=[5])]),
        "OUT_OF_RANGE",
        "UNIT_OUT_OF_RANGE",
    ),
    "no picture": (asked(readouts=[FEATURE_MAPS]), "INVALID_ARGUMENT", "INVALID_FIELD"),
    "statistic": (
        asked(
            readouts=[
                readout_pb2.Readout(
                    layer_globs=["fc"],
                    tensor=readout_pb2.TensorForm(reduction=readout_pb2.Reduction(statistic=99)),
                )
            ]
        ),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
    ),
    "shape": (asked("fc", x=X[:, :2]), "INVALID_ARGUMENT", "INPUT_MISMATCH"),
    "type": (asked("fc", x=X.double()), "INVALID_ARGUMENT", "INPUT_MISMATCH"),
    "nan": (asked("fc", x=NAN), "INVALID_ARGUMENT", "INPUT_NOT_FINITE"),
    "chunk": (asked("fc", chunk_bytes=1), "INVALID_ARGUMENT", "INVALID_FIELD"),
    "a long pattern": (asked("*" * 5000), "INVALID_ARGUMENT", "INVALID_FIELD"),
    "picture": (
        asked(
            "fc",
            inputs=[
                input_pb2.ModelInput(
                    images=input_pb2.ImageBatch(images=[image_pb2.EncodedImage(data=b"no picture")])
                )
            ],
        ),
        "INVALID_ARGUMENT",
        "IMAGE_UNREADABLE",
    ),
}


@pytest.mark.parametrize(("request_", "code", "reason"), FAILURES.values(), ids=list(FAILURES))
async def test_failures(edge, request_, code, reason):
    got, info, _ = await failure(edge.activations.StreamActivations(request_))
    assert (got, info.reason) == (code, reason)


async def test_sixteen_clients_get_what_one_would(edge):
    """Different layers and inputs on one model at once."""
    ids = ["stem", "block.conv", "block", "fc"]
    requests, expected = [], []
    for number in range(16):
        x = torch.randn(1 + number % 3, 3, 16, 16)
        chosen = ids[number % 4 :] if number % 2 else [ids[number % 4]]
        requests.append(asked(*chosen, x=x))
        expected.append(by_hooks(chosen, x))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(alone(edge.port, request)) for request in requests]
    for task, values in zip(tasks, expected, strict=True):
        got = assembled(task.result())
        assert {name for name, _ in got} == set(values)
        for name, value in values.items():
            assert torch.allclose(got[name, "activations"], value, rtol=1e-5, atol=1e-6)


async def alone(port, request):
    """The answer over a connection of its own."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = activation_service_pb2_grpc.ActivationServiceStub(channel)
        return await ended(stub.StreamActivations(request))
