"""The port: aiohttp's low-level server in front of the router, and of the handlers that own a path prefix.

It reads whole bodies (chunked and compressed ones too) within limits: one body at most BODY_BYTES_MAX; large ones that are still
coming together at most UPLOAD_BYTES_MAX, all that are being answered PARKED_BYTES_MAX; beyond, reading pauses. The two are apart
so that uploads which do not come on hold up nobody but each other.
"""

import asyncio
import logging
import re
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import unquote

from aiohttp import web

from broker.errors import AwsError
from broker.wire import content_encoding
from broker.wire.faults import MalformedInput, RequestEntityTooLarge, RequestTimeout
from broker.wire.http import HttpRequest, HttpResponse
from broker.wire.router import Router

BODY_BYTES_MAX: Final = 8 * 1_048_576  # 1 MiB of messages, each byte as \u003c, is 6 MiB
CODE_BYTES_MAX: Final = 70 * 1_048_576  # a function's code: 50 MB of zip in base64
UPLOAD_BYTES_MAX: Final = 32 * 1_048_576
PARKED_BYTES_MAX: Final = 32 * 1_048_576
KEEP_ALIVE_S: Final = 80.0
BODY_IDLE_S: Final = 30.0  # a body of which nothing comes for so long is given up
_SHUTDOWN_S: Final = 3.0  # in which requests that are being answered may finish, and their replies be read
_BACKLOG: Final = 1024
_HEADER_BYTES_MAX: Final = 16_384
_SMALL_BYTES: Final = 65_536  # a body up to this size, about what a connection buffers anyway, is no upload
_log = logging.getLogger("pombo.wire")
_transport_log = logging.getLogger("pombo.wire.transport")
_transport_log.setLevel(logging.CRITICAL)  # what malformed HTTP makes aiohttp say is no news

_CARRIES_CODE: Final = re.compile(r"/20\d\d-\d\d-\d\d/(?:functions(?:/[^/]+/code)?|layers/[^/]+/versions)/?(?:\?|$)")
_HOST: Final = re.compile(r"[A-Za-z0-9._~-]{1,255}(?::\d{1,5})?|\[[0-9A-Fa-f:.%]{2,60}\](?::\d{1,5})?")

PrefixHandler = Callable[[HttpRequest], Awaitable[HttpResponse]]


class Intake:
    """How many bytes of bodies are in one part of the house, and who waits outside until there are fewer."""

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
        """Let `size` bytes in when there is room, in the order of asking."""
        if not self.take_at_once(size):
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((size, future))
            await future

    def give(self, size: int) -> None:
        """They are gone."""
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
        self._uploads = Intake(UPLOAD_BYTES_MAX)
        self._parked = Intake(PARKED_BYTES_MAX)
        self._runner: web.ServerRunner | None = None
        self._socket: socket.socket | None = None
        self.url = _url(host, port)

    def choose_port(self) -> None:
        """Make `url` true before `start`: for port 0, take a free one now. Raises OSError."""
        if self._port == 0:
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            self._socket = socket.create_server((self._host, 0), family=family, backlog=_BACKLOG)
            self.url = _url(self._host, self._socket.getsockname()[1])

    async def start(self) -> None:
        """Bind and listen. Raises OSError where the address is taken."""
        server = web.Server(
            self._serve,
            access_log=None,
            logger=_transport_log,
            keepalive_timeout=KEEP_ALIVE_S,
            max_line_size=_HEADER_BYTES_MAX,
            max_field_size=_HEADER_BYTES_MAX,
            auto_decompress=False,  # content_encoding knows a limit
        )
        # aiohttp takes this time twice for a connection: for the reply to finish, and again for its task to end.
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=_SHUTDOWN_S / 2)
        await self._runner.setup()
        if self._socket is None:
            await web.TCPSite(self._runner, self._host, self._port, backlog=_BACKLOG).start()
        else:
            await web.SockSite(self._runner, self._socket, backlog=_BACKLOG).start()
        self.url = _url(self._host, self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening, let the requests that are being answered finish, close all connections."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        parked = 0
        try:
            content = request.content
            coding = content_encoding.coding(request.headers.get("Content-Encoding"))
            if coding is None and content.is_eof() and content.total_bytes <= _SMALL_BYTES:
                body = content.read_nowait()  # it came with the headers
            else:
                body = await self._read(request, coding)
            size = min(len(body), PARKED_BYTES_MAX)
            if not self._parked.take_at_once(size):
                await self._parked.take(size)
            parked = size
            response = await self._answer(request, body)
        except content_encoding.TooLarge:
            text = f"The request body is larger than {BODY_BYTES_MAX} bytes."
            response = self._refuse(request, RequestEntityTooLarge(text))
        except (web.RequestPayloadError, content_encoding.Unreadable):
            # Its compression is wrong, or its chunks do not add up: nothing after it can be told apart either.
            response = self._refuse(request, MalformedInput("The request body cannot be read."))
        except TimeoutError:
            response = self._refuse(request, RequestTimeout("The request body did not arrive."))
        except ConnectionError:
            _log.info("a request broke off: %s %s", request.method, request.path)
            response = _plain(400, b"")  # nobody is there to read it
        except Exception:
            _log.exception("%s %s failed", request.method, request.path)
            response = _plain(500, b"Internal failure.")
        finally:
            self._parked.give(parked)
        return web.Response(status=response.status, body=response.body, headers=response.headers)

    async def _answer(self, request: web.BaseRequest, body: bytes) -> HttpResponse:
        transport = request.transport
        headers = request.headers
        path, _, query_string = request.raw_path.partition("?")
        if not path.startswith("/"):
            path = request.rel_url.raw_path  # of a URL, as a proxy is sent it
        host = headers.get("Host")
        if host is not None and not _HOST.fullmatch(host):
            # It would come back in queue URLs.
            return self._refuse(request, MalformedInput("The Host header is not a host."))
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

    async def _read(self, request: web.BaseRequest, coding: str | None) -> bytes:
        """The whole body, its coding undone. Raises TooLarge, Unreadable, TimeoutError, and what aiohttp raises."""
        bytes_max = CODE_BYTES_MAX if _CARRIES_CODE.match(request.raw_path) else BODY_BYTES_MAX
        if (request.content_length or 0) > bytes_max:
            raise content_encoding.TooLarge
        expected = min(_expected_bytes(request, coding), UPLOAD_BYTES_MAX)
        if expected:
            await self._uploads.take(expected)
        try:
            if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
                request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await self._receive(request, bytes_max)
            if coding is None:
                return body
            return await asyncio.to_thread(content_encoding.undo, body, coding, bytes_max)
        finally:
            self._uploads.give(expected)

    async def _receive(self, request: web.BaseRequest, bytes_max: int) -> bytes:
        chunks = []
        read = 0
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(BODY_IDLE_S) as idle:
            async for chunk in request.content.iter_any():
                idle.reschedule(loop.time() + BODY_IDLE_S)
                read += len(chunk)
                if read > bytes_max:
                    raise content_encoding.TooLarge
                chunks.append(chunk)
        return b"".join(chunks)

    def _refuse(self, request: web.BaseRequest, error: AwsError) -> HttpResponse:
        """What comes after it on the connection cannot be relied on, so it is closed."""
        response = self._router.refuse(request.rel_url.raw_path, request.headers, error)
        response.headers["Connection"] = "close"
        return response


def _expected_bytes(request: web.BaseRequest, coding: str | None) -> int:
    """What of a body counts as upload. Where the headers do not say how much comes, the most that is allowed."""
    size = request.content_length
    if size is None:
        return BODY_BYTES_MAX if request.can_read_body else 0
    if coding is not None:
        return size + BODY_BYTES_MAX
    return size if size > _SMALL_BYTES else 0


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _plain(status: int, text: bytes) -> HttpResponse:
    """Below AWS's protocols: HTTP's own error, after which the connection is closed."""
    return HttpResponse(status, text, {"Content-Type": "text/plain", "Connection": "close"})
