"""Clients of the worker's broker, each test under an account of its own."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any, Protocol

import botocore.session
import pytest
from botocore.config import Config as ClientConfig

from tests.conftest import MessageClock, RunningBroker
from tests.sqs.queues import Queue, Sqs
from tests.sqs.wire_clients import JsonClient, QueryClient

_session = botocore.session.Session()  # reads the service model once


def make_client(url: str, account: str, region: str = "us-east-1", *, checked: bool = False, **more: Any) -> Sqs:
    """A boto3 client: no retries, short timeouts, and unless `checked` it sends bad parameters as they are."""
    return _session.create_client(
        "sqs",
        region_name=region,
        endpoint_url=url,
        aws_access_key_id=account,
        aws_secret_access_key="secret",
        config=ClientConfig(
            retries={"total_max_attempts": 1},
            connect_timeout=5,
            read_timeout=30,
            parameter_validation=checked,
            **more,
        ),
    )


class MakeClient(Protocol):
    def __call__(self, account: str = ..., region: str = ..., **more: Any) -> Sqs: ...


@pytest.fixture
def client_of(broker: RunningBroker, account: str) -> Iterator[MakeClient]:
    """Makes clients of other accounts and regions."""
    with ExitStack() as stack:

        def make(account: str = account, region: str = "us-east-1", **more: Any) -> Sqs:
            return stack.enter_context(closing(make_client(broker.url, account, region, **more)))

        yield make


@pytest.fixture
def sqs(client_of: MakeClient) -> Sqs:
    """The test's client. It checks no parameters itself."""
    return client_of()


@pytest.fixture
def sqs_json(broker: RunningBroker, account: str) -> JsonClient:
    """The same account, JSON replies as they are."""
    return JsonClient(broker.address, account)


@pytest.fixture
def sqs_query(broker: RunningBroker, account: str) -> QueryClient:
    """The same account through the Query protocol."""
    return QueryClient(broker.address, account)


class MakeQueue(Protocol):
    def __call__(self, name: str = ..., **attributes: str) -> Queue: ...


@pytest.fixture
def make_queue(sqs: Sqs) -> MakeQueue:
    """Creates queues; names them where the test does not. A FIFO queue's name gets its suffix."""
    numbers = itertools.count(1)

    def make(name: str = "", **attributes: str) -> Queue:
        name = name or f"queue-{next(numbers)}"
        if "FifoQueue" in attributes and not name.endswith(".fifo"):
            name += ".fifo"
        return Queue(sqs, sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])

    return make


@pytest.fixture
def queue(make_queue: MakeQueue) -> Queue:
    """A standard queue with AWS's defaults."""
    return make_queue("queue")


@pytest.fixture
def fifo(make_queue: MakeQueue) -> Queue:
    """A FIFO queue with AWS's defaults."""
    return make_queue("fifo", FifoQueue="true")


@pytest.fixture
def sqs_with_cooldowns(broker_with_cooldowns: RunningBroker, account: str) -> Iterator[Sqs]:
    """A client of the broker that keeps AWS's 60-second waits."""
    with closing(make_client(broker_with_cooldowns.url, account)) as client:
        yield client


@pytest.fixture
def cooldown_clock(broker_with_cooldowns: RunningBroker) -> MessageClock:
    return MessageClock(broker_with_cooldowns)


Eventually = Callable[[Callable[[], bool]], None]


@pytest.fixture
def eventually() -> Eventually:
    """Ask again until work that goes on beside requests (in slices) is done. Each question is a round trip, none a sleep."""

    def ask(done: Callable[[], bool]) -> None:
        for _ in range(2_000):
            if done():
                return
        raise AssertionError("the work was not done after 2,000 questions")

    return ask
