"""Reading streams that carry tensors: the one place where they are checked.

Sequence numbers have no gap, tensors come whole and unchanged, and frames end
with a `Result`; what breaks this is a `DataLossError`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from hooke.errors import DataLossError
from hooke.frames import Checkpoint, Frame, Picture, Progress, Result, Tensor
from hooke.tables import Finding, TableReader
from hooke.tensors import Assembly, Chunk, Parser
from hooke.v1 import frame_pb2, model_service_pb2, tensor_pb2
from hooke.values import WeightSummary

parse_frame = Parser(frame_pb2.Frame.FromString, frame_pb2.Frame.TENSOR_CHUNK_FIELD_NUMBER)


class TensorReader:
    """Joins the parts of one tensor after another, as they arrive."""

    def __init__(self) -> None:
        self._open: Assembly | None = None
        self._sequence = 0

    def step(self, sequence: int) -> None:
        """Check that this is the message after the last one."""
        self._sequence += 1
        if sequence != self._sequence:
            raise DataLossError(f"message {self._sequence} of the stream is lost: got {sequence}")

    def header(self, message: tensor_pb2.TensorHeader) -> None:
        """Begin a tensor."""
        if self._open:
            raise DataLossError("a tensor began before the last one had ended")
        self._open = Assembly(message)

    def chunk(self, chunk: Chunk | tensor_pb2.TensorChunk) -> None:
        """Go on with the tensor."""
        self._tensor().add(chunk.tensor_id, chunk.offset, chunk.data)

    def trailer(self, message: tensor_pb2.TensorTrailer) -> Tensor:
        """End the tensor."""
        assembly, self._open = self._tensor(), None
        return assembly.finish(message)

    def _tensor(self) -> Assembly:
        if self._open is None:
            raise DataLossError("bytes of a tensor came without its header")
        return self._open

    def end(self) -> None:
        """Check that the stream may end here."""
        if self._open:
            raise DataLossError("the stream was cut off inside a tensor")


def read_frames(
    messages: Iterable[frame_pb2.Frame | Chunk], *, empty: bool = False
) -> Iterator[Frame]:
    """The frames of a stream; those of kinds that this client does not know are left out.

    `empty` says that the stream may end before any frame.
    """
    reader, tables = TensorReader(), TableReader()
    finished = empty
    for message in messages:
        reader.step(message.sequence)
        if isinstance(message, Chunk):
            reader.chunk(message)
            continue
        if (frame := _frame(message, reader, tables)) is not None:
            finished = isinstance(frame, Result)
            yield frame
    reader.end()
    if not finished:
        raise DataLossError("the stream was cut off before its result")


def _frame(message: frame_pb2.Frame, reader: TensorReader, tables: TableReader) -> Frame | None:
    match message.WhichOneof("content"):
        case "checkpoint":
            return Checkpoint.read(message.checkpoint)
        case "progress":
            return Progress.read(message.progress)
        case "picture":
            return Picture.read(message.picture)
        case "tensor_header":
            reader.header(message.tensor_header)
        case "tensor_chunk":
            reader.chunk(message.tensor_chunk)
        case "tensor_trailer":
            return reader.trailer(message.tensor_trailer)
        case "table_header":
            return tables.header(message.table_header)
        case "table_rows":
            return tables.rows(message.table_rows)
        case "finding":
            return Finding.read(message.finding)
        case "result":
            return Result.read(message.result)
    return None


parse_weights = Parser(
    model_service_pb2.StreamWeightsResponse.FromString,
    model_service_pb2.StreamWeightsResponse.TENSOR_CHUNK_FIELD_NUMBER,
)


def read_weights(
    messages: Iterable[model_service_pb2.StreamWeightsResponse | Chunk],
) -> Iterator[WeightSummary]:
    """The weights of a stream, each with its tensor where tensors were asked for."""
    reader = TensorReader()
    summary: WeightSummary | None = None
    for message in messages:
        reader.step(message.sequence)
        if isinstance(message, Chunk):
            reader.chunk(message)
            continue
        match message.WhichOneof("content"):
            case "summary":
                if summary is not None:
                    yield summary
                summary = WeightSummary.read(message.summary)
            case "tensor_header":
                reader.header(message.tensor_header)
            case "tensor_chunk":
                reader.chunk(message.tensor_chunk)
            case "tensor_trailer" if summary is not None:
                summary = replace(summary, tensor=reader.trailer(message.tensor_trailer).value)
    reader.end()
    if summary is not None:
        yield summary
