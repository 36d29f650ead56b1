"""The access log: a line for each call, with what it asked for and how it ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from itertools import islice

import grpc
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from hooke_server.rpc.admission import is_monitor
from hooke_server.rpc.names import MODEL_ID

access_log = logging.getLogger("hooke.access")

MAX_NAMED = 8
"""Models of one call that its line names."""


class Access:
    """One call, while it runs.

    Attributes
    ----------
    code, reason : how it ended.
    models : ids of the models that it named.
    """

    def __init__(self, method: str, peer: str) -> None:
        self.code = grpc.StatusCode.OK
        self.reason = ""
        self.models: tuple[str, ...] = ()
        self._method = method
        self._peer = peer
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since the call came."""
        return time.perf_counter() - self._began

    def saw(self, request: Message) -> None:
        """Note which models a request names; the first that names any tells for a stream."""
        if not self.models:
            self.models = tuple(islice(dict.fromkeys(named_models(request)), MAX_NAMED))

    def write(self) -> None:
        """Log the line, for debugging only where the call did no work."""
        seconds = self.seconds
        facts = {
            "method": self._method,
            "models": list(self.models),
            "code": self.code.name,
            "reason": self.reason,
            "seconds": round(seconds, 6),
            "peer": self._peer,
        }
        words = (self._method, ",".join(self.models), self.code.name, self.reason)
        access_log.log(
            logging.DEBUG if is_monitor(self._method) else logging.INFO,
            "%s %.1f ms",
            " ".join(filter(None, words)),
            seconds * 1e3,
            extra=facts,
        )


def named_models(request: Message) -> Iterator[str]:
    """Ids of the models in a request's names (`models/{model}...`, or `model_id`), in order.

    What is no id is left out, so nothing that a client makes up gets into the log.
    """
    for field, value in request.ListFields():
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            for message in value if field.is_repeated else (value,):
                yield from named_models(message)
        elif field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated:
            head, _, rest = value.partition("/")
            name = value if field.name == "model_id" else rest.partition("/")[0]
            if (head == "models" or name is value) and MODEL_ID.fullmatch(name):
                yield name
