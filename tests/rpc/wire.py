"""HTTP as it goes over the wire, by a client that knows nothing of Connect's library.

Targets and headers are sent as given, so that hostile ones are too; a response can be
read piece by piece, and dropped.
"""

import asyncio
import base64
import json
import struct
from contextlib import asynccontextmanager

import h11
from google.protobuf import json_format
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

END, TRAILERS = 0b10, 0b1000_0000  # flags of Connect's last envelope, and gRPC-Web's


class Response:
    """An answer whose body comes bit by bit."""

    def __init__(self, reader, writer, connection):
        self.reader, self.writer, self.connection = reader, writer, connection
        self.status, self.headers = None, {}

    async def event(self):
        while (event := self.connection.next_event()) is h11.NEED_DATA:
            self.connection.receive_data(await self.reader.read(1 << 16))
        return event

    async def begin(self):
        event = await self.event()
        self.status = event.status_code
        self.headers = {name.decode(): value.decode() for name, value in event.headers}
        return self

    async def pieces(self):
        while isinstance(event := await self.event(), h11.Data):
            yield bytes(event.data)
        assert isinstance(event, h11.EndOfMessage), event

    async def body(self):
        return b"".join([piece async for piece in self.pieces()])

    async def envelopes(self):
        """Flags and content of each, as soon as it is there."""
        data = b""
        async for piece in self.pieces():
            data += piece
            while len(data) >= 5:
                flags, size = struct.unpack(">BI", data[:5])
                if len(data) < 5 + size:
                    break
                yield flags, data[5 : 5 + size]
                data = data[5 + size :]
        assert not data


@asynccontextmanager
async def request(port, method, target, headers=(), body=b"", *, host="localhost", length=None):
    """The response once its head is there; the connection is cut at the end of the block.

    If more than the body is announced by `length`, nothing is waited for.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    connection = h11.Connection(h11.CLIENT)
    sent = [("host", host), ("content-length", str(length or len(body))), *dict(headers).items()]
    head = h11.Request(method=method, target=target, headers=sent)
    try:
        writer.write(connection.send(head))
        writer.write(connection.send(h11.Data(body)) or b"")
        if not length:
            writer.write(connection.send(h11.EndOfMessage()) or b"")
        response = Response(reader, writer, connection)
        yield response if length else await response.begin()
    finally:
        writer.close()


class Answer:
    """A whole response."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


async def fetch(port, method, target, headers=(), body=b"", **options):
    async with asyncio.timeout(60):
        async with request(port, method, target, headers, body, **options) as response:
            return Answer(response.status, response.headers, await response.body())


def envelope(data):
    return struct.pack(">BI", 0, len(data)) + data


async def unary(port, method, message, *, form="json", headers=(), **options):
    """A Connect call; the answer's body is the message, or the error as JSON."""
    kind = {"content-type": f"application/{form}"}
    return await fetch(port, "POST", method, kind | dict(headers), packed(message, form), **options)


def streaming(port, method, *messages, form="proto", headers=()):
    """A Connect stream: `Response.envelopes` of it, the last of which tells how it ended."""
    kind = {"content-type": f"application/connect+{form}"}
    body = b"".join(envelope(packed(message, form)) for message in messages)
    return request(port, "POST", method, kind | dict(headers), body)


def packed(message, form):
    if isinstance(message, bytes | str):
        return message if isinstance(message, bytes) else message.encode()
    if isinstance(message, dict):
        return json.dumps(message).encode()
    if form == "json":
        return json_format.MessageToJson(message).encode()
    return message.SerializeToString()


async def messages(response, kind):
    """Messages of a Connect stream, and its end as a dict."""
    seen, end = [], None
    async for flags, data in response.envelopes():
        assert end is None
        if flags & END:
            end = json.loads(data)
        else:
            seen.append(kind.FromString(data))
    assert end is not None
    return seen, end


async def web_messages(response, kind):
    """Messages of a gRPC-Web answer, and its trailers."""
    seen, end = [], None
    async for flags, data in response.envelopes():
        assert end is None
        if flags & TRAILERS:
            lines = data.decode().splitlines()
            end = dict(line.split(": ", 1) for line in lines)
        else:
            seen.append(kind.FromString(data))
    return seen, end if end is not None else response.headers


def info_of(error):
    """The one `ErrorInfo` of a Connect error."""
    [found] = [each for each in error["details"] if each["type"] == "google.rpc.ErrorInfo"]
    return ErrorInfo.FromString(unpadded(found["value"]))


def status_of(trailers):
    """The `google.rpc.Status` that gRPC-Web's trailers hold."""
    return Status.FromString(unpadded(trailers["grpc-status-details-bin"]))


def unpadded(text):
    return base64.b64decode(text + "=" * (-len(text) % 4))
