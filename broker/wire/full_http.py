"""HTTP with all that it can do, by aiohttp: chunked and compressed bodies, large ones, slow ones, GET, every path.

It reads whole bodies within limits: one body at most BODY_BYTES_MAX; large ones that are still coming together at most
UPLOAD_BYTES_MAX, all that are being answered PARKED_BYTES_MAX; beyond, reading pauses. The two are apart so that uploads which do
not come on hold up nobody but each other.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import unquote

from aiohttp import web

from broker.errors import AwsError
from broker.wire import content_encoding
from broker.wire.faults import MalformedInput, RequestEntityTooLarge, RequestTimeout
from broker.wire.http import HOST, HttpRequest, HttpResponse, PrefixHandler
from broker.wire.intake import (
    BODY_BYTES_MAX,
    CODE_BYTES_MAX,
    HEAD_BYTES_MAX,
    PARKED_BYTES_MAX,
    SMALL_BYTES,
    UPLOAD_BYTES_MAX,
    Intake,
)
from broker.wire.router import Router

BODY_IDLE_S: Final = 30.0  # a body of which nothing comes for so long is given up
_log = logging.getLogger("pombo.wire")
_transport_log = logging.getLogger("pombo.wire.transport")
_transport_log.setLevel(logging.CRITICAL)  # what malformed HTTP makes aiohttp say is no news

_CARRIES_CODE: Final = re.compile(r"/20\d\d-\d\d-\d\d/(?:functions(?:/[^/]+/code)?|layers/[^/]+/versions)/?(?:\?|$)")


class FullHttp:
    """Connections whose requests are not all plain. Made on the event loop that it serves.

    `base_url`: what queue URLs begin with where a request names no host. `parked`: the room of requests that are being answered.
    """

    def __init__(
        self,
        router: Router,
        prefixes: Mapping[str, PrefixHandler],
        *,
        parked: Intake,
        base_url: Callable[[], str],
        keep_alive_s: float,
    ) -> None:
        self._router = router
        self._prefixes = tuple(prefixes.items())
        self._base_url = base_url
        self._uploads = Intake(UPLOAD_BYTES_MAX)
        self._parked = parked
        self._server = web.Server(
            self._serve,
            access_log=None,
            logger=_transport_log,
            keepalive_timeout=keep_alive_s,
            max_line_size=HEAD_BYTES_MAX,
            max_field_size=HEAD_BYTES_MAX,
            auto_decompress=False,  # content_encoding knows a limit
        )

    def take_over(self, transport: asyncio.Transport, received: bytes) -> None:
        """Serve a connection from here on. `received`: what came of a request that is not answered yet."""
        protocol = self._server()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(received)
        transport.resume_reading()

    async def stop(self, seconds: float) -> None:
        """Let the requests that are being answered finish within that time, and close all connections."""
        self._server.pre_shutdown()
        # aiohttp takes this time twice for a connection: for the reply to finish, and again for its task to end.
        await self._server.shutdown(seconds / 2)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        parked = 0
        try:
            content = request.content
            coding = content_encoding.coding(request.headers.get("Content-Encoding"))
            if coding is None and content.is_eof() and content.total_bytes <= SMALL_BYTES:
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
        if host is not None and not HOST.fullmatch(host):
            # It would come back in queue URLs.
            return self._refuse(request, MalformedInput("The Host header is not a host."))
        wanted = HttpRequest(
            request.method,
            unquote(path) if "%" in path else path,
            query_string,
            headers,
            body,
            f"http://{host}" if host else self._base_url(),
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
    return size if size > SMALL_BYTES else 0


def _plain(status: int, text: bytes) -> HttpResponse:
    """Below AWS's protocols: HTTP's own error, after which the connection is closed."""
    return HttpResponse(status, text, {"Content-Type": "text/plain", "Connection": "close"})
