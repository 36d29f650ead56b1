"""What tests of several folders share: a server with the demo model, and a photograph."""

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no failure.
settings.register_profile("hooke", deadline=None)
settings.load_profile("hooke")

TOLD = re.compile(r"Hooke listens on localhost:(\d+);.*\n(?:Page: (http://\S+)/|Page: none.*)\n")


@contextmanager
def _both_addresses(*arguments):
    """Run `hooke serve` on free ports; yield its address and its page's; it must end well."""
    hooke = Path(sys.executable).with_name("hooke")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("HOOKE_ADDRESS", None)
    command = [hooke, "serve", "--web-address", "off", *arguments, "--address", "localhost:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            told = TOLD.match(process.stdout.readline() + process.stdout.readline())
            assert told, f"the server ended with {process.wait()} before it told its address"
            yield f"localhost:{told[1]}", told[2]
        finally:
            process.terminate()
            code = process.wait(timeout=60)
    assert code == 0


@contextmanager
def _server_process(*arguments):
    """Run `hooke serve` on a free port, without its page; yield its address."""
    with _both_addresses(*arguments) as (address, _):
        yield address


@pytest.fixture(scope="session")
def server_process():
    """A context manager: runs `hooke serve` with the options given, yields its address."""
    return _server_process


@pytest.fixture(scope="session")
def demo_addresses():
    """Where a server with the demo model is, in a process of its own: `HOST:PORT`, page's URL."""
    with _both_addresses("--demo", "--web-address", "localhost:0") as addresses:
        yield addresses


@pytest.fixture(scope="session")
def demo_address(demo_addresses):
    """The address of a server with the demo model."""
    return demo_addresses[0]


@pytest.fixture(scope="session")
def demo_page(demo_addresses):
    """The URL of its page, without a slash at the end."""
    return demo_addresses[1]


@pytest.fixture(scope="session")
def photograph():
    """A cat."""
    import skimage

    return Path(skimage.__file__).parent / "data" / "chelsea.png"
