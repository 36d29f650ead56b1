"""The catalog: loading, pins, failures, and clients that disagree."""

import asyncio
import contextlib
import threading

import pytest
from shelves import SIZE, of_size, touch
from small_models import small_model

from hooke_server.engine.catalog import ModelState
from hooke_server.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InternalError,
    NotFoundError,
    Reason,
    ResourceExhaustedError,
    UnavailableError,
)


async def test_the_first_use_loads_and_the_next_does_not(catalog, shelf):
    catalog.add("a", "small:4")
    assert catalog.entry("a").state is ModelState.UNLOADED
    assert catalog.entry("a").model is None
    first = await touch(catalog, "a")
    assert await touch(catalog, "a") is first
    assert catalog.entry("a").model is first
    assert shelf.loads == ["small:4"]
    assert threading.current_thread().name not in shelf.threads


async def test_users_at_once_share_one_load_and_one_is_loaded_at_a_time(catalog, shelf):
    for name, channels in (("a", 4), ("b", 5)):
        catalog.add(name, f"small:{channels}")
    models = await asyncio.gather(*(touch(catalog, name) for name in "abab"))
    assert sorted(shelf.loads) == ["small:4", "small:5"]
    assert shelf.most_running == 1
    assert models[0] is models[2] is not models[1] is models[3]


async def test_unknown_names_are_answered_with_the_nearest(catalog):
    catalog.add("resnet50", "small:4")
    with pytest.raises(NotFoundError, match="no model 'resnet5'; the nearest are 'resnet50'") as no:
        await touch(catalog, "resnet5")
    assert no.value.reason is Reason.MODEL_NOT_FOUND
    assert "there is 1 model, ListModels names it" in no.value.message
    with pytest.raises(NotFoundError):
        await catalog.unload("other")


async def test_a_name_has_one_source(catalog):
    catalog.add("a", "small:4")
    assert catalog.add("a", "small:4").name == "a"
    with pytest.raises(AlreadyExistsError, match="'a' is 'small:4' already") as no:
        await catalog.load("a", "small:5")
    assert no.value.reason is Reason.MODEL_EXISTS


async def test_listeners_hear_every_state(catalog):
    heard = []
    catalog.add("a", "small:4")
    catalog.on_change(lambda entry: heard.append(entry.state.value))
    await touch(catalog, "a")
    await catalog.unload("a")
    assert heard == ["unloaded", "loading", "ready", "unloading", "unloaded"]


async def test_a_failed_load_says_why_and_can_be_tried_again(catalog, shelf):
    shelf.failures["small:4"] = NotFoundError(Reason.SOURCE_NOT_FOUND, "no such file", source="x")
    catalog.add("a", "small:4")
    for _ in range(2):
        with pytest.raises(NotFoundError, match="no such file") as failed:
            await touch(catalog, "a")
        assert failed.value.metadata == {"source": "x"}
    assert shelf.loads == ["small:4"]
    entry = catalog.entry("a")
    assert (entry.state, entry.error.reason) == (ModelState.FAILED, Reason.SOURCE_NOT_FOUND)
    with pytest.raises(NotFoundError):
        await catalog.load("a", "small:4")
    shelf.failures.clear()
    assert (await catalog.load("a", "small:4")).state is ModelState.READY
    assert catalog.entry("a").error is None
    await touch(catalog, "a")


async def test_unloading_a_failed_model_forgets_the_failure(catalog, shelf):
    shelf.failures["small:4"] = NotFoundError(Reason.SOURCE_NOT_FOUND, "no such file")
    catalog.add("a", "small:4")
    with pytest.raises(NotFoundError):
        await touch(catalog, "a")
    shelf.failures.clear()
    assert (await catalog.unload("a")).state is ModelState.UNLOADED
    await touch(catalog, "a")


async def test_a_failed_source_gives_its_name_away(catalog, shelf):
    shelf.failures["small:9"] = NotFoundError(Reason.SOURCE_NOT_FOUND, "no such file")
    with pytest.raises(NotFoundError):
        await catalog.load("a", "small:9")
    assert (await catalog.load("a", "small:4")).source == "small:4"


async def test_a_defect_in_a_loader_is_told_without_its_text(catalog, shelf, caplog):
    shelf.failures["small:4"] = KeyError("/secret/path")
    catalog.add("a", "small:4")
    with pytest.raises(InternalError) as failed:
        await touch(catalog, "a")
    assert "/secret" not in failed.value.message + str(failed.value.metadata)
    assert "/secret" in caplog.text


async def test_a_caller_that_leaves_does_not_stop_the_load(catalog, shelf):
    shelf.allowed.clear()
    caller = asyncio.create_task(catalog.load("a", "small:4"))
    user = asyncio.create_task(touch(catalog, "a"))
    await asyncio.to_thread(shelf.began.wait, 10)
    caller.cancel()
    user.cancel()
    await asyncio.wait({caller, user})
    assert catalog.entry("a").state is ModelState.LOADING
    shelf.allowed.set()
    await touch(catalog, "a")
    assert shelf.loads == ["small:4"]


async def test_unloading_waits_for_work_and_refuses_new_work(catalog):
    catalog.add("a", "small:4")
    async with catalog.use("a") as model:
        unloading = asyncio.create_task(catalog.unload("a"))
        await asyncio.sleep(0)
        assert catalog.entry("a").state is ModelState.UNLOADING
        assert catalog.entry("a").model is model
        with pytest.raises(UnavailableError, match="being unloaded") as no:
            await touch(catalog, "a")
        assert no.value.reason is Reason.MODEL_NOT_READY
        loading = asyncio.create_task(catalog.load("a", "small:4"))
    assert (await unloading).state is ModelState.UNLOADED
    assert (await loading).state is ModelState.READY


async def test_a_live_model_stays(shelf):
    catalog = of_size(shelf, SIZE[4])
    model = small_model(6)
    assert catalog.adopt("live", model).state is ModelState.READY
    assert await touch(catalog, "live") is model
    with pytest.raises(FailedPreconditionError, match="lives in the server's process"):
        await catalog.unload("live")
    with pytest.raises(ResourceExhaustedError, match="but 0 of the"):
        await touch(catalog, "m4")
    assert catalog.entry("live").model is model
    catalog.close()


async def test_clients_that_load_unload_and_use_at_once_all_get_an_answer(catalog, shelf):
    catalog.add("a", "small:4")

    async def loads():
        for _ in range(10):
            assert (await catalog.load("a", "small:4")).name == "a"

    async def unloads():
        for _ in range(10):
            assert (await catalog.unload("a")).state is not ModelState.FAILED

    async def uses():
        for _ in range(10):
            with contextlib.suppress(UnavailableError):  # while it is being unloaded
                async with catalog.use("a") as model:
                    await asyncio.sleep(0)
                    assert catalog.entry("a").model is model
            await asyncio.sleep(0)

    async with asyncio.timeout(60):
        await asyncio.gather(loads(), loads(), unloads(), unloads(), uses(), uses())
    await touch(catalog, "a")
    assert shelf.most_running == 1


async def test_a_closed_catalog_loads_nothing_more(catalog):
    catalog.add("a", "small:4")
    await touch(catalog, "a")
    catalog.add("b", "small:5")
    catalog.close()
    with pytest.raises(UnavailableError):
        await touch(catalog, "b")
    await touch(catalog, "a")
