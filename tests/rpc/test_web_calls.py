"""Calls over Connect, gRPC-Web and plain HTTP, seen from the wire: they say what gRPC says."""

import asyncio
import base64
import importlib
import json
import logging
import pkgutil
from urllib.parse import quote

import grpc
import pytest
import torch
from activation_streams import X, asked, assembled, by_hooks, message
from google.protobuf import json_format
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_health.v1 import health_pb2
from serving import failure, nothing_runs, serving
from web_work import VISUALIZE, WEB, wanted
from wire import (
    envelope,
    fetch,
    info_of,
    messages,
    request,
    status_of,
    streaming,
    unary,
    unpadded,
    web_messages,
)

import hooke.v1
from hooke.v1 import activation_service_pb2 as pb
from hooke.v1 import (
    frame_pb2,
    input_pb2,
    model_service_pb2,
    readout_pb2,
)
from hooke_server.rpc.limits import Limits

MODELS = "/hooke.v1.ModelService"
ACTIVATIONS = "/hooke.v1.ActivationService"


@pytest.fixture
async def edge(net, pair):
    async with serving({"net": net, "pair": pair}, web=WEB) as served:
        yield served


async def test_unary_calls_in_both_forms_equal_grpc(edge):
    told = await edge.models.GetModel(model_service_pb2.GetModelRequest(name="models/net"))
    answer = await unary(edge.web, f"{MODELS}/GetModel", {"name": "models/net"})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert json_format.Parse(answer.body, model_service_pb2.Model()) == told
    same = model_service_pb2.GetModelRequest(name="models/net")
    answer = await unary(edge.web, f"{MODELS}/GetModel", same, form="proto")
    assert answer.headers["content-type"] == "application/proto"
    assert model_service_pb2.Model.FromString(answer.body) == told


async def test_what_only_reads_can_be_a_get(edge):
    told = await edge.models.GetModel(model_service_pb2.GetModelRequest(name="models/net"))
    query = quote(json.dumps({"name": "models/net"}))
    answer = await fetch(edge.web, "GET", f"{MODELS}/GetModel?encoding=json&message={query}")
    assert json_format.Parse(answer.body, model_service_pb2.Model()) == told
    data = base64.urlsafe_b64encode(
        model_service_pb2.GetModelRequest(name="models/net").SerializeToString()
    )
    target = f"{MODELS}/GetModel?encoding=proto&base64=1&message={data.decode().rstrip('=')}"
    answer = await fetch(edge.web, "GET", target)
    assert model_service_pb2.Model.FromString(answer.body) == told
    answer = await fetch(edge.web, "GET", f"{MODELS}/LoadModel?encoding=json&message={query}")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


async def test_errors_carry_what_they_carry_over_grpc(edge):
    wrong = model_service_pb2.GetModelRequest(name="models/nett")
    code, info, text = await failure(edge.models.GetModel(wrong))
    answer = await unary(edge.web, f"{MODELS}/GetModel", wrong)
    assert answer.status == 404
    assert answer.json["code"].upper() == code
    assert answer.json["message"] == text
    assert info_of(answer.json) == info
    async with web(edge, f"{MODELS}/GetModel", wrong) as response:
        seen, trailers = await web_messages(response, model_service_pb2.Model)
    assert not seen
    assert int(trailers["grpc-status"]) == grpc.StatusCode[code].value[0]
    status = status_of(trailers)
    found = ErrorInfo()
    assert any(detail.Unpack(found) for detail in status.details)
    assert (status.message, found) == (text, info)


async def test_a_wrong_field_is_named_as_over_grpc(edge):
    request = asked("stem", x=torch.zeros(1, 3, 16, 16), readouts=[readout_pb2.Readout()])
    code, info, text = await failure(edge.activations.StreamActivations(request))
    async with streaming(edge.web, f"{ACTIVATIONS}/StreamActivations", request) as response:
        assert response.status == 200
        seen, end = await messages(response, frame_pb2.Frame)
    assert not seen
    error = end["error"]
    assert (error["code"].upper(), error["message"]) == (code, text)
    assert info_of(error) == info
    [found] = [each for each in error["details"] if each["type"] == "google.rpc.BadRequest"]
    assert BadRequest.FromString(unpadded(found["value"])).field_violations[0].field


async def test_a_stream_brings_the_layers_values_and_their_digests(edge):
    layers = ["stem", "block.conv"]
    async with streaming(
        edge.web, f"{ACTIVATIONS}/StreamActivations", asked(*layers, chunk_bytes=64 << 10)
    ) as response:
        assert response.headers["content-type"] == "application/connect+proto"
        assert "connect-content-encoding" not in response.headers or (
            response.headers["connect-content-encoding"] == "identity"
        )
        frames, end = await messages(response, frame_pb2.Frame)
    assert end == {}
    assert [frame.sequence for frame in frames] == list(range(1, len(frames) + 1))
    values, expected = assembled(frames), by_hooks(layers, X)
    assert {layer for layer, _ in values} == set(layers)
    for (layer, _), value in values.items():
        torch.testing.assert_close(value, expected[layer])


async def test_chunks_that_were_framed_by_hand_are_json_too(edge):
    path = f"{ACTIVATIONS}/StreamActivations"
    async with streaming(edge.web, path, asked("stem"), form="json") as response:
        parts = [part async for part in response.envelopes()]
    frames = [json_format.Parse(data, frame_pb2.Frame()) for flags, data in parts if not flags]
    [((layer, _), value)] = assembled(frames).items()
    torch.testing.assert_close(value, by_hooks([layer], X)[layer])


async def test_grpc_web_streams_and_answers(edge):
    async with web(edge, f"{ACTIVATIONS}/StreamActivations", asked("stem")) as response:
        assert response.headers["content-type"] == "application/grpc-web+proto"
        frames, trailers = await web_messages(response, frame_pb2.Frame)
    assert trailers["grpc-status"] == "0"
    [((layer, _), value)] = assembled(frames).items()
    torch.testing.assert_close(value, by_hooks([layer], X)[layer])
    listing = model_service_pb2.ListModelsRequest()
    async with web(edge, f"{MODELS}/ListModels", listing) as response:
        [models], trailers = await web_messages(response, model_service_pb2.ListModelsResponse)
    assert trailers["grpc-status"] == "0"
    assert models == await edge.models.ListModels(listing)


async def test_a_recording_goes_both_ways(edge):
    configuration = pb.RecordingConfiguration(
        model="models/net", readouts=[readout_pb2.Readout(layer_globs=["stem"])]
    )
    run = pb.RecordActivationsRequest(
        run=pb.RecordingRun(inputs=[input_pb2.ModelInput(tensor=message(X))])
    )
    first = pb.RecordActivationsRequest(configuration=configuration)
    path = f"{ACTIVATIONS}/RecordActivations"
    async with streaming(edge.web, path, first, run, run) as response:
        frames, end = await messages(response, frame_pb2.Frame)
    assert end == {}
    assert [frame.result.run for frame in frames if frame.HasField("result")] == [0, 1]
    async with streaming(edge.web, path, run) as response:
        frames, end = await messages(response, frame_pb2.Frame)
    assert info_of(end["error"]).reason == "STREAM_ORDER"


async def test_a_request_of_a_recording_that_cannot_be_read_is_told(edge):
    configuration = pb.RecordingConfiguration(
        model="models/net", readouts=[readout_pb2.Readout(layer_globs=["stem"])]
    )
    first = pb.RecordActivationsRequest(configuration=configuration)
    path = f"{ACTIVATIONS}/RecordActivations"
    async with streaming(edge.web, path, first, b"\xff\xff") as response:
        frames, end = await messages(response, frame_pb2.Frame)
    assert not frames
    assert end["error"]["code"] == "invalid_argument"
    assert "is no hooke.v1.RecordActivationsRequest" in end["error"]["message"]
    assert info_of(end["error"]).reason == "INVALID_FIELD"


async def test_a_client_that_leaves_while_it_sends_is_no_defect(edge, caplog):
    configuration = pb.RecordingConfiguration(
        model="models/net", readouts=[readout_pb2.Readout(layer_globs=["stem"])]
    )
    first = pb.RecordActivationsRequest(configuration=configuration)
    kind = {"content-type": "application/connect+proto"}
    body = envelope(first.SerializeToString()) + b"\0\0"
    path = f"{ACTIVATIONS}/RecordActivations"
    with caplog.at_level(logging.INFO, "hooke.access"):
        async with request(edge.web, "POST", path, kind, body, length=999):
            await asyncio.sleep(0.2)
        await asyncio.sleep(0.2)
    assert [record.code for record in caplog.records] == ["CANCELLED"]


async def test_messages_arrive_when_they_are_made(edge):
    """The first pictures of a long climb are there while it goes on."""
    async with asyncio.timeout(60), streaming(edge.web, VISUALIZE, wanted()) as response:
        seen = 0
        async for flags, data in response.envelopes():
            assert flags == 0
            seen += frame_pb2.Frame.FromString(data).HasField("progress")
            if seen == 3:
                assert edge.worker._pulls
                break
    await asyncio.sleep(0.3)
    await nothing_runs(edge)


async def test_a_client_that_leaves_ends_the_work(edge, caplog):
    with caplog.at_level(logging.INFO, "hooke.access"):
        async with streaming(edge.web, VISUALIZE, wanted()) as response:
            parts = response.envelopes()
            await anext(parts)
            assert edge.worker._pulls
        await asyncio.sleep(0.3)
    await nothing_runs(edge)
    [record] = caplog.records
    assert (record.method, record.code) == (VISUALIZE, "CANCELLED")
    assert record.peer.startswith("http:127.0.0.1:")


@pytest.mark.parametrize("form", ["connect", "grpc-web"])
async def test_a_deadline_ends_the_work(edge, caplog, form):
    with caplog.at_level(logging.INFO, "hooke.access"):
        if form == "connect":
            late = {"connect-timeout-ms": "500"}
            async with streaming(edge.web, VISUALIZE, wanted(), headers=late) as response:
                _, end = await messages(response, frame_pb2.Frame)
            assert end["error"]["code"] == "deadline_exceeded"
        else:
            async with web(edge, VISUALIZE, wanted(), {"grpc-timeout": "500m"}) as response:
                _, trailers = await web_messages(response, frame_pb2.Frame)
            assert int(trailers["grpc-status"]) == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
        await asyncio.sleep(0.3)
    await nothing_runs(edge)
    assert [record.code for record in caplog.records] == ["DEADLINE_EXCEEDED"]


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


def methods():
    """All of the contract."""
    for module in pkgutil.iter_modules(hooke.v1.__path__):
        if module.name.endswith("_service_pb2"):
            file = importlib.import_module(f"hooke.v1.{module.name}").DESCRIPTOR
            for service in file.services_by_name.values():
                yield from service.methods


def listed(edge):
    return edge.models.ListModels(model_service_pb2.ListModelsRequest())


def web(edge, path, message, headers=()):
    """A gRPC-Web call."""
    kind = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
    body = envelope(message.SerializeToString())
    return request(edge.web, "POST", path, kind | dict(headers), body)


async def test_units_are_plain_numbers_and_one_beyond_32_bits_is_no_unit(edge):
    answer = await unary(edge.web, f"{MODELS}/GetLayer", {"name": "models/net/layers/stem"})
    assert answer.json["unitCount"] == 6
    assert answer.json["receptiveFields"][0]["size"] == 3
    assert answer.json["macs"] == str(int(answer.json["macs"]))
    for unit in (2**31, 2**63, -(2**40)):
        location = {"layer": "models/net/layers/stem", "unit": unit}
        method = "/hooke.v1.TechniqueService/ListTechniques"
        answer = await unary(edge.web, method, {"location": location})
        assert (answer.status, answer.json["code"]) == (400, "invalid_argument")
        assert info_of(answer.json).reason == "INVALID_FIELD"
