"""The second port opens and ends with the first, whatever its clients do."""

import asyncio
import logging
import socket
import sys

import pytest
import torch
from activation_streams import asked
from grpc_health.v1 import health_pb2
from serving import model_of, nothing_runs, serving
from test_slow_reader import MIB, Wide, resident
from web_work import VISUALIZE, WEB, wanted
from wire import END, info_of, messages, request, streaming, unary

from hooke.v1 import frame_pb2
from hooke.v1.readout_pb2 import Readout
from hooke_server.ports import Ports, Web, web_missing
from hooke_server.rpc.health import HealthService
from hooke_server.rpc.limits import Limits
from hooke_server.rpc.services import health_service

ACTIVATIONS = "/hooke.v1.ActivationService/StreamActivations"
LIST = "/hooke.v1.ModelService/ListModels"


def ports(address="127.0.0.1:0", web="127.0.0.1:0", services=()):
    return Ports(services, Limits(), address=address, web=Web(address=web))


def number(address):
    return int(address.strip("/").rpartition(":")[2])


def free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
    return True


async def test_localhost_is_every_address_of_that_name():
    opened = ports(web="localhost:0")
    await opened.start()
    assert opened.page.startswith("http://localhost:")
    port = number(opened.page)
    found = socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM)
    for host in {place[0] for *_, place in found}:
        _, writer = await asyncio.open_connection(host, port)
        writer.close()
    await opened.stop(0)


async def test_without_an_address_or_the_extra_there_is_no_page(monkeypatch):
    assert web_missing() == []
    for web in ("", "127.0.0.1:0"):
        opened = ports(web=web)
        await opened.start()
        assert opened.address
        assert opened.page == ""
        await opened.stop(0)
        monkeypatch.setitem(sys.modules, "uvicorn", None)
        assert web_missing() == ["uvicorn"]


async def test_a_port_is_one_servers_and_a_start_that_fails_leaves_none_open():
    first, last = ports(), ports()
    await last.start()
    await last.stop(0)
    free_one = last.page.removeprefix("http://").strip("/")
    await first.start()
    taken = first.page.removeprefix("http://").strip("/")
    for other, problem in (
        (ports(address=first.address, web=free_one), "listen"),
        (ports(web=taken), "serve the page"),
    ):
        with pytest.raises(OSError, match=f"cannot {problem} on .*: it is taken.* choose another"):
            await other.start()
        assert other.address == other.page == ""
        assert free(number(free_one))
    await first.stop(0)
    assert free(number(first.page))


async def test_a_name_that_is_none_is_an_error():
    with pytest.raises(OSError, match=r"cannot serve the page on nowhere\.invalid:1: "):
        await ports(web="nowhere.invalid:1").start()


async def test_what_runs_may_end_and_idle_connections_do_not_hold_the_end(net):
    async with (
        serving({"net": net}, web=WEB) as edge,
        asyncio.timeout(120),
        request(edge.web, "GET", "/healthz") as idle,
        streaming(edge.web, VISUALIZE, wanted(steps=16)) as response,
    ):
        await idle.body()
        parts = response.envelopes()
        first = await anext(parts)
        stopping = asyncio.create_task(edge.ports.stop(grace=1000))
        rest = [part async for part in parts]
        await stopping
    assert rest[-1] == (END, b"{}")
    frames = [frame_pb2.Frame.FromString(data) for _, data in (first, *rest[:-1])]
    assert frames[-1].HasField("result")


async def test_what_takes_longer_than_the_grace_is_told_why(net, caplog):
    async with serving({"net": net}, web=WEB) as edge, asyncio.timeout(60):
        async with streaming(edge.web, VISUALIZE, wanted()) as response:
            stopping = asyncio.create_task(edge.ports.stop(0.2))
            frames, end = await messages(response, frame_pb2.Frame)
            await stopping
        await nothing_runs(edge)
    assert frames
    assert end["error"]["code"] == "unavailable"
    assert info_of(end["error"]).reason == "SHUTTING_DOWN"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_client_that_does_not_read_holds_neither_memory_nor_the_end(caplog):
    x = torch.zeros(1, 1, 64, 64)
    asking = asked(model="models/wide", x=x, readouts=[Readout(layer_globs=["*"])])
    async with serving({"wide": model_of(Wide(), x)}, web=WEB) as edge, asyncio.timeout(60):
        async with streaming(edge.web, ACTIVATIONS, asking) as response:
            response.writer.transport.pause_reading()
            await asyncio.sleep(0.5)
            before = resident()
            await asyncio.sleep(1)
            assert resident() - before < 16 * MIB
            assert edge.worker._pulls  # of 64 MiB
            await edge.ports.stop(grace=0.1)
        await nothing_runs(edge)
    assert "Traceback" not in caplog.text


async def test_calls_that_come_while_it_ends_find_nobody(net):
    async with (
        serving({"net": net}, web=WEB) as edge,
        asyncio.timeout(120),
        streaming(edge.web, VISUALIZE, wanted()) as response,
    ):
        await anext(response.envelopes())
        stopping = asyncio.create_task(edge.ports.stop(grace=2))
        await asyncio.sleep(0.5)
        with pytest.raises(ConnectionRefusedError):
            await unary(edge.web, LIST, {})
        await stopping


async def test_watchers_hear_the_end():
    health = HealthService()
    opened = ports(services=[health_service(health)])
    await opened.start()
    watch = health_pb2.HealthCheckRequest()
    path = "/grpc.health.v1.Health/Watch"
    async with asyncio.timeout(30), streaming(number(opened.page), path, watch) as response:
        parts = response.envelopes()
        await anext(parts)
        health.end()
        await opened.stop(grace=1000)
        (_, told), last = [part async for part in parts]
    assert health_pb2.HealthCheckResponse.FromString(told).status == 2
    assert last == (END, b"{}")
