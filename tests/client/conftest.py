"""A client of the test's account, and a queue."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from client.client import Client
from client.clock import ManualClock
from tests.conftest import RunningBroker


@pytest.fixture
def hands() -> ManualClock:
    """The client's clock: lingers, back-off and heartbeats follow it."""
    return ManualClock()


@pytest_asyncio.fixture
async def client(broker: RunningBroker, account: str, hands: ManualClock) -> AsyncIterator[Client]:
    """A client of the broker."""
    async with Client(
        endpoint_url=broker.url, region="us-east-1", access_key=account, secret_key="secret", clock=hands
    ) as made:
        yield made
