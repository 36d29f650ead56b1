"""Requests that no client would make: every answer is a proper error, and none a defect."""

import random

import grpc
import pytest
from activation_streams import X, message
from google.protobuf.descriptor import FieldDescriptor
from serving import ended, failure

from hooke.v1 import (
    activation_service_pb2,
    attribution_service_pb2,
    model_service_pb2,
    technique_service_pb2,
    visualization_service_pb2,
)

MODULES = (
    activation_service_pb2,
    model_service_pb2,
    technique_service_pb2,
    visualization_service_pb2,
)
METHODS = [
    method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]

WORDS = [
    "", "models/net", "models/net/layers/fc", "models/net/layers/..", "models/pair", "fc", "*",
    "[", "batch", "unit", "height", "feature_visualization", "\0", "x" * 5000, "models/%", "-", "ä",
]  # fmt: skip
NUMBERS = [0, 1, -1, 2, 3, 50, 1 << 31, (1 << 31) - 1, -(1 << 31), (1 << 63) - 1, -(1 << 63)]
REALS = [0.0, -1.0, 0.5, 1e308, float("nan"), float("inf")]


def scramble(message, chance, depth=0):
    """Fill a message with values that are well-formed and senseless."""
    for field in message.DESCRIPTOR.fields:
        if chance.random() < 0.4:
            continue
        count = chance.choice([0, 1, 1, 2]) if field.is_repeated else 1
        for _ in range(count):
            put(message, field, chance, depth)


def put(message, field, chance, depth):
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        if depth < 4 and not field.message_type.GetOptions().map_entry:
            inner = getattr(message, field.name)
            scramble(inner.add() if field.is_repeated else inner, chance, depth + 1)
        return
    value = some(field, chance)
    try:
        if field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)
    except ValueError:  # beyond the field's range
        return


def some(field, chance):
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
            return chance.randbytes(chance.choice([0, 1, 4, 3 * 16 * 16 * 4]))
        case FieldDescriptor.CPPTYPE_STRING:
            return chance.choice(WORDS)
        case FieldDescriptor.CPPTYPE_BOOL:
            return chance.random() < 0.5
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return chance.choice(REALS)
        case FieldDescriptor.CPPTYPE_ENUM:
            return chance.choice([0, 1, 2, 3, 11, 99])
        case _:
            return chance.choice(NUMBERS)


def request_of(method, chance):
    request = method.input_type._concrete_class()
    scramble(request, chance)
    for name in ("model", "name", "parent"):
        if name in method.input_type.fields_by_name and chance.random() < 0.7:
            setattr(request, name, "models/net")
    if method.name == "Visualize":
        # Right ones would run for long.
        request.validate_only = True
    return request


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_senseless_requests(edge, method, caplog):
    chance = random.Random(method.full_name)  # noqa: S311  # not for secrets
    path = f"/{method.containing_service.full_name}/{method.name}"
    for _ in range(60):
        requests = [request_of(method, chance) for _ in range(3)]
        if method.client_streaming:
            call = edge.channel.stream_stream(path)(
                iter([each.SerializeToString() for each in requests]), timeout=20
            )
        elif method.server_streaming:
            call = edge.channel.unary_stream(path)(requests[0].SerializeToString(), timeout=20)
        else:
            call = edge.channel.unary_unary(path)(requests[0].SerializeToString(), timeout=20)
        try:
            await ended(call)
        except grpc.aio.AioRpcError as error:
            lost = "Internal error from Core" in error.details()  # by the client, while it wrote
            assert lost or error.code() not in {  # noqa: PT017
                grpc.StatusCode.INTERNAL,
                grpc.StatusCode.UNKNOWN,
                grpc.StatusCode.DEADLINE_EXCEEDED,
            }, (error.details(), requests)
    assert "incident" not in caplog.text
    listed = await edge.models.ListModels(model_service_pb2.ListModelsRequest())
    assert len(listed.models) == 2


async def test_of_several_choices_each_must_be_one(edge):
    request = attribution_service_pb2.AttributeRequest(
        model="models/net",
        inputs=[{"tensor": message(X)}],
        methods=[{"saliency": {}}],
        evidence={"measures": ["EVIDENCE_MEASURE_UNSPECIFIED"]},
    )
    code, _, text = await failure(edge.attributions.Attribute(request))
    assert code == "INVALID_ARGUMENT"
    assert "measures must be one of completeness" in text


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_bytes_that_are_no_message(edge, method):
    path = f"/{method.containing_service.full_name}/{method.name}"
    for data in (b"\xff" * 20, b"\x0a\xff\xff\xff\xff\x0f", b"\x0a" * 1000):
        if method.client_streaming:
            call = edge.channel.stream_stream(path)(iter([data]), timeout=20)
        elif method.server_streaming:
            call = edge.channel.unary_stream(path)(data, timeout=20)
        else:
            call = edge.channel.unary_unary(path)(data, timeout=20)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ended(call)
        assert "/" not in caught.value.details()
        assert "Traceback" not in caught.value.details()
