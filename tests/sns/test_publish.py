"""Publish and PublishBatch: what is taken, what is refused, and what queues get. Source: SNS API Reference; B1, B2, B4."""

import json
from typing import Any

import pytest

from tests.sns.conftest import MakeSns, MakeTopic
from tests.sns.topics import Topic, envelopes, string
from tests.sqs.conftest import MakeQueue
from tests.sqs.queues import Queue, refused


def test_a_subscribed_queue_gets_the_envelope(topic: Topic, queue: Queue) -> None:
    subscription = topic.subscribe_queue(queue)
    reply = topic.publish("hello", Subject="greeting")
    (envelope,) = envelopes(queue)
    signed = [envelope.pop(name) for name in ("Signature", "SigningCertURL", "UnsubscribeURL", "Timestamp")]
    assert all(signed)
    assert subscription in signed[2]
    assert envelope == {
        "Type": "Notification",
        "MessageId": reply["MessageId"],
        "TopicArn": topic.arn,
        "Subject": "greeting",
        "Message": "hello",
        "SignatureVersion": "1",
    }


def test_message_attributes_are_in_the_envelope(topic: Topic, queue: Queue) -> None:
    topic.subscribe_queue(queue)
    binary = {"DataType": "Binary", "BinaryValue": b"\x00\x01"}
    topic.publish(MessageAttributes={"s": string("x"), "n": string("1.5", "Number"), "b": binary})
    (envelope,) = envelopes(queue)
    assert envelope["MessageAttributes"] == {
        "s": {"Type": "String", "Value": "x"},
        "n": {"Type": "Number", "Value": "1.5"},
        "b": {"Type": "Binary", "Value": "AAE="},
    }


def test_raw_delivery_is_the_message_alone_with_its_attributes(topic: Topic, queue: Queue) -> None:
    topic.subscribe_queue(queue, RawMessageDelivery="true")
    topic.publish("hello", Subject="lost on the way", MessageAttributes={"a": string("x")})
    message = queue.receive_one(MessageAttributeNames=["All"])
    assert message["Body"] == "hello"
    assert message["MessageAttributes"] == {"a": {"StringValue": "x", "DataType": "String"}}
    assert "MD5OfMessageAttributes" in message


def test_a_message_that_nobody_wants_is_accepted(topic: Topic) -> None:
    assert topic.publish()["MessageId"]


def test_every_subscription_gets_one_copy(topic: Topic, make_queue: MakeQueue) -> None:
    queues = [make_queue() for _ in range(5)]
    for one in queues:
        topic.subscribe_queue(one)
    message_id = topic.publish()["MessageId"]
    assert [[e["MessageId"] for e in envelopes(one)] for one in queues] == [[message_id]] * 5


def test_a_queue_that_is_gone_is_no_hindrance(topic: Topic, make_queue: MakeQueue) -> None:
    gone, there = make_queue(), make_queue()
    for one in (gone, there):
        topic.subscribe_queue(one)
    gone.sqs.delete_queue(QueueUrl=gone.url)
    topic.publish()
    assert len(envelopes(there)) == 1


def test_what_a_queue_cannot_take_goes_to_the_dead_letter_queue(topic: Topic, make_queue: MakeQueue) -> None:
    dead, gone = make_queue(), make_queue()
    policy = json.dumps({"deadLetterTargetArn": dead.arn})
    topic.subscribe_queue(gone, RedrivePolicy=policy)
    gone.sqs.delete_queue(QueueUrl=gone.url)
    message_id = topic.publish("late")["MessageId"]
    (envelope,) = envelopes(dead)
    assert (envelope["MessageId"], envelope["Message"]) == (message_id, "late")


def test_raw_messages_with_more_attributes_than_a_queue_takes_are_given_up(
    topic: Topic, queue: Queue, make_queue: MakeQueue
) -> None:
    dead = make_queue()
    topic.subscribe_queue(queue, RawMessageDelivery="true", RedrivePolicy=json.dumps({"deadLetterTargetArn": dead.arn}))
    topic.publish("many", MessageAttributes={f"a{n}": string("x") for n in range(11)})
    assert queue.receive() == []


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"Message": ""}, "Invalid parameter: Empty message"),
        ({"Message": "x" * 262_145}, "Invalid parameter: Message too long"),
        ({"Subject": "x" * 100}, "Invalid parameter: Subject"),
        ({"Subject": "two\nlines"}, "Invalid parameter: Subject"),
        ({"Subject": " indented"}, "Invalid parameter: Subject"),
        (
            {"MessageStructure": "json", "Message": "no json"},
            "Invalid parameter: Message Structure - JSON message body failed to parse",
        ),
        (
            {"MessageStructure": "json", "Message": '{"sqs":"x"}'},
            "Invalid parameter: Message Structure - No default entry in JSON message body",
        ),
        (
            {"MessageStructure": "json", "Message": '{"default":1}'},
            "Invalid parameter: Message Structure - No default entry in JSON message body",
        ),
        ({"MessageStructure": "xml"}, None),
        (
            {"MessageDeduplicationId": "d"},
            "Invalid parameter: MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that "
            "is not valid for this topic type",
        ),
        ({"MessageGroupId": "a b"}, None),
        ({"MessageAttributes": {"a b": string("x")}}, None),
        ({"MessageAttributes": {".a": string("x")}}, None),
    ],
)
def test_a_bad_message_is_refused_and_goes_nowhere(
    topic: Topic, queue: Queue, parameters: dict[str, Any], text: str | None
) -> None:
    topic.subscribe_queue(queue)
    with refused("InvalidParameter", text=text):
        topic.sns.publish(**{"TopicArn": topic.arn, "Message": "x", **parameters})
    assert queue.receive() == []


@pytest.mark.parametrize(
    "value",
    [
        string(""),
        string("x", ""),
        string("x", "Text"),
        string("x", "Number"),
        {"DataType": "Binary", "StringValue": "x"},
        {"DataType": "String", "BinaryValue": b"x"},
    ],
)
def test_a_bad_message_attribute_is_refused(topic: Topic, value: dict[str, Any]) -> None:
    with refused("ParameterValueInvalid"):
        topic.publish(MessageAttributes={"a": value})


def test_the_size_counts_attributes_in_utf_8(topic: Topic) -> None:
    topic.set("MaximumMessageSize", "1024")
    topic.publish("é" * 512)
    with refused("InvalidParameter", text="Invalid parameter: Message too long"):
        topic.publish("é" * 512 + "x")
    with refused("InvalidParameter", text="Invalid parameter: Message too long"):
        topic.publish("x" * 1_010, MessageAttributes={"a": string("x" * 10)})


def test_a_topic_for_large_messages_takes_a_mebibyte(topic: Topic, queue: Queue) -> None:
    topic.set("MaximumMessageSize", "1048576")
    topic.subscribe_queue(queue, RawMessageDelivery="true")
    topic.publish("x" * 1_048_576)
    assert len(queue.receive_one()["Body"]) == 1_048_576


def test_each_protocol_gets_its_own_text(topic: Topic, queue: Queue) -> None:
    topic.subscribe_queue(queue)
    topic.publish(json.dumps({"default": "for all", "sqs": "for queues"}), MessageStructure="json")
    topic.publish(json.dumps({"default": "for all", "http": "for hooks"}), MessageStructure="json")
    assert [e["Message"] for e in envelopes(queue)] == ["for queues", "for all"]


def test_a_queue_without_a_text_is_no_hindrance(topic: Topic, make_queue: MakeQueue) -> None:
    """A queue takes no empty message; whoever wants it in an envelope gets it."""
    raw, enveloped = make_queue(), make_queue()
    topic.subscribe_queue(raw, RawMessageDelivery="true")
    topic.subscribe_queue(enveloped)
    topic.publish(json.dumps({"default": "for all", "sqs": ""}), MessageStructure="json")
    assert raw.receive() == []
    assert [e["Message"] for e in envelopes(enveloped)] == [""]


def test_a_filter_policy_decides(topic: Topic, make_queue: MakeQueue) -> None:
    birds, fish, by_body = make_queue(), make_queue(), make_queue()
    topic.subscribe_queue(birds, FilterPolicy='{"kind":["bird"]}')
    topic.subscribe_queue(fish, FilterPolicy='{"kind":[{"anything-but":"bird"}]}')
    topic.subscribe_queue(by_body, FilterPolicy='{"weight":[{"numeric":[">",1]}]}', FilterPolicyScope="MessageBody")
    topic.publish('{"weight":2}', MessageAttributes={"kind": string("bird")})
    topic.publish('{"weight":1}', MessageAttributes={"kind": string("trout")})
    assert [e["Message"] for e in envelopes(birds)] == ['{"weight":2}']
    assert [e["Message"] for e in envelopes(fish)] == ['{"weight":1}']
    assert [e["Message"] for e in envelopes(by_body)] == ['{"weight":2}']


def test_a_group_on_a_standard_topic_is_handed_on(topic: Topic, queue: Queue) -> None:
    topic.subscribe_queue(queue)
    topic.publish(MessageGroupId="tenant")
    message = queue.receive_one(MessageSystemAttributeNames=["All"])
    assert message["Attributes"]["MessageGroupId"] == "tenant"


def test_the_trace_header_is_handed_on(topic: Topic, queue: Queue) -> None:
    topic.subscribe_queue(queue)
    topic.sns.meta.events.register(
        "before-send.sns.Publish", lambda request, **_: request.headers.update({"X-Amzn-Trace-Id": "Root=1-2-3"})
    )
    topic.publish()
    message = queue.receive_one(MessageSystemAttributeNames=["AWSTraceHeader"])
    assert message["Attributes"]["AWSTraceHeader"] == "Root=1-2-3"


def test_a_target_arn_may_be_a_topics(topic: Topic, queue: Queue) -> None:
    topic.subscribe_queue(queue)
    topic.sns.publish(TargetArn=topic.arn, Message="x")
    assert len(envelopes(queue)) == 1


def test_something_must_be_published_to(topic: Topic) -> None:
    with refused(
        "InvalidParameter", text="Invalid parameter: TopicArn or TargetArn Reason: no value for required parameter"
    ):
        topic.sns.publish(Message="x")


def test_the_topic_must_be_there_and_here(topic: Topic, sns_of: MakeSns) -> None:
    with refused("NotFound", text="Topic does not exist", status=404):
        topic.sns.publish(TopicArn=f"{topic.arn}-2", Message="x")
    with refused("InvalidParameter", text="Invalid parameter: TopicArn"):
        sns_of(region="eu-west-1").publish(TopicArn=topic.arn, Message="x")


# Batches


def entries(*messages: str, **parameters: Any) -> list[dict[str, Any]]:
    return [{"Id": str(n), "Message": message, **parameters} for n, message in enumerate(messages)]


def test_a_batch_is_published_in_its_order(topic: Topic, queue: Queue) -> None:
    topic.subscribe_queue(queue)
    reply = topic.sns.publish_batch(TopicArn=topic.arn, PublishBatchRequestEntries=entries("a", "b", "c"))
    assert [s["Id"] for s in reply["Successful"]] == ["0", "1", "2"]
    assert not reply.get("Failed")
    got = envelopes(queue)
    assert [e["Message"] for e in got] == ["a", "b", "c"]
    assert [e["MessageId"] for e in got] == [s["MessageId"] for s in reply["Successful"]]


def test_a_bad_entry_fails_alone(topic: Topic, queue: Queue) -> None:
    topic.subscribe_queue(queue)
    reply = topic.sns.publish_batch(TopicArn=topic.arn, PublishBatchRequestEntries=entries("a", "", "c"))
    assert [s["Id"] for s in reply["Successful"]] == ["0", "2"]
    (failed,) = reply["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("1", "InvalidParameter", True)
    assert [e["Message"] for e in envelopes(queue)] == ["a", "c"]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ([], "EmptyBatchRequest"),
        (entries(*"abcdefghijk"), "TooManyEntriesInBatchRequest"),
        ([{"Id": "a", "Message": "x"}, {"Id": "a", "Message": "y"}], "BatchEntryIdsNotDistinct"),
        ([{"Id": "a b", "Message": "x"}], "InvalidBatchEntryId"),
        ([{"Id": "x" * 81, "Message": "x"}], "InvalidBatchEntryId"),
        (entries("x" * 200_000, "x" * 62_145), "BatchRequestTooLong"),
    ],
)
def test_a_bad_batch_fails_as_a_whole(topic: Topic, queue: Queue, given: list[dict[str, Any]], code: str) -> None:
    topic.subscribe_queue(queue)
    with refused(code):
        topic.sns.publish_batch(TopicArn=topic.arn, PublishBatchRequestEntries=given)
    assert queue.receive() == []


def test_a_fifo_batch_without_a_group_fails_as_a_whole(make_topic: MakeTopic) -> None:
    topic = make_topic(FifoTopic="true", ContentBasedDeduplication="true")
    with refused(
        "InvalidParameter", text="Invalid parameter: The MessageGroupId parameter is required for FIFO topics"
    ):
        topic.sns.publish_batch(
            TopicArn=topic.arn,
            PublishBatchRequestEntries=[
                {"Id": "a", "Message": "x", "MessageGroupId": "g"},
                {"Id": "b", "Message": "y"},
            ],
        )


def test_a_large_message_is_judged_like_a_small_one(topic: Topic, make_queue: MakeQueue) -> None:
    queues = {kind: make_queue() for kind in ("bird", "fish")}
    for kind, queue in queues.items():
        policy = json.dumps({"animals": {"kind": [kind]}})
        topic.subscribe_queue(queue, FilterPolicy=policy, FilterPolicyScope="MessageBody")
    body = json.dumps({"animals": [{"kind": "bird", "name": "x" * 100}] * 2_000})
    topic.publish(body)
    assert [e["Message"] for e in envelopes(queues["bird"])] == [body]
    assert envelopes(queues["fish"]) == []
