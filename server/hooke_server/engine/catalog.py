"""The models that the server knows, by name, and those of them that are in memory.

    add -> UNLOADED -> LOADING -> READY -> UNLOADING -> UNLOADED
                          └-----> FAILED

A model is loaded at its first use, in a thread of its own and one at a time. Who
uses it pins it. Where the budget for models is used up, those that nobody pins
are unloaded, the one used longest ago first. What a model needs is known when it
was loaded once, so a new one may exceed the budget for a moment.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from hooke_server.devices import within_memory
from hooke_server.engine.entry import Entry, ModelState
from hooke_server.engine.slot import Slot, displaced
from hooke_server.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    HookeError,
    InternalError,
    Reason,
    UnavailableError,
)
from hooke_server.models.model import Model
from hooke_server.registry import not_found

__all__ = ["Catalog", "Entry", "ModelState"]

logger = logging.getLogger(__name__)

Listener = Callable[[Entry], None]


class Catalog:
    """The models of a server; to be used from one event loop.

    Parameters
    ----------
    load : makes a model from a source's text, or raises a HookeError.
    memory_budget : bytes that the weights of all loaded models may take; None: any.
    """

    def __init__(self, load: Callable[[str], Model], *, memory_budget: int | None = None) -> None:
        self._load = load
        self._budget = memory_budget
        self._slots: dict[str, Slot] = {}
        self._listeners: list[Listener] = []
        self._uses = itertools.count(1)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hooke-load")
        self._closed = False

    def on_change(self, listener: Listener) -> None:
        """Call `listener` with each new entry, those of known models at once."""
        self._listeners.append(listener)
        for entry in self.entries():
            listener(entry)

    def entries(self) -> list[Entry]:
        """All models, in the order in which they were added."""
        return [slot.entry for slot in self._slots.values()]

    def entry(self, name: str) -> Entry:
        """The model of that name, or NotFoundError with the nearest names."""
        return self._slot(name).entry

    def add(self, name: str, source: str) -> Entry:
        """Make a source known, which loads nothing.

        AlreadyExistsError if the name is another source's. One that could not be
        loaded gives its name away.
        """
        slot = self._slots.get(name)
        if slot and slot.entry.source == source:
            return slot.entry
        if slot and (slot.entry.state is not ModelState.FAILED or slot.pins):
            raise AlreadyExistsError(
                Reason.MODEL_EXISTS,
                f"the model {name!r} is {slot.entry.source!r} already; choose another name",
                model=name,
                source=slot.entry.source,
            )
        slot = self._slots[name] = Slot(Entry(name=name, source=source))
        return self._announce(slot)

    def adopt(self, name: str, model: Model) -> Entry:
        """Add a model that lives in this process; it is never unloaded."""
        self.add(name, model.source)
        slot = self._slots[name]
        slot.live = True
        return self._announce(slot, ModelState.READY, model=model)

    @asynccontextmanager
    async def use(self, name: str) -> AsyncIterator[Model]:
        """The model, loaded first if need be; it stays in memory until the block ends.

        Raises NotFoundError, what its loading failed with, or
        UnavailableError (MODEL_NOT_READY) while it is being unloaded.
        """
        slot = self._slot(name)
        if slot.entry.state is ModelState.UNLOADING:
            message = f"the model {name!r} is being unloaded; try again later"
            raise UnavailableError(Reason.MODEL_NOT_READY, message, model=name)
        slot.pins += 1
        slot.last_use = next(self._uses)
        try:
            yield (await self._loaded(slot)).loaded()
        finally:
            slot.pins -= 1
            slot.last_use = next(self._uses)
            if not slot.pins:
                slot.unpinned.set()

    async def load(self, name: str, source: str) -> Entry:
        """Add a model and wait until it is loaded; one that FAILED is tried again.

        Loading goes on if the caller leaves. Raises what `add` and loading raise.
        """
        self.add(name, source)
        slot = self._slots[name]
        while slot.entry.state is ModelState.UNLOADING and slot.change:
            await asyncio.shield(slot.change)
        if slot.entry.state is ModelState.FAILED:
            self._announce(slot, ModelState.UNLOADED)
        entry = await self._loaded(slot)
        entry.loaded()
        return entry

    async def unload(self, name: str) -> Entry:
        """Take a model out of memory when its last work has ended; the source stays known.

        Unloading goes on if the caller leaves. FailedPreconditionError for a live model.
        """
        slot = self._slot(name)
        if slot.live:
            message = f"the model {name!r} lives in the server's process and cannot be unloaded"
            raise FailedPreconditionError(Reason.MODEL_UNSUPPORTED, message, model=name)
        while slot.entry.state is ModelState.LOADING and slot.change:
            await asyncio.shield(slot.change)
        if slot.entry.state is ModelState.READY:
            self._announce(slot, ModelState.UNLOADING, model=slot.entry.model)
            self._begin(slot, self._unload(slot))
        elif slot.entry.state is ModelState.FAILED:
            self._announce(slot)
        if slot.entry.state is ModelState.UNLOADING and slot.change:
            return await asyncio.shield(slot.change)
        return slot.entry

    def close(self) -> None:
        """Begin no further load; one that runs ends by itself."""
        self._closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _slot(self, name: str) -> Slot:
        if name not in self._slots:
            count = len(self._slots)
            known = "is 1 model" if count == 1 else f"are {count} models"
            hint = f"there {known}, ListModels names {'it' if count == 1 else 'them'}"
            raise not_found("model", name, self._slots, Reason.MODEL_NOT_FOUND, hint)
        return self._slots[name]

    def _announce(
        self,
        slot: Slot,
        state: ModelState = ModelState.UNLOADED,
        *,
        error: HookeError | None = None,
        model: Model | None = None,
    ) -> Entry:
        slot.entry = replace(slot.entry, state=state, error=error, model=model)
        for listener in self._listeners:
            listener(slot.entry)
        return slot.entry

    def _begin(self, slot: Slot, change: Coroutine[Any, Any, Entry]) -> None:
        """Change a model in a task of its own, which callers that leave do not end."""
        slot.change = asyncio.create_task(change)

    async def _loaded(self, slot: Slot) -> Entry:
        """The entry once it is READY or FAILED."""
        error = slot.entry.error
        wanted_room = error is not None and error.reason is Reason.MEMORY_BUDGET_EXCEEDED
        if slot.entry.state is ModelState.UNLOADED or wanted_room:  # there may be room by now
            if self._closed:
                raise UnavailableError(Reason.SHUTTING_DOWN, "the server is shutting down")
            self._announce(slot, ModelState.LOADING)
            self._begin(slot, self._read(slot))
        if slot.entry.state is ModelState.LOADING and slot.change:
            return await asyncio.shield(slot.change)
        return slot.entry

    async def _read(self, slot: Slot) -> Entry:
        """Load the model; a failure becomes its state and is not raised."""
        try:
            self._make_room(slot)
            loop = asyncio.get_running_loop()
            load = partial(self._load, slot.entry.source)
            model = await loop.run_in_executor(self._thread, within_memory, load)
            slot.needed = model.memory_bytes
            self._make_room(slot)
        except HookeError as error:
            logger.warning("model %s could not be loaded: %s", slot.entry.name, error)
            self._collect()
            return self._announce(slot, ModelState.FAILED, error=error.with_traceback(None))
        except Exception:
            logger.exception("model %s could not be loaded", slot.entry.name)
            message = "the server failed at loading this model; its log tells more"
            defect = InternalError(Reason.INTERNAL, message, model=slot.entry.name)
            return self._announce(slot, ModelState.FAILED, error=defect)
        logger.info("model %s is ready, %d bytes", slot.entry.name, model.memory_bytes)
        return self._announce(slot, ModelState.READY, model=model)

    async def _unload(self, slot: Slot) -> Entry:
        while slot.pins:
            slot.unpinned.clear()
            await slot.unpinned.wait()
        return self._drop(slot)

    def _drop(self, slot: Slot) -> Entry:
        logger.info("model %s is unloaded, %d bytes", slot.entry.name, slot.held)
        entry = self._announce(slot)
        self._collect()
        return entry

    def _collect(self) -> None:
        """Free what is in cycles, as graphs are, before the next model is loaded."""
        if not self._closed:
            self._thread.submit(gc.collect)

    def _make_room(self, slot: Slot) -> None:
        for other in displaced(slot, self._slots.values(), self._budget):
            self._drop(other)
            other.change = None  # whose result is the loaded entry
