"""The loop and its optimizers: against torch's, what is yielded, and what is left behind."""

import numpy as np
import pytest
import torch

from hooke_server.errors import FailedPreconditionError, Reason
from hooke_server.techniques.visualization.climbing import climb, start
from hooke_server.techniques.visualization.evolution import Evolution
from hooke_server.techniques.visualization.optimizers import Adam

TARGET = torch.linspace(0.1, 0.9, 2 * 3 * 4 * 4).reshape(2, 3, 4, 4)
HALF = (torch.full((2, 3, 2, 4), 0.5), torch.full((2, 3, 2, 4), 0.5))
"""Two pictures stored as two tensors, one per half of the rows."""


def likeness(tensors, *, step):
    return -(torch.cat(tensors, 2) - TARGET).pow(2).sum((1, 2, 3))


def noisy(generator):
    """An objective with a random part, as transforms are."""

    def evaluate(tensors, *, step):
        shift = torch.randn(TARGET.shape, generator=generator) * 0.1
        return -(torch.cat(tensors, 2) - TARGET + shift).pow(2).sum((1, 2, 3))

    return evaluate


def run(optimizer, evaluate=likeness, steps=6, generator=None, begin=HALF):
    generator = generator or torch.Generator()
    return list(climb(optimizer, evaluate, start(optimizer, begin, generator), generator, steps))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(Adam(0.03), torch.optim.Adam), (Adam(0.03, nesterov=True), torch.optim.NAdam)],
)
def test_steps_are_those_of_torchs_optimizers(ours, theirs):
    """In double precision: near the top both amplify differences of rounding."""
    begin = tuple(tensor.double() for tensor in HALF)
    got = torch.cat(run(ours, steps=40, begin=begin)[-1].tensors, 2)
    leaf = torch.cat(begin, 2).requires_grad_()
    optimizer = theirs([leaf], lr=0.03)
    for step in range(40):
        optimizer.zero_grad()
        (-likeness([leaf], step=step).sum()).backward()
        optimizer.step()
    torch.testing.assert_close(got, leaf.detach(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("optimizer", [Adam(0.03), Adam(0.03, nesterov=True), Evolution(seed=1)])
def test_each_step_is_yielded_and_the_values_rise(optimizer):
    climbed = run(optimizer, steps=12)
    assert [at.step for at in climbed] == list(range(1, 13))
    values = np.array([at.values for at in climbed])
    assert values.shape == (12, 2)
    assert (np.diff(values, axis=0) >= 0).all()
    assert (values[-1] > values[0]).all()


def test_values_are_those_that_the_step_began_with():
    assert run(Adam(0.03), steps=1)[0].values == pytest.approx(likeness(HALF, step=1).tolist())


def test_evolution_finds_what_the_gradient_finds():
    """A sphere in 48 dimensions, to a thousandth of where it began; by no gradient."""
    searched = run(Evolution(seed=3), steps=400)[-1]
    began = likeness(HALF, step=1)
    assert (likeness(searched.tensors, step=0) > began / 1000).all()
    assert searched.values == pytest.approx(likeness(searched.tensors, step=0).tolist(), rel=1e-4)


@pytest.mark.parametrize("optimizer", [Adam(0.03), Adam(0.03, nesterov=True), Evolution(seed=1)])
def test_going_on_from_any_step_is_as_if_it_had_never_stopped(optimizer):
    """Also where the objective draws random numbers."""
    generator = torch.Generator().manual_seed(4)
    whole = run(optimizer, noisy(generator), 7, generator)
    other = torch.Generator().manual_seed(99)
    resumed = list(climb(optimizer, noisy(other), whole[2], other, 7))
    assert [at.step for at in resumed] == [4, 5, 6, 7]
    for one, two in zip(whole[-1].tensors, resumed[-1].tensors, strict=True):
        assert torch.equal(one, two)
    assert whole[-1].values == resumed[-1].values


def test_no_mode_of_torch_is_left_set_at_a_yield():
    with torch.no_grad():
        generator = torch.Generator()
        climbed = climb(Adam(0.03), likeness, start(Adam(0.03), HALF, generator), generator, 2)
        next(climbed)
        assert not torch.is_grad_enabled()
        next(climbed)
    assert torch.is_grad_enabled()
    with pytest.raises(StopIteration):
        next(climbed)


@pytest.mark.parametrize("optimizer", [Adam(0.03), Evolution(seed=1)])
def test_what_was_yielded_is_not_written_to(optimizer):
    climbed = run(optimizer, steps=3)
    assert all(torch.equal(tensor, torch.full_like(tensor, 0.5)) for tensor in HALF)
    assert not torch.equal(climbed[0].tensors[0], climbed[-1].tensors[0])


def test_memory_is_counted():
    """Adam: the pictures, and a mean and a mean square for each number of them."""
    [at] = run(Adam(0.03), steps=1)
    assert at.bytes == 3 * TARGET.nbytes
    assert run(Evolution(seed=1), steps=1)[0].bytes > TARGET.nbytes


def test_value_that_ignores_the_picture_is_refused():
    with pytest.raises(FailedPreconditionError, match="does not depend on the model's input") as e:
        run(Adam(0.03), lambda tensors, *, step: torch.ones(2))
    assert e.value.reason is Reason.TECHNIQUE_NOT_APPLICABLE


def test_value_that_is_not_finite_ends_the_run():
    def overflow(tensors, *, step):
        return likeness(tensors, step=step) * (float("inf") if step == 3 else 1)

    generator = torch.Generator()
    climbed = climb(Adam(0.03), overflow, start(Adam(0.03), HALF, generator), generator, 9)
    assert [next(climbed).step, next(climbed).step] == [1, 2]
    with pytest.raises(FailedPreconditionError, match="not finite at step 3; try a smaller"):
        next(climbed)
