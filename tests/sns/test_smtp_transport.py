"""Mail servers that misbehave: an attempt ends in time, whatever they do; and mails are written beside the event loop."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from broker.services.sns.names import TopicName
from broker.services.sns.outbox import ATTEMPT_MS, Outcome
from broker.services.sns.outgoing import Outgoing
from broker.services.sns.records import SubscriptionRecord
from broker.services.sns.topic import Subscription
from broker.services.sns.transport import smtp
from broker.services.sns.transport.smtp import SmtpTransport
from tests.sns.mail_server import mail_server

Answer = Callable[[bytes], bytes]
TIMEOUT_S = 0.2


@asynccontextmanager
async def serving(greeting: bytes, answer: Answer) -> AsyncIterator[int]:
    """The port of a server that greets, and answers each line."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(greeting)
            while line := await reader.readline():
                writer.write(answer(line))
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def attempt(port: int, body: str = "hello", timeout_s: float = TIMEOUT_S) -> Outcome:
    topic = TopicName("000000000000", "us-east-1", "t")
    record = SubscriptionRecord(f"{topic.arn}:1", topic, "email", "a@example.com", topic.account, {}, True, "", 0)
    outgoing = Outgoing("Notification", "1", body, 0, "s")
    return await SmtpTransport("127.0.0.1", port, timeout_s).send(Subscription(record, None), outgoing)


def test_an_attempt_ends_before_its_lease() -> None:
    assert smtp.TIMEOUT_S * 1.5 * 1_000 < ATTEMPT_MS


async def test_silence_ends_in_time() -> None:
    async with serving(b"", lambda line: b"") as port:
        outcome = await attempt(port)
    assert (outcome.delivered, outcome.permanent) == (False, False)


async def test_a_server_that_takes_its_time_over_every_answer_ends_in_time() -> None:
    """Each answer comes within the limit, all of them do not: there is one for the whole attempt."""
    answers = iter([b"250 mail.test\r\n", b"250 OK\r\n"])
    async with serving(b"220 mail.test\r\n", lambda line: next(answers, b"")) as port:
        outcome = await attempt(port)
    assert (outcome.delivered, outcome.permanent) == (False, False)


async def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        outcome = await attempt(free.getsockname()[1])
    assert (outcome.delivered, outcome.permanent, outcome.status_code) == (False, False, 0)
    assert outcome.response


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x16\x03\x01\r\n", b"250\r\n"], ids=repr)
async def test_something_else_listens(greeting: bytes) -> None:
    async with serving(greeting, lambda line: b"what?\r\n") as port:
        outcome = await attempt(port)
    assert not outcome.delivered


@pytest.mark.parametrize(("greeting", "permanent"), [(b"421 busy\r\n", False), (b"554 no service\r\n", True)])
async def test_a_server_that_does_not_want_to_talk(greeting: bytes, permanent: bool) -> None:
    async with serving(greeting, lambda line: b"") as port:
        outcome = await attempt(port)
    assert (outcome.delivered, outcome.permanent, outcome.status_code) == (False, permanent, int(greeting[:3]))


async def test_a_mail_is_written_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    write = smtp.write

    def written(name: str, recipient: str, outgoing: Outgoing) -> bytes:
        threads.append(threading.current_thread())
        return write(name, recipient, outgoing)

    monkeypatch.setattr(smtp, "write", written)
    with mail_server() as server:
        outcome = await attempt(int(server.address.rpartition(":")[2]), "a b\n" * 60_000, timeout_s=10)
    assert (outcome.delivered, outcome.status_code, outcome.response) == (True, 250, "Taken")
    assert threads
    assert threading.current_thread() not in threads
