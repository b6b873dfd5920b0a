"""GetQueueAttributes: every attribute's default and range, and the form in which it is returned.

Source: SQS API Reference, CreateQueue and GetQueueAttributes and recorded replies.
"""

import pytest

from tests.conftest import MessageClock
from tests.sqs.conftest import MakeQueue
from tests.sqs.queues import Queue, Sqs, refused
from tests.sqs.wire_clients import JsonClient, QueryClient

# name, default, least, most
NUMBERS = [
    ("DelaySeconds", 0, 0, 900),
    ("MaximumMessageSize", 1_048_576, 1_024, 1_048_576),
    ("MessageRetentionPeriod", 345_600, 60, 1_209_600),
    ("ReceiveMessageWaitTimeSeconds", 0, 0, 20),
    ("VisibilityTimeout", 30, 0, 43_200),
]
NUMBER_NAMES = [row[0] for row in NUMBERS]
STANDARD = {
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "DelaySeconds",
    "LastModifiedTimestamp",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "QueueArn",
    "ReceiveMessageWaitTimeSeconds",
    "SqsManagedSseEnabled",
    "VisibilityTimeout",
}
FIFO = STANDARD | {"FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"}


@pytest.mark.parametrize(("name", "default"), [row[:2] for row in NUMBERS], ids=NUMBER_NAMES)
def test_the_default_is_awss(queue: Queue, name: str, default: int) -> None:
    assert queue.attributes(name) == {name: str(default)}


@pytest.mark.parametrize(("name", "_default", "least", "most"), NUMBERS, ids=NUMBER_NAMES)
def test_both_ends_of_the_range_are_taken(
    make_queue: MakeQueue, name: str, _default: int, least: int, most: int
) -> None:
    for value in (least, most):
        assert make_queue(f"created-with-{value}", **{name: str(value)}).attributes(name) == {name: str(value)}
    queue = make_queue("changed")
    for value in (least, most):
        queue.set(**{name: str(value)})
        assert queue.attributes(name) == {name: str(value)}


@pytest.mark.parametrize(("name", "default", "least", "most"), NUMBERS, ids=NUMBER_NAMES)
def test_a_value_outside_the_range_is_refused(
    sqs: Sqs, queue: Queue, name: str, default: int, least: int, most: int
) -> None:
    for value in (str(least - 1), str(most + 1), "", "many", "1.5", "1e2", str(10**30)):
        with refused("InvalidAttributeValue"):
            queue.set(**{name: value})
        with refused("InvalidAttributeValue"):
            sqs.create_queue(QueueName="other", Attributes={name: value})
    assert queue.attributes(name) == {name: str(default)}


def test_all_of_a_standard_queue(queue: Queue) -> None:
    found = queue.attributes("All")
    assert set(found) == STANDARD
    assert found["SqsManagedSseEnabled"] == "true"
    assert all(isinstance(value, str) for value in found.values())


def test_all_of_a_fifo_queue(fifo: Queue) -> None:
    found = fifo.attributes("All")
    assert set(found) == FIFO
    assert found["FifoQueue"] == "true"
    assert found["ContentBasedDeduplication"] == "false"
    assert found["DeduplicationScope"] == "queue"
    assert found["FifoThroughputLimit"] == "perQueue"


def test_only_what_is_asked_for_is_returned(queue: Queue) -> None:
    assert set(queue.attributes("QueueArn", "DelaySeconds")) == {"QueueArn", "DelaySeconds"}


def test_nothing_asked_for_nothing_returned(queue: Queue, sqs_json: JsonClient, sqs_query: QueryClient) -> None:
    assert sqs_json.call("GetQueueAttributes", {"QueueUrl": queue.url}).json == {}
    assert sqs_json.call("GetQueueAttributes", {"QueueUrl": queue.url, "AttributeNames": []}).json == {}
    answer = sqs_query.call("GetQueueAttributes", QueueUrl=queue.url)
    assert answer.status == 200
    assert answer.texts("GetQueueAttributesResult/Attribute") == []


@pytest.mark.parametrize("name", ["Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId"])
def test_an_attribute_without_a_value_is_absent(queue: Queue, sqs_json: JsonClient, name: str) -> None:
    assert sqs_json.call("GetQueueAttributes", {"QueueUrl": queue.url, "AttributeNames": [name]}).json == {}


def test_an_unknown_name_is_refused(queue: Queue) -> None:
    with refused("InvalidAttributeName"):
        queue.attributes("Nonsense")


def test_the_query_protocol_returns_names_and_values(queue: Queue, sqs_query: QueryClient) -> None:
    answer = sqs_query.call(
        "GetQueueAttributes", QueueUrl=queue.url, AttributeName__1="VisibilityTimeout", AttributeName__2="QueueArn"
    )
    path = "GetQueueAttributesResult/Attribute"
    found = dict(zip(answer.texts(f"{path}/Name"), answer.texts(f"{path}/Value"), strict=True))
    assert found == {"VisibilityTimeout": "30", "QueueArn": queue.arn}


def test_timestamps_are_whole_seconds_of_message_time(make_queue: MakeQueue, clock: MessageClock, queue: Queue) -> None:
    queue.send()
    sent = queue.receive_one(MessageSystemAttributeNames=["SentTimestamp"])["Attributes"]["SentTimestamp"]
    found = make_queue("younger").attributes("CreatedTimestamp", "LastModifiedTimestamp")
    assert found["CreatedTimestamp"] == found["LastModifiedTimestamp"] == str(int(sent) // 1000)


def test_lastmodified_follows_changes_and_created_stays(queue: Queue, clock: MessageClock) -> None:
    before = queue.attributes("CreatedTimestamp", "LastModifiedTimestamp")
    clock.advance(100)
    queue.send()
    assert queue.attributes("CreatedTimestamp", "LastModifiedTimestamp") == before
    queue.set(VisibilityTimeout="31")
    after = queue.attributes("CreatedTimestamp", "LastModifiedTimestamp")
    assert after["CreatedTimestamp"] == before["CreatedTimestamp"]
    assert int(after["LastModifiedTimestamp"]) == int(before["LastModifiedTimestamp"]) + 100


@pytest.mark.parametrize("value", ["59", "86401", "soon"])
def test_kms_reuse_is_60_to_86400_seconds(queue: Queue, value: str) -> None:
    with refused("InvalidAttributeValue"):
        queue.set(KmsMasterKeyId="alias/aws/sqs", KmsDataKeyReusePeriodSeconds=value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ContentBasedDeduplication", "maybe"),
        ("DeduplicationScope", "message"),
        ("FifoThroughputLimit", "none"),
        ("SqsManagedSseEnabled", "yes!"),
    ],
)
def test_a_word_that_is_no_value_of_an_attribute_is_refused(fifo: Queue, name: str, value: str) -> None:
    with refused("InvalidAttributeValue"):
        fifo.set(**{name: value})


def test_only_true_makes_a_fifo_queue(sqs: Sqs) -> None:
    with refused("InvalidAttributeValue", "InvalidAttributeName", "InvalidParameterValue"):
        sqs.create_queue(QueueName="a.fifo", Attributes={"FifoQueue": "perhaps"})
