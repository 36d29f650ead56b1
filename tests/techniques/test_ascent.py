"""The loop: Adam against torch's, what it yields and when, and what it leaves behind."""

import pytest
import torch

from hooke_server.errors import FailedPreconditionError, Reason
from hooke_server.techniques.frames import Picture, Progress
from hooke_server.techniques.visualization.ascent import ascend
from hooke_server.techniques.visualization.images import Image

TARGET = torch.linspace(0.1, 0.9, 2 * 3 * 4 * 4).reshape(2, 3, 4, 4)


def still_image() -> Image:
    """Two pictures stored as two tensors, one per half of the rows."""
    return Image(
        (torch.full((2, 3, 2, 4), 0.5), torch.full((2, 3, 2, 4), 0.5)),
        lambda top, bottom: torch.cat([top, bottom], 2),
    )


def likeness(pictures: torch.Tensor, step: int) -> torch.Tensor:
    return -(pictures - TARGET).pow(2).sum((1, 2, 3))


def drain(frames):
    """All frames, and what the generator returned."""
    everything = []
    while True:
        try:
            everything.append(next(frames))
        except StopIteration as end:
            return everything, end.value


def test_steps_are_those_of_torchs_adam():
    _, finished = drain(ascend(still_image(), likeness, steps=40, learning_rate=0.03))
    leaf = torch.full((2, 3, 4, 4), 0.5, requires_grad=True)
    adam = torch.optim.Adam([leaf], lr=0.03)
    for step in range(40):
        adam.zero_grad()
        (-likeness(leaf, step).sum()).backward()
        adam.step()
    torch.testing.assert_close(finished, leaf.detach(), atol=1e-6, rtol=0)


def test_progress_after_each_step_and_previews_between():
    frames, _ = drain(ascend(still_image(), likeness, steps=6, learning_rate=0.03, preview_every=2))
    kinds = [type(frame) for frame in frames]
    two = [Picture, Picture]
    assert kinds == [Progress, Progress, *two, Progress, Progress, *two, Progress, Progress]
    progress = [frame for frame in frames if isinstance(frame, Progress)]
    assert [(p.step, p.total) for p in progress] == [(n, 6) for n in range(1, 7)]
    values = [p.objective for p in progress]
    assert values == sorted(values)
    assert values[0] == pytest.approx(likeness(torch.full_like(TARGET, 0.5), 0).mean().item())
    previews = [frame for frame in frames if isinstance(frame, Picture)]
    assert [(p.step, p.site, p.final) for p in previews] == [
        (2, 0, False), (2, 1, False), (4, 0, False), (4, 1, False),
    ]  # fmt: skip
    assert previews[0].pixels.shape == (4, 4, 3)


def test_no_mode_of_torch_is_left_set_at_a_yield():
    with torch.no_grad():
        frames = ascend(still_image(), likeness, steps=2, learning_rate=0.03)
        next(frames)
        assert not torch.is_grad_enabled()
        next(frames)
    assert torch.is_grad_enabled()
    with pytest.raises(StopIteration):
        next(frames)


def test_start_is_not_written_to():
    image = still_image()
    drain(ascend(image, likeness, steps=3, learning_rate=0.03))
    assert all(torch.equal(tensor, torch.full_like(tensor, 0.5)) for tensor in image.start)


def test_value_that_ignores_the_picture_is_refused():
    frames = ascend(still_image(), lambda p, step: torch.ones(2), steps=2, learning_rate=0.03)
    with pytest.raises(FailedPreconditionError, match="does not depend on the model's input") as e:
        next(frames)
    assert e.value.reason is Reason.TECHNIQUE_NOT_APPLICABLE


def test_value_that_is_not_finite_ends_the_run():
    def overflow(pictures: torch.Tensor, step: int) -> torch.Tensor:
        return pictures.sum((1, 2, 3)) * (float("inf") if step == 3 else 1)

    frames = ascend(still_image(), overflow, steps=9, learning_rate=0.03)
    assert [next(frames).step, next(frames).step] == [1, 2]
    with pytest.raises(FailedPreconditionError, match="not finite at step 3; try a smaller"):
        next(frames)
