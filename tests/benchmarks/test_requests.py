"""Requests that are filled in are what the protocols say, and no longer or shorter than they claim."""

from urllib.parse import parse_qs

import orjson
import pytest

from benchmarks.sqs_requests import JsonRequests, QueryRequests, body_of

URL = "http://127.0.0.1:4566"
QUEUE = f"{URL}/000000000000/a queue%20"


def split(request: bytes) -> tuple[str, bytes]:
    head, _, payload = request.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(payload)}".encode() in head.split(b"\r\n")
    return head.decode(), payload


@pytest.mark.parametrize("groups", [0, 100])
def test_sends_in_json(groups: int) -> None:
    head, payload = split(JsonRequests(URL).send(QUEUE, 1, 100, groups)(123))
    sent = orjson.loads(payload)
    assert "X-Amz-Target: AmazonSQS.SendMessage\r\n" in head
    assert sent["QueueUrl"] == QUEUE
    assert sent["MessageBody"].encode() == body_of(123, 100)
    assert sent.get("MessageGroupId") == ("g023" if groups else None)
    _, payload = split(JsonRequests(URL).send(QUEUE, 10, 100, groups)(95))
    entries = orjson.loads(payload)["Entries"]
    assert [entry["MessageBody"].encode() for entry in entries] == [body_of(95 + n, 100) for n in range(10)]
    if groups:
        assert [entry["MessageGroupId"] for entry in entries][4:6] == ["g099", "g000"]
        assert len({entry["MessageDeduplicationId"] for entry in entries}) == 10


def test_sends_in_query() -> None:
    _, payload = split(QueryRequests(URL).send(QUEUE, 2, 100, 10)(7))
    form = {name: values[0] for name, values in parse_qs(payload.decode()).items()}
    assert form["Action"] == "SendMessageBatch"
    assert form["QueueUrl"] == QUEUE
    assert form["SendMessageBatchRequestEntry.2.MessageBody"].encode() == body_of(8, 100)
    assert form["SendMessageBatchRequestEntry.2.MessageGroupId"] == "g008"


def test_deletes_carry_any_handle() -> None:
    handles = ['a"b&c=d', "e/f+g="]
    _, payload = split(JsonRequests(URL).delete(QUEUE, 10)(handles))
    assert [entry["ReceiptHandle"] for entry in orjson.loads(payload)["Entries"]] == handles
    _, payload = split(QueryRequests(URL).delete(QUEUE, 10)(handles))
    form = parse_qs(payload.decode())
    assert [form[f"DeleteMessageBatchRequestEntry.{n}.ReceiptHandle"] for n in (1, 2)] == [[h] for h in handles]
    _, payload = split(QueryRequests(URL).delete(QUEUE, 1)(handles))
    assert parse_qs(payload.decode())["ReceiptHandle"] == handles[:1]
