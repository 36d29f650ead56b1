"""A server as a process of its own: threads, signals, log, and what it says at start."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Iterator

import torch

from hooke_server.app import App
from hooke_server.errors import HookeError
from hooke_server.logs import configure_logging
from hooke_server.loops import new_event_loop
from hooke_server.settings import Settings

logger = logging.getLogger(__name__)


def run(settings: Settings) -> int:
    """Serve until a signal; the process's exit code."""
    configure_logging(settings.log_format)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    # The event loop waits this long for a technique that computes in Python.
    sys.setswitchinterval(0.0005)
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_serve(settings))
    except (HookeError, OSError) as error:
        print(f"hooke: {error}", file=sys.stderr)  # noqa: T201  # the command's own words
        return 1
    return 0


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
    return f"Hooke listens on {here}; models: {known}\nTry: hooke models --address {here}"
