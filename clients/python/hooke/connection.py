"""A channel to one server: calls with a timeout, errors translated, streams closed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from hooke.errors import translated
from hooke.frames import Frame
from hooke.reader import parse_frame, parse_weights, read_frames, read_weights
from hooke.v1 import (
    activation_service_pb2,
    attribution_service_pb2,
    comparison_service_pb2,
    model_service_pb2,
    visualization_service_pb2,
)
from hooke.values import WeightSummary

R = TypeVar("R")
T = TypeVar("T")

_RECORDING = activation_service_pb2.RecordActivationsRequest
_COMPUTING: dict[type[Message], str] = {
    activation_service_pb2.StreamActivationsRequest: "ActivationService/StreamActivations",
    attribution_service_pb2.AttributeRequest: "AttributionService/Attribute",
    visualization_service_pb2.VisualizeRequest: "VisualizationService/Visualize",
    comparison_service_pb2.CompareActivationsRequest: "ComparisonService/CompareActivations",
    comparison_service_pb2.CompareWeightsRequest: "ComparisonService/CompareWeights",
    comparison_service_pb2.MatchUnitsRequest: "ComparisonService/MatchUnits",
}

HEALTH = "/grpc.health.v1.Health/Check"
SERVING = 1


class Connection:
    """Where calls go. Closing it cancels what still runs.

    Parameters
    ----------
    address : `host:port`, or `unix:PATH`.
    timeout : seconds that each call may take; None: any time.
    """

    def __init__(self, address: str, timeout: float | None) -> None:
        self.address = address
        self.timeout = timeout
        self.channel = grpc.insecure_channel(address)
        self._record = self.channel.stream_stream(
            "/hooke.v1.ActivationService/RecordActivations",
            request_serializer=_RECORDING.SerializeToString,
            response_deserializer=parse_frame,
        )
        # Like the generated stubs, but chunks are read by hand; see `tensors.Parser`.
        self._compute = {
            kind: self.channel.unary_stream(
                f"/hooke.v1.{method}",
                request_serializer=kind.SerializeToString,
                response_deserializer=parse_frame,
            )
            for kind, method in _COMPUTING.items()
        }
        self._weights = self.channel.unary_stream(
            "/hooke.v1.ModelService/StreamWeights",
            request_serializer=model_service_pb2.StreamWeightsRequest.SerializeToString,
            response_deserializer=parse_weights,
        )

    def unary(self, method: Callable[..., R], request: Any) -> R:
        """The answer to a call that has one."""
        with translated(self.address):
            return method(request, timeout=self.timeout)

    def stream(
        self,
        method: Callable[..., Any],
        request: Any,
        read: Callable[[Iterable[Any]], Iterator[T]],
    ) -> Generator[T, None, None]:
        """What `read` makes of the messages of a stream; closing it cancels the call."""
        with translated(self.address):
            call = method(request, timeout=self.timeout)
            try:
                yield from read(call)
            finally:
                call.cancel()

    def compute(self, request: Any) -> Generator[Frame, None, None]:
        """The frames that answer a request to compute."""
        return self.stream(self._compute[type(request)], request, read_frames)

    def record(
        self, requests: Iterator[activation_service_pb2.RecordActivationsRequest]
    ) -> Generator[Frame, None, None]:
        """The frames of a recording; a thread of gRPC's takes the requests."""
        return self.stream(self._record, requests, lambda call: read_frames(call, empty=True))

    def serving(self, service: str) -> bool:
        """Answer of the standard health service.

        Its two messages are one field each, so that their package need not be there.
        """
        name = service.encode()
        ask: Callable[..., bytes] = self.channel.unary_unary(HEALTH)
        answer = self.unary(ask, bytes((1 << 3 | 2, len(name))) + name if name else b"")
        return bool(answer[:1] == b"\x08" and answer[1] == SERVING)

    def weights(
        self, request: model_service_pb2.StreamWeightsRequest
    ) -> Generator[WeightSummary, None, None]:
        """The weights that answer a request."""
        return self.stream(self._weights, request, read_weights)

    def close(self) -> None:
        """Close the channel."""
        self.channel.close()
