"""SendMessageBatch: what fails one entry, and what fails the call. Source: SQS API Reference, SendMessageBatch; A3, A4."""

from typing import Any

import pytest

from tests.conftest import MessageClock
from tests.sqs.attribute_md5 import attributes_md5, body_md5, string
from tests.sqs.conftest import MakeQueue
from tests.sqs.queues import NO_SUCH_QUEUE, Queue, Sqs, refused
from tests.sqs.wire_clients import JsonClient, QueryClient

MIB = 1_048_576
SQS = "AWS.SimpleQueueService."


def entry(id: str, body: str = "hello", **more: Any) -> dict[str, Any]:
    return {"Id": id, "MessageBody": body, **more}


def test_every_entry_is_answered_by_its_id(queue: Queue) -> None:
    attributes = {"a": string("x")}
    reply = queue.send_batch(entry("one", "first"), entry("two", "second", MessageAttributes=attributes))
    assert "Failed" not in reply
    first, second = sorted(reply["Successful"], key=lambda result: result["Id"])
    assert (first["Id"], second["Id"]) == ("one", "two")
    assert first["MD5OfMessageBody"] == body_md5("first")
    assert "MD5OfMessageAttributes" not in first
    assert second["MD5OfMessageAttributes"] == attributes_md5(attributes)
    assert {message["MessageId"] for message in queue.receive(2)} == {first["MessageId"], second["MessageId"]}


def test_entries_have_their_own_delays(queue: Queue, clock: MessageClock) -> None:
    queue.send_batch(entry("a", "now"), entry("b", "later", DelaySeconds=10))
    assert queue.receive_bodies() == ["now"]
    clock.advance(10)
    assert queue.receive_bodies() == ["later"]


def test_an_entry_that_fails_leaves_the_others(make_queue: MakeQueue) -> None:
    queue = make_queue(MaximumMessageSize="1024")
    reply = queue.send_batch(
        entry("good", "kept"),
        entry("long", "x" * 1025),
        entry("delayed", DelaySeconds=901),
        entry("control", "a\x00b"),
        entry("attribute", MessageAttributes={"a": string("")}),
        entry("last", "kept too"),
    )
    assert [result["Id"] for result in reply["Successful"]] == ["good", "last"]
    failed = {result["Id"]: result for result in reply["Failed"]}
    assert set(failed) == {"long", "delayed", "control", "attribute"}
    assert all(result["SenderFault"] is True for result in reply["Failed"])
    assert failed["long"]["Code"] == "InvalidParameterValue"
    assert failed["long"]["Message"] == (
        "One or more parameters cannot be validated. Reason: Message must be shorter than 1024 bytes."
    )
    assert failed["delayed"]["Code"] == "InvalidParameterValue"
    assert failed["control"]["Code"] == "InvalidMessageContents"
    assert failed["attribute"]["Code"] == "InvalidParameterValue"
    assert queue.receive_bodies() == ["kept", "kept too"]


def test_when_all_fail_none_succeeds(queue: Queue) -> None:
    reply = queue.send_batch(entry("a", DelaySeconds=901))
    assert not reply.get("Successful")
    assert len(reply["Failed"]) == 1


def test_failed_entries_in_xml(queue: Queue, sqs_query: QueryClient) -> None:
    answer = sqs_query.call(
        "SendMessageBatch",
        QueueUrl=queue.url,
        SendMessageBatchRequestEntry__1__Id="good",
        SendMessageBatchRequestEntry__1__MessageBody="kept",
        SendMessageBatchRequestEntry__2__Id="bad",
        SendMessageBatchRequestEntry__2__MessageBody="x",
        SendMessageBatchRequestEntry__2__DelaySeconds=901,
    )
    assert answer.status == 200
    result = "SendMessageBatchResult"
    assert answer.text(f"{result}/SendMessageBatchResultEntry/Id") == "good"
    assert answer.text(f"{result}/SendMessageBatchResultEntry/MD5OfMessageBody") == body_md5("kept")
    assert answer.text(f"{result}/BatchResultErrorEntry/Id") == "bad"
    assert answer.text(f"{result}/BatchResultErrorEntry/SenderFault") == "true"
    assert answer.text(f"{result}/BatchResultErrorEntry/Code") == "InvalidParameterValue"
    assert queue.receive_bodies() == ["kept"]


def test_an_empty_batch_is_refused(queue: Queue, sqs_query: QueryClient) -> None:
    with refused(SQS + "EmptyBatchRequest") as caught:
        queue.send_batch()
    assert isinstance(caught.value, queue.sqs.exceptions.EmptyBatchRequest)
    answer = sqs_query.call("SendMessageBatch", QueueUrl=queue.url)
    assert answer.text("Error/Code") in (SQS + "EmptyBatchRequest", "MissingParameter")


def test_ten_entries_and_no_more(queue: Queue) -> None:
    entries = [entry(str(n)) for n in range(11)]
    text = "Maximum number of entries per request are 10. You have sent 11."
    with refused(SQS + "TooManyEntriesInBatchRequest", text=text) as caught:
        queue.send_batch(*entries)
    assert isinstance(caught.value, queue.sqs.exceptions.TooManyEntriesInBatchRequest)
    assert queue.counts() == (0, 0, 0)
    assert len(queue.send_batch(*entries[:10])["Successful"]) == 10


def test_ids_must_differ(queue: Queue) -> None:
    with refused(SQS + "BatchEntryIdsNotDistinct") as caught:
        queue.send_batch(entry("a"), entry("b"), entry("a"))
    assert isinstance(caught.value, queue.sqs.exceptions.BatchEntryIdsNotDistinct)
    assert queue.counts() == (0, 0, 0)


@pytest.mark.parametrize("id_", ["a", "A-b_9", "x" * 80])
def test_an_id_has_up_to_80_letters_digits_hyphens_and_underscores(queue: Queue, id_: str) -> None:
    assert queue.send_batch(entry(id_))["Successful"][0]["Id"] == id_


@pytest.mark.parametrize("id_", ["", "x" * 81, "a b", "a.b", "ä"])
def test_any_other_id_is_refused(queue: Queue, id_: str) -> None:
    with refused(SQS + "InvalidBatchEntryId") as caught:
        queue.send_batch(entry("good"), entry(id_))
    assert isinstance(caught.value, queue.sqs.exceptions.InvalidBatchEntryId)
    assert queue.counts() == (0, 0, 0)


def test_a_batch_may_have_one_mebibyte_in_all(queue: Queue) -> None:
    half = "x" * (MIB // 2)
    queue.send_batch(entry("a", half), entry("b", half))
    text = f"Batch requests cannot be longer than {MIB} bytes. You have sent {MIB + 1} bytes."
    with refused(SQS + "BatchRequestTooLong", text=text) as caught:
        queue.send_batch(entry("a", half), entry("b", half + "x"))
    assert isinstance(caught.value, queue.sqs.exceptions.BatchRequestTooLong)
    assert queue.counts() == (2, 0, 0)


def test_attributes_count_to_the_batchs_size(queue: Queue) -> None:
    attributes = {"abc": string("xyz")}  # 3 + 6 + 3
    half = "x" * (MIB // 2 - 12)
    queue.send_batch(*[entry(id_, half, MessageAttributes=attributes) for id_ in "ab"])
    with refused(SQS + "BatchRequestTooLong"):
        queue.send_batch(*[entry(id_, half + "x", MessageAttributes=attributes) for id_ in "ab"])


def test_an_unknown_queue_is_refused(sqs: Sqs, queue: Queue) -> None:
    with refused(NO_SUCH_QUEUE):
        sqs.send_message_batch(QueueUrl=queue.url + "x", Entries=[entry("a")])


def test_a_fifo_batch_keeps_the_order_of_its_entries(fifo: Queue) -> None:
    entries = [entry(str(n), str(n), MessageGroupId="g", MessageDeduplicationId=str(n)) for n in range(10)]
    reply = fifo.send_batch(*entries)
    sequence = {result["Id"]: int(result["SequenceNumber"]) for result in reply["Successful"]}
    assert [sequence[str(n)] for n in range(10)] == sorted(sequence.values())
    assert fifo.receive_bodies() == [str(n) for n in range(10)]


def test_a_fifo_batch_with_an_entry_without_a_group_fails_whole(fifo: Queue) -> None:
    with refused("InvalidParameterValue", "MissingParameter"):
        fifo.send_batch(
            entry("a", MessageGroupId="g", MessageDeduplicationId="1"), entry("b", MessageDeduplicationId="2")
        )
    assert fifo.counts() == (0, 0, 0)


def test_a_fifo_batch_with_an_entry_without_a_deduplication_id_fails_whole(fifo: Queue) -> None:
    with refused("InvalidParameterValue"):
        fifo.send_batch(entry("a", MessageGroupId="g", MessageDeduplicationId="1"), entry("b", MessageGroupId="g"))
    assert fifo.counts() == (0, 0, 0)


def test_duplicates_within_a_fifo_batch_are_one_message(fifo: Queue) -> None:
    same = {"MessageGroupId": "g", "MessageDeduplicationId": "same"}
    first, second = fifo.send_batch(entry("a", "one", **same), entry("b", "two", **same))["Successful"]
    assert first["MessageId"] == second["MessageId"]
    assert first["SequenceNumber"] == second["SequenceNumber"]
    assert second["MD5OfMessageBody"] == body_md5("two")
    assert fifo.receive_bodies() == ["one"]


def test_the_json_reply_leaves_out_what_is_empty(queue: Queue, sqs_json: JsonClient) -> None:
    answer = sqs_json.call("SendMessageBatch", {"QueueUrl": queue.url, "Entries": [entry("a")]})
    assert "Failed" not in answer.json
    assert set(answer.json["Successful"][0]) == {"Id", "MessageId", "MD5OfMessageBody"}
