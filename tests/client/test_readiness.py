"""Waiting for a broker to be up."""

import asyncio
import socket

import pytest

from broker.app import Broker
from broker.config import Config
from client.readiness import NotReady, wait_until_ready
from tests.conftest import RunningBroker


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def test_a_broker_that_serves_is_ready(broker: RunningBroker) -> None:
    assert (await wait_until_ready(broker.url))["services"] == {"sqs": "running", "sns": "running", "lambda": "running"}
    assert await wait_until_ready(broker.url + "/")


async def test_a_broker_that_starts_later_is_waited_for() -> None:
    later = Broker(Config(port=free_port(), data=":memory:"))
    waiting = asyncio.create_task(wait_until_ready(f"http://127.0.0.1:{later.config.port}"))
    await asyncio.sleep(0)
    assert not waiting.done()
    await later.start()
    try:
        assert await waiting
    finally:
        await later.stop()


async def test_where_nothing_serves_it_is_said_where_and_how_long() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(NotReady, match=rf"{url} was not ready within 0.05 s: .*[Cc]onnect"):
        await wait_until_ready(url, within_s=0.05)
