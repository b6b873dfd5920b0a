"""Delivery status: a topic's FeedbackRoleArn and SampleRate attributes ask for records of how deliveries went.

On AWS they are log events of CloudWatch; here they are read at /_pombo/sns/deliveries. Source: SNS Developer Guide, "Message
delivery status"; B2.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import MessageClock
from tests.sns.conftest import Deliveries, MakeTopic
from tests.sns.endpoint import Endpoint
from tests.sns.topics import Topic
from tests.sqs.conftest import MakeQueue
from tests.sqs.queues import Queue, refused

SubscribeHook = Callable[..., str]
ROLE = "arn:aws:iam::123456789012:role/feedback"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:consumer"


def feedback(family: str, percent: int = 100) -> dict[str, str]:
    """The attributes that ask for records of every failure, and of so many successes."""
    return {
        f"{family}SuccessFeedbackRoleArn": ROLE,
        f"{family}SuccessFeedbackSampleRate": str(percent),
        f"{family}FailureFeedbackRoleArn": ROLE,
    }


def statuses(found: list[dict[str, Any]]) -> list[str]:
    return [one["Status"] for one in found]


def test_nothing_is_recorded_unless_asked_for(topic: Topic, queue: Queue, deliveries: Deliveries) -> None:
    topic.subscribe_queue(queue)
    topic.publish()
    assert deliveries() == []


def test_the_attributes_are_shown_as_they_were_set(make_topic: MakeTopic) -> None:
    asked = feedback("SQS") | feedback("HTTP", 5)
    assert asked.items() <= make_topic(**asked).attributes().items()


@pytest.mark.parametrize("rate", ["101", "-1", "half", "1.5"])
def test_a_rate_is_a_percentage(topic: Topic, rate: str) -> None:
    with refused("InvalidParameter"):
        topic.set("SQSSuccessFeedbackSampleRate", rate)


def test_a_delivery_to_a_queue(make_topic: MakeTopic, queue: Queue, deliveries: Deliveries) -> None:
    topic = make_topic(**feedback("SQS"))
    arn = topic.subscribe_queue(queue)
    message_id = topic.publish()["MessageId"]
    (found,) = deliveries()
    assert found.pop("Id") > 0
    assert found.pop("Timestamp") > 1_500_000_000_000
    assert found == {
        "Status": "SUCCESS",
        "Protocol": "sqs",
        "Destination": queue.arn,
        "MessageId": message_id,
        "TopicArn": topic.arn,
        "SubscriptionArn": arn,
        "Attempts": 1,
        "StatusCode": 200,
        "DwellTimeMs": 0,
    }


def test_a_queue_that_is_gone(make_topic: MakeTopic, make_queue: MakeQueue, deliveries: Deliveries) -> None:
    topic, gone = make_topic(**feedback("SQS")), make_queue()
    topic.subscribe_queue(gone)
    gone.sqs.delete_queue(QueueUrl=gone.url)
    topic.publish()
    (found,) = deliveries()
    assert (found["Status"], found["Attempts"], found["StatusCode"]) == ("FAILURE", 1, 400)
    assert found["ProviderResponse"] == "The specified queue does not exist."


@pytest.mark.parametrize(("percent", "recorded"), [(0, 0), (100, 20)])
def test_successes_are_sampled(
    make_topic: MakeTopic, queue: Queue, deliveries: Deliveries, percent: int, recorded: int
) -> None:
    topic = make_topic(**feedback("SQS", percent))
    topic.subscribe_queue(queue)
    publish_batches(topic, 2)
    assert statuses(deliveries()) == ["SUCCESS"] * recorded


def test_a_rate_between_records_some(make_topic: MakeTopic, queue: Queue, deliveries: Deliveries) -> None:
    topic = make_topic(**feedback("SQS", 50))
    topic.subscribe_queue(queue)
    publish_batches(topic, 10)
    assert 0 < len(deliveries(Limit=1000)) < 100  # all or none: once in 2 to the power of 99


def publish_batches(topic: Topic, count: int) -> None:
    for _ in range(count):
        entries = [{"Id": str(n), "Message": str(n)} for n in range(10)]
        topic.sns.publish_batch(TopicArn=topic.arn, PublishBatchRequestEntries=entries)


@pytest.mark.parametrize("kind", ["Success", "Failure"])
def test_each_outcome_has_its_own_role(
    make_topic: MakeTopic, make_queue: MakeQueue, deliveries: Deliveries, kind: str
) -> None:
    topic = make_topic(**{f"SQS{kind}FeedbackRoleArn": ROLE, "SQSSuccessFeedbackSampleRate": "100"})
    gone, there = make_queue(), make_queue()
    for one in (gone, there):
        topic.subscribe_queue(one)
    gone.sqs.delete_queue(QueueUrl=gone.url)
    topic.publish()
    assert statuses(deliveries()) == [kind.upper()]


def test_each_family_is_asked_for_by_itself(make_topic: MakeTopic, queue: Queue, deliveries: Deliveries) -> None:
    topic = make_topic(**feedback("Lambda"))
    topic.subscribe_queue(queue)
    topic.subscribe("lambda", FUNCTION)
    topic.publish()
    assert [(one["Protocol"], one["Status"]) for one in deliveries()] == [("lambda", "captured"), ("lambda", "SUCCESS")]


def test_a_delivery_over_http(
    make_topic: MakeTopic, hook: Endpoint, subscribe_hook: SubscribeHook, clock: MessageClock, deliveries: Deliveries
) -> None:
    topic = make_topic(**feedback("HTTP"))
    arn = subscribe_hook(topic)
    message_id = topic.publish()["MessageId"]
    clock.advance(0)
    (found,) = deliveries()
    assert (found["Status"], found["Protocol"], found["Destination"]) == ("SUCCESS", "http", hook.url)
    assert (found["MessageId"], found["SubscriptionArn"]) == (message_id, arn)
    assert (found["Attempts"], found["StatusCode"], found["DwellTimeMs"]) == (1, 200, 0)


def test_attempts_and_dwell_time_count_from_the_publish(
    make_topic: MakeTopic, hook: Endpoint, subscribe_hook: SubscribeHook, clock: MessageClock, deliveries: Deliveries
) -> None:
    topic = make_topic(**feedback("HTTP"))
    subscribe_hook(topic)
    hook.answers = [500, 429, 204]
    topic.publish()
    clock.advance(39)
    assert deliveries() == [], "it is still under way"
    clock.advance(1)
    (found,) = deliveries()
    assert (found["Status"], found["Attempts"], found["StatusCode"]) == ("SUCCESS", 3, 204)
    assert found["DwellTimeMs"] == 40_000


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (503, 4), (302, 4)])
def test_a_delivery_that_is_given_up(
    make_topic: MakeTopic,
    hook: Endpoint,
    subscribe_hook: SubscribeHook,
    clock: MessageClock,
    deliveries: Deliveries,
    status: int,
    attempts: int,
) -> None:
    topic = make_topic(**feedback("HTTP"))
    subscribe_hook(topic)
    hook.answers = [status] * 10
    topic.publish()
    clock.advance(60)
    (found,) = deliveries()
    assert (found["Status"], found["Attempts"], found["StatusCode"]) == ("FAILURE", attempts, status)
    assert found["DwellTimeMs"] == (attempts - 1) * 20_000


def test_an_endpoint_that_cannot_be_reached_has_no_status_code(
    make_topic: MakeTopic, hook: Endpoint, subscribe_hook: SubscribeHook, clock: MessageClock, deliveries: Deliveries
) -> None:
    policy = json.dumps({"healthyRetryPolicy": {"minDelayTarget": 1, "maxDelayTarget": 1, "numRetries": 0}})
    topic = make_topic(**feedback("HTTP"))
    subscribe_hook(topic, DeliveryPolicy=policy)
    hook.hang_up = True
    topic.publish()
    clock.advance(0)
    (found,) = deliveries()
    assert (found["Status"], found["Attempts"]) == ("FAILURE", 1)
    assert "StatusCode" not in found
    assert found["ProviderResponse"]


def test_confirmations_are_not_recorded(
    make_topic: MakeTopic, hook: Endpoint, subscribe_hook: SubscribeHook, clock: MessageClock, deliveries: Deliveries
) -> None:
    topic = make_topic(**feedback("HTTP"))
    topic.sns.unsubscribe(SubscriptionArn=subscribe_hook(topic))
    clock.advance(0)
    assert len(hook.requests) == 2
    assert deliveries() == []


def test_a_retry_to_a_dead_letter_queue_is_one_failure(
    make_topic: MakeTopic,
    hook: Endpoint,
    subscribe_hook: SubscribeHook,
    clock: MessageClock,
    queue: Queue,
    deliveries: Deliveries,
) -> None:
    topic = make_topic(**feedback("HTTP"), **feedback("SQS"))
    subscribe_hook(topic, RedrivePolicy=json.dumps({"deadLetterTargetArn": queue.arn}))
    hook.answers = [400]
    message_id = topic.publish()["MessageId"]
    clock.advance(0)
    assert [(one["Protocol"], one["Status"]) for one in deliveries()] == [("http", "FAILURE")]
    assert json.loads(queue.receive_one()["Body"])["MessageId"] == message_id
