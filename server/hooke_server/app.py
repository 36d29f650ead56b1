"""The composition root: from settings to a server that runs, and to its orderly end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from hooke_server.devices import find_device, work_memory
from hooke_server.engine.batching import Batcher
from hooke_server.engine.catalog import Catalog, Entry, ModelState
from hooke_server.engine.worker import Worker
from hooke_server.errors import HookeError, InvalidArgumentError, Reason
from hooke_server.models.loaders import LoadContext, load_model
from hooke_server.models.sources import Roots
from hooke_server.ports import Ports, Web
from hooke_server.rpc.health import HealthService
from hooke_server.rpc.limits import Limits
from hooke_server.rpc.names import check_model_id
from hooke_server.rpc.services import build_services, health_service
from hooke_server.settings import Settings


class App:
    """A server with all its parts; to be used from one event loop.

    Attributes
    ----------
    catalog : its models; those named in the settings are known at once.
    address : where it listens, with the real port; empty before `start`.
    page : the address of its page, where it has one; empty before `start`.
    """

    def __init__(self, settings: Settings) -> None:
        self.address = ""
        self.page = ""
        self._settings = settings
        self._named = ((("demo", "demo:"),) if settings.demo else ()) + settings.models
        device = find_device(settings.device)
        roots = Roots(map(check_root, settings.model_roots))
        context = LoadContext(
            roots=roots,
            device=device,
            allow_code=frozenset(settings.allow_code),
        )
        self.catalog = Catalog(
            partial(load_model, context=context), memory_budget=settings.model_memory
        )
        for name, source in self._named:
            self.catalog.add(check_model_id(name, "--model"), source)
        named = {source.partition("?")[0] for _, source in self._named}
        files = [file for file in roots.scan() if f"file:{file}" not in named]
        for name, source in named_files(files, {name for name, _ in self._named}):
            self.catalog.add(name, source)
        self._worker = Worker(
            memory=settings.work_memory or work_memory(device, settings.model_memory)
        )
        self._health = HealthService()

    async def start(self) -> None:
        """Open the port, then load the models named in the settings behind it.

        The server is live at once. Its services are said to be ready when each of
        those models is ready or has failed.
        """
        settings = self._settings
        limits = Limits(
            message_bytes=settings.max_message_bytes,
            calls=settings.max_concurrent_rpcs,
            stall_seconds=settings.stall_seconds,
            input_bytes=settings.max_input_bytes,
        )
        services = build_services(
            catalog=self.catalog,
            worker=self._worker,
            batcher=Batcher(self._worker),
            allow_admin=settings.allow_admin,
            limits=limits,
        )
        names = [service.name for service in services]
        for name in names:
            self._health.set(name, serving=False)
        self.catalog.on_change(self._tell_health)
        self._ports = Ports(
            (*services, health_service(self._health)),
            limits,
            address=settings.address,
            web=Web(
                address=settings.web_address,
                hosts=settings.web_hosts,
                origins=settings.web_origins,
            ),
        )
        await self._ports.start()
        self.address, self.page = self._ports.address, self._ports.page
        self._loading = asyncio.create_task(self._load_named(names))

    async def stop(self) -> None:
        """Say that nothing serves, let calls end for as long as the settings say, then stop."""
        self._health.end()
        self._loading.cancel()
        await self._ports.stop(self._settings.drain_seconds)
        self.catalog.close()
        await self._worker.close()

    def _tell_health(self, entry: Entry) -> None:
        self._health.set(entry.name, serving=entry.state is ModelState.READY)

    async def _load_named(self, services: Iterable[str]) -> None:
        for name, source in self._named:
            try:
                await self.catalog.load(name, source)
            except HookeError:  # told by the model's state, and in the log
                continue
        for service in services:
            self._health.set(service, serving=True)


def named_files(files: Iterable[str], taken: set[str]) -> Iterator[tuple[str, str]]:
    """A model id and source for each file, the id made of its stem and numbered where taken."""
    for file in files:
        stem = re.sub(r"[^a-z0-9_-]+", "-", PurePosixPath(file).stem.lower()).strip("-_")[:56]
        names = (stem or "model", *(f"{stem or 'model'}-{number}" for number in range(2, 100_000)))
        name = next(name for name in names if name not in taken)
        taken = taken | {name}
        yield name, f"file:{file}"


def check_root(folder: Path) -> Path:
    """The folder itself; InvalidArgumentError if it is none."""
    if not folder.is_dir():
        message = f"there is no folder {str(folder)!r} for models"
        raise InvalidArgumentError(Reason.INVALID_FIELD, message, field="--model-root")
    return folder
