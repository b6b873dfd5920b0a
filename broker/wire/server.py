"""The port: aiohttp's low-level server in front of the router, and of the handlers that own a path prefix.

It reads whole bodies (chunked and compressed ones too) within limits: one body at most BODY_BYTES_MAX, all bodies being read or
answered together at most INTAKE_BYTES_MAX, beyond which reading pauses.
"""

import asyncio
import logging
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import unquote

from aiohttp import web

from broker.wire.faults import RequestEntityTooLarge, json_fault, xml_fault
from broker.wire.http import HttpRequest, HttpResponse
from broker.wire.router import Router

BODY_BYTES_MAX: Final = 8 * 1_048_576  # ten messages of 1 MiB together, each byte percent-encoded, is 3 MiB
INTAKE_BYTES_MAX: Final = 64 * 1_048_576
KEEP_ALIVE_S: Final = 80.0
_SHUTDOWN_S: Final = 3.0
_HEADER_BYTES_MAX: Final = 16_384
_CHUNKED_BYTES: Final = 65_536  # what a body of unknown length is taken to be at first
_log = logging.getLogger("pombo.wire")
_transport_log = logging.getLogger("pombo.wire.transport")
_transport_log.setLevel(logging.CRITICAL)  # what malformed HTTP makes aiohttp say is no news

_HOST: Final = re.compile(r"[A-Za-z0-9._~-]{1,255}(?::\d{1,5})?|\[[0-9A-Fa-f:.%]{2,60}\](?::\d{1,5})?")

PrefixHandler = Callable[[HttpRequest], Awaitable[HttpResponse]]


class _TooLarge(Exception):  # noqa: N818
    """The body is beyond BODY_BYTES_MAX."""


class Intake:
    """How many bytes of bodies are in the process, and who waits until there are fewer."""

    def __init__(self, bytes_max: int) -> None:
        self._free = bytes_max
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def take_at_once(self, size: int) -> bool:
        """Whether `size` bytes may come in without waiting; they are taken then."""
        if self._free < size or self._waiting:
            return False
        self._free -= size
        return True

    async def take(self, size: int) -> None:
        """Wait until `size` bytes may come in."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, future))
        await future

    def give(self, size: int) -> None:
        """They have been answered."""
        self._free += size
        while self._waiting and self._free >= self._waiting[0][0]:
            size, future = self._waiting.popleft()
            if not future.done():
                self._free -= size
                future.set_result(None)


class Server:
    """Listens on host:port (0: any free one) once started."""

    def __init__(
        self, router: Router, *, host: str, port: int, prefixes: Mapping[str, PrefixHandler] | None = None
    ) -> None:
        self._router = router
        self._host = host
        self._port = port
        self._prefixes = tuple((prefixes or {}).items())
        self._intake = Intake(INTAKE_BYTES_MAX)
        self._runner: web.ServerRunner | None = None
        self.url = ""

    async def start(self) -> None:
        """Bind and listen. Raises OSError where the address is taken."""
        server = web.Server(
            self._serve,
            access_log=None,
            logger=_transport_log,
            keepalive_timeout=KEEP_ALIVE_S,
            max_line_size=_HEADER_BYTES_MAX,
            max_field_size=_HEADER_BYTES_MAX,
        )
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=_SHUTDOWN_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, backlog=1024)
        await site.start()
        port = self._runner.addresses[0][1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        """Stop listening, let the requests that are being answered finish, close all connections."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        size = request.content_length or 0
        reserved = min(size, BODY_BYTES_MAX) if size or not request.can_read_body else _CHUNKED_BYTES
        if not self._intake.take_at_once(reserved):
            await self._intake.take(reserved)
        try:
            response = await self._answer(request, size)
        except Exception:
            _log.exception("%s %s failed", request.method, request.path)
            response = _plain(500, b"Internal failure.")
        finally:
            self._intake.give(reserved)
        return web.Response(status=response.status, body=response.body, headers=response.headers)

    async def _answer(self, request: web.BaseRequest, size: int) -> HttpResponse:
        try:
            content = request.content
            if content.is_eof() and content.total_bytes <= BODY_BYTES_MAX:
                body = content.read_nowait()  # it came with the headers
            else:
                body = await self._read(request, size)
        except _TooLarge:
            return self._too_large(request)
        except web.RequestPayloadError:
            # A body that cannot be decompressed, or whose chunks do not add up: nothing after it can be told apart either.
            return _plain(400, b"The request body cannot be read.")
        transport = request.transport
        headers = request.headers
        path, _, query_string = request.raw_path.partition("?")
        host = headers.get("Host")
        if host is not None and not _HOST.fullmatch(host):
            return _plain(400, b"The Host header is not a host.")  # it would come back in queue URLs
        wanted = HttpRequest(
            request.method,
            unquote(path) if "%" in path else path,
            query_string,
            headers,
            body,
            f"http://{host}" if host else self.url,
            lambda: transport is not None and not transport.is_closing(),
        )
        if path != "/":
            for prefix, handler in self._prefixes:
                if wanted.path.startswith(prefix):
                    return await handler(wanted)
        return await self._router.handle(wanted)

    async def _read(self, request: web.BaseRequest, size: int) -> bytes:
        if size > BODY_BYTES_MAX:
            raise _TooLarge
        if request.headers.get("Expect", "").lower() == "100-continue":
            assert request.transport is not None
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        chunks = []
        read = 0
        async for chunk in request.content.iter_any():
            read += len(chunk)
            if read > BODY_BYTES_MAX:
                raise _TooLarge
            chunks.append(chunk)
        return b"".join(chunks)

    def _too_large(self, request: web.BaseRequest) -> HttpResponse:
        error = RequestEntityTooLarge(f"The request body is larger than {BODY_BYTES_MAX} bytes.")
        _log.info("a request was refused: %s", error.message)
        if "X-Amz-Target" in request.headers:
            response = json_fault(error, "")
        else:
            response = xml_fault(error, "", "http://queue.amazonaws.com/doc/2012-11-05/")
        response.headers["Connection"] = "close"
        return response


def _plain(status: int, text: bytes) -> HttpResponse:
    """Below AWS's protocols: HTTP's own error, after which the connection is closed."""
    return HttpResponse(status, text, {"Content-Type": "text/plain", "Connection": "close"})
