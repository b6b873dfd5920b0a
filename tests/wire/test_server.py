"""The port under bad and large bodies: limits hold, uploads that stand still hold up nobody, every refusal has a request id."""

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator

import pytest

from broker.wire import full_http
from broker.wire import server as server_module
from broker.wire.http import HttpRequest, HttpResponse
from broker.wire.intake import BODY_BYTES_MAX, PARKED_BYTES_MAX, UPLOAD_BYTES_MAX, Intake
from broker.wire.server import Server
from tests.wire.pigeons import REQUEST_ID, seen
from tests.wire.pigeons import router as pigeon_router

BODY = b'{"Name":"Ada"}'


class Reply:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body


class Connection:
    """One connection of a client that writes what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, *parts: bytes) -> None:
        self._writer.write(b"".join(parts))

    def send_head(self, *lines: str, target: str = "Loft.Release", path: str = "/") -> None:
        head = [f"POST {path} HTTP/1.1", "Host: localhost:4566", f"X-Amz-Target: {target}", *lines, "", ""]
        self.send("\r\n".join(head).encode())

    def send_request(self, body: bytes = BODY, *lines: str, path: str = "/") -> None:
        self.send_head(f"Content-Length: {len(body)}", *lines, path=path)
        self.send(body)

    async def reply(self) -> Reply:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return Reply(int(head[0].split()[1]), headers, body)

    async def line(self) -> bytes:
        return await self._reader.readuntil(b"\r\n")

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            pass


class Port:
    """A started server, and connections to it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._connections: list[Connection] = []

    async def connect(self) -> Connection:
        host, _, number = self.server.url.removeprefix("http://").partition(":")
        connection = Connection(*await asyncio.open_connection(host, int(number)))
        self._connections.append(connection)
        return connection

    async def ask(self, body: bytes = BODY, *lines: str, path: str = "/") -> Reply:
        connection = await self.connect()
        connection.send_request(body, *lines, path=path)
        return await connection.reply()

    async def close(self) -> None:
        for connection in self._connections:
            await connection.close()
        await self.server.stop()


async def echo(request: HttpRequest) -> HttpResponse:
    return HttpResponse(200, f"{request.path}?{request.query_string}".encode())


@pytest.fixture
async def port() -> AsyncIterator[Port]:
    server = Server(pigeon_router, host="127.0.0.1", port=0, prefixes={"/echo": echo})
    await server.start()
    port = Port(server)
    yield port
    await port.close()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def test_a_request_is_served(port: Port) -> None:
    reply = await port.ask()
    assert (reply.status, reply.body) == (200, BODY)
    assert reply.headers["x-amzn-requestid"] == REQUEST_ID


@pytest.mark.parametrize(
    ("path", "seen_path"),
    [("/echo/a?b=c%20", "/echo/a?b=c%20"), ("/echo/%C3%A9", "/echo/é?"), ("http://h:1/echo", "/echo?")],
)
async def test_a_prefix_has_its_own_handler(port: Port, path: str, seen_path: str) -> None:
    assert (await port.ask(path=path)).body == seen_path.encode()


async def test_the_callers_host_is_the_base_url(port: Port) -> None:
    await port.ask()
    assert seen.call.base_url == "http://localhost:4566"


@pytest.mark.parametrize("host", ["a b", "a<b", "a/b", "a@b", '"', "a:x", ""])
async def test_an_odd_host_is_refused(port: Port, host: str) -> None:
    connection = await port.connect()
    connection.send(f"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode())
    assert (await connection.reply()).status == 400


async def test_a_body_beyond_the_limit_is_refused_before_it_is_read(port: Port) -> None:
    connection = await port.connect()
    connection.send_head(f"Content-Length: {BODY_BYTES_MAX + 1}", "Expect: 100-continue")
    reply = await connection.reply()
    assert reply.status == 413
    assert b'"com.amazon.coral.service#RequestEntityTooLargeException"' in reply.body
    assert reply.headers["x-amzn-requestid"] == REQUEST_ID
    assert reply.headers["connection"] == "close"


async def test_a_chunked_body_beyond_the_limit_is_refused(port: Port) -> None:
    connection = await port.connect()
    connection.send_head("Transfer-Encoding: chunked")
    connection.send(chunk(b" " * 1_048_576) * (BODY_BYTES_MAX // 1_048_576), chunk(b" "))
    assert (await connection.reply()).status == 413


async def test_a_body_at_the_limit_is_served(port: Port) -> None:
    assert (await port.ask(BODY.ljust(BODY_BYTES_MAX))).status == 200


@pytest.mark.parametrize("lines", [("Content-Encoding: gzip",), ("Content-Encoding: utf-8",), ()])
async def test_codings(port: Port, lines: tuple[str, ...]) -> None:
    body = gzip.compress(BODY, mtime=0) if "gzip" in str(lines) else BODY
    assert (await port.ask(body, *lines)).body == BODY


async def test_a_compressed_body_beyond_the_limit_is_refused(port: Port) -> None:
    reply = await port.ask(gzip.compress(BODY + b" " * BODY_BYTES_MAX, mtime=0), "Content-Encoding: gzip")
    assert reply.status == 413


@pytest.mark.parametrize("body", [b"", BODY, gzip.compress(BODY, mtime=0)[:-1]])
async def test_a_body_that_is_not_compressed_as_it_says_is_refused(port: Port, body: bytes) -> None:
    reply = await port.ask(body, "Content-Encoding: gzip")
    assert reply.status == 400
    assert b"#MalformedInput" in reply.body
    assert reply.headers["x-amzn-requestid"] == REQUEST_ID


class BrokenOff(logging.Handler):
    """Waits for the record of a request that broke off."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if "broke off" in record.getMessage():
            self.seen.set()


@pytest.mark.parametrize("length", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
async def test_a_client_that_leaves_within_a_body_is_no_error(
    port: Port, caplog: pytest.LogCaptureFixture, length: str
) -> None:
    seen.request = None
    broken_off = BrokenOff()
    logger = logging.getLogger("pombo.wire")
    logger.addHandler(broken_off)
    try:
        with caplog.at_level(logging.INFO, "pombo.wire"):
            connection = await port.connect()
            connection.send_head(length, "Expect: 100-continue")
            assert await connection.line() == b"HTTP/1.1 100 Continue\r\n"
            await connection.close()
            await asyncio.wait_for(broken_off.seen.wait(), 10)
    finally:
        logger.removeHandler(broken_off)
    assert [record.levelno for record in caplog.records] == [logging.INFO]
    assert seen.request is None


@pytest.mark.parametrize("sent", [b"", BODY])
async def test_a_body_that_does_not_come_on_is_given_up(
    port: Port, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(full_http, "BODY_IDLE_S", 0.01)
    connection = await port.connect()
    connection.send_head("Content-Length: 100", "Expect: 100-continue")
    await connection.line()
    await connection.line()
    connection.send(sent)
    reply = await asyncio.wait_for(connection.reply(), 10)
    assert reply.status == 408
    assert reply.headers["connection"] == "close"


async def test_uploads_that_stand_still_hold_up_no_small_request(port: Port) -> None:
    for _ in range(UPLOAD_BYTES_MAX // BODY_BYTES_MAX + 2):
        connection = await port.connect()
        connection.send_head("Transfer-Encoding: chunked")
        connection.send(chunk(b" "))
    assert (await port.ask()).status == 200
    slow = await port.connect()
    slow.send_head(f"Content-Length: {len(BODY)}", "Expect: 100-continue")
    assert await asyncio.wait_for(slow.line(), 10) == b"HTTP/1.1 100 Continue\r\n"
    await slow.line()
    slow.send(BODY)
    assert (await slow.reply()).status == 200


async def test_a_reply_that_is_not_read_does_not_hold_up_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_SHUTDOWN_S", 0.2)

    async def deluge(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, bytes(16 * 1_048_576))  # more than the sockets' buffers take

    server = Server(pigeon_router, host="127.0.0.1", port=0, prefixes={"/deluge": deluge})
    await server.start()
    connection = await Port(server).connect()
    connection.send_request(path="/deluge")
    await connection.line()
    loop = asyncio.get_running_loop()
    before_s = loop.time()
    await server.stop()
    assert loop.time() - before_s < 0.3
    await connection.close()


async def test_an_upload_waits_while_others_take_all_the_room(port: Port) -> None:
    uploads = [await port.connect() for _ in range(UPLOAD_BYTES_MAX // BODY_BYTES_MAX)]
    for connection in uploads:
        connection.send_head("Transfer-Encoding: chunked", "Expect: 100-continue")
        assert await connection.line() == b"HTTP/1.1 100 Continue\r\n"
    late = await port.connect()
    late.send_head(f"Content-Length: {100_000}", "Expect: 100-continue")
    assert (await port.ask()).status == 200  # meanwhile
    first = asyncio.ensure_future(late.line())
    await asyncio.sleep(0)
    assert not first.done()
    await uploads[0].line()
    uploads[0].send(chunk(BODY), b"0\r\n\r\n")
    assert (await uploads[0].reply()).status == 200
    assert await first == b"HTTP/1.1 100 Continue\r\n"


async def test_the_intake_lets_in_what_fits_in_the_order_of_asking() -> None:
    intake = Intake(100)
    assert intake.take_at_once(60)
    large, small = asyncio.ensure_future(intake.take(50)), asyncio.ensure_future(intake.take(10))
    await asyncio.sleep(0)
    assert not large.done()
    assert not small.done()
    assert not intake.take_at_once(10), "nobody overtakes"
    intake.give(60)
    await asyncio.gather(large, small)
    assert intake.take_at_once(40)
    assert not intake.take_at_once(1)


async def test_who_stopped_waiting_takes_nothing() -> None:
    intake = Intake(100)
    assert intake.take_at_once(100)
    waiting = asyncio.ensure_future(intake.take(50))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    intake.give(100)
    assert intake.take_at_once(100)


def test_no_single_request_is_larger_than_the_room_there_is() -> None:
    assert 2 * BODY_BYTES_MAX <= UPLOAD_BYTES_MAX
    assert BODY_BYTES_MAX <= PARKED_BYTES_MAX
