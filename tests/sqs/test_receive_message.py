"""ReceiveMessage: its parameters, what it selects, and what an empty reply looks like. Source: SQS API Reference."""

import pytest

from tests.conftest import MessageClock
from tests.sqs.attribute_md5 import body_md5
from tests.sqs.queues import NO_SUCH_QUEUE, Queue, Sqs, refused
from tests.sqs.wire_clients import JsonClient, QueryClient


def test_an_empty_reply_in_json_has_no_messages_key(queue: Queue, sqs_json: JsonClient) -> None:
    answer = sqs_json.call("ReceiveMessage", {"QueueUrl": queue.url})
    assert answer.status == 200
    assert answer.json == {}


def test_an_empty_reply_in_xml_has_an_empty_result(queue: Queue, sqs_query: QueryClient) -> None:
    answer = sqs_query.call("ReceiveMessage", QueueUrl=queue.url)
    assert answer.status == 200
    result = answer.xml[0]
    assert result.tag.endswith("}ReceiveMessageResult")
    assert len(result) == 0
    assert not result.text


def test_one_message_unless_more_are_asked_for(queue: Queue) -> None:
    queue.send_many(["a", "b", "c"])
    assert len(queue.sqs.receive_message(QueueUrl=queue.url)["Messages"]) == 1


@pytest.mark.parametrize("count", [1, 3, 10])
def test_up_to_the_number_that_is_asked_for_oldest_first(queue: Queue, count: int) -> None:
    bodies = [str(number) for number in range(12)]
    queue.send_many(bodies)
    assert queue.receive_bodies(count) == bodies[:count]


def test_fewer_when_there_are_fewer(queue: Queue) -> None:
    queue.send_many(["a", "b"])
    assert queue.receive_bodies(10) == ["a", "b"]


@pytest.mark.parametrize("count", [0, 11, -1])
def test_the_number_is_1_to_10(sqs: Sqs, queue: Queue, count: int) -> None:
    queue.send()
    text = f"Value {count} for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided."
    with refused("InvalidParameterValue", text=text):
        sqs.receive_message(QueueUrl=queue.url, MaxNumberOfMessages=count)
    assert queue.counts() == (1, 0, 0)


@pytest.mark.parametrize("seconds", [-1, 43_201])
def test_the_visibility_timeout_is_0_to_43200(queue: Queue, seconds: int) -> None:
    with refused("InvalidParameterValue"):
        queue.receive(VisibilityTimeout=seconds)


@pytest.mark.parametrize("seconds", [-1, 21])
def test_the_wait_is_0_to_20(queue: Queue, seconds: int) -> None:
    text = f"Value {seconds} for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided."
    with refused("InvalidParameterValue", text=text):
        queue.receive(WaitTimeSeconds=seconds)


def test_an_unknown_queue_is_refused(sqs: Sqs, queue: Queue) -> None:
    with refused(NO_SUCH_QUEUE):
        sqs.receive_message(QueueUrl=queue.url + "x")


def test_a_message_has_id_handle_body_and_its_md5(queue: Queue, sqs_json: JsonClient) -> None:
    sent = queue.send("hello")
    (message,) = sqs_json.call("ReceiveMessage", {"QueueUrl": queue.url}).json["Messages"]
    assert set(message) == {"MessageId", "ReceiptHandle", "MD5OfBody", "Body"}
    assert message["MessageId"] == sent["MessageId"]
    assert message["MD5OfBody"] == body_md5("hello")
    assert 0 < len(message["ReceiptHandle"]) <= 1024


def test_every_receive_has_a_handle_of_its_own(queue: Queue) -> None:
    queue.send()
    assert len({queue.receive_one(VisibilityTimeout=0)["ReceiptHandle"] for _ in range(5)}) == 5


def test_the_system_attributes_of_a_standard_queue(queue: Queue, account: str, clock: MessageClock) -> None:
    queue.send()
    clock.advance(2.5)
    found = queue.receive_one(MessageSystemAttributeNames=["All"], VisibilityTimeout=0)["Attributes"]
    assert set(found) == {"SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp"}
    assert found["SenderId"] == account
    assert found["ApproximateReceiveCount"] == "1"
    assert int(found["ApproximateFirstReceiveTimestamp"]) == int(found["SentTimestamp"]) + 2_500

    clock.advance(1)
    again = queue.receive_one(MessageSystemAttributeNames=["All"])["Attributes"]
    assert again == found | {"ApproximateReceiveCount": "2"}


def test_the_system_attributes_of_a_fifo_queue(fifo: Queue) -> None:
    sent = fifo.send("a", MessageGroupId="group", MessageDeduplicationId="id")
    found = fifo.receive_one(MessageSystemAttributeNames=["All"])["Attributes"]
    assert set(found) == {
        "SenderId",
        "SentTimestamp",
        "ApproximateReceiveCount",
        "ApproximateFirstReceiveTimestamp",
        "MessageGroupId",
        "MessageDeduplicationId",
        "SequenceNumber",
    }
    assert found["MessageGroupId"] == "group"
    assert found["MessageDeduplicationId"] == "id"
    assert found["SequenceNumber"] == sent["SequenceNumber"]


def test_timestamps_are_whole_milliseconds(queue: Queue) -> None:
    queue.send()
    found = queue.receive_one(MessageSystemAttributeNames=["All"])["Attributes"]
    for name in ("SentTimestamp", "ApproximateFirstReceiveTimestamp"):
        assert found[name].isdigit()
        assert len(found[name]) == 13


def test_only_the_named_system_attributes_are_returned(queue: Queue) -> None:
    queue.send()
    found = queue.receive_one(MessageSystemAttributeNames=["SentTimestamp"])["Attributes"]
    assert set(found) == {"SentTimestamp"}


def test_the_deprecated_name_list_works_and_both_add_up(queue: Queue) -> None:
    queue.send()
    found = queue.receive_one(AttributeNames=["SenderId"], VisibilityTimeout=0)["Attributes"]
    assert set(found) == {"SenderId"}
    found = queue.receive_one(AttributeNames=["SenderId"], MessageSystemAttributeNames=["SentTimestamp"])["Attributes"]
    assert set(found) == {"SenderId", "SentTimestamp"}


def test_a_named_attribute_that_the_message_lacks_is_left_out(queue: Queue, sqs_json: JsonClient) -> None:
    queue.send()
    payload = {"QueueUrl": queue.url, "MessageSystemAttributeNames": ["AWSTraceHeader"]}
    (message,) = sqs_json.call("ReceiveMessage", payload).json["Messages"]
    assert "Attributes" not in message


def test_an_unknown_system_attribute_is_refused(queue: Queue) -> None:
    queue.send()
    with refused("InvalidAttributeName", "InvalidParameterValue"):
        queue.receive(MessageSystemAttributeNames=["Nonsense"])
    assert queue.counts() == (1, 0, 0)


def test_the_query_protocol_receives(queue: Queue, sqs_query: QueryClient, account: str) -> None:
    queue.send("first <&>")
    queue.send("second")
    answer = sqs_query.call(
        "ReceiveMessage",
        QueueUrl=queue.url,
        MaxNumberOfMessages=10,
        VisibilityTimeout=0,
        AttributeName__1="SenderId",
        AttributeName__2="ApproximateReceiveCount",
    )
    path = "ReceiveMessageResult/Message"
    assert answer.texts(f"{path}/Body") == ["first <&>", "second"]
    assert answer.texts(f"{path}/MD5OfBody") == [body_md5("first <&>"), body_md5("second")]
    assert len(set(answer.texts(f"{path}/ReceiptHandle"))) == 2
    names, values = answer.texts(f"{path}/Attribute/Name"), answer.texts(f"{path}/Attribute/Value")
    found = set(zip(names, values, strict=True))
    assert found == {("SenderId", account), ("ApproximateReceiveCount", "1")}

    answer = sqs_query.call("ReceiveMessage", QueueUrl=queue.url, MessageSystemAttributeName__1="SenderId")
    assert answer.texts(f"{path}/Attribute/Name") == ["SenderId"]


def test_xml_begins_plainly_and_escapes_what_parsers_would_change(queue: Queue, sqs_query: QueryClient) -> None:
    queue.send('a\r\nb "quoted"')
    answer = sqs_query.call("ReceiveMessage", QueueUrl=queue.url)
    assert answer.body.startswith(b'<?xml version="1.0"?>')
    assert b"a&#xD;\nb &quot;quoted&quot;" in answer.body
    assert b'xmlns="http://queue.amazonaws.com/doc/2012-11-05/"' in answer.body
