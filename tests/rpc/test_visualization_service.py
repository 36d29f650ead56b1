"""Feature visualization through a real server."""

import asyncio
import io
import json

import grpc
import numpy as np
import pytest
from PIL import Image
from serving import ended, failure

from hooke.v1 import image_pb2, location_pb2
from hooke.v1 import visualization_service_pb2 as pb
from hooke_server.techniques.frames import Picture
from hooke_server.techniques.technique import Site, all_techniques

LENS = {"steps": 4, "size": 16}


def wanted(*places, lens=LENS, **options):
    locations = [
        location_pb2.Location(layer="models/net/layers/" + layer, **place)
        for layer, place in places or [("stem", {"unit": 1})]
    ]
    options = {"feature_visualization": pb.FeatureVisualization(**lens), "seed": 3} | options
    return pb.VisualizeRequest(locations=locations, **options)


def pixels(picture):
    return np.asarray(Image.open(io.BytesIO(picture.data)))


async def run(edge, request):
    frames = await ended(edge.visualizations.Visualize(request))
    assert [frame.sequence for frame in frames] == list(range(1, len(frames) + 1))
    assert [frame.WhichOneof("content") for frame in frames].count("result") == 1
    return frames


async def test_pictures_are_those_of_the_technique(edge, net):
    request = wanted(("stem", {"unit": 1}), ("fc", {"label": "ICE"}))
    frames = await run(edge, request)
    final = [frame.picture for frame in frames if frame.HasField("picture")]
    sites = [Site(layer="stem", unit=1), Site(layer="fc", unit=2)]
    lens = all_techniques().find("feature_visualization")
    plan = lens.bind(net, "net", sites, LENS, seed=3)
    expected = [frame for frame in lens.run(net, plan) if isinstance(frame, Picture)]
    for got, made in zip(final, expected, strict=True):
        assert np.array_equal(pixels(got), made.pixels)
        assert (got.mime_type, got.width, got.height) == ("image/png", 16, 16)
        assert (got.role, got.step) == (image_pb2.PICTURE_ROLE_FINAL, 4)
        assert got.objective == made.objective
    assert [(p.location.layer, p.location.unit) for p in final] == [
        ("models/net/layers/stem", 1),
        ("models/net/layers/fc", 2),
    ]


async def test_the_result_says_how_to_make_it_again(edge, net):
    frames = await run(edge, wanted())
    result = frames[-1].result
    assert (result.picture_count, result.tensor_count) == (1, 0)
    assert result.metrics["steps"] == 4
    assert result.duration.ToNanoseconds() > 0
    made = result.provenance
    assert (made.models[0].name, made.models[0].digest) == ("models/net", net.digest)
    assert (made.technique, made.seed, made.models[0].device) == ("feature_visualization", 3, "cpu")
    assert json.loads(made.parameters_json)["steps"] == 4
    assert json.loads(made.parameters_json)["learning_rate"] == 0.05
    assert {"hooke", "torch", "numpy"} <= set(made.versions)
    assert made.create_time.seconds > 0
    again = (await run(edge, wanted()))[-1].result
    other = (await run(edge, wanted(seed=4)))[-1].result
    assert again.plan_digest == result.plan_digest != other.plan_digest


async def test_progress_goes_on_to_the_last_step(edge):
    frames = await run(edge, wanted(lens={"steps": 9, "size": 16}))
    progress = [frame.progress for frame in frames if frame.HasField("progress")]
    assert progress[-1].step == progress[-1].total_steps == 9
    assert progress[-1].steps_per_second > 0
    assert progress[-1].remaining.ToNanoseconds() == 0
    steps = [each.step for each in progress]
    assert steps == sorted(set(steps))
    elapsed = [each.elapsed.ToNanoseconds() for each in progress]
    assert elapsed == sorted(elapsed)


async def test_many_steps_are_few_messages(edge):
    frames = await run(edge, wanted(lens={"steps": 300, "size": 16}, preview_every=1))
    seconds = frames[-1].result.duration.ToNanoseconds() / 1e9
    kinds = [frame.WhichOneof("content") for frame in frames]
    assert kinds.count("progress") <= seconds / 0.1 + 10
    previews = [frame.picture for frame in frames if frame.picture.role == 1]
    assert 1 <= len(previews) <= seconds / 0.2 + 10
    assert previews[0].mime_type == "image/jpeg"
    assert frames[-1].result.picture_count == 1


@pytest.mark.parametrize(
    ("number", "mime"), [(1, "image/png"), (2, "image/jpeg"), (3, "image/webp")]
)
async def test_formats(edge, number, mime):
    frames = await run(edge, wanted(format=number))
    (picture,) = [frame.picture for frame in frames if frame.HasField("picture")]
    assert picture.mime_type == mime
    assert Image.open(io.BytesIO(picture.data)).get_format_mimetype() == mime


async def test_validate_only_computes_nothing(edge):
    (frame,) = await run(edge, wanted(validate_only=True, lens={"steps": 4000, "size": 512}))
    assert frame.result.estimate.memory_bytes > 0
    assert frame.result.estimate.macs > 0
    real = (await run(edge, wanted()))[-1].result
    checked = (await run(edge, wanted(validate_only=True)))[-1].result
    assert checked.plan_digest == real.plan_digest


OTHER = location_pb2.Location(layer="models/pair")

FAILURES = [
    (pb.VisualizeRequest(), "INVALID_ARGUMENT", "INVALID_FIELD", "locations"),
    (
        pb.VisualizeRequest(locations=[OTHER]),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        "choose a technique",
    ),
    (wanted(("stm", {})), "NOT_FOUND", "LAYER_NOT_FOUND", "'stem'"),
    (wanted(("stem", {"unit": 6})), "OUT_OF_RANGE", "UNIT_OUT_OF_RANGE", "0 to 5"),
    (wanted(("fc", {"label": "iec"})), "NOT_FOUND", "LABEL_NOT_FOUND", "'ice'"),
    (wanted(lens={"steps": 0}), "INVALID_ARGUMENT", "INVALID_FIELD", "between 1 and 4096"),
    (
        wanted(lens={"learning_rate": float("nan")}),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        "learning_rate",
    ),
    (
        wanted(lens={"parameterization": 9}),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        "one of fourier, pixel",
    ),
    (wanted(format=9), "INVALID_ARGUMENT", "INVALID_FIELD", "PNG, JPEG or WEBP"),
    (wanted(preview_every=0), "INVALID_ARGUMENT", "INVALID_FIELD", "preview_every"),
    (
        pb.VisualizeRequest(
            locations=[OTHER], feature_visualization=pb.FeatureVisualization(**LENS)
        ),
        "FAILED_PRECONDITION",
        "TECHNIQUE_NOT_APPLICABLE",
        "feature_visualization is not valid",
    ),
]


@pytest.mark.parametrize(("request_", "code", "reason", "said"), FAILURES)
async def test_failures(edge, request_, code, reason, said):
    got, info, message = await failure(edge.visualizations.Visualize(request_))
    assert (got, info.reason) == (code, reason)
    assert said in message


async def test_places_must_lie_in_one_model(edge):
    request = wanted()
    request.locations.append(OTHER)
    _, info, message = await failure(edge.visualizations.Visualize(request))
    assert info.reason == "INVALID_FIELD"
    assert "in one model, not in 2" in message


async def nothing_runs(edge):
    """The compute thread takes its next turn, so whatever ran on it has ended."""
    await asyncio.wait_for(edge.worker.call(int), 10)
    assert not edge.worker._pulls


@pytest.mark.parametrize("preview_every", [None, 2])
async def test_a_client_that_leaves_ends_the_work(edge, preview_every):
    request = wanted(lens={"steps": 4096, "size": 16}, preview_every=preview_every)
    call = edge.visualizations.Visualize(request)
    assert (await call.read()).sequence == 1
    assert edge.worker._pulls
    call.cancel()
    await asyncio.sleep(0.3)
    await nothing_runs(edge)
    assert await run(edge, wanted())


async def test_a_deadline_in_mid_step_ends_the_work(edge):
    request = wanted(lens={"steps": 4096, "size": 64})
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ended(edge.visualizations.Visualize(request, timeout=0.5))
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.sleep(0.3)
    await nothing_runs(edge)


async def test_runs_side_by_side_share_the_device_and_do_not_touch_each_other(edge):
    requests = [wanted(seed=seed) for seed in range(4)]
    alone = [await run(edge, request) for request in requests]
    together = await asyncio.gather(*(run(edge, request) for request in requests))
    for one, other in zip(alone, together, strict=True):
        assert pixels(one[-2].picture).tobytes() == pixels(other[-2].picture).tobytes()
