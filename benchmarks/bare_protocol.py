"""The other yardstick: an `asyncio.Protocol` over httptools that finds a prepared reply by the request's operation.

What a load generator reaches against it is its own ceiling. The replies are a broker's own, recorded (`benchmarks.recorded`); the
first argument names the file: a JSON object of operation or Action to reply body.
"""

import asyncio
import sys
from pathlib import Path
from typing import cast

import httptools
import orjson
import uvloop

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n"


class Answering(asyncio.Protocol):
    """One connection."""

    replies: dict[bytes, bytes]

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.WriteTransport | None = None
        self._operation = b""
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's own

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        if name.lower() == b"x-amz-target":
            self._operation = value.rpartition(b".")[2]

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._body += body

    def on_message_complete(self) -> None:
        """Called by the parser."""
        assert self._transport is not None
        if not self._operation:
            start = self._body.index(b"Action=") + 7
            self._operation = b"query:" + self._body[start:].partition(b"&")[0]
        self._transport.write(self.replies[self._operation])
        self._operation = self._body = b""


async def serve(replies: dict[str, str]) -> None:
    """Until killed."""
    Answering.replies = {name.encode(): _HEAD % len(text.encode()) + text.encode() for name, text in replies.items()}
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"Bare protocol on http://{host}:{port}, nothing kept. Ready.", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(orjson.loads(Path(sys.argv[1]).read_bytes())))
