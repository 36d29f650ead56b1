"""gRPC with nothing behind it: the floor that Hooke's transport is compared with.

`/bare/Echo` answers a request with a few bytes. `/bare/Stream` answers an 8-byte
count with so many chunks of 1 MiB.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import uvloop

CHUNK = bytes(1024 * 1024)


async def echo(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    """A few bytes, whatever was asked."""
    return request[:64]


async def stream(
    request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]
) -> AsyncIterator[bytes]:
    """As many chunks as asked for."""
    for _ in range(int.from_bytes(request, "little")):
        yield CHUNK


async def main() -> None:
    """Serve until terminated."""
    server = grpc.aio.server()
    handlers: dict[str, Any] = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
        "Stream": grpc.unary_stream_rpc_method_handler(stream),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bare", handlers),))
    port = server.add_insecure_port("localhost:0")
    await server.start()
    print(f"ready on localhost:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main())
