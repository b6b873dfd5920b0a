"""What is made of a published message once, however many subscriptions get it: large ones must not hold up the event loop."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from broker.services.sns import publication as publication_module
from broker.services.sns.names import TopicName
from broker.services.sns.publication import Groundwork, Publication
from broker.services.sns.records import Published, TopicRecord
from broker.services.sns.topic import Topic
from tests.core.bench import Bench

NAME = TopicName("000000000000", "us-east-1", "t")


@pytest.fixture
def topic() -> Topic:
    return Topic(TopicRecord(NAME, 1, 0, {}, {}), Bench().ledger, new=True)


def counted(calls: list[Any], function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        calls.append(arguments)
        return function(*arguments)

    return call


def test_what_is_signed_is_written_once(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(publication_module, "notification_text", counted(calls, publication_module.notification_text))
    publication = Publication(Published("id", "hello", 0), topic, Groundwork(""))
    for _ in range(3):
        assert publication.envelope("sqs") is None
        assert publication.event() is None
    assert (len(calls), len(publication.unsigned)) == (1, 1)


def test_functions_share_an_event_but_for_what_is_their_own(topic: Topic) -> None:
    unsigned = Publication(Published("id", "hello", 0), topic, Groundwork(""))
    assert unsigned.event() is None
    (text,) = unsigned.unsigned
    signed = Groundwork("http://here", "http://here/cert.pem", {("1", text): "c2lnbmF0dXJl"})
    publication = Publication(Published("id", "hello", 0), topic, signed)
    event = publication.event()
    assert event is not None
    assert publication.event() is event
    (record,) = json.loads(event.document("arn:one", "http://one"))["Records"]
    assert (record["EventSubscriptionArn"], record["Sns"]["UnsubscribeUrl"]) == ("arn:one", "http://one")
    assert (record["Sns"]["Message"], record["Sns"]["Signature"]) == ("hello", "c2lnbmF0dXJl")
