"""Clients of the worker's broker, each test under an account of its own: SNS beside the SQS of tests/sqs."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any, Protocol
from urllib.parse import urlencode

import botocore.session
import pytest
from botocore.config import Config as ClientConfig

from tests.conftest import MessageClock, RunningBroker
from tests.sns.endpoint import Endpoint, endpoint
from tests.sns.topics import Sns, Topic
from tests.sqs.conftest import MakeQueue, eventually, make_queue, queue
from tests.sqs.conftest import make_client as make_sqs_client
from tests.sqs.queues import Queue, Sqs

__all__ = ["MakeQueue", "eventually", "make_queue", "queue"]

_session = botocore.session.Session()  # reads the service model once


def make_client(url: str, account: str, region: str = "us-east-1", *, checked: bool = False) -> Sns:
    """A boto3 client: no retries, short timeouts, and unless `checked` it sends bad parameters as they are."""
    return _session.create_client(
        "sns",
        region_name=region,
        endpoint_url=url,
        aws_access_key_id=account,
        aws_secret_access_key="secret",
        config=ClientConfig(
            retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30, parameter_validation=checked
        ),
    )


class MakeSns(Protocol):
    def __call__(self, account: str = ..., region: str = ...) -> Sns: ...


@pytest.fixture
def sns_of(broker: RunningBroker, account: str) -> Iterator[MakeSns]:
    """Makes clients of other accounts and regions."""
    with ExitStack() as stack:

        def make(account: str = account, region: str = "us-east-1") -> Sns:
            return stack.enter_context(closing(make_client(broker.url, account, region)))

        yield make


@pytest.fixture
def sns(sns_of: MakeSns) -> Sns:
    """The test's client. It checks no parameters itself."""
    return sns_of()


@pytest.fixture
def sqs(broker: RunningBroker, account: str) -> Iterator[Sqs]:
    """SQS of the same account."""
    with closing(make_sqs_client(broker.url, account)) as client:
        yield client


class MakeTopic(Protocol):
    def __call__(self, name: str = ..., **attributes: Any) -> Topic: ...


@pytest.fixture
def make_topic(sns: Sns) -> MakeTopic:
    """Creates topics; names them where the test does not. A FIFO topic's name gets its suffix."""
    numbers = itertools.count(1)

    def make(name: str = "", **attributes: str) -> Topic:
        name = name or f"topic-{next(numbers)}"
        if "FifoTopic" in attributes and not name.endswith(".fifo"):
            name += ".fifo"
        return Topic(sns, sns.create_topic(Name=name, Attributes=attributes)["TopicArn"])

    return make


@pytest.fixture
def topic(make_topic: MakeTopic) -> Topic:
    """A standard topic with AWS's defaults."""
    return make_topic("topic")


@pytest.fixture
def sqs_of_another(broker: RunningBroker, new_account: Callable[[], str]) -> Iterator[Queue]:
    """A queue of an account of its own."""
    with closing(make_sqs_client(broker.url, new_account())) as client:
        yield Queue(client, client.create_queue(QueueName="theirs")["QueueUrl"])


@pytest.fixture
def hook() -> Iterator[Endpoint]:
    """An HTTP endpoint that answers 200 unless told otherwise."""
    with endpoint() as served:
        yield served


@pytest.fixture
def subscribe_hook(hook: Endpoint, clock: MessageClock) -> Callable[..., str]:
    """Subscribes the endpoint to a topic and confirms; the subscription's ARN."""

    def subscribe(topic: Topic, **attributes: str) -> str:
        topic.subscribe("http", hook.url, **attributes)
        clock.advance(0)
        return str(topic.sns.confirm_subscription(TopicArn=topic.arn, Token=hook.token())["SubscriptionArn"])

    return subscribe


class Deliveries(Protocol):
    def __call__(self, **parameters: str | int) -> list[dict[str, Any]]: ...


@pytest.fixture
def deliveries(broker: RunningBroker, account: str) -> Deliveries:
    """Reads GET /_pombo/sns/deliveries of the test's account, the oldest first."""

    def read(**parameters: str | int) -> list[dict[str, Any]]:
        query = urlencode({"Account": account, "Region": "us-east-1"} | parameters)
        return list(broker.request_json("GET", f"/_pombo/sns/deliveries?{query}")["deliveries"])

    return read
