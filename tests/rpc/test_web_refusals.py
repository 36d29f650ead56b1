"""What plain HTTP is refused: limits, forms that are none, what administers."""

import asyncio
import logging

import grpc
import pytest
from activation_streams import asked
from grpc_health.v1 import health_pb2
from serving import failure, serving
from web_work import ACTIVATIONS, MODELS, VISUALIZE, WEB, listed, methods, wanted, web
from wire import (
    envelope,
    fetch,
    info_of,
    messages,
    streaming,
    unary,
    web_messages,
)

from hooke.v1 import (
    frame_pb2,
    model_service_pb2,
    readout_pb2,
)
from hooke_server.rpc.limits import Limits


@pytest.fixture
async def edge(net, pair):
    async with serving({"net": net, "pair": pair}, web=WEB) as served:
        yield served


async def test_what_administers_is_refused_in_every_form(edge):
    for refused in (
        model_service_pb2.LoadModelRequest(model_id="net", source="torchvision:resnet18"),
        model_service_pb2.UnloadModelRequest(name="models/net"),
    ):
        method = refused.DESCRIPTOR.name.removesuffix("Request")
        for form in ("json", "proto"):
            answer = await unary(edge.web, f"{MODELS}/{method}", refused, form=form)
            assert (answer.status, answer.json["code"]) == (403, "permission_denied")
            assert info_of(answer.json).reason == "ADMIN_DISABLED"
        async with web(edge, f"{MODELS}/{method}", refused) as response:
            _, trailers = await web_messages(response, model_service_pb2.Model)
        assert int(trailers["grpc-status"]) == grpc.StatusCode.PERMISSION_DENIED.value[0]
        for alias in (f"{MODELS.lower()}/{method}", f"/{MODELS}/{method}", f"{MODELS}/{method}/"):
            answer = await unary(edge.web, alias, refused)
            assert answer.status in {404, 405}, alias
    assert [model.name for model in (await listed(edge)).models] == ["models/net", "models/pair"]


async def test_limits_count_calls_of_both_ports_together(net):
    async with serving({"net": net}, web=WEB, limits=Limits(calls=2)) as edge:
        call = edge.visualizations.Visualize(wanted())
        await call.read()
        async with streaming(edge.web, VISUALIZE, wanted()) as response:
            await anext(response.envelopes())
            answer = await unary(edge.web, f"{MODELS}/ListModels", {})
            assert (answer.status, answer.json["code"]) == (429, "resource_exhausted")
            assert info_of(answer.json).reason == "QUEUE_FULL"
            code, _, _ = await failure(
                edge.models.ListModels(model_service_pb2.ListModelsRequest())
            )
            assert code == "RESOURCE_EXHAUSTED"
            assert (await unary(edge.web, "/grpc.health.v1.Health/Check", {})).status == 200
        call.cancel()
        await asyncio.sleep(0.3)
        assert (await unary(edge.web, f"{MODELS}/ListModels", {})).status == 200


async def test_sizes_and_lists_are_limited(edge):
    large = model_service_pb2.GetModelRequest(name="x" * (5 << 20))
    for form in ("json", "proto"):
        answer = await unary(edge.web, f"{MODELS}/GetModel", large, form=form)
        assert answer.json["code"] == "resource_exhausted"
    long = asked("stem", readouts=[readout_pb2.Readout(layer_globs=["x"] * 1001)])
    async with streaming(edge.web, f"{ACTIVATIONS}/StreamActivations", long) as response:
        _, end = await messages(response, frame_pb2.Frame)
    assert info_of(end["error"]).metadata["limit"] == "1000"
    # Before JSON is taken apart, which is slow.
    many = '{"name": "' + "," * 70_000 + '"}'
    answer = await unary(edge.web, f"{MODELS}/GetModel", many)
    assert "a request may hold 65536 numbers" in answer.json["message"]
    assert (await listed(edge)).models


@pytest.mark.parametrize(
    "body",
    ['{"nam": "models/net"}', '{"name": 3}', "[" * 100_000, "no", '{"name": "models/net"}}', "\0"],
)
async def test_what_is_no_json_of_the_request_is_told(edge, body):
    answer = await unary(edge.web, f"{MODELS}/GetModel", body)
    assert (answer.status, answer.json["code"]) == (400, "invalid_argument")
    assert answer.json["message"].startswith("the JSON of the request is no hooke.v1.GetModelReq")
    assert info_of(answer.json).reason == "INVALID_FIELD"
    assert len(answer.body) < 2000


async def test_nothing_at_all_is_an_empty_request(edge):
    assert (await unary(edge.web, f"{MODELS}/ListModels", "")).json["models"]


@pytest.mark.parametrize(
    ("path", "kind", "status", "told"),
    [
        (f"{MODELS}/ListModels", "text/plain", 415, "application/json"),
        (f"{MODELS}/ListModels", "", 415, "application/json"),
        (f"{MODELS}/ListModels", "application/grpc", 415, "application/json"),
        (f"{MODELS}/ListModels", "application/connect+json", 415, "application/json"),
        (VISUALIZE, "application/json", 415, "application/connect+json"),
        (f"{MODELS}/Nothing", "application/json", 404, "no method hooke.v1.ModelService/Nothing"),
        ("/hooke.v2.ModelService/GetModel", "application/json", 404, "no method"),
    ],
)
async def test_other_forms_and_methods_are_told_what_there_is(edge, path, kind, status, told):
    answer = await fetch(edge.web, "POST", path, {"content-type": kind}, b"{}")
    assert answer.status == status
    assert told in answer.json["message"]
    assert answer.json["code"] == "unimplemented"


async def test_compression_is_neither_offered_nor_taken(edge):
    accepts = {"accept-encoding": "gzip, br, zstd"}
    answer = await unary(edge.web, f"{MODELS}/ListModels", {}, headers=accepts)
    assert answer.headers.get("content-encoding", "identity") == "identity"
    packs = {"content-encoding": "gzip"}
    answer = await unary(edge.web, f"{MODELS}/ListModels", {}, headers=packs)
    assert answer.json["code"] == "unimplemented"


async def test_health_is_told_here_too(edge):
    answer = await unary(edge.web, "/grpc.health.v1.Health/Check", {})
    assert answer.json == {"status": "SERVING"}
    answer = await unary(edge.web, "/grpc.health.v1.Health/Check", {"service": "nothing"})
    assert answer.json["code"] == "not_found"
    path = "/grpc.health.v1.Health/Watch"
    async with streaming(edge.web, path, health_pb2.HealthCheckRequest()) as response:
        _, data = await anext(response.envelopes())
    assert health_pb2.HealthCheckResponse.FromString(data).status == 1


async def test_every_method_of_every_service_is_served_and_logged(edge, caplog):
    """Whatever the contract has, this port has; a call that says nothing fails, but is heard."""
    paths = set()
    with caplog.at_level(logging.INFO, "hooke.access"):
        for method in methods():
            paths.add(path := f"/{method.containing_service.full_name}/{method.name}")
            streams = method.client_streaming or method.server_streaming
            kind = "application/connect+json" if streams else "application/json"
            body = envelope(b"{}") if streams else b"{}"
            answer = await fetch(edge.web, "POST", path, {"content-type": kind}, body)
            assert answer.status != 404 or answer.json["code"] == "not_found", path
    assert {record.method for record in caplog.records} == paths
    assert len(paths) > 10
    assert "incident" not in caplog.text
