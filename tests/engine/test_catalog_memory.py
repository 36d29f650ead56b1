"""The catalog under a budget: which models go, and that they are gone."""

import gc
import weakref

import pytest
from shelves import SIZE, of_size, states, touch

from hooke_server.engine.catalog import ModelState
from hooke_server.errors import (
    Reason,
    ResourceExhaustedError,
)


async def test_the_model_used_longest_ago_goes_first(shelf):
    catalog = of_size(shelf, SIZE[4] + SIZE[6])
    await touch(catalog, "m4")
    await touch(catalog, "m5")
    await touch(catalog, "m4")
    await touch(catalog, "m6")
    assert states(catalog) == {"m4": "ready", "m5": "unloaded", "m6": "ready"}
    await touch(catalog, "m5")
    assert states(catalog) == {"m4": "unloaded", "m5": "ready", "m6": "unloaded"}
    catalog.close()


async def test_a_model_in_use_stays(shelf):
    catalog = of_size(shelf, SIZE[4] + SIZE[5])
    async with catalog.use("m4"):
        await touch(catalog, "m5")
        with pytest.raises(ResourceExhaustedError, match="'m4' cannot be unloaded") as no:
            await touch(catalog, "m6")
        assert no.value.reason is Reason.MEMORY_BUDGET_EXCEEDED
        assert no.value.metadata == {
            "model": "m6",
            "memory_bytes": str(SIZE[6]),
            "budget": str(SIZE[4] + SIZE[5]),
            "in_use": str(SIZE[4]),
        }
        assert states(catalog) == {"m4": "ready", "m5": "ready", "m6": "failed"}
    # There is room now, so the next use tries again.
    await touch(catalog, "m6")
    assert catalog.entry("m6").state is ModelState.READY
    catalog.close()


async def test_a_model_over_the_whole_budget_is_read_once_only(shelf):
    catalog = of_size(shelf, SIZE[4])
    await touch(catalog, "m4")
    for _ in range(2):
        message = f"needs {SIZE[5]} bytes, but {SIZE[4]} of the {SIZE[4]} bytes for models can be"
        with pytest.raises(ResourceExhaustedError, match=message):
            await touch(catalog, "m5")
    assert shelf.loads == ["small:4", "small:5"]
    assert states(catalog) == {"m4": "ready", "m5": "failed", "m6": "unloaded"}
    catalog.close()


async def test_memory_returns_when_a_model_is_unloaded_or_displaced(shelf):
    catalog = of_size(shelf, SIZE[6])
    left = []
    for name in ("m4", "m5"):
        left.append(weakref.ref(await touch(catalog, name)))
    await catalog.unload("m5")
    gc.collect()
    assert [model() for model in left] == [None, None]
    catalog.close()
