"""DeleteMessage and its batch: which handles delete. Source: SQS API Reference, DeleteMessage and recorded replies."""

from typing import Any

import pytest

from tests.conftest import MessageClock
from tests.sqs.conftest import MakeQueue
from tests.sqs.queues import NO_SUCH_QUEUE, Queue, Sqs, refused
from tests.sqs.wire_clients import JsonClient, QueryClient

SQS = "AWS.SimpleQueueService."


def test_a_deleted_message_never_comes_back(queue: Queue, clock: MessageClock) -> None:
    queue.send()
    queue.delete(queue.receive_one())
    assert queue.counts() == (0, 0, 0)
    clock.advance(3_600)
    assert queue.receive() == []
    clock.advance(12 * 3_600)
    assert queue.receive() == []


def test_deleting_again_succeeds(queue: Queue, fifo: Queue) -> None:
    queue.send()
    fifo.send_in_group("g", "a")
    for each in (queue, fifo):
        message = each.receive_one()
        each.delete(message)
        each.delete(message)


def test_only_the_named_message_is_deleted(queue: Queue, clock: MessageClock) -> None:
    queue.send_many(["a", "b", "c"])
    _, b, _ = queue.receive(3)
    queue.delete(b)
    clock.advance(30)
    assert queue.receive_bodies() == ["a", "c"]


def test_after_the_timeout_a_standard_queues_handle_still_deletes(queue: Queue, clock: MessageClock) -> None:
    queue.send()
    message = queue.receive_one()
    clock.advance(31)
    queue.delete(message)
    assert queue.receive() == []
    assert queue.counts() == (0, 0, 0)


def test_the_handle_of_an_older_receive_deletes_on_a_standard_queue(queue: Queue, clock: MessageClock) -> None:
    queue.send()
    older = queue.receive_one(VisibilityTimeout=0)
    queue.receive_one()
    queue.delete(older)
    clock.advance(30)
    assert queue.receive() == []


def expired(message: dict[str, Any]) -> str:
    return (
        f"Value {message['ReceiptHandle']} for parameter ReceiptHandle is invalid. "
        "Reason: The receipt handle has expired."
    )


def test_after_the_timeout_a_fifo_queues_handle_has_expired(fifo: Queue, clock: MessageClock) -> None:
    fifo.send_in_group("g", "a")
    message = fifo.receive_one()
    clock.advance(31)
    with refused("InvalidParameterValue", text=expired(message)):
        fifo.delete(message)
    again = fifo.receive_one()
    assert again["Body"] == "a"
    with refused("InvalidParameterValue", text=expired(message)):
        fifo.delete(message)
    fifo.delete(again)
    assert fifo.counts() == (0, 0, 0)


def test_a_fifo_queues_handle_lives_as_long_as_its_timeout_is_extended(fifo: Queue, clock: MessageClock) -> None:
    fifo.send_in_group("g", "a")
    message = fifo.receive_one()
    clock.advance(20)
    fifo.change_visibility(message, 60)
    clock.advance(50)
    fifo.delete(message)
    assert fifo.counts() == (0, 0, 0)


@pytest.mark.parametrize("handle", ["nonsense", "AAAA", "a b", "é", "x" * 1024])
def test_a_malformed_handle_is_refused(queue: Queue, handle: str) -> None:
    text = f'The input receipt handle "{handle}" is not a valid receipt handle.'
    with refused("ReceiptHandleIsInvalid", text=text) as caught:
        queue.delete(handle)
    assert isinstance(caught.value, queue.sqs.exceptions.ReceiptHandleIsInvalid)


def test_a_handle_that_was_tampered_with_is_refused(queue: Queue) -> None:
    queue.send()
    handle = queue.receive_one()["ReceiptHandle"]
    middle = len(handle) // 2
    changed = handle[:middle] + ("A" if handle[middle] != "A" else "B") + handle[middle + 1 :]
    with refused("ReceiptHandleIsInvalid"):
        queue.delete(changed)
    assert queue.counts() == (0, 1, 0)


def test_another_queues_handle_is_refused(queue: Queue, make_queue: MakeQueue) -> None:
    queue.send()
    with refused("ReceiptHandleIsInvalid", "InvalidParameterValue"):
        make_queue("other").delete(queue.receive_one())
    assert queue.counts() == (0, 1, 0)


def test_the_handle_is_required(queue: Queue, sqs_json: JsonClient) -> None:
    answer = sqs_json.call("DeleteMessage", {"QueueUrl": queue.url})
    assert answer.status == 400
    assert answer.json["message"] == "The request must contain the parameter ReceiptHandle."


def test_an_unknown_queue_is_refused(sqs: Sqs, queue: Queue) -> None:
    with refused(NO_SUCH_QUEUE):
        sqs.delete_message(QueueUrl=queue.url + "x", ReceiptHandle="x")


def test_the_query_protocol_deletes(queue: Queue, sqs_query: QueryClient) -> None:
    queue.send()
    answer = sqs_query.call("ReceiveMessage", QueueUrl=queue.url)
    handle = answer.text("ReceiveMessageResult/Message/ReceiptHandle")
    assert handle is not None
    answer = sqs_query.call("DeleteMessage", QueueUrl=queue.url, ReceiptHandle=handle)
    assert answer.status == 200
    assert answer.text("ResponseMetadata/RequestId")
    assert queue.counts() == (0, 0, 0)


def delete_batch(queue: Queue, *entries: tuple[str, str]) -> dict[str, Any]:
    listed = [{"Id": id_, "ReceiptHandle": handle} for id_, handle in entries]
    return dict(queue.sqs.delete_message_batch(QueueUrl=queue.url, Entries=listed))


def test_a_batch_deletes_ten(queue: Queue) -> None:
    queue.send_many([str(number) for number in range(10)])
    entries = [(str(n), message["ReceiptHandle"]) for n, message in enumerate(queue.receive(10))]
    reply = delete_batch(queue, *entries)
    assert [result["Id"] for result in reply["Successful"]] == [str(number) for number in range(10)]
    assert "Failed" not in reply
    assert queue.counts() == (0, 0, 0)


def test_a_batch_entry_that_fails_leaves_the_others(queue: Queue) -> None:
    queue.send()
    handle = queue.receive_one()["ReceiptHandle"]
    reply = delete_batch(queue, ("bad", "nonsense"), ("good", handle))
    assert [result["Id"] for result in reply["Successful"]] == ["good"]
    (failed,) = reply["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("bad", "ReceiptHandleIsInvalid", True)
    assert failed["Message"] == 'The input receipt handle "nonsense" is not a valid receipt handle.'
    assert queue.counts() == (0, 0, 0)


def test_an_expired_handle_fails_its_entry_of_a_fifo_batch(fifo: Queue, clock: MessageClock) -> None:
    fifo.send_in_group("g", "a")
    message = fifo.receive_one()
    clock.advance(31)
    (failed,) = delete_batch(fifo, ("a", message["ReceiptHandle"]))["Failed"]
    assert (failed["Code"], failed["Message"]) == ("InvalidParameterValue", expired(message))


def test_a_batch_is_checked_as_a_whole(queue: Queue) -> None:
    with refused(SQS + "EmptyBatchRequest"):
        delete_batch(queue)
    with refused(SQS + "TooManyEntriesInBatchRequest"):
        delete_batch(queue, *[(str(number), "x") for number in range(11)])
    with refused(SQS + "BatchEntryIdsNotDistinct"):
        delete_batch(queue, ("a", "x"), ("a", "y"))
    with refused(SQS + "InvalidBatchEntryId"):
        delete_batch(queue, ("a!", "x"))


def test_a_failed_entrys_text_is_fit_for_xml_and_of_sensible_length(queue: Queue, sqs_query: QueryClient) -> None:
    answer = sqs_query.call(
        "DeleteMessageBatch",
        QueueUrl=queue.url,
        DeleteMessageBatchRequestEntry__1__Id="odd",
        DeleteMessageBatchRequestEntry__1__ReceiptHandle="\x00\x1f\ufffe",
        DeleteMessageBatchRequestEntry__2__Id="long",
        DeleteMessageBatchRequestEntry__2__ReceiptHandle="x" * 100_000,
    )
    odd, long = answer.texts("DeleteMessageBatchResult/BatchResultErrorEntry/Message")
    assert odd == 'The input receipt handle "???" is not a valid receipt handle.'
    assert len(long) <= 4096


def test_a_batch_through_the_query_protocol(queue: Queue, sqs_query: QueryClient) -> None:
    queue.send()
    answer = sqs_query.call(
        "DeleteMessageBatch",
        QueueUrl=queue.url,
        DeleteMessageBatchRequestEntry__1__Id="good",
        DeleteMessageBatchRequestEntry__1__ReceiptHandle=queue.receive_one()["ReceiptHandle"],
        DeleteMessageBatchRequestEntry__2__Id="bad",
        DeleteMessageBatchRequestEntry__2__ReceiptHandle="nonsense",
    )
    assert answer.text("DeleteMessageBatchResult/DeleteMessageBatchResultEntry/Id") == "good"
    assert answer.text("DeleteMessageBatchResult/BatchResultErrorEntry/Id") == "bad"
    assert answer.text("DeleteMessageBatchResult/BatchResultErrorEntry/Code") == "ReceiptHandleIsInvalid"
    assert queue.counts() == (0, 0, 0)
