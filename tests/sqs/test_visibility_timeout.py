"""The visibility timeout: who sets it, how long a received message stays hidden, and how it is changed.

Source: SQS Developer Guide, Visibility timeout; API Reference, ChangeMessageVisibility and recorded replies.
"""

from typing import Any

import pytest

from tests.conftest import MessageClock
from tests.sqs.conftest import MakeQueue
from tests.sqs.queues import NO_SUCH_QUEUE, Queue, Sqs, refused
from tests.sqs.wire_clients import JsonClient, QueryClient

HOURS_12 = 43_200
SQS = "AWS.SimpleQueueService."


def test_a_received_message_is_hidden_until_its_timeout_ends(queue: Queue, clock: MessageClock) -> None:
    queue.send("a")
    queue.receive_one()
    assert queue.receive() == []
    clock.advance(29.999)
    assert queue.receive() == []
    clock.advance(0.001)
    assert queue.receive_bodies() == ["a"]


def test_the_queues_timeout_applies(make_queue: MakeQueue, clock: MessageClock) -> None:
    queue = make_queue(VisibilityTimeout="5")
    queue.send("a")
    queue.receive_one()
    clock.advance(4)
    assert queue.receive() == []
    clock.advance(1)
    assert queue.receive_bodies() == ["a"]


def test_the_receives_own_timeout_comes_first(queue: Queue, clock: MessageClock) -> None:
    queue.send("a")
    queue.receive_one(VisibilityTimeout=100)
    clock.advance(99)
    assert queue.receive() == []
    clock.advance(1)
    assert queue.receive_bodies() == ["a"]


def test_a_timeout_of_zero_hides_nothing(queue: Queue, make_queue: MakeQueue) -> None:
    queue.send("a")
    assert queue.receive_bodies(VisibilityTimeout=0) == queue.receive_bodies(VisibilityTimeout=0) == ["a"]
    other = make_queue("never-hides", VisibilityTimeout="0")
    other.send("b")
    assert other.receive_bodies() == other.receive_bodies() == ["b"]


def test_the_longest_timeout_is_12_hours(queue: Queue, clock: MessageClock) -> None:
    queue.send("a")
    queue.receive_one(VisibilityTimeout=HOURS_12)
    clock.advance(HOURS_12 - 1)
    assert queue.receive() == []
    clock.advance(1)
    assert queue.receive_bodies() == ["a"]


def test_every_receive_counts(queue: Queue, clock: MessageClock) -> None:
    queue.send()
    counts = []
    for _ in range(4):
        received = queue.receive_one(MessageSystemAttributeNames=["ApproximateReceiveCount"])
        counts.append(received["Attributes"]["ApproximateReceiveCount"])
        clock.advance(30)
    assert counts == ["1", "2", "3", "4"]


def test_each_message_has_a_timeout_of_its_own(queue: Queue, clock: MessageClock) -> None:
    queue.send_many(["a", "b"])
    queue.receive_one()
    clock.advance(20)
    queue.receive_one()
    clock.advance(10)
    assert queue.receive_bodies() == ["a"]
    clock.advance(20)
    assert queue.receive_bodies() == ["b"]


def test_a_changed_timeout_counts_from_the_change(queue: Queue, clock: MessageClock) -> None:
    queue.send("a")
    message = queue.receive_one()
    clock.advance(20)
    queue.change_visibility(message, 30)
    clock.advance(29)
    assert queue.receive() == []
    clock.advance(1)
    assert queue.receive_bodies() == ["a"]


def test_a_timeout_may_be_shortened(queue: Queue, clock: MessageClock) -> None:
    queue.send("a")
    queue.change_visibility(queue.receive_one(), 5)
    clock.advance(5)
    assert queue.receive_bodies() == ["a"]


def test_a_change_is_not_remembered_for_the_next_receive(queue: Queue, clock: MessageClock) -> None:
    queue.send("a")
    queue.change_visibility(queue.receive_one(), 5)
    clock.advance(5)
    queue.receive_one()
    clock.advance(29)
    assert queue.receive() == []
    clock.advance(1)
    assert queue.receive_bodies() == ["a"]


def test_changed_to_zero_the_message_returns_at_once_and_keeps_its_count(queue: Queue) -> None:
    queue.send()
    queue.change_visibility(queue.receive_one(), 0)
    again = queue.receive_one(MessageSystemAttributeNames=["ApproximateReceiveCount"])
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"


@pytest.mark.parametrize("seconds", [-1, HOURS_12 + 1])
def test_a_change_is_to_0_to_43200_seconds(queue: Queue, seconds: int) -> None:
    queue.send()
    message = queue.receive_one()
    with refused("InvalidParameterValue"):
        queue.change_visibility(message, seconds)
    assert queue.counts() == (0, 1, 0)


def test_no_message_is_hidden_for_more_than_12_hours_in_all(queue: Queue, clock: MessageClock) -> None:
    queue.send()
    message = queue.receive_one()
    clock.advance(10)
    text = (
        f"Value {HOURS_12} for parameter VisibilityTimeout is invalid. "
        f"Reason: Total VisibilityTimeout for the message is beyond the limit [{HOURS_12} seconds]"
    )
    with refused("InvalidParameterValue", text=text):
        queue.change_visibility(message, HOURS_12)
    queue.change_visibility(message, HOURS_12 - 10)
    clock.advance(HOURS_12 - 11)
    with refused("InvalidParameterValue"):
        queue.change_visibility(message, 2)
    queue.change_visibility(message, 1)
    clock.advance(1)
    assert len(queue.receive()) == 1


def test_the_12_hours_count_anew_from_the_next_receive(queue: Queue, clock: MessageClock) -> None:
    queue.send()
    queue.receive_one(VisibilityTimeout=HOURS_12)
    clock.advance(HOURS_12)
    queue.change_visibility(queue.receive_one(), HOURS_12)
    clock.advance(HOURS_12 - 1)
    assert queue.receive() == []


def test_after_its_timeout_a_handle_may_still_change_on_a_standard_queue(queue: Queue, clock: MessageClock) -> None:
    queue.send()
    message = queue.receive_one()
    clock.advance(31)
    queue.change_visibility(message, 0)
    assert len(queue.receive()) == 1


def test_after_its_timeout_a_handle_may_change_no_more_on_a_fifo_queue(fifo: Queue, clock: MessageClock) -> None:
    fifo.send_in_group("g", "a")
    message = fifo.receive_one()
    clock.advance(31)
    with refused("InvalidParameterValue", SQS + "MessageNotInflight"):
        fifo.change_visibility(message, 60)
    assert fifo.receive_bodies() == ["a"]


def test_a_deleted_message_cannot_change(queue: Queue) -> None:
    queue.send()
    message = queue.receive_one()
    queue.delete(message)
    text = (
        f"Value {message['ReceiptHandle']} for parameter ReceiptHandle is invalid. "
        "Reason: Message does not exist or is not available for visibility timeout change."
    )
    with refused("InvalidParameterValue", text=text):
        queue.change_visibility(message, 10)


def test_a_malformed_handle_is_refused(queue: Queue) -> None:
    text = 'The input receipt handle "nonsense" is not a valid receipt handle.'
    with refused("ReceiptHandleIsInvalid", text=text) as caught:
        queue.change_visibility("nonsense", 10)
    assert isinstance(caught.value, queue.sqs.exceptions.ReceiptHandleIsInvalid)


def test_another_queues_handle_is_refused(queue: Queue, make_queue: MakeQueue) -> None:
    queue.send()
    other = make_queue("other")
    with refused("ReceiptHandleIsInvalid", "InvalidParameterValue"):
        other.change_visibility(queue.receive_one(), 0)
    assert queue.counts() == (0, 1, 0)


def test_the_timeout_and_the_handle_are_required(queue: Queue, sqs_json: JsonClient) -> None:
    for payload, name in (({"ReceiptHandle": "x"}, "VisibilityTimeout"), ({"VisibilityTimeout": 1}, "ReceiptHandle")):
        answer = sqs_json.call("ChangeMessageVisibility", {"QueueUrl": queue.url, **payload})
        assert answer.status == 400
        assert answer.json["message"] == f"The request must contain the parameter {name}."


def test_an_unknown_queue_is_refused(sqs: Sqs, queue: Queue) -> None:
    with refused(NO_SUCH_QUEUE):
        sqs.change_message_visibility(QueueUrl=queue.url + "x", ReceiptHandle="x", VisibilityTimeout=1)


def test_the_query_protocol_changes(queue: Queue, sqs_query: QueryClient) -> None:
    queue.send("a")
    handle = queue.receive_one()["ReceiptHandle"]
    answer = sqs_query.call("ChangeMessageVisibility", QueueUrl=queue.url, ReceiptHandle=handle, VisibilityTimeout=0)
    assert answer.status == 200
    assert queue.receive_bodies() == ["a"]


def entry(id: str, message: dict[str, Any] | str, seconds: int) -> dict[str, Any]:
    handle = message if isinstance(message, str) else message["ReceiptHandle"]
    return {"Id": id, "ReceiptHandle": handle, "VisibilityTimeout": seconds}


def change_batch(queue: Queue, *entries: dict[str, Any]) -> dict[str, Any]:
    return dict(queue.sqs.change_message_visibility_batch(QueueUrl=queue.url, Entries=list(entries)))


def test_a_batch_changes_each_by_its_own(queue: Queue, clock: MessageClock) -> None:
    queue.send_many(["a", "b", "c"])
    a, b, c = queue.receive(3)
    reply = change_batch(queue, entry("1", a, 0), entry("2", b, 100), entry("3", c, 10))
    assert [result["Id"] for result in reply["Successful"]] == ["1", "2", "3"]
    assert "Failed" not in reply
    assert queue.receive_bodies(VisibilityTimeout=1000) == ["a"]
    clock.advance(10)
    assert queue.receive_bodies(VisibilityTimeout=1000) == ["c"]
    clock.advance(90)
    assert queue.receive_bodies() == ["b"]


def test_a_batch_entry_that_fails_leaves_the_others(queue: Queue) -> None:
    queue.send_many(["a", "b"])
    a, b = queue.receive(2)
    reply = change_batch(queue, entry("good", a, 0), entry("bad", "nonsense", 0), entry("long", b, HOURS_12 + 1))
    assert [result["Id"] for result in reply["Successful"]] == ["good"]
    failed = {result["Id"]: (result["Code"], result["SenderFault"]) for result in reply["Failed"]}
    assert failed == {"bad": ("ReceiptHandleIsInvalid", True), "long": ("InvalidParameterValue", True)}
    assert queue.receive_bodies() == ["a"]


def test_a_batch_is_checked_as_a_whole(queue: Queue) -> None:
    with refused(SQS + "EmptyBatchRequest"):
        change_batch(queue)
    with refused(SQS + "TooManyEntriesInBatchRequest"):
        change_batch(queue, *[entry(str(n), "x", 0) for n in range(11)])
    with refused(SQS + "BatchEntryIdsNotDistinct"):
        change_batch(queue, entry("a", "x", 0), entry("a", "y", 0))
    with refused(SQS + "InvalidBatchEntryId"):
        change_batch(queue, entry("a b", "x", 0))
