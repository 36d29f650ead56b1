"""Feature visualization through a real server."""

import asyncio
import io
import json

import grpc
import numpy as np
import pytest
from PIL import Image
from serving import ended, failure, nothing_runs, serving
from visualizing import ASCENT, UNIT, finished, pixels, place, run, wanted

from hooke.v1 import frame_pb2, image_pb2
from hooke_server.techniques.frames import Picture
from hooke_server.techniques.plans import Item
from hooke_server.techniques.targets import Site
from hooke_server.techniques.technique import all_techniques


async def test_pictures_are_those_of_the_technique(edge, net):
    final = finished(await run(edge, wanted(UNIT, place("fc", label="ICE"))))
    items = [Item(site=Site(layer="stem", unit=1)), Item(site=Site(layer="fc", unit=2))]
    lens = all_techniques().find("feature_visualization")
    plan = lens.bind([net], items, {"ascent": ASCENT}, seed=3)
    expected = [frame for frame in lens.run([net], plan) if isinstance(frame, Picture)]
    for got, made in zip(final, expected, strict=True):
        assert np.array_equal(pixels(got), made.pixels)
        assert (got.mime_type, got.width, got.height) == ("image/png", 16, 16)
        assert (got.step, got.item, got.objective) == (4, made.item, made.objective)
        assert not got.HasField("sample")
    assert [(p.location.layer, p.location.unit) for p in final] == [
        ("models/net/layers/stem", 1),
        ("models/net/layers/fc", 2),
    ]


async def test_many_units_of_a_layer(edge):
    selection = {"units": {"layer": "models/net/layers/stem"}}
    every = finished(await run(edge, wanted(selection)))
    assert [(p.item, p.location.unit) for p in every] == [(n, n) for n in range(6)]
    some = finished(
        await run(edge, wanted(UNIT, {"units": {"layer": "models/net", "units": [4, 0]}}))
    )
    assert [(p.item, p.location.unit) for p in some] == [(0, 1), (1, 4), (2, 0)]
    [alone] = finished(await run(edge, wanted(place(unit=5))))
    assert np.abs(pixels(alone).astype(int) - pixels(every[5])).mean() < 1


async def test_an_objective_that_is_a_unit_equals_the_unit(edge):
    """And with a penalty of weight 0 still does, with another it does not."""

    def asked(weight=None):
        terms = [{"factors": [{"response": UNIT}]}]
        if weight is not None:
            terms.append({"weight": weight, "factors": [{"total_variation": {}}]})
        return wanted({"objective": {"terms": terms}})

    [unit] = finished(await run(edge, wanted()))
    for weight in (None, 0.0):
        [spelled] = finished(await run(edge, asked(weight)))
        assert np.array_equal(pixels(spelled), pixels(unit))
        assert not spelled.HasField("location")
    [smooth] = finished(await run(edge, asked(-3.0)))
    assert not np.array_equal(pixels(smooth), pixels(unit))


async def test_one_sheet_in_place_of_pictures(edge):
    selection = {"units": {"layer": "models/net/layers/stem"}}
    single = finished(await run(edge, wanted(selection)))
    frames = await run(edge, wanted(selection, sprite_sheet={"columns": 4}))
    [sheet] = finished(frames)
    assert sheet.name == "sprite_sheet"
    assert frames[-1].result.picture_count == 1
    assert [tile.location.unit for tile in sheet.tiles] == list(range(6))
    for tile, picture in zip(sheet.tiles, single, strict=True):
        part = pixels(sheet)[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width]
        assert np.array_equal(part, pixels(picture))
        assert (tile.item, tile.objective) == (picture.item, picture.objective)


async def test_previews_come_after_the_steps_that_were_named(edge):
    frames = await run(edge, wanted(previews={"steps": [1, 3, 9]}, ascent={"size": 96}))
    previews = [f.picture for f in frames if f.picture.role == image_pb2.PICTURE_ROLE_PREVIEW]
    assert previews
    assert {preview.step for preview in previews} <= {1, 3}


STEPS = 400


async def resumed(edge, stop, **options):
    """The frames of a run that went on from where another stopped, and those of the other."""
    first = await stop(wanted(UNIT, place(unit=2), ascent={"steps": STEPS}))
    checkpoint = first[0].checkpoint
    request = wanted(
        UNIT, place(unit=2), ascent={"steps": STEPS}, resume_from=checkpoint.id, **options
    )
    return await run(edge, request), first


async def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(edge):
    """Bit for bit, whether the client left or the time was up."""

    async def leave(request):
        call, frames = edge.visualizations.Visualize(request), []
        async for frame in call:
            frames.append(frame)
            if frame.HasField("progress"):
                call.cancel()
                return frames
        raise AssertionError("it ended by itself")

    async def run_out(request):
        request.time_budget.FromMilliseconds(80)
        frames = await run(edge, request)
        assert frames[-1].result.outcome == frame_pb2.OUTCOME_TIME_BUDGET
        assert len(finished(frames)) == 2
        assert all(0 < picture.step < STEPS for picture in finished(frames))
        assert frames[-1].result.metrics["steps"] == min(p.step for p in finished(frames))
        return frames

    whole = await run(edge, wanted(UNIT, place(unit=2), ascent={"steps": STEPS}))
    assert whole[-1].result.outcome == frame_pb2.OUTCOME_COMPLETE
    assert whole[-1].result.metrics["steps"] == STEPS
    for stop in (leave, run_out):
        went_on, first = await resumed(edge, stop)
        assert first[0].checkpoint.time_to_live.seconds == 3600
        assert 0 < went_on[0].checkpoint.step < STEPS
        progress = [f.progress.step for f in went_on if f.HasField("progress")]
        assert progress[0] > went_on[0].checkpoint.step
        for one, other in zip(finished(went_on), finished(whole), strict=True):
            assert np.array_equal(pixels(one), pixels(other))
            assert one.objective == other.objective


async def test_a_finished_run_takes_more_steps(edge):
    short = await run(edge, wanted())
    request = wanted(ascent={"steps": 9}, resume_from=short[0].checkpoint.id)
    longer = await run(edge, request)
    assert longer[0].checkpoint.step == 4
    [alone] = finished(await run(edge, wanted(ascent={"steps": 9})))
    assert np.array_equal(pixels(finished(longer)[0]), pixels(alone))


async def test_checkpoints_that_cannot_be_gone_on_from(edge):
    code, info, message = await failure(
        edge.visualizations.Visualize(wanted(resume_from="no such"))
    )
    assert (code, info.reason) == ("NOT_FOUND", "CHECKPOINT_NOT_FOUND")
    assert "begin anew" in message
    short = await run(edge, wanted())
    other = wanted(place(unit=4), resume_from=short[0].checkpoint.id)
    code, info, message = await failure(edge.visualizations.Visualize(other))
    assert (code, info.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert "of other work" in message
    curves = wanted(tuning_curves={}, resume_from=short[0].checkpoint.id)
    _, _, message = await failure(edge.visualizations.Visualize(curves))
    assert "tuning_curves cannot be resumed" in message


async def test_two_models_are_compared(net):
    """A model with itself under another name: each responds alike to both pictures."""
    async with serving({"net": net, "twin": net}) as edge:
        twin = {"layer": "models/twin/layers/stem", "unit": 1}
        frames = await run(edge, wanted(comparison={"other": twin, "ascent": ASCENT}))
        assert [picture.name for picture in finished(frames)] == ["comparison"]
        names = [model.name for model in frames[-1].result.provenance.models]
        assert names == ["models/net", "models/twin"]
        [start] = [f.tensor_header for f in frames if f.HasField("tensor_header")]
        assert (start.name, list(start.shape)) == ("responses", [2, 2])
        [chunk] = [f.tensor_chunk.data for f in frames if f.HasField("tensor_chunk")]
        responses = np.frombuffer(chunk, np.float32).reshape(2, 2)
        assert responses == pytest.approx(responses[0, 0], rel=1e-5)


async def test_the_result_says_how_to_make_it_again(edge, net):
    frames = await run(edge, wanted())
    result = frames[-1].result
    assert (result.picture_count, result.tensor_count) == (1, 0)
    assert result.metrics["steps"] == 4
    assert result.duration.ToNanoseconds() > 0
    made = result.provenance
    assert (made.models[0].name, made.models[0].digest) == ("models/net", net.digest)
    assert (made.technique, made.seed, made.models[0].device) == ("feature_visualization", 3, "cpu")
    told = json.loads(made.parameters_json)
    assert (told["sign"], told["ascent"]["steps"], told["ascent"]["size"]) == ("positive", 4, 16)
    assert {"hooke", "torch", "numpy"} <= set(made.versions)
    assert made.create_time.seconds > 0
    again = (await run(edge, wanted()))[-1].result
    other = (await run(edge, wanted(seed=4)))[-1].result
    assert again.plan_digest == result.plan_digest != other.plan_digest


async def test_progress_goes_on_to_the_last_step(edge):
    frames = await run(edge, wanted(ascent={"steps": 9}))
    progress = [frame.progress for frame in frames if frame.HasField("progress")]
    assert progress[-1].step == progress[-1].total_steps == 9
    assert progress[-1].steps_per_second > 0
    assert progress[-1].remaining.ToNanoseconds() == 0
    steps = [each.step for each in progress]
    assert steps == sorted(set(steps))
    elapsed = [each.elapsed.ToNanoseconds() for each in progress]
    assert elapsed == sorted(elapsed)


async def test_many_steps_are_few_messages(edge):
    frames = await run(edge, wanted(ascent={"steps": 300}, previews={"every": 1}))
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
    (frame,) = await run(edge, wanted(validate_only=True, ascent={"steps": 4000, "size": 512}))
    assert frame.result.outcome == frame_pb2.OUTCOME_VALIDATED
    assert frame.result.estimate.memory_bytes > 0
    assert frame.result.estimate.macs > 0
    assert frame.result.estimate.batch_size == 1
    real = (await run(edge, wanted()))[-1].result
    checked = (await run(edge, wanted(validate_only=True)))[-1].result
    assert checked.plan_digest == real.plan_digest


@pytest.mark.parametrize("previews", [None, {"every": 2}])
async def test_a_client_that_leaves_ends_the_work(edge, previews):
    request = wanted(ascent={"steps": 4096}, previews=previews)
    call = edge.visualizations.Visualize(request)
    assert (await call.read()).HasField("checkpoint")
    assert (await call.read()).sequence == 2
    assert edge.worker._pulls
    call.cancel()
    await asyncio.sleep(0.3)
    await nothing_runs(edge)
    assert await run(edge, wanted())


async def test_a_deadline_in_mid_step_ends_the_work(edge):
    request = wanted(ascent={"steps": 4096, "size": 64})
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
