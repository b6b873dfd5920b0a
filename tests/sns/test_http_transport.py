"""Endpoints that misbehave: an attempt ends in time, whatever they do, and reads no more of an answer than it needs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from broker.services.sns.names import TopicName
from broker.services.sns.outbox import Outcome
from broker.services.sns.outgoing import Outgoing
from broker.services.sns.records import SubscriptionRecord
from broker.services.sns.topic import Subscription
from broker.services.sns.transport.http import HttpTransport

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
TIMEOUT_S = 0.2


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[str]:
    """The URL of a server that reads a request's head and then does as it likes."""
    tasks: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for task in tasks:
            task.cancel()


def subscription(url: str) -> Subscription:
    topic = TopicName("000000000000", "us-east-1", "t")
    record = SubscriptionRecord(f"{topic.arn}:1", topic, "http", url, topic.account, {}, True, "", 0)
    return Subscription(record, None)


async def attempt(url: str) -> Outcome:
    transport = HttpTransport(TIMEOUT_S)
    try:
        return await transport.send(subscription(url), Outgoing("Notification", "1", "hello", 0))
    finally:
        await transport.close()


async def test_silence_ends_in_time() -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with serving(never) as url:
        assert not (await attempt(url)).delivered


async def test_a_head_that_trickles_ends_in_time() -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X: y\r\n")
            await writer.drain()
            await asyncio.sleep(TIMEOUT_S / 20)

    async with serving(trickle) as url:
        assert not (await attempt(url)).delivered


async def test_an_answer_without_end_counts_by_its_status() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    async with serving(endless) as url:
        outcome = await attempt(url)
    assert outcome.delivered
    assert len(outcome.response) <= 512


async def test_an_answer_whose_body_never_comes_counts_by_its_status() -> None:
    async def hesitant(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        await asyncio.Event().wait()

    async with serving(hesitant) as url:
        assert (await attempt(url)).delivered


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200", b"HTTP/1.1 999999 X\r\n\r\n"])
async def test_an_answer_that_is_none_is_a_failure_to_be_retried(answer: bytes) -> None:
    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    async with serving(odd) as url:
        outcome = await attempt(url)
    assert (outcome.delivered, outcome.permanent) == (False, False)
    assert outcome.response


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://no.such.host.invalid/", "http://[::1]:1/"])
async def test_nobody_there_is_a_failure_to_be_retried(url: str) -> None:
    outcome = await attempt(url)
    assert (outcome.delivered, outcome.permanent, outcome.status_code) == (False, False, 0)


@pytest.mark.parametrize(("status", "permanent"), [(302, False), (400, True), (404, True), (429, False), (500, False)])
async def test_what_a_status_means(status: int, permanent: bool) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} X\r\nLocation: /again\r\nContent-Length: 2\r\n\r\nno".encode())

    async with serving(refuse) as url:
        assert await attempt(url) == Outcome(False, permanent, status, "no")
