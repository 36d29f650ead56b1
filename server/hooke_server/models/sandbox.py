"""Work on a file that nobody vouches for, in a child process with limits.

    run_limited(screen, str(path), memory_bytes=2 << 30, seconds=20)

The child gets the function by its name and the arguments as JSON, and answers in
JSON: what has been parsing a hostile file is told nothing and believed nothing
that it could not have sent as text.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hooke_server import errors
from hooke_server.errors import HookeError, Reason
from hooke_server.models.limits import broken

_ANSWER_BYTES = 1 << 24
_START_SECONDS = 60.0
"""A child that has not begun by then never will; imports take seconds on a busy machine."""


def run_limited(function: Callable[..., Any], *args: Any, memory_bytes: int, seconds: float) -> Any:
    """What a function of a module returns, run in a child; arguments and value are JSON.

    Parameters
    ----------
    memory_bytes : address space beside what the imports of its module take.
    seconds : wall time beside that of the imports.

    Raises
    ------
    HookeError : the one that the function raised.
    FailedPreconditionError : MODEL_INVALID, if the child failed, died or was stopped.
    """
    request = {
        "function": (function.__module__, function.__name__),
        "args": args,
        "memory_bytes": memory_bytes,
        "seconds": seconds,
    }
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # each thread takes address space
    with tempfile.TemporaryFile() as answer:
        try:
            child = subprocess.run(  # noqa: S603  # our own interpreter, no shell
                [sys.executable, "-P", "-m", __name__],
                input=json.dumps(request).encode(),
                stdout=answer,
                stderr=subprocess.DEVNULL,
                env=environment,
                timeout=_START_SECONDS + seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise broken("it takes too long to parse") from None
        answer.seek(0)
        text = answer.read(_ANSWER_BYTES)
    if child.returncode == -signal.SIGALRM:
        raise broken(f"it takes more than {seconds:g} seconds to parse")
    if child.returncode:
        raise broken("it takes too much memory to parse, or breaks the parser")
    return _value(text)


def _value(text: bytes) -> Any:
    """The value in an answer, or the error."""
    try:
        answer = json.loads(text)
        if "value" in answer:
            return answer["value"]
        kind = getattr(errors, answer["kind"])
        error = kind(Reason(answer["reason"]), str(answer["message"]), **dict(answer["metadata"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise broken("it breaks the parser") from None
    raise error if isinstance(error, HookeError) else broken("it breaks the parser")


def _limit(memory_bytes: int, seconds: float) -> None:
    statm = Path("/proc/self/statm")
    if statm.exists():  # elsewhere the time limit has to do
        pages = int(statm.read_text(encoding="ascii").split()[0])
        room = pages * resource.getpagesize() + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_ANSWER_BYTES, _ANSWER_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.setitimer(signal.ITIMER_REAL, seconds)


def main() -> None:
    """The child: read a request, answer it, end."""
    request = json.load(sys.stdin)
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)  # what parsers print is no answer
        module, name = request["function"]
        function = getattr(importlib.import_module(module), name)
        _limit(request["memory_bytes"], request["seconds"])
        try:
            told: dict[str, Any] = {"value": function(*request["args"])}
        except HookeError as error:
            told = {
                "kind": type(error).__name__,
                "reason": error.reason,
                "message": error.message,
                "metadata": error.metadata,
            }
        answer.write(json.dumps(told).encode())


if __name__ == "__main__":
    main()
