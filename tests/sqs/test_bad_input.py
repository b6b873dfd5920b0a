"""Whatever is sent: an AWS error or an HTTP one comes back, nothing is changed, and the broker goes on.

Source: recorded replies; the errors common to all AWS JSON services (SerializationException).
"""

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.conftest import RunningBroker
from tests.sqs.queues import Queue
from tests.sqs.wire_clients import JSON_TYPE, Answer, JsonClient, QueryClient, RawConnection, credential, raw_request

CORAL = "com.amazon.coral.service#"
DEEP = 100_000


@pytest.fixture
def unharmed(queue: Queue) -> Iterator[Queue]:
    """A queue with one message that is still there, and the only one, when the test is over."""
    queue.send("still here")
    before = queue.attributes("All")
    yield queue
    assert queue.attributes("All") == before
    assert queue.receive_bodies(10) == ["still here"]


def is_refused(answer: Answer) -> None:
    assert 400 <= answer.status < 500, (answer.status, answer.body[:200])
    assert answer.headers["x-amzn-requestid"]


MALFORMED = {
    "empty": b"",
    "half an object": b'{"QueueUrl": ',
    "two objects": b"{}{}",
    "a bare word": b"hello",
    "a list": b"[]",
    "a number": b"1",
    "a string": b'"x"',
    "null": b"null",
    "nan": b'{"DelaySeconds": NaN}',
    "invalid utf-8": b'{"QueueName": "\xff\xfe"}',
    "overlong utf-8": b'{"QueueName": "\xc0\xaf"}',
    "nul bytes": b"\x00" * 100,
    "nested lists": b"[" * DEEP,
    "nested objects": b'{"a":' * DEEP,
    "nested and closed": b'{"QueueName": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "nested in an unknown field": b'{"Unknown": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "a huge number": b'{"MaxResults": ' + b"9" * 10_000 + b"}",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_json(unharmed: Queue, sqs_json: JsonClient, body: bytes) -> None:
    answer = sqs_json.call("CreateQueue", body)
    is_refused(answer)
    assert answer.json["__type"].split("#")[1] in (
        "SerializationException",
        "MissingRequiredParameterException",
        "InvalidParameterValueException",
    )


WRONG_TYPES: list[tuple[str, dict[str, Any]]] = [
    ("SendMessage", {"MessageBody": 5}),
    ("SendMessage", {"MessageBody": None}),
    ("SendMessage", {"MessageBody": ["a"]}),
    ("SendMessage", {"MessageBody": "a", "DelaySeconds": "soon"}),
    ("SendMessage", {"MessageBody": "a", "DelaySeconds": 1.5}),
    ("SendMessage", {"MessageBody": "a", "DelaySeconds": 10**30}),
    ("SendMessage", {"MessageBody": "a", "MessageAttributes": []}),
    ("SendMessage", {"MessageBody": "a", "MessageAttributes": {"a": "x"}}),
    ("SendMessage", {"MessageBody": "a", "MessageAttributes": {"a": {"DataType": "Binary", "BinaryValue": "%%%"}}}),
    ("SendMessageBatch", {"Entries": {}}),
    ("SendMessageBatch", {"Entries": ["a"]}),
    ("SendMessageBatch", {"Entries": [{"Id": "a"}]}),
    ("SendMessageBatch", {"Entries": [None]}),
    ("ReceiveMessage", {"MaxNumberOfMessages": "many"}),
    ("ReceiveMessage", {"MessageAttributeNames": "All"}),
    ("ReceiveMessage", {"MessageAttributeNames": [1]}),
    ("SetQueueAttributes", {"Attributes": {"DelaySeconds": 5}}),
    ("SetQueueAttributes", {"Attributes": {"DelaySeconds": None}}),
    ("TagQueue", {"Tags": ["a"]}),
    ("ChangeMessageVisibility", {"ReceiptHandle": "x", "VisibilityTimeout": "0x1"}),
]


@pytest.mark.parametrize(("operation", "payload"), WRONG_TYPES, ids=[str(case) for case in WRONG_TYPES])
def test_wrong_types_in_json(unharmed: Queue, sqs_json: JsonClient, operation: str, payload: dict[str, Any]) -> None:
    answer = sqs_json.call(operation, {"QueueUrl": unharmed.url} | payload)
    if operation == "SendMessageBatch" and answer.status == 200:
        assert not answer.json.get("Successful"), "an entry without a body was taken"
    else:
        is_refused(answer)


WRONG_FORMS = {
    "a word for a number": {"Action": "SendMessage", "MessageBody": "a", "DelaySeconds": "soon"},
    "a name without a value": {"Action": "SetQueueAttributes", "Attribute.1.Name": "DelaySeconds"},
    "a value without a name": {"Action": "SetQueueAttributes", "Attribute.1.Value": "5"},
    "a word for an index": {
        "Action": "SetQueueAttributes",
        "Attribute.x.Name": "DelaySeconds",
        "Attribute.x.Value": "5",
    },
    "a huge index": {
        "Action": "SendMessageBatch",
        "SendMessageBatchRequestEntry.99999999999.Id": "a",
        "SendMessageBatchRequestEntry.99999999999.MessageBody": "",
    },
    "bad base64": {
        "Action": "SendMessage",
        "MessageBody": "a",
        "MessageAttribute.1.Name": "b",
        "MessageAttribute.1.Value.DataType": "Binary",
        "MessageAttribute.1.Value.BinaryValue": "%%%",
    },
}


@pytest.mark.parametrize("form", WRONG_FORMS.values(), ids=WRONG_FORMS.keys())
def test_wrong_forms(unharmed: Queue, sqs_query: QueryClient, form: dict[str, str]) -> None:
    answer = sqs_query.send({"Version": "2012-11-05", "QueueUrl": unharmed.url} | form)
    assert answer.status < 500
    if answer.status >= 400:
        assert answer.text("Error/Code")


RAW_FORMS = {
    "invalid utf-8": b"Action=SendMessage&QueueUrl={url}&MessageBody=%FF%FE",
    "half an escape": b"Action=SendMessage&QueueUrl={url}&MessageBody=%",
    "no form at all": b"\x00\x01\x02",
    "only separators": b"&&&===&&&",
    "deep names": b"Action=SendMessage&QueueUrl={url}&" + b"a." * 50_000 + b"=1",
}


@pytest.mark.parametrize("form", RAW_FORMS.values(), ids=RAW_FORMS.keys())
def test_raw_forms(queue: Queue, broker: RunningBroker, account: str, form: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": credential(account)}
    body = form.replace(b"{url}", quote(queue.url, safe="").encode())
    before_s = time.monotonic()
    status, _, _ = broker.request("POST", "/", body, headers)
    assert time.monotonic() - before_s < 2, "the broker stood still"
    assert status < 500
    if status >= 400:
        assert queue.counts() == (0, 0, 0)


def test_a_form_of_many_parameters(unharmed: Queue, broker: RunningBroker, account: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": credential(account)}
    body = b"Action=SendMessageBatch&" + b"&".join(b"x%d=1" % number for number in range(100_000))
    status, _, _ = broker.request("POST", "/", body, headers)
    assert 400 <= status < 500


@pytest.mark.parametrize("part", [b"%", b"%4", b"a.", b"%41", b"+", b"=", b"&="], ids=repr)
def test_no_form_keeps_the_broker_busy(broker: RunningBroker, account: str, part: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": credential(account)}
    body = b"Action=ListQueues&x=1&" + part * (3_900_000 // len(part))
    before_s = time.monotonic()
    status, _, _ = broker.request("POST", "/", body, headers)
    assert time.monotonic() - before_s < 0.5
    assert status < 500


BAD_CREDENTIALS = [
    "",
    "Basic dXNlcjpwYXNz",
    "AWS4-HMAC-SHA256",
    "AWS4-HMAC-SHA256 Credential=",
    "AWS4-HMAC-SHA256 Credential=a/b",
    "AWS4-HMAC-SHA256 Credential=////////",
    "x" * 4_000,
]


@pytest.mark.parametrize("value", BAD_CREDENTIALS)
def test_odd_credentials_are_no_reason_to_fail(sqs_json: JsonClient, value: str) -> None:
    assert sqs_json.call("ListQueues", {}, Authorization=value).status < 500


def json_headers(account: str, **more: str) -> list[tuple[str, str]]:
    return [
        ("Content-Type", JSON_TYPE),
        ("X-Amz-Target", "AmazonSQS.SendMessage"),
        ("Authorization", credential(account)),
        *more.items(),
    ]


def send_payload(queue: Queue, body: str = "hello") -> bytes:
    return json.dumps({"QueueUrl": queue.url, "MessageBody": body}).encode()


def test_a_truncated_body_changes_nothing(unharmed: Queue, broker: RunningBroker, account: str) -> None:
    payload = send_payload(unharmed)
    with RawConnection(broker.address) as connection:
        headers = json_headers(account, **{"Content-Length": str(len(payload))})
        connection.send(raw_request("POST", "/", headers, payload[:-5]))
        broker.settle()
    broker.settle()


def test_a_truncated_chunked_body_changes_nothing(unharmed: Queue, broker: RunningBroker, account: str) -> None:
    payload = send_payload(unharmed)
    with RawConnection(broker.address) as connection:
        headers = json_headers(account, **{"Transfer-Encoding": "chunked"})
        connection.send(raw_request("POST", "/", headers, b"%x\r\n%s\r\n" % (len(payload), payload)))
        broker.settle()
    broker.settle()


def test_an_oversized_body_is_refused(unharmed: Queue, broker: RunningBroker, account: str) -> None:
    with RawConnection(broker.address) as connection:
        headers = json_headers(account, **{"Content-Length": str(1 << 40)})
        connection.send(raw_request("POST", "/", headers))
        try:
            for _ in range(256):
                connection.send(b" " * 65_536)
        except (BrokenPipeError, ConnectionResetError):
            return  # hung up on: as good as an answer
        assert connection.answer().status in (400, 413)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"\r\n\r\n\r\nhello\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: many\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nno colon here\r\n\r\n",
        b"GET " + b"/x" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    ids=lambda garbage: repr(garbage[:40]),
)
def test_garbage_on_the_socket(unharmed: Queue, broker: RunningBroker, garbage: bytes) -> None:
    with RawConnection(broker.address) as connection:
        try:
            connection.send(garbage)
        except (BrokenPipeError, ConnectionResetError):
            return
        broker.settle()


@pytest.mark.parametrize(
    "flood",
    [
        b"".join(b"X-Flood-%d: x\r\n" % number for number in range(50_000)),
        b"X-Flood: " + b"x" * 2_000_000 + b"\r\n",
        b"X-Flood: x\r\n" * 50_000,
    ],
    ids=["many headers", "one long header", "one header many times"],
)
def test_a_header_flood_is_refused_or_served(unharmed: Queue, broker: RunningBroker, flood: bytes) -> None:
    with RawConnection(broker.address) as connection:
        try:
            connection.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n", flood, b"\r\n")
            status = connection.answer().status
        except (BrokenPipeError, ConnectionResetError):
            return
        assert status in (200, 400, 413, 431)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "BREW"])
def test_other_methods_are_refused(unharmed: Queue, broker: RunningBroker, method: str) -> None:
    with RawConnection(broker.address) as connection:
        connection.send(raw_request(method, "/", [("Connection", "close")]))
        line = connection.read_line()
    assert int(line.split()[1]) in (400, 405)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD"])
def test_other_methods_carry_nothing_out(unharmed: Queue, broker: RunningBroker, account: str, method: str) -> None:
    action = urlencode({"Action": "PurgeQueue", "QueueUrl": unharmed.url})
    status, answered, _ = broker.request(method, f"/?{action}", headers={"Authorization": credential(account)})
    assert (status, answered["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_json_is_posted(unharmed: Queue, broker: RunningBroker, account: str, method: str) -> None:
    headers = dict(json_headers(account))
    status, answered, _ = broker.request(method, "/", send_payload(unharmed), headers)
    assert (status, answered["allow"]) == (405, "POST")
    assert answered["x-amzn-query-error"] == "MethodNotAllowed;Sender"
