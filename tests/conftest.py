"""What tests of several folders share: a server with the demo model, and a photograph."""

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

ADDRESS = re.compile(r"\b(?:localhost|127\.0\.0\.1):(\d+)")


@contextmanager
def _server_process(*arguments):
    """Run `hooke serve` on a free port; yield its address; it must end well."""
    hooke = Path(sys.executable).with_name("hooke")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("HOOKE_ADDRESS", None)
    command = [hooke, "serve", "--web-address", "off", *arguments, "--address", "localhost:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            told = next((found for line in process.stdout if (found := ADDRESS.search(line))), None)
            assert told, f"the server ended with {process.wait()} before it told its address"
            yield f"localhost:{told[1]}"
        finally:
            process.terminate()
            code = process.wait(timeout=60)
    assert code == 0


@pytest.fixture(scope="session")
def server_process():
    """A context manager: runs `hooke serve` with the options given, yields its address."""
    return _server_process


@pytest.fixture(scope="session")
def demo_address():
    """The address of a server with the demo model, in a process of its own."""
    with _server_process("--demo") as address:
        yield address


@pytest.fixture(scope="session")
def photograph():
    """A cat."""
    import skimage

    return Path(skimage.__file__).parent / "data" / "chelsea.png"
