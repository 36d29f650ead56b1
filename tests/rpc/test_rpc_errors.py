"""Errors as clients see them, through a real server and channel."""

import asyncio
import logging
import pickle

import grpc
import pytest
from google.rpc import error_details_pb2 as details_pb2
from grpc_status import rpc_status

from hooke.v1 import (
    activation_service_pb2,
    activation_service_pb2_grpc,
    error_reason_pb2,
    frame_pb2,
    technique_service_pb2,
    technique_service_pb2_grpc,
)
from hooke_server import errors
from hooke_server.errors import HookeError, Reason
from hooke_server.rpc.calls import Calls
from hooke_server.rpc.errors import CODES, to_status
from hooke_server.rpc.interceptors import Edge
from hooke_server.rpc.limits import Limits

KINDS = {
    errors.InvalidArgumentError: "INVALID_ARGUMENT",
    errors.OutOfRangeError: "OUT_OF_RANGE",
    errors.NotFoundError: "NOT_FOUND",
    errors.AlreadyExistsError: "ALREADY_EXISTS",
    errors.FailedPreconditionError: "FAILED_PRECONDITION",
    errors.PermissionDeniedError: "PERMISSION_DENIED",
    errors.ResourceExhaustedError: "RESOURCE_EXHAUSTED",
    errors.UnavailableError: "UNAVAILABLE",
    errors.AbortedError: "ABORTED",
    errors.InternalError: "INTERNAL",
}


def test_reasons_are_the_contracts():
    prefix = "ERROR_REASON_"
    contract = {name.removeprefix(prefix) for name, value in error_reason_pb2.ErrorReason.items()}
    assert contract - {"UNSPECIFIED"} == set(Reason)


def test_every_kind_of_error_has_a_code():
    assert set(HookeError.__subclasses__()) == set(CODES) == set(KINDS)


class Failing(
    technique_service_pb2_grpc.TechniqueServiceServicer,
    activation_service_pb2_grpc.ActivationServiceServicer,
):
    """Two services that fail as they are told."""

    def __init__(self):
        self.error = Exception()
        self.closed = asyncio.Event()
        self.release = asyncio.Event()
        self.waiting = asyncio.Semaphore(0)

    async def ListTechniques(self, request, context):
        raise self.error

    async def GetTechnique(self, request, context):
        self.waiting.release()
        await self.release.wait()
        return technique_service_pb2.Technique(name="x")

    async def StreamActivations(self, request, context):
        try:
            for index in range(request.chunk_bytes):
                yield frame_pb2.Frame(sequence=index + 1)
            if request.validate_only:
                await asyncio.sleep(60)
            raise self.error
        finally:
            self.closed.set()

    async def RecordActivations(self, request_iterator, context):
        async for _ in request_iterator:
            yield frame_pb2.Frame(sequence=1).SerializeToString()
        raise self.error


@pytest.fixture
async def failing():
    servicer = Failing()
    server = grpc.aio.server(interceptors=[Edge(Calls(Limits(calls=2)))])
    technique_service_pb2_grpc.add_TechniqueServiceServicer_to_server(servicer, server)
    activation_service_pb2_grpc.add_ActivationServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        servicer.unary = technique_service_pb2_grpc.TechniqueServiceStub(channel)
        servicer.stream = activation_service_pb2_grpc.ActivationServiceStub(channel)
        yield servicer
    await server.stop(0)


def unary(failing):
    return failing.unary.ListTechniques(technique_service_pb2.ListTechniquesRequest())


async def at_once(failing):
    request = activation_service_pb2.StreamActivationsRequest()
    return [frame async for frame in failing.stream.StreamActivations(request)]


async def midway(failing):
    request = activation_service_pb2.StreamActivationsRequest(chunk_bytes=3)
    seen = []
    try:
        async for frame in failing.stream.StreamActivations(request):
            seen.append(frame.sequence)
    finally:
        assert seen == [1, 2, 3]


async def both_ways(failing):
    requests = [activation_service_pb2.RecordActivationsRequest()]
    seen = []
    try:
        async for frame in failing.stream.RecordActivations(iter(requests)):
            seen.append(frame.sequence)
    finally:
        assert seen == [1]


async def details_of(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    status = rpc_status.from_call(caught.value)
    if status is None:
        return caught.value, {}
    details = {}
    for detail in status.details:
        kind = getattr(details_pb2, detail.TypeName().rpartition(".")[2])
        assert kind.__name__ not in details
        details[kind.__name__] = kind()
        assert detail.Unpack(details[kind.__name__])
    return caught.value, details


@pytest.mark.parametrize("call", [unary, at_once, midway, both_ways])
@pytest.mark.parametrize(("kind", "code"), KINDS.items())
async def test_every_error_on_every_kind_of_call(failing, call, kind, code):
    failing.error = kind(Reason.LAYER_NOT_FOUND, "no layer 'x'", field="name", layer="x")
    error, details = await details_of(call(failing))
    assert error.code().name == code
    assert error.details() == "no layer 'x'"
    assert details["ErrorInfo"].reason == "LAYER_NOT_FOUND"
    assert details["ErrorInfo"].domain == "hooke"
    assert dict(details["ErrorInfo"].metadata) == {"layer": "x", "field": "name"}


FURTHER = [
    (errors.InvalidArgumentError, Reason.INVALID_FIELD, "BadRequest"),
    (errors.NotFoundError, Reason.MODEL_NOT_FOUND, "ResourceInfo"),
    (errors.FailedPreconditionError, Reason.MODEL_INVALID, "PreconditionFailure"),
    (errors.ResourceExhaustedError, Reason.QUEUE_FULL, "RetryInfo"),
    (errors.UnavailableError, Reason.SHUTTING_DOWN, "RetryInfo"),
    (errors.UnavailableError, Reason.MODEL_NOT_READY, "RetryInfo"),
]


@pytest.mark.parametrize(("kind", "reason", "detail"), FURTHER)
async def test_details_that_go_with_the_code(failing, kind, reason, detail):
    failing.error = kind(reason, "said", field="inputs[0]", model="m")
    _, details = await details_of(unary(failing))
    assert set(details) == {"ErrorInfo", detail}
    match details[detail]:
        case details_pb2.BadRequest() as bad:
            assert [(v.field, v.description) for v in bad.field_violations] == [
                ("inputs[0]", "said")
            ]
        case details_pb2.ResourceInfo() as resource:
            assert (resource.resource_type, resource.resource_name) == ("model", "m")
        case details_pb2.PreconditionFailure() as failure:
            assert [(v.type, v.subject) for v in failure.violations] == [(reason, "m")]
        case details_pb2.RetryInfo() as retry:
            assert retry.retry_delay.seconds > 0


@pytest.mark.parametrize(
    ("reason", "facts", "resource"),
    [
        (Reason.LAYER_NOT_FOUND, {"layer": "x", "nearest": "", "model": "m"}, ("layer", "x")),
        (Reason.SOURCE_NOT_FOUND, {"file": "a.onnx", "nearest": "b.onnx"}, ("source", "a.onnx")),
        (Reason.CHECKPOINT_NOT_FOUND, {"checkpoint": "c"}, ("checkpoint", "c")),
        (Reason.MODEL_NOT_FOUND, {"service": "s"}, ("model", "s")),
    ],
)
async def test_what_is_not_found_is_named(failing, reason, facts, resource):
    failing.error = errors.NotFoundError(reason, "said", field="name", **facts)
    _, details = await details_of(unary(failing))
    found = details["ResourceInfo"]
    assert (found.resource_type, found.resource_name) == resource
    assert dict(details["ErrorInfo"].metadata) == {**facts, "field": "name"}


async def test_a_budget_that_does_not_grow_promises_no_retry(failing):
    failing.error = errors.ResourceExhaustedError(Reason.MEMORY_BUDGET_EXCEEDED, "said")
    _, details = await details_of(unary(failing))
    assert set(details) == {"ErrorInfo"}


@pytest.mark.parametrize("call", [unary, at_once, midway, both_ways])
async def test_a_defect_tells_the_client_an_id_and_the_log_the_rest(failing, call, caplog):
    failing.error = KeyError("/secret/path")
    with caplog.at_level(logging.ERROR):
        error, details = await details_of(call(failing))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(error)
    assert details["ErrorInfo"].reason == "INTERNAL"
    incident = details["ErrorInfo"].metadata["incident"]
    assert incident in error.details()
    record = next(record for record in caplog.records if incident in record.getMessage())
    assert record.exc_info is not None
    assert record.exc_info[1] is failing.error


async def test_huge_names_do_not_break_the_status(failing):
    name = "ä" * 4_000_000
    failing.error = errors.NotFoundError(Reason.LAYER_NOT_FOUND, f"no layer {name}", layer=name)
    error, details = await details_of(unary(failing))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert details["ErrorInfo"].metadata["layer"].startswith("ää")


async def test_calls_beyond_the_limit_are_told_to_come_again(failing):
    request = technique_service_pb2.GetTechniqueRequest()
    waiting = [failing.unary.GetTechnique(request) for _ in range(2)]
    for _ in waiting:
        await failing.waiting.acquire()
    error, details = await details_of(unary(failing))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert details["ErrorInfo"].reason == "QUEUE_FULL"
    assert details["RetryInfo"].retry_delay.seconds
    failing.release.set()
    assert [(await call).name for call in waiting] == ["x", "x"]
    failing.error = errors.UnavailableError(Reason.SHUTTING_DOWN, "bye")
    error, _ = await details_of(unary(failing))
    assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_cancel_and_deadline_close_the_handler_and_are_logged_as_what_they_are(
    failing, caplog
):
    request = activation_service_pb2.StreamActivationsRequest(chunk_bytes=1, validate_only=True)
    with caplog.at_level(logging.INFO, "hooke.access"):
        call = failing.stream.StreamActivations(request)
        assert (await call.read()).sequence == 1
        call.cancel()
        await asyncio.wait_for(failing.closed.wait(), 5)
        failing.closed.clear()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            _ = [_ async for _ in failing.stream.StreamActivations(request, timeout=0.2)]
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await asyncio.wait_for(failing.closed.wait(), 5)
        await asyncio.sleep(0.05)
    assert [record.code for record in caplog.records] == ["CANCELLED", "DEADLINE_EXCEEDED"]


async def test_the_access_log_names_method_code_and_reason(failing, caplog):
    failing.error = errors.NotFoundError(Reason.TECHNIQUE_NOT_FOUND, "none")
    with caplog.at_level(logging.INFO, "hooke.access"):
        await details_of(unary(failing))
        for _ in range(1000):  # the client may know before the log does
            if caplog.records:
                break
            await asyncio.sleep(0.01)
    (record,) = caplog.records
    assert record.method == "/hooke.v1.TechniqueService/ListTechniques"
    assert (record.code, record.reason) == ("NOT_FOUND", "TECHNIQUE_NOT_FOUND")
    assert record.seconds >= 0


def test_errors_cross_processes_and_keep_their_status():
    error = errors.NotFoundError(Reason.MODEL_NOT_FOUND, "no", field="name", model="m")
    assert to_status(pickle.loads(pickle.dumps(error))) == to_status(error)  # noqa: S301
