"""What holds for every technique, those to come included: each is found, pointed at a place where
it is valid, given what it must be given, and run."""

import hashlib
import io

import numpy as np
import pytest
import torch
from lens_runs import LENSES
from PIL import Image

from hooke_server.errors import FailedPreconditionError, InvalidArgumentError
from hooke_server.models.edited import edited
from hooke_server.models.edits import Edit, Scaling
from hooke_server.techniques.frames import Array, Picture, Progress, Result
from hooke_server.techniques.parameters import REQUIRED, ParameterType
from hooke_server.techniques.plans import Control, Item, Previews
from hooke_server.techniques.sheets import SpriteSheet, as_sheet
from hooke_server.techniques.targets import Photograph, Site

QUICK = {"steps": 3, "size": 32}
SMALL = {"cells": 2, "groups": 2, "icons": 3, "resolution": 2, "units": 2}


def photograph() -> Photograph:
    rows, columns = np.mgrid[0:40, 0:48]
    pixels = np.stack([rows * 6, columns * 5, (rows * columns) % 255], -1).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return Photograph(file.getvalue())


@pytest.fixture(params=list(LENSES))
def lens(request):
    return LENSES[request.param]


def given_to(lens, model):
    """The parameters that must be given, and few steps of small pictures."""
    values = {name: value for name, value in SMALL.items() if name in lens.parameters}
    if "ascent" in lens.parameters:
        values["ascent"] = QUICK
    for name, parameter in lens.parameters.items():
        if parameter.default is REQUIRED:
            place = Site(layer=model.output_layer, unit=2)
            values[name] = photograph() if parameter.type is ParameterType.IMAGE else place
    return values


def plan_of(lens, model, seed=0, **changes):
    """A plan for two places where the technique is valid."""
    output = model.output_layer
    for sites in (
        [Site(layer=output, unit=3), Site(layer="layer1.0.relu", unit=1)],
        [Site(layer="layer2"), Site(layer="layer1.0.relu")],
        [Site(layer="conv1", unit=0), Site(layer="conv1", unit=5)],
    ):
        try:
            items = [Item(site=site) for site in sites]
            return lens.bind([model], items, given_to(lens, model), seed=seed, **changes)
        except FailedPreconditionError:
            continue
    raise AssertionError(f"{lens.name} is valid nowhere")


def fingerprint(frames):
    """All that a client sees of a run."""
    return [seen(frame) for frame in frames]


def seen(frame):
    match frame:
        case Picture():
            return (frame.name, frame.site, frame.item, frame.sample, frame.final, frame.objective,
                    frame.caption, frame.tiles, frame.pixels.tobytes())  # fmt: skip
        case Array():
            return (
                frame.name,
                frame.layer,
                frame.item,
                frame.axes,
                frame.value.cpu().numpy().tobytes(),
            )
    return frame


def weights_of(model):
    digest = hashlib.sha256()
    for name, weight in model.weights.items():
        digest.update(name.encode() + weight.detach().contiguous().numpy().tobytes())
        assert weight.grad is None
    return digest.hexdigest()


def test_ends_with_exactly_one_result_and_shows_something(lens, resnet):
    plan = plan_of(lens, resnet, previews=Previews(every=2))
    frames = list(lens.run([resnet], plan))
    assert isinstance(frames[-1], Result)
    assert frames[-1].complete
    assert sum(isinstance(frame, Result) for frame in frames) == 1
    finished = [frame for frame in frames if isinstance(frame, Picture) and frame.final]
    assert {picture.item for picture in finished} == set(range(len(plan.items)))
    for picture in finished:
        assert picture.pixels.dtype == np.uint8
        assert picture.pixels.std() > 0
        for tile in picture.tiles:
            assert tile.x >= 0
            assert tile.x + tile.width <= picture.pixels.shape[1]
            assert tile.y >= 0
            assert tile.y + tile.height <= picture.pixels.shape[0]
    for array in (frame for frame in frames if isinstance(frame, Array)):
        assert len(array.axes) == array.value.ndim
        assert torch.isfinite(array.value.double()).all()


def test_repeats_with_its_seed_and_not_with_another(lens, resnet):
    plan = plan_of(lens, resnet)
    once = fingerprint(lens.run([resnet], plan))
    torch.rand(5)  # the process's own random state plays no part
    again = fingerprint(lens.run([resnet], plan))
    assert once == again
    other = fingerprint(lens.run([resnet], plan_of(lens, resnet, seed=1)))
    starts_from_noise = "ascent" in lens.parameters and lens.name not in STARTS_FROM_A_PICTURE
    assert (once != other) or not starts_from_noise


STARTS_FROM_A_PICTURE = {"accentuation", "style_transfer"}


def test_can_be_closed_at_every_frame(lens, resnet):
    plan = plan_of(lens, resnet)
    count = len(list(lens.run([resnet], plan)))
    for stop in range(count):
        frames = lens.run([resnet], plan)
        for _ in range(stop):
            next(frames)
        frames.close()
        assert list(frames) == []
        assert torch.is_grad_enabled()


def test_leaves_the_model_and_the_process_untouched(lens, resnet):
    before, state = weights_of(resnet), torch.get_rng_state()
    list(lens.run([resnet], plan_of(lens, resnet)))
    assert weights_of(resnet) == before
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(weight.requires_grad for weight in resnet.graph.module.parameters())


def test_runs_that_take_turns_equal_runs_alone(lens, resnet):
    """The worker pulls one frame of each stream by turns, all on one thread."""
    plans = [plan_of(lens, resnet, seed) for seed in range(2)]
    alone = [fingerprint(lens.run([resnet], plan)) for plan in plans]
    streams = [lens.run([resnet], plan) for plan in plans]
    by_turns = [[] for _ in plans]
    while len(by_turns[0]) < len(alone[0]):
        for stream, frames in zip(streams, by_turns, strict=True):
            frames.append(next(stream))
    assert [fingerprint(frames) for frames in by_turns] == alone


def test_an_edit_that_changes_nothing_shows_the_same_bit_for_bit(lens, resnet):
    same = edited(resnet, [Edit(layer="layer1.0.relu", units=(1, 5), change=Scaling(1.0))])
    plan, other = plan_of(lens, resnet), plan_of(lens, same)
    assert (plan.digest, plan.series) != (other.digest, other.series)
    shown = [
        [frame for frame in lens.run([model], each) if not isinstance(frame, Progress)]
        for model, each in ((resnet, plan), (same, other))
    ]
    assert fingerprint(shown[0]) == fingerprint(shown[1])


def test_every_step_is_told(lens, resnet):
    """Progress, pictures and a result are each at most one step apart."""
    frames = list(lens.run([resnet], plan_of(lens, resnet)))
    progress = [frame for frame in frames if isinstance(frame, Progress)]
    assert [frame.step for frame in progress] == list(range(1, len(progress) + 1))
    assert {frame.total for frame in progress} == {len(progress)}


def test_the_estimate_is_said_before_the_work(lens, resnet):
    estimate = lens.estimate([resnet], plan_of(lens, resnet))
    assert estimate.memory_bytes > 0
    assert estimate.macs > 0
    assert set(estimate.layers) <= set(resnet.layers)


def test_goes_on_where_it_stopped_bit_for_bit(lens, resnet):
    if not lens.resumable:
        pytest.skip("it keeps no states")
    plan = plan_of(lens, resnet)
    whole = [frame for frame in lens.run([resnet], plan) if not isinstance(frame, Progress)]
    for stop in (1, 2):
        steps = 0

        def used_up():
            nonlocal steps
            steps += 1
            return steps > stop  # noqa: B023  # asked in this turn of the loop only

        states = {}
        part = list(lens.run([resnet], plan, Control(expired=used_up, states=states)))
        assert not part[-1].complete
        assert states
        again = lens.run([resnet], plan, Control(states=dict(states)))
        rest = [frame for frame in again if not isinstance(frame, Progress)]
        assert fingerprint(rest) == fingerprint(whole)


def test_pictures_without_tiles_come_as_one_sheet(lens, resnet):
    plan = plan_of(lens, resnet)
    single = [f for f in lens.run([resnet], plan) if isinstance(f, Picture) and not f.tiles]
    frames = list(as_sheet(lens.run([resnet], plan), SpriteSheet(tile_size=16), 2))
    sheets = [f for f in frames if isinstance(f, Picture) and f.name == "sprite_sheet"]
    assert len(sheets) == bool(single)
    assert sum(len(sheet.tiles) for sheet in sheets) == len(single)


def test_says_why_where_it_is_not_valid(lens, resnet, transformer):
    """Each place of two models: valid and bound, or a reason in words."""
    for model in (resnet, transformer):
        for layer in model.layers.values():
            units = (None, 0) if layer.unit_count else (None,)
            for unit in units:
                reason = lens.obstacle(model, Site(layer=layer.id, unit=unit))
                assert reason == "" or len(reason.split()) > 3


def test_required_parameters_are_asked_for_by_name(lens, resnet):
    given = given_to(lens, resnet)
    for name, parameter in lens.parameters.items():
        if parameter.default is REQUIRED:
            less = {key: value for key, value in given.items() if key != name}
            items = plan_of(lens, resnet).items
            with pytest.raises(InvalidArgumentError, match=f"{name} must be given"):
                lens.bind([resnet], items, less)


def test_a_picture_that_cannot_be_read_is_refused_before_any_work(lens, resnet):
    given, items = given_to(lens, resnet), plan_of(lens, resnet).items
    for name, parameter in lens.parameters.items():
        if parameter.type is ParameterType.IMAGE:
            broken = given | {name: Photograph(b"no picture", f"{lens.name}.{name}")}
            with pytest.raises(InvalidArgumentError, match="no readable") as refused:
                lens.bind([resnet], items, broken)
            assert refused.value.field == f"{lens.name}.{name}"


def test_only_some_take_places_in_another_model(lens, resnet):
    items, given = plan_of(lens, resnet).items, given_to(lens, resnet)
    if lens.several_models:
        lens.bind([resnet, resnet], items, given)
    else:
        with pytest.raises(InvalidArgumentError, match="in one model"):
            lens.bind([resnet, resnet], items, given)
