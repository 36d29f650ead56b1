"""What the server is besides its services: limits, health, reflection, one port."""

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from serving import ended, failure, serving

from hooke.v1 import location_pb2, model_service_pb2, visualization_service_pb2
from hooke_server.rpc.limits import Limits

SERVICES = {
    "hooke.v1.ModelService",
    "hooke.v1.ActivationService",
    "hooke.v1.TechniqueService",
    "hooke.v1.VisualizationService",
    "hooke.v1.AttributionService",
    "hooke.v1.ComparisonService",
}

VISUALIZE = visualization_service_pb2.VisualizeRequest(
    items=[{"location": location_pb2.Location(layer="models/net", unit=0)}],
    feature_visualization={"ascent": {"steps": 4096, "size": 16}},
)


async def test_a_message_over_the_limit_is_refused_and_the_server_goes_on(edge):
    request = model_service_pb2.GetModelRequest(name="x" * (5 << 20))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await edge.models.GetModel(request)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    # What unpacks to more than the limit is refused too, however small it came.
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await edge.models.GetModel(request, compression=grpc.Compression.Gzip)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await edge.models.ListModels(model_service_pb2.ListModelsRequest())).models


async def test_health_is_answered_when_the_server_is_full(net):
    async with serving({"net": net}, limits=Limits(calls=2)) as edge:
        calls = [edge.visualizations.Visualize(VISUALIZE) for _ in range(2)]
        for call in calls:
            await call.read()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await edge.models.ListModels(model_service_pb2.ListModelsRequest())
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        health = health_pb2_grpc.HealthStub(edge.channel)
        for _ in range(3):
            answer = await health.Check(health_pb2.HealthCheckRequest())
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        for call in calls:
            call.cancel()
        await asyncio.sleep(0.3)
        await edge.models.ListModels(model_service_pb2.ListModelsRequest())


async def test_unknown_health_names_are_not_defects(edge, caplog):
    health = health_pb2_grpc.HealthStub(edge.channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health.Check(health_pb2.HealthCheckRequest(service="nothing"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert "incident" not in caplog.text


async def reflected(call):
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    symbol = reflection_pb2.ServerReflectionRequest(file_containing_symbol="hooke.v1.ModelService")
    listed, found = await ended(call(iter([request, symbol])))
    names = {service.name for service in listed.list_services_response.service}
    return names, found.file_descriptor_response.file_descriptor_proto


async def test_reflection_under_both_names(edge):
    old = reflection_pb2_grpc.ServerReflectionStub(edge.channel).ServerReflectionInfo
    new = edge.channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    names, files = await reflected(old)
    assert names == {
        *SERVICES,
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    assert files
    assert await reflected(new) == (names, files)


async def test_a_port_is_one_servers(edge):
    other = grpc.aio.server()
    with pytest.raises(RuntimeError, match="Failed to bind"):
        other.add_insecure_port(f"127.0.0.1:{edge.port}")
    await other.stop(0)


async def test_unknown_methods_are_unimplemented(edge):
    call = edge.channel.unary_unary("/hooke.v1.ModelService/Nothing")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_watches_have_a_room_of_their_own(net):
    watching, reflecting = health_pb2.HealthCheckRequest(), reflection_pb2.ServerReflectionRequest()
    async with serving({"net": net}, limits=Limits(calls=2, watches=3)) as edge:
        health = health_pb2_grpc.HealthStub(edge.channel)
        reflect = reflection_pb2_grpc.ServerReflectionStub(edge.channel).ServerReflectionInfo
        watches = [health.Watch(watching) for _ in range(3)]
        for watch in watches:
            await watch.read()
        for refused in (health.Watch(watching), reflect(iter([reflecting]))):
            code, info, text = await failure(refused)
            assert (code, info.reason) == ("RESOURCE_EXHAUSTED", "QUEUE_FULL")
            assert text.startswith("3 streams that watch over the server are under way")
        # Neither checks nor work suffer.
        assert (await health.Check(watching)).status == health_pb2.HealthCheckResponse.SERVING
        calls = [edge.visualizations.Visualize(VISUALIZE) for _ in range(2)]
        for call in calls:
            await call.read()
        assert (await health.Check(watching)).status == health_pb2.HealthCheckResponse.SERVING
        watches[0].cancel()
        for _ in range(600):
            if (again := await health.Watch(watching).read()) is not grpc.aio.EOF:
                break
            await asyncio.sleep(0.05)
        assert again.status == health_pb2.HealthCheckResponse.SERVING
