"""States of stopped work: kept for a while, for the same work, within a memory."""

import asyncio
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
    return States(time_to_live=60, max_bytes=100, patience=0.01, clock=clock)


async def stopped(states, series="a", step=3, size=10):
    """The id of work that got so far."""
    async with states.work(series) as held:
        held.parts["0"] = Part(step, size)
    return held.id


async def found(states, state_id, series="a"):
    async with states.work(series, state_id) as held:
        return dict(held.parts)


async def test_work_goes_on_from_where_it_stopped_more_than_once(states):
    state_id = await stopped(states)
    for _ in range(2):
        assert await found(states, state_id) == {"0": Part(3)}


async def test_what_goes_on_does_not_write_to_what_it_went_on_from(states):
    state_id = await stopped(states)
    async with states.work("a", state_id) as held:
        held.parts["0"] = Part(9)
    assert held.id != state_id
    assert await found(states, state_id) == {"0": Part(3)}
    assert await found(states, held.id) == {"0": Part(9)}


async def test_the_state_is_kept_however_the_work_ended(states):
    work = states.work("a")
    held = await work.__aenter__()
    held.parts["0"] = Part(5)
    assert not await work.__aexit__(RuntimeError, RuntimeError(), None)
    assert await found(states, held.id) == {"0": Part(5)}


async def test_work_that_runs_and_work_that_never_began_have_no_state(states):
    async with states.work("a") as held:
        held.parts["0"] = Part(1)
        with pytest.raises(NotFoundError, match="runs still"):
            await found(states, held.id)
    async with states.work("a") as nothing:
        pass
    with pytest.raises(NotFoundError) as gone:
        await found(states, nothing.id)
    assert gone.value.reason is Reason.CHECKPOINT_NOT_FOUND
    assert gone.value.field == "resume_from"


async def test_work_that_is_about_to_stop_is_waited_for(clock):
    """A client comes back before its leaving was noticed."""
    states = States(clock=clock)
    async with states.work("a") as held:
        held.parts["0"] = Part(1)
        back = asyncio.ensure_future(found(states, held.id))
        await asyncio.sleep(0)
        held.parts["0"] = Part(2)
        assert not back.done()
    assert await back == {"0": Part(2)}


async def test_only_the_same_work_goes_on(states):
    state_id = await stopped(states, "a")
    with pytest.raises(InvalidArgumentError, match="of other work"):
        await found(states, state_id, "b")


async def test_states_are_forgotten_after_their_time(states, clock):
    state_id = await stopped(states)
    clock.now = 59
    assert await found(states, state_id)
    clock.now = 61
    with pytest.raises(NotFoundError, match="60 seconds"):
        await found(states, state_id)


async def test_the_oldest_are_forgotten_where_memory_is_short(states):
    ids = [await stopped(states, size=40) for _ in range(3)]
    with pytest.raises(NotFoundError):
        await found(states, ids[0])
    assert await found(states, ids[2])


async def test_ids_cannot_be_guessed(states):
    ids = {await stopped(states) for _ in range(5)}
    assert len(ids) == 5
    assert all(len(each) >= 20 for each in ids)
