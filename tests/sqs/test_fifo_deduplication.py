"""FIFO queues: what counts as a duplicate, for how long, and what its sender is told.

Source: SQS Developer Guide, Exactly-once processing; API Reference, SendMessage and recorded replies.
"""

import hashlib
from typing import Any

import pytest

from tests.conftest import MessageClock
from tests.sqs.attribute_md5 import attributes_md5, body_md5, string
from tests.sqs.conftest import MakeQueue
from tests.sqs.queues import Queue, refused
from tests.sqs.wire_clients import QueryClient

WINDOW_S = 300


def send(queue: Queue, body: str, deduplication_id: str, group: str = "g", **more: Any) -> dict[str, Any]:
    return queue.send(body, MessageGroupId=group, MessageDeduplicationId=deduplication_id, **more)


def test_a_duplicate_is_not_delivered(fifo: Queue) -> None:
    send(fifo, "a", "id")
    send(fifo, "a", "id")
    assert fifo.receive_bodies(10) == ["a"]


def test_a_duplicate_is_answered_with_the_original_and_its_own_md5s(fifo: Queue) -> None:
    attributes = {"a": string("x")}
    first = send(fifo, "one", "id")
    second = send(fifo, "two", "id", MessageAttributes=attributes)
    assert second["MessageId"] == first["MessageId"]
    assert second["SequenceNumber"] == first["SequenceNumber"]
    assert second["MD5OfMessageBody"] == body_md5("two")
    assert second["MD5OfMessageAttributes"] == attributes_md5(attributes)
    received = fifo.receive_one(MessageAttributeNames=["All"])
    assert received["Body"] == "one"
    assert "MessageAttributes" not in received


def test_the_window_is_five_minutes(fifo: Queue, clock: MessageClock) -> None:
    first = send(fifo, "a", "id")
    clock.advance(WINDOW_S - 1)
    assert send(fifo, "a", "id")["MessageId"] == first["MessageId"]
    clock.advance(2)
    second = send(fifo, "b", "id")
    assert second["MessageId"] != first["MessageId"]
    assert second["SequenceNumber"] > first["SequenceNumber"]
    assert fifo.receive_bodies(10) == ["a", "b"]


def test_the_window_counts_from_the_original(fifo: Queue, clock: MessageClock) -> None:
    first = send(fifo, "a", "id")
    for _ in range(3):
        clock.advance(99)
        assert send(fifo, "a", "id")["MessageId"] == first["MessageId"]
    clock.advance(4)
    assert send(fifo, "a", "id")["MessageId"] != first["MessageId"]


def test_the_window_survives_receive_and_delete(fifo: Queue) -> None:
    first = send(fifo, "a", "id")
    message = fifo.receive_one()
    assert send(fifo, "a", "id")["MessageId"] == first["MessageId"]
    fifo.delete(message)
    again = send(fifo, "a", "id")
    assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
    assert fifo.receive() == []


def test_by_default_the_whole_queue_is_the_scope(fifo: Queue) -> None:
    send(fifo, "a", "id", group="one")
    send(fifo, "b", "id", group="two")
    assert fifo.receive_bodies(10) == ["a"]


def test_the_scope_may_be_the_group(make_queue: MakeQueue) -> None:
    fifo = make_queue(FifoQueue="true", DeduplicationScope="messageGroup")
    first = send(fifo, "a", "id", group="one")
    assert send(fifo, "b", "id", group="two")["MessageId"] != first["MessageId"]
    assert send(fifo, "c", "id", group="one")["MessageId"] == first["MessageId"]
    assert sorted(fifo.receive_bodies(10)) == ["a", "b"]


def test_queues_do_not_share_their_windows(make_queue: MakeQueue) -> None:
    one, two = make_queue("one", FifoQueue="true"), make_queue("two", FifoQueue="true")
    send(one, "a", "id")
    send(two, "a", "id")
    assert one.receive_bodies() == two.receive_bodies() == ["a"]


def test_without_an_id_or_content_based_deduplication_a_send_is_refused(fifo: Queue) -> None:
    text = (
        "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
    )
    with refused("InvalidParameterValue", text=text):
        fifo.send("a", MessageGroupId="g")
    assert fifo.counts() == (0, 0, 0)


@pytest.fixture
def by_content(make_queue: MakeQueue) -> Queue:
    return make_queue("by-content", FifoQueue="true", ContentBasedDeduplication="true")


def test_content_based_the_body_makes_the_id(by_content: Queue) -> None:
    first = by_content.send("a", MessageGroupId="g")
    assert by_content.send("a", MessageGroupId="other")["MessageId"] == first["MessageId"]
    assert by_content.send("b", MessageGroupId="g")["MessageId"] != first["MessageId"]
    (received, _) = by_content.receive(10, MessageSystemAttributeNames=["MessageDeduplicationId"])
    assert received["Attributes"]["MessageDeduplicationId"] == hashlib.sha256(b"a").hexdigest()


def test_content_based_attributes_do_not_matter(by_content: Queue) -> None:
    first = by_content.send("a", MessageGroupId="g", MessageAttributes={"n": string("1")})
    second = by_content.send("a", MessageGroupId="g", MessageAttributes={"n": string("2")})
    assert first["MessageId"] == second["MessageId"]


def test_an_explicit_id_overrides_the_content(by_content: Queue) -> None:
    send(by_content, "a", "one")
    send(by_content, "a", "two")
    assert by_content.receive_bodies(10) == ["a", "a"]


def test_an_explicit_id_that_is_the_hash_of_a_body_meets_it(by_content: Queue) -> None:
    first = by_content.send("a", MessageGroupId="g")
    assert send(by_content, "b", hashlib.sha256(b"a").hexdigest())["MessageId"] == first["MessageId"]


def test_content_based_deduplication_may_be_switched_on_and_off(fifo: Queue) -> None:
    fifo.set(ContentBasedDeduplication="true")
    fifo.send("a", MessageGroupId="g")
    fifo.send("a", MessageGroupId="g")
    assert fifo.counts() == (1, 0, 0)
    fifo.set(ContentBasedDeduplication="false")
    with refused("InvalidParameterValue"):
        fifo.send("b", MessageGroupId="g")


@pytest.mark.parametrize("id_", ["a", "x" * 128, "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"])
def test_an_id_has_1_to_128_letters_digits_and_punctuation(fifo: Queue, id_: str) -> None:
    send(fifo, "a", id_)
    found = fifo.receive_one(MessageSystemAttributeNames=["MessageDeduplicationId"])
    assert found["Attributes"] == {"MessageDeduplicationId": id_}


@pytest.mark.parametrize("id_", ["x" * 129, "a b", "ä"])
def test_any_other_id_is_refused(fifo: Queue, id_: str) -> None:
    text = (
        f"Value {id_} for parameter MessageDeduplicationId is invalid. Reason: MessageDeduplicationId can only include "
        "alphanumeric and punctuation characters. 1 to 128 in length."
    )
    with refused("InvalidParameterValue", text=text):
        send(fifo, "a", id_)
    assert fifo.counts() == (0, 0, 0)


def test_a_refused_send_leaves_no_trace_in_the_window(make_queue: MakeQueue) -> None:
    fifo = make_queue(FifoQueue="true", MaximumMessageSize="1024")
    with refused("InvalidParameterValue"):
        send(fifo, "x" * 1025, "id")
    send(fifo, "a", "id")
    assert fifo.receive_bodies() == ["a"]


def test_a_duplicate_of_a_delayed_message_is_one(make_queue: MakeQueue, clock: MessageClock) -> None:
    fifo = make_queue(FifoQueue="true", DelaySeconds="10")
    send(fifo, "a", "id")
    send(fifo, "a", "id")
    assert fifo.counts() == (0, 0, 1)
    clock.advance(10)
    assert fifo.receive_bodies(10) == ["a"]


def test_the_query_protocol_tells_the_sequence_number(fifo: Queue, sqs_query: QueryClient) -> None:
    first = send(fifo, "a", "id")
    answer = sqs_query.call(
        "SendMessage", QueueUrl=fifo.url, MessageBody="a", MessageGroupId="g", MessageDeduplicationId="id"
    )
    assert answer.text("SendMessageResult/SequenceNumber") == first["SequenceNumber"]
    assert answer.text("SendMessageResult/MessageId") == first["MessageId"]
