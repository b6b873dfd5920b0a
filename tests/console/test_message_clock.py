"""The clock over HTTP where it cannot be moved, and how its errors read."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from broker.app import Broker
from broker.config import Config
from broker.console.message_clock import MessageClock
from broker.console.replies import Refused
from broker.wire.http import HttpRequest


@pytest.fixture
async def following() -> AsyncIterator[MessageClock]:
    """The page of a broker whose clock follows the machine's."""
    broker = Broker(Config(port=0, data=":memory:"))
    await broker.start()
    yield MessageClock(broker.timekeeper)
    await broker.stop()


@pytest.fixture
async def manual() -> AsyncIterator[MessageClock]:
    broker = Broker(Config(port=0, data=":memory:", clock="manual"))
    await broker.start()
    yield MessageClock(broker.timekeeper)
    await broker.stop()


async def ask(page: MessageClock, method: str, body: bytes = b"") -> Any:
    reply = await page.handle(HttpRequest(method, "/_pombo/clock", "", {}, body, "http://localhost:4566"))
    assert reply.status == 200
    return json.loads(reply.body)


async def test_a_system_clock_is_read(following: MessageClock) -> None:
    assert (await ask(following, "GET"))["clock"] == "system"


async def test_a_system_clock_is_not_moved(following: MessageClock) -> None:
    with pytest.raises(Refused, match="--clock manual") as refused:
        await ask(following, "POST", b'{"advance_s": 1}')
    assert refused.value.status == 409


async def test_a_manual_clock_moves_by_fractions_too(manual: MessageClock) -> None:
    before = await ask(manual, "GET")
    assert before["clock"] == "manual"
    assert (await ask(manual, "POST", b'{"advance_s": 0.25}'))["now_ms"] == before["now_ms"] + 250
    assert (await ask(manual, "POST", b'{"advance_s": 0}'))["now_ms"] == before["now_ms"] + 250


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", 'the body is not JSON; expected {"advance_s": SECONDS}'),
        (b"[]", "advance_s is None; expected a number of seconds"),
        (b'{"advance_s": "much"}', "advance_s is 'much'; expected a number of seconds"),
        (b'{"advance_s": -1}', "advance_s is -1; expected a number of seconds from 0"),
        (b'{"advance_s": 1e300}', "advance_s is 1e\\+300; expected a number of seconds from 0"),
    ],
)
async def test_an_error_names_the_field_the_value_and_what_was_expected(
    manual: MessageClock, body: bytes, said: str
) -> None:
    before = await ask(manual, "GET")
    with pytest.raises(Refused, match=said) as refused:
        await ask(manual, "POST", body)
    assert refused.value.status == 400
    assert await ask(manual, "GET") == before


async def test_other_methods_are_refused(manual: MessageClock) -> None:
    with pytest.raises(Refused, match="expected GET or POST") as refused:
        await ask(manual, "DELETE")
    assert refused.value.status == 405
