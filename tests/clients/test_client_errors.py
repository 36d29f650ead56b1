"""Failed calls become typed errors; a small real server answers as each test says."""

import threading
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

import hooke
from hooke import errors
from hooke.v1 import activation_service_pb2 as activation
from hooke.v1 import frame_pb2


@contextmanager
def serving(**handlers):
    """A client of a server with these methods of ActivationService and ModelService."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    for service in ("ActivationService", "ModelService"):
        generic = grpc.method_handlers_generic_handler(f"hooke.v1.{service}", handlers)
        server.add_generic_rpc_handlers((generic,))
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        with hooke.connect(f"localhost:{port}", timeout=20) as client:
            yield client
    finally:
        server.stop(None).wait()


def failing(code, *details, message="it failed"):
    packed = [any_pb2.Any() for _ in details]
    for target, detail in zip(packed, details, strict=True):
        target.Pack(detail)
    status = status_pb2.Status(code=code, message=message, details=packed)

    def handler(request, context):
        context.abort_with_status(rpc_status.to_status(status))

    return grpc.unary_unary_rpc_method_handler(handler)


CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_every_code_becomes_an_error_of_its_kind(code):
    info = error_details_pb2.ErrorInfo(domain="hooke", reason="WHY", metadata={"a": "b"})
    with (
        serving(GetModel=failing(code.value[0], info)) as client,
        pytest.raises(hooke.HookeError) as caught,
    ):
        client.model("m")
    error = caught.value
    assert type(error) is errors.KINDS.get(code.name, hooke.HookeError)
    assert (error.code, error.reason, error.metadata) == (code.name, "WHY", {"a": "b"})
    assert str(error) == error.message == "it failed"
    assert isinstance(error.__cause__, grpc.RpcError)


def test_field_violations_are_told():
    info = error_details_pb2.ErrorInfo(domain="hooke", reason="INVALID_FIELD")
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="name", description="is empty")
    with (
        serving(GetModel=failing(3, info, bad)) as client,
        pytest.raises(hooke.InvalidArgumentError) as caught,
    ):
        client.model("m")
    assert caught.value.field_violations == {"name": "is empty"}


def test_details_of_other_domains_are_not_taken_for_ours():
    info = error_details_pb2.ErrorInfo(domain="example", reason="OTHER")
    with (
        serving(GetModel=failing(5, info)) as client,
        pytest.raises(hooke.NotFoundError) as caught,
    ):
        client.model("m")
    assert caught.value.reason == ""


def test_no_server_is_said_plainly():
    with (
        hooke.connect("localhost:1", timeout=20) as client,
        pytest.raises(hooke.UnavailableError, match=r"answers at localhost:1.*hooke serve --demo"),
    ):
        client.models()


def test_a_server_that_is_not_ours_is_an_error_too():
    with serving() as client, pytest.raises(hooke.HookeError) as caught:
        client.models()
    assert caught.value.code == "UNIMPLEMENTED"


def stream(handler):
    return grpc.unary_stream_rpc_method_handler(
        handler,
        request_deserializer=activation.StreamActivationsRequest.FromString,
        response_serializer=frame_pb2.Frame.SerializeToString,
    )


def test_an_error_in_the_middle_of_a_stream_is_raised():
    def handler(request, context):
        yield frame_pb2.Frame(sequence=1)
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "enough")

    with (
        serving(StreamActivations=stream(handler)) as client,
        pytest.raises(hooke.ResourceExhaustedError, match="enough"),
    ):
        client.activations("m", b"picture", "a")


def test_a_stream_that_ends_early_is_data_loss():
    def handler(request, context):
        yield frame_pb2.Frame(sequence=1)

    with (
        serving(StreamActivations=stream(handler)) as client,
        pytest.raises(hooke.DataLossError, match="cut off before its result"),
    ):
        client.activations("m", b"picture", "a")


def test_the_timeout_is_a_deadline():
    done = threading.Event()

    def waiting(request, context):
        context.add_callback(done.set)
        done.wait(20)
        yield frame_pb2.Frame(sequence=1)

    with serving(StreamActivations=stream(waiting)) as client:
        with (
            hooke.connect(client.address, timeout=0.2) as hasty,
            pytest.raises(hooke.DeadlineExceededError),
        ):
            hasty.activations("m", b"picture", "a")
        assert done.wait(20)


def recording(handler):
    return grpc.stream_stream_rpc_method_handler(
        handler,
        request_deserializer=activation.RecordActivationsRequest.FromString,
        response_serializer=frame_pb2.Frame.SerializeToString,
    )


def answer_runs(requests, context):
    """Answer each run by its number."""
    runs = (each for each in requests if each.HasField("run"))
    for n, _ in enumerate(runs):
        yield frame_pb2.Frame(sequence=n + 1, result=frame_pb2.Result(run=n))


def test_each_run_is_answered():
    with serving(RecordActivations=recording(answer_runs)) as client:
        inputs = (np.full((1, 2), n, np.float32) for n in range(20))
        assert [each.result.run for each in client.record("m", inputs, "a")] == list(range(20))
        assert list(client.record("m", [], "a")) == []


def test_what_the_inputs_raise_is_raised_after_the_answers_before():
    def inputs():
        yield np.zeros(1, np.float32)
        raise KeyError("lost photograph")

    with serving(RecordActivations=recording(answer_runs)) as client:
        answers = client.record("m", inputs(), "a")
        assert next(answers).result.run == 0
        with pytest.raises(KeyError, match="lost photograph"):
            next(answers)


def test_a_missing_answer_is_data_loss():
    def all_but_one(requests, context):
        yield from list(answer_runs(requests, context))[:-1]

    with (
        serving(RecordActivations=recording(all_but_one)) as client,
        pytest.raises(hooke.DataLossError, match="3 runs were sent, but 2 were answered"),
    ):
        list(client.record("m", [np.zeros(1, np.float32)] * 3, "a"))


def test_closing_a_stream_cancels_the_call():
    cancelled = threading.Event()

    def endless(requests, context):
        context.add_callback(cancelled.set)
        yield from answer_runs(requests, context)

    def inputs():
        while not cancelled.is_set():
            yield np.zeros(1, np.float32)

    with serving(RecordActivations=recording(endless)) as client:
        answers = client.record("m", inputs(), "a")
        next(answers)
        answers.close()
        assert cancelled.wait(20)


def test_the_example_of_the_contract_is_what_the_server_says(demo_address):
    proto = Path(__file__).resolve().parents[2] / "protos" / "hooke" / "v1" / "error_reason.proto"
    with hooke.connect(demo_address) as client, pytest.raises(hooke.NotFoundError) as caught:
        client.layer("demo", "blocks.9.9")
    error = caught.value
    facts = " ".join(f'{key}: "{value}"' for key, value in sorted(error.metadata.items()))
    for told in (f'message: "{error.message}"', f'reason: "{error.reason}"', facts):
        assert told in proto.read_text()
