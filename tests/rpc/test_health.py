"""Health: states by name, watchers, and their end."""

import asyncio
from contextlib import asynccontextmanager

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hooke_server.rpc.calls import Calls
from hooke_server.rpc.health import HealthService
from hooke_server.rpc.interceptors import Edge
from hooke_server.rpc.limits import Limits

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


def request(name=""):
    return health_pb2.HealthCheckRequest(service=name)


@asynccontextmanager
async def server_of(health):
    server = grpc.aio.server(interceptors=[Edge(Calls(Limits(calls=1)))])
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield server, health_pb2_grpc.HealthStub(channel)
    finally:
        await server.stop(None)


async def test_a_server_that_answers_lives_and_the_rest_is_told():
    health = HealthService()
    health.set("a", serving=False)
    async with server_of(health) as (_, stub):
        assert (await stub.Check(request())).status == SERVING
        assert (await stub.Check(request("a"))).status == NOT_SERVING
        health.set("a", serving=True)
        assert (await stub.Check(request("a"))).status == SERVING
        listed = await stub.List(health_pb2.HealthListRequest())
        assert {name: one.status for name, one in listed.statuses.items()} == {
            "": SERVING,
            "a": SERVING,
        }
        with pytest.raises(grpc.aio.AioRpcError, match="no service 'b'") as unknown:
            await stub.Check(request("b"))
        assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_watcher_hears_each_state_once():
    health = HealthService()
    async with server_of(health) as (_, stub), asyncio.timeout(30):
        watch = stub.Watch(request("a"))
        assert (await watch.read()).status == UNKNOWN
        health.set("a", serving=False)
        assert (await watch.read()).status == NOT_SERVING
        health.set("b", serving=True)
        health.set("a", serving=False)
        health.set("a", serving=True)
        assert (await watch.read()).status == SERVING
        watch.cancel()


async def test_watchers_do_not_hold_up_the_end_of_a_server():
    health = HealthService()
    health.set("a", serving=True)
    async with server_of(health) as (server, stub):
        watches = [stub.Watch(request(name)) for name in ("", "a", "unknown")]
        assert [(await watch.read()).status for watch in watches] == [SERVING, SERVING, UNKNOWN]
        health.end()
        health.set("a", serving=True)  # too late
        async with asyncio.timeout(30):
            await server.stop(600)
        last = [await watch.read() for watch in watches]
        assert [one and one.status for one in last[:2]] == [NOT_SERVING] * 2
        assert last[2] is grpc.aio.EOF
        assert [await watch.code() for watch in watches] == [grpc.StatusCode.OK] * 3
