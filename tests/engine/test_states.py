"""States of stopped work: kept for a while, for the same work, within a memory."""

from dataclasses import dataclass

import pytest

from hooke_server.engine.states import States
from hooke_server.errors import InvalidArgumentError, NotFoundError, Reason


@dataclass(frozen=True)
class Part:
    step: int
    bytes: int = 10


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def states(clock):
    return States(time_to_live=60, max_bytes=100, clock=clock)


def stopped(states, series="a", step=3, size=10):
    """The id of work that got so far."""
    with states.work(series) as held:
        held.parts["0"] = Part(step, size)
    return held.id


def found(states, state_id, series="a"):
    with states.work(series, state_id) as held:
        return dict(held.parts)


def test_work_goes_on_from_where_it_stopped_more_than_once(states):
    state_id = stopped(states)
    for _ in range(2):
        assert found(states, state_id) == {"0": Part(3)}


def test_what_goes_on_does_not_write_to_what_it_went_on_from(states):
    state_id = stopped(states)
    with states.work("a", state_id) as held:
        held.parts["0"] = Part(9)
    assert held.id != state_id
    assert found(states, state_id) == {"0": Part(3)}
    assert found(states, held.id) == {"0": Part(9)}


def test_the_state_is_kept_however_the_work_ended(states):
    work = states.work("a")
    held = work.__enter__()
    held.parts["0"] = Part(5)
    assert not work.__exit__(RuntimeError, RuntimeError(), None)
    assert found(states, held.id) == {"0": Part(5)}


def test_work_that_runs_and_work_that_never_began_have_no_state(states):
    with states.work("a") as held:
        held.parts["0"] = Part(1)
        with pytest.raises(NotFoundError, match="runs still"):
            found(states, held.id)
    with states.work("a") as nothing:
        pass
    with pytest.raises(NotFoundError) as gone:
        found(states, nothing.id)
    assert gone.value.reason is Reason.CHECKPOINT_NOT_FOUND
    assert gone.value.field == "resume_from"


def test_only_the_same_work_goes_on(states):
    state_id = stopped(states, "a")
    with pytest.raises(InvalidArgumentError, match="of other work"):
        found(states, state_id, "b")


def test_states_are_forgotten_after_their_time(states, clock):
    state_id = stopped(states)
    clock.now = 59
    assert found(states, state_id)
    clock.now = 61
    with pytest.raises(NotFoundError, match="60 seconds"):
        found(states, state_id)


def test_the_oldest_are_forgotten_where_memory_is_short(states):
    ids = [stopped(states, size=40) for _ in range(3)]
    with pytest.raises(NotFoundError):
        found(states, ids[0])
    assert found(states, ids[2])


def test_ids_cannot_be_guessed(states):
    ids = {stopped(states) for _ in range(5)}
    assert len(ids) == 5
    assert all(len(each) >= 20 for each in ids)
