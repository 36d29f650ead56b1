"""Frames on their way to the wire: what is left out, what is counted, what is closed."""

import numpy as np
import pytest

from hooke.v1 import location_pb2
from hooke_server.errors import Reason, ResourceExhaustedError
from hooke_server.rpc.codec.frames import Preparation
from hooke_server.rpc.codec.provenance import Work
from hooke_server.techniques.frames import Picture, Progress, Result

GREY = np.full((4, 4, 3), 128, np.uint8)


@pytest.fixture
def work(net):
    places = [location_pb2.Location(layer="models/net/layers/fc", unit=unit) for unit in range(3)]
    return Work(model_id="net", model=net, digest="sha256:0", locations=places)


def kinds(items):
    return [None if item is None else next(iter(item)) for item in items]


def test_every_frame_gives_an_item_and_the_last_progress_is_told(work):
    frames = [Progress(step=step, total=50) for step in range(1, 51)]
    items = list(Preparation(work).prepared(iter([*frames, Result()])))
    assert len(items) == 51
    told = [item["progress"].step for item in items[:-1] if item is not None]
    assert told[0] == 1
    assert told[-1] == 50
    assert len(told) < 25


def test_previews_of_one_step_go_together(work):
    frames = [
        Picture(name="feature", pixels=GREY, site=site, step=step, final=False)
        for step in (1, 2)
        for site in range(3)
    ]
    items = list(Preparation(work).prepared(iter(frames)))
    assert kinds(items) == ["picture"] * 3 + [None] * 3
    assert [item["picture"].location.unit for item in items[:3]] == [0, 1, 2]


def test_the_result_counts_finished_pictures_and_all_of_the_time(work):
    frames = [
        Picture(name="feature", pixels=GREY, final=False),
        Picture(name="feature", pixels=GREY),
        Result(metrics={"objective": 2.5}),
    ]
    *_, last = Preparation(work, run=4, seconds=7).prepared(iter(frames))
    result = last["result"]
    assert (result.picture_count, result.tensor_count, result.run) == (1, 0, 4)
    assert result.duration.seconds == 7
    assert dict(result.metrics) == {"objective": 2.5}


def test_closing_closes_the_technique(work):
    ended = []

    def frames():
        try:
            yield Progress(step=1, total=9)
            yield Progress(step=2, total=9)
        finally:
            ended.append(True)

    kept = frames()  # so that the garbage collector plays no part
    items = Preparation(work).prepared(kept)
    next(items)
    items.close()
    assert ended == [True]


def test_a_picture_larger_than_a_message_is_an_error_that_says_what_to_do(work):
    noise = np.random.default_rng(0).integers(0, 256, (1300, 1300, 3), dtype=np.uint8)
    frames = iter([Picture(name="feature", pixels=noise)])
    with pytest.raises(ResourceExhaustedError, match="ask for JPEG") as caught:
        list(Preparation(work).prepared(frames))
    assert caught.value.reason is Reason.LIMIT_EXCEEDED
