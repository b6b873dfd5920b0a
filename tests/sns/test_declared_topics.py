"""Topics and subscriptions that pombo.toml declares: made at start, left alone afterwards, refused by name where they are wrong."""

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from broker.config import load
from broker.declared import ConfigError
from tests.conftest import MessageClock, RunningBroker, serve
from tests.sns.conftest import make_client
from tests.sns.deliveries import captured
from tests.sns.endpoint import endpoint
from tests.sns.topics import Sns, subscription_attributes
from tests.sqs.conftest import make_client as make_sqs_client
from tests.sqs.queues import Queue

ACCOUNT = "000000000000"
TOPICS = f"arn:aws:sns:us-east-1:{ACCOUNT}"

serving = contextmanager(serve)


@contextmanager
def declared(text: str, data: Path | str = ":memory:") -> Iterator[RunningBroker]:
    """A broker that was started with this pombo.toml."""
    with serving(**settings(text), data=str(data)) as running:
        yield running


def settings(text: str) -> dict[str, Any]:
    """What a pombo.toml of this text declares."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "pombo.toml"
        file.write_text(text)
        config = load({}, {}, str(file))
    return {"queues": config.queues, "topics": config.topics}


@contextmanager
def clients(running: RunningBroker, account: str = ACCOUNT, region: str = "us-east-1") -> Iterator[tuple[Sns, Any]]:
    with (
        closing(make_client(running.url, account, region)) as sns,
        closing(make_sqs_client(running.url, account)) as sqs,
    ):
        yield sns, sqs


NEWS = """
[queues.all]
[queues.urgent]

[topics.news]
attributes = { DisplayName = "The news", SignatureVersion = 2 }
tags = { team = "blue" }

[[topics.news.subscriptions]]
queue = "all"
attributes = { RawMessageDelivery = true }

[[topics.news.subscriptions]]
queue = "urgent"
attributes = { FilterPolicy = '{"level":["urgent"]}' }

[[topics.news.subscriptions]]
protocol = "sms"
endpoint = "+41791234567"
"""


def test_they_exist_when_the_broker_is_ready() -> None:
    with declared(NEWS) as running, clients(running) as (sns, sqs):
        arn = f"{TOPICS}:news"
        attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        assert (attributes["DisplayName"], attributes["SignatureVersion"]) == ("The news", "2")
        assert sns.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "blue"}]
        listed = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
        assert {(one["Protocol"], one["Endpoint"].rpartition(":")[2]) for one in listed} == {
            ("sqs", "all"),
            ("sqs", "urgent"),
            ("sms", "+41791234567"),
        }
        sns.publish(TopicArn=arn, Message="hello")
        sns.publish(
            TopicArn=arn,
            Message="fire",
            MessageAttributes={"level": {"DataType": "String", "StringValue": "urgent"}},
        )
        queues = [Queue(sqs, sqs.get_queue_url(QueueName=name)["QueueUrl"]) for name in ("all", "urgent")]
        assert queues[0].receive_bodies() == ["hello", "fire"]
        assert [json.loads(body)["Message"] for body in queues[1].receive_bodies()] == ["fire"]
        assert [one["Payload"] for one in captured(running, ACCOUNT)] == ["hello", "fire"]


def test_a_fifo_topic() -> None:
    text = """
[queues."ordered.fifo"]
attributes = { FifoQueue = true }
[topics."ordered.fifo"]
attributes = { FifoTopic = true, ContentBasedDeduplication = true }
[[topics."ordered.fifo".subscriptions]]
queue = "ordered.fifo"
"""
    with declared(text) as running, clients(running) as (sns, sqs):
        for message in ("a", "b", "a"):
            sns.publish(TopicArn=f"{TOPICS}:ordered.fifo", Message=message, MessageGroupId="g")
        queue = Queue(sqs, sqs.get_queue_url(QueueName="ordered.fifo")["QueueUrl"])
        assert [json.loads(body)["Message"] for body in queue.receive_bodies()] == ["a", "b"]


def test_an_account_and_a_region_may_be_named() -> None:
    text = '[topics.abroad]\naccount = "123456789012"\nregion = "eu-west-1"\n'
    with declared(text) as running, clients(running, "123456789012", "eu-west-1") as (sns, _):
        assert sns.list_topics()["Topics"] == [{"TopicArn": "arn:aws:sns:eu-west-1:123456789012:abroad"}]


def test_an_endpoint_is_asked_to_confirm_once_the_broker_is_ready() -> None:
    with endpoint() as hook:
        text = f'[topics.news]\n[[topics.news.subscriptions]]\nprotocol = "http"\nendpoint = "{hook.url}"\n'
        with declared(text) as running, clients(running) as (sns, _):
            MessageClock(running).advance(0)
            document = hook.requests[0].document
            assert document["SubscribeURL"].startswith(f"{running.url}/?Action=ConfirmSubscription&")
            reply = sns.confirm_subscription(TopicArn=f"{TOPICS}:news", Token=document["Token"])
            assert subscription_attributes(sns, reply["SubscriptionArn"])["PendingConfirmation"] == "false"


def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    with declared(NEWS, tmp_path) as running, clients(running) as (sns, _):
        before = sns.list_subscriptions()["Subscriptions"]
        sns.set_topic_attributes(TopicArn=f"{TOPICS}:news", AttributeName="DisplayName", AttributeValue="Renamed")
    with declared(NEWS, tmp_path) as running, clients(running) as (sns, _):
        assert sns.list_subscriptions()["Subscriptions"] == before
        assert len(before) == 3
        attributes = sns.get_topic_attributes(TopicArn=f"{TOPICS}:news")["Attributes"]
        assert attributes["DisplayName"] == "Renamed", "what exists is the user's"
        assert len(sns.list_topics()["Topics"]) == 1


def test_a_pending_endpoint_is_not_asked_again_at_every_start(tmp_path: Path) -> None:
    with endpoint() as hook:
        text = f'[topics.news]\n[[topics.news.subscriptions]]\nprotocol = "http"\nendpoint = "{hook.url}"\n'
        for _ in range(2):
            with declared(text, tmp_path) as running:
                MessageClock(running).advance(0)
        assert len(hook.requests) == 1


def test_what_is_declared_later_is_added(tmp_path: Path) -> None:
    with declared('[topics.news]\n[queues.all]\n[[topics.news.subscriptions]]\nqueue = "all"\n', tmp_path):
        pass
    more = NEWS + "\n[topics.more]\n"
    with declared(more, tmp_path) as running, clients(running) as (sns, _):
        assert len(sns.list_topics()["Topics"]) == 2
        assert len(sns.list_subscriptions()["Subscriptions"]) == 3


REFUSED = [
    ('[topics."a b"]\n', "pombo.toml: topics.a b: Invalid parameter: Topic Name"),
    ('[topics."a.fifo"]\n', "pombo.toml: topics.a.fifo: Invalid parameter: Topic Name"),
    ("[topics.a]\nattributes = { FifoTopic = true }\n", "pombo.toml: topics.a: Invalid parameter: Topic Name"),
    (
        "[topics.a]\nattributes = { Colour = 'blue' }\n",
        "pombo.toml: topics.a: Invalid parameter: Attributes Reason: Unknown attribute Colour",
    ),
    (
        '[topics.a]\n[[topics.a.subscriptions]]\nprotocol = "pigeon"\nendpoint = "x"\n',
        "pombo.toml: topics.a.subscriptions[0]: Invalid parameter: Amazon SNS does not support this protocol string: pigeon",
    ),
    (
        "[queues.q]\n[topics.a]\n[[topics.a.subscriptions]]\nqueue = 'q'\n[[topics.a.subscriptions]]\n"
        "protocol = 'http'\nendpoint = 'https://example.com'\n",
        "pombo.toml: topics.a.subscriptions[1]: Invalid parameter: Endpoint must match the specified protocol",
    ),
    (
        "[queues.q]\n[topics.a]\n[[topics.a.subscriptions]]\nqueue = 'q'\nattributes = { FilterPolicy = '{' }\n",
        "pombo.toml: topics.a.subscriptions[0]: Invalid parameter: Attributes Reason: FilterPolicy: ",
    ),
    (
        "[topics.a]\n[[topics.a.subscriptions]]\nqueue = 'q.fifo'\n",
        "pombo.toml: topics.a.subscriptions[0]: Invalid parameter: Invalid parameter: Endpoint Reason: FIFO SQS Queues",
    ),
]


@pytest.mark.parametrize(("text", "said"), REFUSED, ids=[text for text, _ in REFUSED])
def test_what_aws_would_refuse_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(said)}"), declared(text):
        pass


MISWRITTEN = [
    ("[topics.a]\ncolour = 'blue'\n", "topics.a.colour is not known; expected one of "),
    ("[topics.a]\nattributes = 'x'\n", "topics.a.attributes is 'x'; expected a table"),
    ("[topics.a]\naccount = '1'\n", "topics.a.account is '1'; expected 12 digits"),
    ("[topics.a]\nsubscriptions = 'q'\n", "topics.a.subscriptions is 'q'; expected tables [[topics.a.subscriptions]]"),
    (
        "[topics.a]\n[[topics.a.subscriptions]]\n",
        "topics.a.subscriptions[0] has no endpoint; expected queue, or protocol and endpoint",
    ),
    (
        "[topics.a]\n[[topics.a.subscriptions]]\nprotocol = 'sqs'\n",
        "topics.a.subscriptions[0] has protocol; expected queue, or protocol and endpoint",
    ),
    (
        "[topics.a]\n[[topics.a.subscriptions]]\nqueue = 5\n",
        "topics.a.subscriptions[0].queue is 5; expected a text",
    ),
    ("[topics]\na = 'x'\n", "topics.a is 'x'; expected a table"),
    ("topics = 'x'\n", "topics is 'x'; expected tables [topics.NAME]"),
]


@pytest.mark.parametrize(("text", "said"), MISWRITTEN, ids=[text for text, _ in MISWRITTEN])
def test_what_is_written_wrong_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        settings(text)


def test_a_bad_subscription_leaves_the_broker_unstarted_and_is_made_once_it_is_right(tmp_path: Path) -> None:
    wrong = NEWS.replace('"+41791234567"', '"no number"')
    with pytest.raises(ConfigError, match=re.escape("topics.news.subscriptions[2]")), declared(wrong, tmp_path):
        pass
    with declared(NEWS, tmp_path) as running, clients(running) as (sns, _):
        assert len(sns.list_subscriptions()["Subscriptions"]) == 3
