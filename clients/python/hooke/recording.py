"""Many runs on one stream: inputs go out while answers come in."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator

from hooke.activations import Activations, collect
from hooke.errors import DataLossError, HookeError
from hooke.frames import Frame
from hooke.inputs import Prepared, run_messages
from hooke.v1 import activation_service_pb2 as pb


class Recording:
    """The two directions of one `RecordActivations` stream.

    gRPC takes `requests` in a thread of its own, as fast as the server reads them;
    `answers` belongs to the caller's thread.
    """

    def __init__(self, configuration: pb.RecordingConfiguration, runs: Iterable[Prepared]) -> None:
        self._configuration = configuration
        self._runs = runs
        self._sent = 0
        self._failure: Exception | None = None

    def requests(self) -> Iterator[pb.RecordActivationsRequest]:
        """The configuration, then each run."""
        yield pb.RecordActivationsRequest(configuration=self._configuration)
        try:
            for run in self._runs:
                yield from run_messages(run)
                self._sent += 1
        except Exception as failure:  # whatever it is, `answers` raises it
            self._failure = failure

    def answers(self, frames: Generator[Frame, None, None]) -> Generator[Activations, None, None]:
        """One answer a run; what making the inputs raised comes after those before it."""
        answered = 0
        try:
            for answer in collect(frames):
                yield answer
                answered += 1
        except HookeError:
            # Half a run that was given up makes the server complain of the rest.
            if self._failure is None:
                raise
        finally:
            frames.close()
        if self._failure is not None:
            raise self._failure
        if answered != self._sent:
            raise DataLossError(f"{self._sent} runs were sent, but {answered} were answered")
