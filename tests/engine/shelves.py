"""A loader of small models that notes what it does."""

import threading

from small_models import small_model

from hooke_server.engine.catalog import Catalog


class Shelf:
    """A loader of small models; `small:8` has 8 channels. Notes what it loads, where and when."""

    def __init__(self):
        self.loads = []
        self.threads = set()
        self.running = 0
        self.most_running = 0
        self.allowed = threading.Event()
        self.allowed.set()
        self.began = threading.Event()
        self.failures = {}

    def __call__(self, source):
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            self.loads.append(source)
            self.began.set()
            self.threads.add(threading.current_thread().name)
            assert self.allowed.wait(10)
            if source in self.failures:
                raise self.failures[source]
            return small_model(int(source.split(":")[1]))
        finally:
            self.running -= 1


def of_size(shelf, budget):
    catalog = Catalog(shelf, memory_budget=budget)
    for channels in (4, 5, 6):
        catalog.add(f"m{channels}", f"small:{channels}")
    return catalog


def states(catalog):
    return {entry.name: entry.state.value for entry in catalog.entries()}


async def touch(catalog, name):
    async with catalog.use(name) as model:
        return model


SIZE = {channels: small_model(channels).memory_bytes for channels in (4, 5, 6)}
