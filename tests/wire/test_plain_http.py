"""Plain requests are answered without aiohttp; whatever is not plain reaches it whole, on the same connection."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from broker.core.errors import MissingParameter
from broker.services.context import Call
from broker.services.operation import Service
from broker.wire import plain_http
from broker.wire import server as server_module
from broker.wire.intake import HEAD_BYTES_MAX, SMALL_BYTES
from broker.wire.router import Router
from broker.wire.server import Server
from tests.wire.pigeons import RestRequest, not_of_its_type, runtime
from tests.wire.test_server import BODY, Connection, Port, Reply, chunk, echo

NAMES = b'{"Text":"%d"}'


class Loft:
    """A service whose one operation is answered when the test says so, or at once."""

    def __init__(self) -> None:
        self.gate: asyncio.Event | None = None
        self.begun = 0
        self.calls: list[Call] = []
        service = Service(
            "loft", "Loft", "2026-11-24", "http://loft.example/", missing=MissingParameter, invalid=not_of_its_type
        )

        @service.operation("Say", _Text, _Text)
        async def say(call: Call, request: _Text) -> _Text:
            self.begun += 1
            self.calls.append(call)
            if self.gate is not None:
                await self.gate.wait()
            return _Text(text=request.text * request.times)

        self.router = Router([service], runtime)  # type: ignore[arg-type]


class _Text(RestRequest, rename="pascal", kw_only=True):
    text: str = ""
    times: int = 1


@pytest.fixture
def loft() -> Loft:
    return Loft()


@pytest.fixture
async def port(loft: Loft) -> AsyncIterator[Port]:
    server = Server(loft.router, host="127.0.0.1", port=0, prefixes={"/echo": echo})
    await server.start()
    port = Port(server)
    yield port
    await port.close()


def request(number: int, *lines: str, body: bytes | None = None, start: str = "POST / HTTP/1.1") -> bytes:
    body = NAMES % number if body is None else body
    head = [start, "Host: localhost:4566", "X-Amz-Target: Loft.Say", *lines]
    if not any(line.lower().startswith("transfer-encoding") for line in lines):
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode() + body


def is_plain(reply: Reply) -> bool:
    return "server" not in reply.headers


async def next_reply(connection: Connection) -> Reply:
    return await asyncio.wait_for(connection.reply(), 10)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (what the other side of a socket does)
            await asyncio.sleep(0.001)


async def settled(port: Port) -> None:
    """The loop serves in turn: when it has answered three later requests, it has done what it could of the earlier ones."""
    for _ in range(3):
        connection = await port.connect()
        connection.send(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await next_reply(connection)).status == 200
        await connection.close()


async def test_a_plain_request_is_answered_without_aiohttp(port: Port) -> None:
    connection = await port.connect()
    for number in (1, 2):
        connection.send(request(number))
        reply = await next_reply(connection)
        assert is_plain(reply)
        assert (reply.status, reply.body) == (200, b'{"Text":"%d","Times":1}' % number)
        assert reply.headers["content-type"] == "application/x-amz-json-1.0"
        assert reply.headers["date"].endswith(" GMT")


@pytest.mark.parametrize(
    "path", ["/", "/000000000000/loft", "/000000000000/loft.fifo/", "/queue/eu-west-1/000000000000/loft"]
)
@pytest.mark.parametrize("lines", [(), ("Connection: keep-alive",), ("content-TYPE: application/x-amz-json-1.0",)])
async def test_what_sdks_send_is_plain(port: Port, path: str, lines: tuple[str, ...]) -> None:
    connection = await port.connect()
    connection.send(request(1, *lines, start=f"POST {path} HTTP/1.1"))
    assert is_plain(await next_reply(connection))


NOT_PLAIN = {
    "chunked": request(1, "Transfer-Encoding: chunked", body=chunk(NAMES % 1) + b"0\r\n\r\n"),
    "coded": request(1, "Content-Encoding: identity"),
    "a large body": request(1, body=(NAMES % 1).ljust(SMALL_BYTES + 1)),
    "a query string": request(1, start="POST /?a=b HTTP/1.1"),
    "an escaped path": request(1, start="POST /000000000000/%6coft HTTP/1.1"),
    "an absolute target": request(1, start="POST http://localhost:4566/ HTTP/1.1"),
}


@pytest.mark.parametrize("sent", NOT_PLAIN.values(), ids=NOT_PLAIN)
async def test_what_is_not_plain_is_answered_by_aiohttp(port: Port, sent: bytes) -> None:
    connection = await port.connect()
    connection.send(request(0))
    assert is_plain(await next_reply(connection))
    connection.send(sent)
    reply = await next_reply(connection)
    assert not is_plain(reply)
    assert (reply.status, reply.body) == (200, b'{"Text":"1","Times":1}')
    connection.send(request(2))
    reply = await next_reply(connection)
    assert not is_plain(reply), "and the connection stays there"
    assert reply.body == b'{"Text":"2","Times":1}'


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 200),
        (request(1, start="PUT / HTTP/1.1"), 405),
        (request(1, start="POST / HTTP/1.0"), 200),
        (request(1, "Connection: close"), 200),
        (request(1, "Host: other"), 400),
        (request(1, "Content-Length: 1"), 400),
        (request(1, "Transfer-Encoding: chunked", "Content-Length: 1"), 400),
        (request(1, f"X: {'x' * 2 * HEAD_BYTES_MAX}"), 400),
        (request(1, " folded: 1"), 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"\x16\x03\x01\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
    ],
)
async def test_odd_and_malformed_requests_are_left_to_aiohttp(port: Port, sent: bytes, status: int) -> None:
    connection = await port.connect()
    connection.send(sent)
    reply = await next_reply(connection)
    assert not is_plain(reply)
    assert reply.status == status


async def test_pipelined_requests_are_answered_one_after_the_other_in_order(port: Port, loft: Loft) -> None:
    loft.gate = asyncio.Event()
    connection = await port.connect()
    connection.send(*(request(number) for number in range(50)))
    await until(lambda: loft.begun)
    await settled(port)
    assert loft.begun == 1
    loft.gate.set()
    assert [(await next_reply(connection)).body for _ in range(50)] == [
        b'{"Text":"%d","Times":1}' % n for n in range(50)
    ]


@pytest.mark.parametrize("odd_at", [0, 1, 5, 9])
async def test_a_pipeline_with_an_odd_request_in_it_loses_nothing(port: Port, odd_at: int) -> None:
    connection = await port.connect()
    sent = [request(number) for number in range(10)]
    body = NAMES % odd_at
    sent[odd_at] = request(odd_at, "Transfer-Encoding: chunked", body=chunk(body[:3]) + chunk(body[3:]) + b"0\r\n\r\n")
    connection.send(*sent)
    assert [(await next_reply(connection)).body for _ in range(10)] == [
        b'{"Text":"%d","Times":1}' % n for n in range(10)
    ]


@pytest.mark.parametrize("seed", range(5))
async def test_where_the_network_cuts_is_of_no_consequence(port: Port, seed: int) -> None:
    chance = random.Random(seed)
    connection = await port.connect()
    sent = b"".join(request(number) for number in range(20))
    at = 0
    while at < len(sent):
        size = chance.choice((1, 2, 10, 100, 400))
        connection.send(sent[at : at + size])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        at += size
    replies = [await next_reply(connection) for _ in range(20)]
    assert [reply.body for reply in replies] == [b'{"Text":"%d","Times":1}' % n for n in range(20)]
    assert all(map(is_plain, replies))


@pytest.mark.interpreted
@pytest.mark.parametrize("cut", [1, 30, -1], ids=["in the request line", "in a header", "in the body"])
async def test_a_slow_request_is_left_to_aiohttp_with_what_came_of_it(
    port: Port, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    monkeypatch.setattr(plain_http, "SLOW_S", 0.01)
    connection = await port.connect()
    sent = request(1)
    connection.send(sent[:cut])
    await asyncio.sleep(0.05)
    connection.send(sent[cut:])
    reply = await next_reply(connection)
    assert not is_plain(reply)
    assert reply.body == b'{"Text":"1","Times":1}'


async def test_much_that_is_read_ahead_waits_in_the_network(port: Port, loft: Loft) -> None:
    loft.gate = asyncio.Event()
    connection = await port.connect()
    sent = [request(number, body=(NAMES % number).ljust(50_000)) for number in range(20)]
    connection.send(*sent)
    await until(lambda: loft.begun)
    loft.gate.set()
    assert [(await next_reply(connection)).body for _ in range(20)] == [
        b'{"Text":"%d","Times":1}' % n for n in range(20)
    ]


@pytest.mark.parametrize("size", [65_000, 66_000, 1_000_000])
async def test_a_large_reply_is_whole(port: Port, size: int) -> None:
    connection = await port.connect()
    connection.send(request(0, body=b'{"Text":"x","Times":%d}' % size))
    reply = await next_reply(connection)
    assert is_plain(reply)
    assert reply.body == b'{"Text":"%s","Times":1}' % (b"x" * size)


async def test_a_handler_sees_that_its_caller_has_gone(port: Port, loft: Loft) -> None:
    loft.gate = asyncio.Event()
    connection = await port.connect()
    connection.send(request(1))
    await until(lambda: loft.calls)
    assert loft.calls[0].connected()
    await connection.close()
    await until(lambda: not loft.calls[0].connected())
    loft.gate.set()
    assert (await port.ask(BODY)).status == 400, "the port goes on"


async def test_a_client_that_does_not_read_is_not_answered_further(port: Port, loft: Loft) -> None:
    connection = await port.connect()
    connection.send(*(request(0, body=b'{"Text":"x","Times":1000000}') for _ in range(50)))
    await until(lambda: loft.begun)
    await settled(port)
    assert loft.begun < 50
    for _ in range(50):
        assert len((await next_reply(connection)).body) > 1_000_000
    assert loft.begun == 50


async def test_an_idle_connection_is_closed(loft: Loft, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "KEEP_ALIVE_S", 0.1)
    server = Server(loft.router, host="127.0.0.1", port=0)
    await server.start()
    connection = await Port(server).connect()
    connection.send(request(1))
    await next_reply(connection)
    with pytest.raises(asyncio.IncompleteReadError):
        await next_reply(connection)
    await connection.close()
    await server.stop()


async def test_a_connection_that_waits_for_its_reply_is_not_idle(loft: Loft, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "KEEP_ALIVE_S", 0.05)
    loft.gate = asyncio.Event()
    server = Server(loft.router, host="127.0.0.1", port=0)
    await server.start()
    connection = await Port(server).connect()
    connection.send(request(1))
    await asyncio.sleep(0.2)
    loft.gate.set()
    assert (await next_reply(connection)).status == 200
    await connection.close()
    await server.stop()


async def test_stopping_answers_what_is_under_way_and_closes_the_rest(port: Port, loft: Loft) -> None:
    loft.gate = asyncio.Event()
    idle, waiting = await port.connect(), await port.connect()
    waiting.send(request(1))
    await until(lambda: loft.begun)
    stopping = asyncio.ensure_future(port.server.stop())
    with pytest.raises(asyncio.IncompleteReadError):
        await next_reply(idle)
    loft.gate.set()
    reply = await next_reply(waiting)
    assert reply.headers["connection"] == "close"
    assert reply.body == b'{"Text":"1","Times":1}'
    with pytest.raises(asyncio.IncompleteReadError):
        await next_reply(waiting)
    await stopping


async def test_a_request_that_finds_no_room_waits_for_some(loft: Loft, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "PARKED_BYTES_MAX", 100)
    loft.gate = asyncio.Event()
    server = Server(loft.router, host="127.0.0.1", port=0)
    await server.start()
    first, second = await Port(server).connect(), await Port(server).connect()
    first.send(request(1, body=(NAMES % 1).ljust(80)))
    await until(lambda: loft.begun == 1)
    second.send(request(2, body=(NAMES % 2).ljust(80)))
    for _ in range(50):  # both ends are on this loop; a later request would not overtake this one
        await asyncio.sleep(0)
    assert loft.begun == 1
    loft.gate.set()
    assert (await next_reply(first)).status == (await next_reply(second)).status == 200
    await first.close()
    await second.close()
    await server.stop()


async def test_what_needs_aiohttp_before_it_is_imported_waits_for_it(
    loft: Loft, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = threading.Event()
    import_module = server_module.importlib.import_module

    def slowly(name: str) -> Any:
        assert imported.wait(10)
        return import_module(name)

    monkeypatch.setattr(server_module.importlib, "import_module", slowly)
    server = Server(loft.router, host="127.0.0.1", port=0, prefixes={"/echo": echo})
    await server.start()
    plain, odd, gone = [await Port(server).connect() for _ in range(3)]
    for connection in (odd, gone):
        connection.send(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /echo?2 HTTP/1.1\r\nHost: a\r\n\r\n")
    plain.send(request(1))
    assert is_plain(await next_reply(plain))
    await gone.close()
    imported.set()
    assert [(await next_reply(odd)).body for _ in range(2)] == [b"/echo?", b"/echo?2"]
    for connection in (plain, odd):
        await connection.close()
    await server.stop()
