"""Calls over Connect, gRPC-Web and plain HTTP, seen from the wire: they say what gRPC says."""

import asyncio
import base64
import json
import logging
from urllib.parse import quote

import grpc
import pytest
import torch
from activation_streams import X, asked, assembled, by_hooks, message
from google.protobuf import json_format
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from serving import failure, nothing_runs, serving
from web_work import ACTIVATIONS, MODELS, VISUALIZE, WEB, wanted, web
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

from hooke.v1 import activation_service_pb2 as pb
from hooke.v1 import (
    frame_pb2,
    input_pb2,
    model_service_pb2,
    readout_pb2,
)


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
