"""A broker in this process: one per pytest worker, on a free port of the loopback interface, its clock moved by hand.

Tests share it and stay apart by account, so nothing is torn down between them. They reach it over HTTP only, as a user would.
"""

import asyncio
import http.client
import itertools
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvloop

from broker.app import Broker
from broker.config import Config
from broker.core import engine

_START_S = 20
COMPILED = not str(engine.__file__).endswith(".py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Compiled code has its constants built in: a test that replaces one is the interpreter's."""
    for item in items:
        if COMPILED and item.get_closest_marker("interpreted"):
            item.add_marker(pytest.mark.skip(reason="replaces a constant that compiled code has built in"))


@dataclass(frozen=True)
class RunningBroker:
    """A broker that serves on a thread of its own."""

    url: str

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    @property
    def netloc(self) -> str:
        host, port = self.address
        return f"{host}:{port}"

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own: status, headers by lower-case name, body."""
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            reply = connection.getresponse()
            return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
        finally:
            connection.close()

    def request_json(self, method: str, path: str, payload: Any = None) -> Any:
        """One request to an endpoint of our own that must answer 200 with JSON."""
        body = None if payload is None else json.dumps(payload).encode()
        status, _, answer = self.request(method, path, body, {"Content-Type": "application/json"})
        assert status == 200, (status, answer)
        return json.loads(answer) if answer else None

    def settle(self) -> None:
        """Let the broker read what has been sent to it so far: its loop serves in turn, so three later requests see to it."""
        for _ in range(3):
            self.request("GET", "/health")


@dataclass(frozen=True)
class MessageClock:
    """The message time of a broker that runs with `--clock manual`."""

    broker: RunningBroker

    def advance(self, seconds: float) -> None:
        """Move message time on; returns when everything that falls due meanwhile has been done."""
        self.broker.request_json("POST", "/_pombo/clock", {"advance_s": seconds})


def serve(**settings: Any) -> Iterator[RunningBroker]:
    """Run a broker until the generator is closed. `settings`: those of Config that differ."""
    loop = uvloop.new_event_loop()
    broker = Broker(Config(**{"port": 0, "data": ":memory:", "clock": "manual"} | settings))
    thread = threading.Thread(target=loop.run_forever, name="broker", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(broker.start(), loop).result(_START_S)
        try:
            yield RunningBroker(broker.url)
        finally:
            asyncio.run_coroutine_threadsafe(broker.stop(), loop).result(_START_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_START_S)
        loop.close()


@pytest.fixture(scope="session")
def broker() -> Iterator[RunningBroker]:
    """The worker's broker."""
    yield from serve()


@pytest.fixture(scope="session")
def broker_with_cooldowns() -> Iterator[RunningBroker]:
    """A broker that keeps AWS's 60-second waits."""
    yield from serve(cooldowns=True)


@pytest.fixture
def clock(broker: RunningBroker) -> MessageClock:
    return MessageClock(broker)


@pytest.fixture(scope="session")
def new_account() -> Callable[[], str]:
    """Makes account ids that no other test of this run uses."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    numbers = itertools.count(1)
    return lambda: f"{100 + worker:03d}{next(numbers):09d}"


@pytest.fixture
def account(new_account: Callable[[], str]) -> str:
    """The test's own account."""
    return new_account()
