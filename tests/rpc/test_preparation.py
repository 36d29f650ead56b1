"""Frames on their way to the wire: what is left out, what is counted, what is closed."""

import time

import numpy as np
import pytest

from hooke_server.errors import Reason, ResourceExhaustedError
from hooke_server.rpc.codec.frames import BUNDLE_SECONDS, Preparation
from hooke_server.rpc.codec.provenance import Work
from hooke_server.techniques.frames import Picture, Progress, Result
from hooke_server.techniques.tables import Finding
from hooke_server.techniques.targets import Site

GREY = np.full((4, 4, 3), 128, np.uint8)


@pytest.fixture
def work(net):
    return Work(models=[("net", net)], digest="sha256:0")


def bundles(preparation, frames):
    """All of them, the returned one last."""
    made, prepared = [], preparation.prepared(iter(frames))
    while True:
        try:
            made.append(next(prepared))
        except StopIteration as end:
            return [*made, end.value]


def items(preparation, frames):
    return [item for bundle in bundles(preparation, frames) for item in bundle]


def test_the_first_and_the_last_progress_are_told(work):
    frames = [Progress(step=step, total=50) for step in range(1, 51)]
    *progress, _ = items(Preparation(work), [*frames, Result()])
    told = [item["progress"].step for item in progress]
    assert told[0] == 1
    assert told[-1] == 50
    assert len(told) < 25


def test_work_that_goes_on_counts_its_own_steps_for_its_rate(work):
    frames = [Progress(step=step, total=1000) for step in range(901, 904)]
    first = items(Preparation(work, seconds=1.0), frames)[0]["progress"]
    assert 0.9 < first.steps_per_second < 1.01
    assert 90 < first.remaining.ToNanoseconds() / 1e9 < 110


def test_previews_of_one_step_go_together(work):
    frames = [
        Picture(
            name="feature", pixels=GREY, site=Site(layer="fc", unit=unit), step=step, final=False
        )
        for step in (1, 2)
        for unit in range(3)
    ]
    places = [item["picture"].location for item in items(Preparation(work), frames)]
    assert [place.layer for place in places] == ["models/net/layers/fc"] * 3
    assert [place.unit for place in places] == [0, 1, 2]


@pytest.mark.parametrize(
    ("said", "sites", "layer"),
    [
        ("conv", [Site(layer="fc", unit=3)], "conv"),
        ("", [Site(layer="fc", unit=3), Site(layer="fc", unit=1)], "fc"),
        ("", [Site(layer="fc"), Site(layer="conv")], ""),
        ("", [], ""),
    ],
)
def test_a_frame_names_the_layer_whose_values_it_shows(work, said, sites, layer):
    name = f"models/net/layers/{layer}" if layer else ""
    frames = [Finding(kind="found", text="It is.", layer=said, sites=tuple(sites))]
    if len(sites) < 2:
        site = sites[0] if sites else None
        frames.append(Picture(name="feature", pixels=GREY, layer=said, site=site))
    for item in items(Preparation(work), frames):
        [message] = item.values()
        assert message.layer == name


def test_the_result_counts_finished_pictures_and_all_of_the_time(work):
    frames = [
        Picture(name="feature", pixels=GREY, final=False),
        Picture(name="feature", pixels=GREY),
        Result(metrics={"objective": 2.5}),
    ]
    *_, last = items(Preparation(work, run=4, seconds=7.0), frames)
    result = last["result"]
    assert (result.picture_count, result.tensor_count, result.run) == (1, 0, 4)
    assert result.duration.seconds == 7
    assert dict(result.metrics) == {"objective": 2.5}


def test_closing_closes_the_technique(work):
    ended = []

    def frames():
        try:
            while True:
                yield Progress(step=1, total=9)
        finally:
            ended.append(True)

    kept = frames()  # so that the garbage collector plays no part
    prepared = Preparation(work).prepared(kept)
    next(prepared)
    prepared.close()
    assert ended == [True]


def test_what_takes_a_moment_to_make_goes_alone_and_small_things_together(work):
    def slow():
        for step in range(1, 4):
            time.sleep(2 * BUNDLE_SECONDS)
            yield Picture(name="feature", pixels=GREY, step=step)
        yield Result()

    assert [len(bundle) for bundle in bundles(Preparation(work), slow())] == [1, 1, 1, 1]
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    large = [Picture(name="feature", pixels=noise), Picture(name="feature", pixels=noise)]
    first, second, last = bundles(Preparation(work), [*large, Result()])
    assert [len(first), len(second)] == [1, 1]
    assert list(last[0]) == ["result"]


def test_what_was_made_before_an_error_goes_before_it(work):
    def failing():
        yield Picture(name="feature", pixels=GREY, step=1)
        raise LookupError("after the first")

    prepared = Preparation(work).prepared(failing())
    [item] = next(prepared)
    assert item["picture"].step == 1
    with pytest.raises(LookupError, match="after the first"):
        next(prepared)


def test_a_picture_larger_than_a_message_is_an_error_that_says_what_to_do(work):
    noise = np.random.default_rng(0).integers(0, 256, (1300, 1300, 3), dtype=np.uint8)
    frames = iter([Picture(name="feature", pixels=noise)])
    with pytest.raises(ResourceExhaustedError, match="ask for JPEG") as caught:
        items(Preparation(work), frames)
    assert caught.value.reason is Reason.LIMIT_EXCEEDED
