"""Children that hang, eat memory, die or fail."""

import builtins
import os
import time
from pathlib import Path

import pytest

from hooke_server.errors import FailedPreconditionError, Reason, ResourceExhaustedError
from hooke_server.models.limits import check_limit
from hooke_server.models.sandbox import run_limited

ROOM = 64 << 20


def run(function, *args, seconds=10.0):
    return run_limited(function, *args, memory_bytes=ROOM, seconds=seconds)


def test_the_value_comes_back_from_another_process():
    assert run(os.getpid) != os.getpid()
    assert run(builtins.sorted, [3, 1, 2]) == [1, 2, 3]


def test_errors_cross_whole():
    with pytest.raises(ResourceExhaustedError) as caught:
        run(check_limit, "entries", 3, 2)
    assert caught.value.reason is Reason.LIMIT_EXCEEDED
    assert caught.value.message == "this model file has 3 entries, at most 2 are read"
    assert caught.value.metadata == {"limit": "2"}


@pytest.mark.parametrize(
    ("function", "argument", "why"),
    [
        (time.sleep, 60, r"more than 0\.5 seconds"),
        (builtins.bytes, 2 * ROOM, "memory"),
        (os._exit, 3, "breaks the parser"),
        (os.abort, None, "breaks the parser"),
        (builtins.bytes, 1, "breaks the parser"),  # a value that JSON cannot tell
        (builtins.ord, "ab", "breaks the parser"),
        (builtins.print, '{"value": 7}', None),
    ],
)
def test_what_children_may_do(function, argument, why):
    arguments = [] if argument is None else [argument]
    if why is None:
        assert run(function, *arguments) is None, "what a parser prints is no answer"
        return
    with pytest.raises(FailedPreconditionError, match=why) as caught:
        run(function, *arguments, seconds=0.5)
    assert caught.value.reason is Reason.MODEL_INVALID


def test_what_fits_is_not_stopped():
    assert run(builtins.len, "x" * (ROOM // 8)) == ROOM // 8


def test_no_child_is_left():
    def children():
        tasks = Path("/proc/self/task").iterdir()
        return sorted(" ".join((task / "children").read_text() for task in tasks).split())

    before = children()
    with pytest.raises(FailedPreconditionError):
        run(time.sleep, 60, seconds=0.2)
    assert children() == before
