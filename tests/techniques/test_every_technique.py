"""What holds for every technique, those to come included."""

import hashlib

import pytest
import torch

from hooke_server.techniques.frames import Picture, Progress, Result
from hooke_server.techniques.technique import Site, all_techniques

QUICK = {"steps": 3, "size": 32}


@pytest.fixture(params=list(all_techniques()))
def lens(request):
    return all_techniques()[request.param]


def plan_of(lens, model, seed=0):
    given = {name: value for name, value in QUICK.items() if name in lens.parameters}
    sites = [Site(layer=model.output_layer, unit=3), Site(layer="layer1.0.relu", unit=1)]
    return lens.bind(model, "m", sites, given, seed=seed, preview_every=2)


def fingerprint(frames):
    """All that a client sees of a run."""
    return [
        (frame.site, frame.final, frame.objective, frame.pixels.tobytes())
        if isinstance(frame, Picture)
        else frame
        for frame in frames
    ]


def weights_of(model):
    digest = hashlib.sha256()
    for name, weight in model.weights.items():
        digest.update(name.encode() + weight.detach().contiguous().numpy().tobytes())
        assert weight.grad is None
    return digest.hexdigest()


def test_ends_with_exactly_one_result(lens, resnet):
    frames = list(lens.run(resnet, plan_of(lens, resnet)))
    assert isinstance(frames[-1], Result)
    assert sum(isinstance(frame, Result) for frame in frames) == 1


def test_repeats_with_its_seed_and_not_with_another(lens, resnet):
    plan = plan_of(lens, resnet)
    once = fingerprint(lens.run(resnet, plan))
    torch.rand(5)  # the process's own random state plays no part
    again = fingerprint(lens.run(resnet, plan))
    other = fingerprint(lens.run(resnet, plan_of(lens, resnet, seed=1)))
    assert once == again
    assert once != other


def test_can_be_closed_at_every_frame(lens, resnet):
    plan = plan_of(lens, resnet)
    count = len(list(lens.run(resnet, plan)))
    for stop in range(count):
        frames = lens.run(resnet, plan)
        for _ in range(stop):
            next(frames)
        frames.close()
        assert list(frames) == []
        assert torch.is_grad_enabled()


def test_leaves_the_model_and_the_process_untouched(lens, resnet):
    before, state = weights_of(resnet), torch.get_rng_state()
    list(lens.run(resnet, plan_of(lens, resnet)))
    assert weights_of(resnet) == before
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(weight.requires_grad for weight in resnet.graph.module.parameters())


def test_runs_that_take_turns_equal_runs_alone(lens, resnet):
    """The worker pulls one frame of each stream by turns, all on one thread."""
    plans = [plan_of(lens, resnet, seed) for seed in range(3)]
    alone = [fingerprint(lens.run(resnet, plan)) for plan in plans]
    streams = [lens.run(resnet, plan) for plan in plans]
    by_turns = [[] for _ in plans]
    while len(by_turns[0]) < len(alone[0]):
        for stream, frames in zip(streams, by_turns, strict=True):
            frames.append(next(stream))
    assert [fingerprint(frames) for frames in by_turns] == alone


def test_a_run_does_not_wait_long_between_frames(lens, resnet):
    """Progress, pictures and a result are each at most one step apart."""
    frames = list(lens.run(resnet, plan_of(lens, resnet)))
    progress = [frame.step for frame in frames if isinstance(frame, Progress)]
    assert progress == list(range(1, len(progress) + 1))


def test_the_estimate_is_said_before_the_work(lens, resnet):
    estimate = lens.estimate(resnet, plan_of(lens, resnet))
    assert estimate.memory_bytes > 0
    assert estimate.macs > 0
    assert set(estimate.layers) <= set(resnet.layers)
