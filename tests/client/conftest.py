"""A client of the worker's broker, and endpoints that answer as a test says. The machine's own AWS settings stay out."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from client.client import Client
from client.clock import ManualClock
from tests.client.endpoint import Endpoint, serving
from tests.conftest import RunningBroker


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory, no AWS variables, no metadata service."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path


@pytest.fixture
def hands() -> ManualClock:
    """The client's clock: lingers, back-off and heartbeats follow it."""
    return ManualClock()


@pytest.fixture
async def client(broker: RunningBroker, account: str, hands: ManualClock) -> AsyncIterator[Client]:
    """The test's client of the broker."""
    async with Client(endpoint_url=broker.url, access_key=account, secret_key="secret", clock=hands) as client:
        yield client


@pytest.fixture
async def url(client: Client) -> str:
    """A standard queue."""
    return await client.create_queue("queue")


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    """An endpoint that answers as it is told."""
    async with serving() as endpoint:
        yield endpoint
