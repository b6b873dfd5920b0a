"""HTTP as SDKs speak it to SQS and SNS: complete POST requests of moderate size on a kept-alive connection, and nothing else.

A connection begins here. httptools reads a head, the body is a slice, the router answers, and one write is the reply: no task, no
stream, no header dictionary for it. The first request that is anything else (another method or path, chunked, compressed, large,
slow, malformed) goes to `full_http` with the connection and all that was read of it, and the connection stays there.
"""

import asyncio
import re
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, TypeVar, cast

import httptools

from broker.clock import wall_time_s
from broker.wire.http import HOST, HttpRequest, HttpResponse
from broker.wire.intake import HEAD_BYTES_MAX, SMALL_BYTES, Intake
from broker.wire.router import Router

SLOW_S: Final = 1.0  # a request that is not complete after so long is not plain
_PLAIN_PATH: Final = re.compile(rb"/(?:(?:queue/[a-z0-9-]+/)?[0-9]{12}/[A-Za-z0-9_.-]+/?)?")
_NOT_PLAIN: Final = frozenset({b"transfer-encoding", b"content-encoding", b"expect", b"upgrade"})
_READ: Final = {  # the headers that an operation of a plain request can look at
    b"host": "host",
    b"content-length": "content-length",
    b"x-amz-target": "x-amz-target",
    b"authorization": "authorization",
    b"x-amzn-trace-id": "x-amzn-trace-id",
}
_REMEMBERED_MAX: Final = 1_000
_PIPELINED_BYTES_MAX: Final = 65_536  # read ahead of the request that is being answered
_JOINED_BYTES_MAX: Final = 65_536  # of a longer body no copy is made to write it together with its head
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}

K = TypeVar("K", bytes, str)
TakeOver = Callable[[asyncio.Transport, bytes], None]


class PlainHttp:
    """What all plain connections share. Made on the event loop that it serves.

    `take_over`: who goes on with a connection, and what was read of its next request. `parked`: the room of requests that are being
    answered.
    """

    def __init__(
        self, router: Router, take_over: TakeOver, *, parked: Intake, base_url: Callable[[], str], keep_alive_s: float
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.router = router
        self.take_over = take_over
        self.parked = parked
        self.base_url = base_url
        self.keep_alive_s = keep_alive_s
        self.stopping = False
        self.connections: set[PlainConnection] = set()
        self._all_gone: asyncio.Future[None] | None = None
        self._date = ""
        self._date_s = 0
        self.names: dict[bytes, str | None] = {}  # what `header` has said of those that clients write
        self._paths: dict[bytes, str | None] = {}
        self._hosts: dict[str, str | None] = {}

    def connect(self) -> "PlainConnection":
        """The protocol of a new connection."""
        return PlainConnection(self)

    async def stop(self, seconds: float) -> None:
        """Close idle connections now, the others after their reply, all of them within that time."""
        self.stopping = True
        for connection in list(self.connections):
            connection.close_when_idle()
        if self.connections:
            self._all_gone = self.loop.create_future()
            timer = self.loop.call_later(seconds, self._abort)
            await self._all_gone
            timer.cancel()

    def gone(self, connection: "PlainConnection") -> None:
        """The connection is closed, or somebody else's."""
        self.connections.discard(connection)
        if not self.connections and self._all_gone is not None and not self._all_gone.done():
            self._all_gone.set_result(None)

    def _abort(self) -> None:
        for connection in list(self.connections):
            connection.abort()

    def header(self, name: bytes) -> str | None:
        """What a header is called here: "" if nobody looks at it, None if it makes a request anything but plain."""
        lower = name.lower()
        return _remember(self.names, name, None if lower in _NOT_PLAIN else _READ.get(lower, ""))

    def path(self, target: bytes) -> str | None:
        """A plain request's path; None for any other."""
        try:
            return self._paths[target]
        except KeyError:
            path = target.decode() if _PLAIN_PATH.fullmatch(target) else None
            return _remember(self._paths, target, path)

    def base_url_of(self, host: str | None) -> str | None:
        """What queue URLs begin with for a caller who named this host; None if it is none."""
        if not host:
            return self.base_url() if host is None else None
        try:
            return self._hosts[host]
        except KeyError:
            return _remember(self._hosts, host, f"http://{host}" if HOST.fullmatch(host) else None)

    def head(self, response: HttpResponse) -> bytes:
        """A reply's status line and headers."""
        now_s = int(wall_time_s())
        if now_s != self._date_s:
            self._date_s = now_s
            self._date = _http_date(now_s)
        lines = "".join([f"{name}: {value}\r\n" for name, value in response.headers.items()])
        return (
            f"{_STATUS_LINES[response.status]}{lines}Content-Length: {len(response.body)}\r\nDate: {self._date}\r\n\r\n"
        ).encode("latin-1")


def _http_date(seconds: int) -> str:
    """RFC 9110's form, whatever the locale."""
    t = time.gmtime(seconds)
    day, month = _DAYS[t.tm_wday], _MONTHS[t.tm_mon - 1]
    return f"{day}, {t.tm_mday:02} {month} {t.tm_year} {t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} GMT"


def _remember(known: dict[K, str | None], key: K, value: str | None) -> str | None:
    if len(known) < _REMEMBERED_MAX:
        known[key] = value
    return value


class PlainConnection(asyncio.Protocol):
    """One connection. Its requests are answered one after the other, in their order."""

    __slots__ = (
        "_shared", "_names", "_transport", "_parser", "_buffer", "_headers", "_target", "_plain", "_body_at", "_end", "_parked",
        "_busy", "_paused", "_unread", "_active_s", "_timer", "_slow",
    )  # fmt: skip

    def __init__(self, shared: PlainHttp) -> None:
        self._shared = shared
        self._transport: asyncio.Transport | None = None
        self._names = shared.names
        self._parser = httptools.HttpRequestParser(self)
        self._buffer = b""  # from the first byte of a request that is not complete, or waits for its turn
        self._headers: dict[str, str] = {}
        self._target = b""
        self._plain = True
        self._body_at = 0  # where the body begins in the buffer, once the head was read
        self._end = 0  # and where it ends
        self._parked = 0
        self._busy = False  # a request is being answered
        self._paused = False
        self._unread = False  # the client does not take its replies
        self._active_s = shared.loop.time()  # when the last reply left
        self._timer: asyncio.TimerHandle | None = None
        self._slow: asyncio.TimerHandle | None = None

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast(asyncio.Transport, transport)
        self._shared.connections.add(self)
        self._timer = self._shared.loop.call_later(self._shared.keep_alive_s, self._look_whether_idle)
        if self._shared.stopping:
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._let_go()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if not self._busy and not self._unread:
            self._advance()
        elif len(self._buffer) > _PIPELINED_BYTES_MAX and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        self._unread = True

    def resume_writing(self) -> None:
        self._unread = False
        self._active_s = self._shared.loop.time()
        if not self._busy:
            self._go_on()

    # What httptools calls

    def on_url(self, target: bytes) -> None:
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        try:
            known = self._names[name]
        except KeyError:
            known = self._shared.header(name)
        if known:
            if known in self._headers:
                self._plain = False  # which of the two counts is not for us to say
            self._headers[known] = value.decode(errors="surrogateescape")
        elif known is None:
            self._plain = False

    # A request

    def _advance(self) -> None:
        """Take the next request from the buffer, if it is complete."""
        buffer = self._buffer
        if not self._end and not self._read_head(buffer):
            return
        if len(buffer) < self._end:
            self._expect_more()
            return
        self._start(buffer)

    def _read_head(self, buffer: bytes) -> bool:
        """Whether a plain request's head is complete; `_body_at` and `_end` are known then."""
        body_at = buffer.find(b"\r\n\r\n") + 4
        if body_at == 3:
            if len(buffer) > HEAD_BYTES_MAX:
                self._hand_over()
            else:
                self._expect_more()
            return False
        self._headers = {}
        self._target = b""
        try:
            self._parser.feed_data(buffer[:body_at])
        except httptools.HttpParserError:
            self._plain = False
        if (
            not self._plain
            or body_at > HEAD_BYTES_MAX
            or self._parser.get_method() != b"POST"
            or self._parser.get_http_version() != "1.1"
            or not self._parser.should_keep_alive()
        ):
            self._hand_over()
            return False
        size = int(self._headers.get("content-length", "0"))
        if size > SMALL_BYTES:
            self._hand_over()
            return False
        self._body_at = body_at
        self._end = body_at + size
        return True

    def _start(self, buffer: bytes) -> None:
        shared = self._shared
        body_at, end = self._body_at, self._end
        path = shared.path(self._target)
        base_url = shared.base_url_of(self._headers.get("host"))
        if path is None or base_url is None or not shared.parked.take_at_once(end - body_at):
            self._hand_over()
            return
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None
        body = buffer[body_at:end]
        if body:
            self._parser.feed_data(body)  # so that it expects a head again
        self._buffer = buffer[end:]
        self._end = 0
        self._parked = end - body_at
        self._busy = True
        shared.router.answer(
            HttpRequest("POST", path, "", self._headers, body, base_url, self._is_connected), self._reply
        )

    def _reply(self, response: HttpResponse) -> None:
        shared = self._shared
        self._busy = False
        shared.parked.give(self._parked)
        self._parked = 0
        self._active_s = shared.loop.time()
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if shared.stopping:
            response.headers["Connection"] = "close"
        head = shared.head(response)
        if len(response.body) <= _JOINED_BYTES_MAX:
            transport.write(head + response.body)
        else:
            transport.writelines((head, response.body))
        if shared.stopping:
            transport.close()
        elif self._buffer or self._paused:
            shared.loop.call_soon(self._go_on)  # not now: the caller is about to write others' replies

    def _go_on(self) -> None:
        """The turn of what was read meanwhile."""
        if self._busy or self._unread or self._transport is None or self._transport.is_closing():
            return
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        if self._buffer:
            self._advance()

    def _is_connected(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    # What is not plain

    def _expect_more(self) -> None:
        if self._slow is None:
            self._slow = self._shared.loop.call_later(SLOW_S, self._give_up_waiting)

    def _give_up_waiting(self) -> None:
        self._slow = None
        if self._transport is not None and not self._transport.is_closing():
            self._hand_over()

    def _hand_over(self) -> None:
        transport, received = self._transport, self._buffer
        assert transport is not None
        self._let_go()
        self._shared.take_over(transport, received)

    # The end

    def _look_whether_idle(self) -> None:
        """One timer for the life of a connection, not one for each request."""
        shared = self._shared
        assert self._transport is not None
        idle_until_s = self._active_s + shared.keep_alive_s
        if self._unread and shared.loop.time() >= idle_until_s:
            self._transport.abort()
        elif self._busy or shared.loop.time() < idle_until_s:
            at_s = max(idle_until_s, shared.loop.time() + shared.keep_alive_s / 2) if self._busy else idle_until_s
            self._timer = shared.loop.call_at(at_s, self._look_whether_idle)
        else:
            self._transport.close()

    def close_when_idle(self) -> None:
        """The server stops: what is being answered may be."""
        if not self._busy and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close it, whatever is still to be written."""
        if self._transport is not None:
            self._transport.abort()

    def _let_go(self) -> None:
        """Timers end, and nothing keeps the connection alive."""
        for timer in (self._timer, self._slow):
            if timer is not None:
                timer.cancel()
        self._timer = self._slow = None
        self._transport = None
        self._buffer = b""
        self._shared.gone(self)
