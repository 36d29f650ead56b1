"""A server as a process of its own: threads, signals, log, and what it says at start."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import signal
import sys
from collections.abc import Iterator

import torch

from hooke_server.app import App
from hooke_server.devices import compute_exactly
from hooke_server.errors import HookeError
from hooke_server.logs import configure_logging
from hooke_server.loops import new_event_loop
from hooke_server.ports import web_missing
from hooke_server.settings import Settings

logger = logging.getLogger(__name__)

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Parameters of glibc's `mallopt`."""

LARGE_BYTES, KEPT_BYTES = 32 << 20, 256 << 20
"""Blocks larger than the first are always given back (glibc's own limit)."""


def run(settings: Settings) -> int:
    """Serve until a signal; the process's exit code."""
    configure_logging(settings.log_format)
    _keep_freed_memory()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    compute_exactly(not settings.tf32)
    # The event loop waits this long for a technique that computes in Python.
    sys.setswitchinterval(0.0005)
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_serve(settings))
    except (HookeError, OSError) as error:
        print(f"hooke: {error}", file=sys.stderr)  # noqa: T201  # the command's own words
        return 1
    return 0


def _keep_freed_memory() -> None:
    """Have glibc use large blocks again in place of giving each back to the system.

    Each pass through a network allocates the same blocks anew, and the kernel clears every
    page of what was given back: a third of a small network's time. `KEPT_BYTES` stay at most.
    """
    if hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        libc.mallopt(M_ARENA_MAX, 1)  # other arenas give back whole heaps


async def _serve(settings: Settings) -> None:
    app = App(settings)
    with _until_signal() as ended:
        await app.start()
        print(_greeting(app, settings), flush=True)  # noqa: T201  # the command's own words
        await ended.wait()
        logger.info("draining for at most %g seconds", settings.drain_seconds)
    # From here on a second signal ends the process at once.
    await app.stop()
    logger.info("stopped")


@contextlib.contextmanager
def _until_signal() -> Iterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, ended.set)
    try:
        yield ended
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)


def _greeting(app: App, settings: Settings) -> str:
    names = [entry.name for entry in app.catalog.entries()]
    known = ", ".join(names) or "none yet; add some with --demo, --model or --model-root"
    here = app.address
    return (
        f"Hooke listens on {here}; models: {known}\n"
        f"{_page(app, settings)}\n"
        f"Try: hooke models --address {here}"
    )


def _page(app: App, settings: Settings) -> str:
    if app.page:
        return f"Page: {app.page}"
    if not settings.web_address:
        return "Page: none, since --web-address is off"
    return f"Page: none, since {', '.join(web_missing())} is missing: pip install 'hooke[web]'"
