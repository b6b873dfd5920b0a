"""Subscribe, Unsubscribe, the lists, and what subscriptions show. Source: SNS API Reference; B1, B2."""

import json

import pytest

from broker.services.sns import policy_limits
from tests.sns.conftest import MakeSns, MakeTopic
from tests.sns.topics import Topic, subscription_attributes
from tests.sqs.conftest import MakeQueue
from tests.sqs.queues import Queue, refused


def test_a_queue_of_the_same_account_needs_no_confirmation(topic: Topic, queue: Queue, account: str) -> None:
    reply = topic.sns.subscribe(TopicArn=topic.arn, Protocol="sqs", Endpoint=queue.arn)
    arn = reply["SubscriptionArn"]
    assert arn.startswith(f"{topic.arn}:")
    assert topic.subscriptions() == [
        {"SubscriptionArn": arn, "Owner": account, "Protocol": "sqs", "Endpoint": queue.arn, "TopicArn": topic.arn}
    ]
    assert topic.sns.list_subscriptions()["Subscriptions"] == topic.subscriptions()


def test_what_a_subscription_shows(topic: Topic, queue: Queue, account: str) -> None:
    arn = topic.subscribe_queue(queue)
    attributes = subscription_attributes(topic.sns, arn)
    principal = attributes.pop("SubscriptionPrincipal")
    assert principal.startswith(f"arn:aws:iam::{account}:")
    assert attributes == {
        "SubscriptionArn": arn,
        "TopicArn": topic.arn,
        "Owner": account,
        "Protocol": "sqs",
        "Endpoint": queue.arn,
        "RawMessageDelivery": "false",
        "PendingConfirmation": "false",
        "ConfirmationWasAuthenticated": "true",
    }


@pytest.mark.parametrize("protocol", ["http", "https", "email", "email-json"])
def test_an_endpoint_outside_must_confirm(topic: Topic, protocol: str) -> None:
    endpoint = "a@example.com" if protocol.startswith("email") else f"{protocol}://127.0.0.1:9/hook"
    reply = topic.sns.subscribe(TopicArn=topic.arn, Protocol=protocol, Endpoint=endpoint)
    assert reply["SubscriptionArn"] == "pending confirmation"
    (listed,) = topic.subscriptions()
    assert listed["SubscriptionArn"] == "PendingConfirmation"


def test_the_arn_of_a_pending_subscription_is_told_on_request(topic: Topic) -> None:
    arn = topic.subscribe("email", "a@example.com")  # with ReturnSubscriptionArn
    assert arn.startswith(f"{topic.arn}:")
    assert subscription_attributes(topic.sns, arn)["PendingConfirmation"] == "true"


def test_subscribing_again_finds_the_subscription(topic: Topic, queue: Queue) -> None:
    arn = topic.subscribe_queue(queue, RawMessageDelivery="true")
    assert topic.subscribe_queue(queue, RawMessageDelivery="true") == arn
    assert topic.subscribe_queue(queue) == arn  # what is not given is not compared
    assert len(topic.subscriptions()) == 1


def test_true_may_be_written_with_a_capital(topic: Topic, queue: Queue) -> None:
    """As str(True) writes it."""
    arn = topic.subscribe_queue(queue, RawMessageDelivery="True")
    assert subscription_attributes(topic.sns, arn)["RawMessageDelivery"] == "true"
    assert topic.subscribe_queue(queue, RawMessageDelivery="true") == arn
    topic.publish("hello")
    assert queue.receive_one()["Body"] == "hello"


def test_other_attributes_conflict(topic: Topic, queue: Queue) -> None:
    topic.subscribe_queue(queue, RawMessageDelivery="true")
    with refused(
        "InvalidParameter",
        text="Invalid parameter: Attributes Reason: Subscription already exists with different attributes",
    ):
        topic.subscribe_queue(queue, RawMessageDelivery="false")


@pytest.mark.parametrize(
    ("protocol", "endpoint", "text"),
    [
        ("pigeon", "loft", "Invalid parameter: Amazon SNS does not support this protocol string: pigeon"),
        ("http", "https://example.com", "Invalid parameter: Endpoint must match the specified protocol"),
        ("https", "http://example.com", "Invalid parameter: Endpoint must match the specified protocol"),
        ("email", "nobody", "Invalid parameter: Email address"),
        ("sms", "call me", "Invalid parameter: Invalid SMS endpoint: call me"),
        ("sqs", "http://localhost:4566/000000000000/q", "Invalid parameter: SQS endpoint ARN"),
        ("sqs", "arn:aws:sns:us-east-1:000000000000:q", "Invalid parameter: SQS endpoint ARN"),
        ("lambda", "nothing", None),
        ("application", "nothing", None),
        ("firehose", "nothing", None),
        ("sqs", "", None),
        ("http", "http://", None),
        ("http", "http://host:port/", None),
    ],
)
def test_an_endpoint_must_be_of_its_protocol(topic: Topic, protocol: str, endpoint: str, text: str | None) -> None:
    with refused("InvalidParameter", text=text):
        topic.subscribe(protocol, endpoint)
    assert topic.subscriptions() == []


def test_a_fifo_queue_is_not_for_standard_topics(topic: Topic, make_queue: MakeQueue) -> None:
    with refused(
        "InvalidParameter",
        text="Invalid parameter: Invalid parameter: Endpoint Reason: "
        "FIFO SQS Queues can not be subscribed to standard SNS topics",
    ):
        topic.subscribe_queue(make_queue(FifoQueue="true"))


def test_a_fifo_topic_takes_fifo_and_standard_queues(make_topic: MakeTopic, make_queue: MakeQueue) -> None:
    topic = make_topic(FifoTopic="true")
    topic.subscribe_queue(make_queue(FifoQueue="true"))
    topic.subscribe_queue(make_queue())
    assert len(topic.subscriptions()) == 2
    with refused("InvalidParameter"):
        topic.subscribe("http", "http://127.0.0.1:9/")


def test_the_topic_must_be_there(topic: Topic, queue: Queue) -> None:
    with refused("NotFound", text="Topic does not exist", status=404):
        topic.sns.subscribe(TopicArn=f"{topic.arn}-2", Protocol="sqs", Endpoint=queue.arn)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("RawMessageDelivery", "maybe", None),
        (
            "FilterPolicyScope",
            "Body",
            "FilterPolicyScope: Invalid value [Body]. Please use either MessageBody or MessageAttributes",
        ),
        ("RedrivePolicy", "{", None),
        ("RedrivePolicy", '{"deadLetterTargetArn":"nothing"}', "RedrivePolicy: deadLetterTargetArn is an invalid arn"),
        (
            "RedrivePolicy",
            '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:q","maxReceiveCount":3}',
            "RedrivePolicy: invalid JSON. Attribute maxReceiveCount is unknown.",
        ),
        ("RedrivePolicy", '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:q.fifo"}', None),
        ("DeliveryPolicy", "{}", None),  # not for queues
        ("ReplayPolicy", '{"PointType":"Timestamp","StartingPoint":"2026-01-01T00:00:00Z"}', None),
        ("SubscriptionRoleArn", "arn:aws:iam::000000000000:role/x", None),
    ],
)
def test_a_bad_attribute_is_refused(topic: Topic, queue: Queue, name: str, value: str, reason: str | None) -> None:
    text = None if reason is None else f"Invalid parameter: Attributes Reason: {reason}"
    with refused("InvalidParameter", text=text):
        topic.subscribe_queue(queue, **{name: value})
    arn = topic.subscribe_queue(queue)
    before = subscription_attributes(topic.sns, arn)
    text = None if reason is None else f"Invalid parameter: {reason}"
    with refused("InvalidParameter", text=text):
        topic.sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName=name, AttributeValue=value)
    assert subscription_attributes(topic.sns, arn) == before


def test_attributes_can_be_set_and_taken_away(topic: Topic, queue: Queue, make_queue: MakeQueue) -> None:
    arn = topic.subscribe_queue(queue)
    before = subscription_attributes(topic.sns, arn)
    redrive = json.dumps({"deadLetterTargetArn": make_queue().arn})
    for name, value in (("FilterPolicy", '{"kind":["a"]}'), ("RedrivePolicy", redrive)):
        topic.sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName=name, AttributeValue=value)
        assert subscription_attributes(topic.sns, arn)[name] == value
        topic.sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName=name, AttributeValue="")
    assert subscription_attributes(topic.sns, arn) == before


def test_a_filter_policy_shows_its_scope(topic: Topic, queue: Queue) -> None:
    arn = topic.subscribe_queue(queue, FilterPolicy='{"kind":["a"]}')
    assert subscription_attributes(topic.sns, arn)["FilterPolicyScope"] == "MessageAttributes"


def test_a_topic_has_200_filter_policies_at_most(topic: Topic) -> None:
    queues = [f"arn:aws:sqs:us-east-1:{topic.arn.split(':')[4]}:q{number}" for number in range(201)]
    for queue in queues[:200]:
        arn = topic.subscribe("sqs", queue, FilterPolicy='{"a":["b"]}')
    with refused("FilterPolicyLimitExceeded", status=403):
        topic.subscribe("sqs", queues[200], FilterPolicy='{"a":["b"]}')
    assert topic.subscribe("sqs", queues[199], FilterPolicy='{"a":["b"]}') == arn  # no new one
    last = topic.subscribe("sqs", queues[200])
    with refused("FilterPolicyLimitExceeded", status=403):
        topic.sns.set_subscription_attributes(
            SubscriptionArn=last, AttributeName="FilterPolicy", AttributeValue='{"a":["b"]}'
        )


def test_an_account_has_10_000_filter_policies_at_most(make_topic: MakeTopic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_limits, "POLICIES_PER_ACCOUNT_MAX", 2)  # the broker is in this process
    first, second = make_topic(), make_topic()
    endpoint = f"arn:aws:sqs:us-east-1:{first.arn.split(':')[4]}:q"
    arn = first.subscribe("sqs", endpoint, FilterPolicy='{"a":["b"]}')
    second.subscribe("sqs", endpoint, FilterPolicy='{"a":["b"]}')
    with refused("FilterPolicyLimitExceeded", status=403):
        second.subscribe("sqs", f"{endpoint}2", FilterPolicy='{"a":["b"]}')
    first.sns.unsubscribe(SubscriptionArn=arn)
    second.subscribe("sqs", f"{endpoint}2", FilterPolicy='{"a":["b"]}')


def test_an_attribute_of_another_name_is_refused(topic: Topic, queue: Queue) -> None:
    with refused("InvalidParameter"):
        topic.subscribe_queue(queue, Nonsense="1")
    arn = topic.subscribe_queue(queue)
    with refused("InvalidParameter", text="Invalid parameter: AttributeName"):
        topic.sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName="Nonsense", AttributeValue="1")


def test_an_unsubscribed_queue_gets_nothing(topic: Topic, queue: Queue) -> None:
    arn = topic.subscribe_queue(queue)
    topic.sns.unsubscribe(SubscriptionArn=arn)
    topic.publish()
    assert queue.receive() == []
    with refused("NotFound", text="Subscription does not exist", status=404):
        subscription_attributes(topic.sns, arn)


def test_unsubscribing_what_is_not_there_succeeds(topic: Topic, queue: Queue) -> None:
    arn = topic.subscribe_queue(queue)
    topic.sns.unsubscribe(SubscriptionArn=arn)
    topic.sns.unsubscribe(SubscriptionArn=arn)


@pytest.mark.parametrize(
    ("arn", "text"),
    [
        ("nonsense", "Invalid parameter: SubscriptionArn Reason: An ARN must have at least 6 elements, not 1"),
        ("arn:aws:sns:us-east-1:000000000000:topic", "Invalid parameter: SubscriptionId"),
    ],
)
def test_an_arn_that_is_none_is_refused(topic: Topic, arn: str, text: str) -> None:
    with refused("InvalidParameter", text=text):
        topic.sns.unsubscribe(SubscriptionArn=arn)


def test_subscriptions_are_listed_by_the_hundred(topic: Topic, account: str) -> None:
    arns = {topic.subscribe("sqs", f"arn:aws:sqs:us-east-1:{account}:q{number}") for number in range(130)}
    first = topic.sns.list_subscriptions_by_topic(TopicArn=topic.arn)
    second = topic.sns.list_subscriptions_by_topic(TopicArn=topic.arn, NextToken=first["NextToken"])
    assert (len(first["Subscriptions"]), len(second["Subscriptions"])) == (100, 30)
    assert {s["SubscriptionArn"] for page in (first, second) for s in page["Subscriptions"]} == arns
    assert "NextToken" not in second


def test_a_queue_of_another_account_must_confirm(topic: Topic, sns_of: MakeSns, sqs_of_another: Queue) -> None:
    reply = topic.sns.subscribe(TopicArn=topic.arn, Protocol="sqs", Endpoint=sqs_of_another.arn)
    assert reply["SubscriptionArn"] == "pending confirmation"
    document = json.loads(sqs_of_another.receive_one()["Body"])
    assert document["Type"] == "SubscriptionConfirmation"
    confirmed = topic.sns.confirm_subscription(TopicArn=topic.arn, Token=document["Token"])
    topic.publish("across")
    assert subscription_attributes(topic.sns, confirmed["SubscriptionArn"])["PendingConfirmation"] == "false"
    assert json.loads(sqs_of_another.receive_one()["Body"])["Message"] == "across"
