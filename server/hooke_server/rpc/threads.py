"""Work on a thread of its own, such as reading what a request holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from hooke_server.devices import within_memory

T = TypeVar("T")
P = ParamSpec("P")


async def on_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the function returns.

    No thread can be stopped. So a caller that is cancelled leaves only when the thread has
    ended: until then what it uses, memory and models, is counted as in use.
    """
    call = partial(function, *args, **kwargs)
    work = asyncio.ensure_future(asyncio.to_thread(within_memory, call))
    left: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError as error:
            left = error
    if left is None:
        return work.result()
    if not work.cancelled():
        work.exception()  # else asyncio would log that nobody looked at it
    raise left
