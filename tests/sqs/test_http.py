"""HTTP as clients really speak it: 100-continue, chunks, gzip, GET, connections kept and pipelined."""

import gzip
import json
import time
from email.utils import parsedate_to_datetime

import pytest

from tests.conftest import MessageClock, RunningBroker
from tests.sqs.queues import Queue
from tests.sqs.wire_clients import JSON_TYPE, RawConnection, credential, raw_request


def headers(account: str, operation: str = "SendMessage", **more: str) -> list[tuple[str, str]]:
    return [
        ("Content-Type", JSON_TYPE),
        ("X-Amz-Target", f"AmazonSQS.{operation}"),
        ("Authorization", credential(account)),
        *more.items(),
    ]


def payload(queue: Queue, **more: object) -> bytes:
    return json.dumps({"QueueUrl": queue.url, **more}).encode()


def test_expect_100_continue_is_answered_before_the_body(queue: Queue, broker: RunningBroker, account: str) -> None:
    body = payload(queue, MessageBody="hello")
    with RawConnection(broker.address) as connection:
        more = {"Expect": "100-continue", "Content-Length": str(len(body))}
        connection.send(raw_request("POST", "/", headers(account, **more)))
        assert connection.read_line() == b"HTTP/1.1 100 Continue\r\n"
        assert connection.read_line() == b"\r\n"
        connection.send(body)
        assert connection.answer().status == 200
    assert queue.receive_bodies() == ["hello"]


def test_expect_100_continue_with_a_form(queue: Queue, broker: RunningBroker, account: str) -> None:
    body = f"Action=SendMessage&Version=2012-11-05&QueueUrl={queue.url}&MessageBody=hello".encode()
    more = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Authorization", credential(account)),
        ("Expect", "100-continue"),
        ("Content-Length", str(len(body))),
    ]
    with RawConnection(broker.address) as connection:
        connection.send(raw_request("POST", "/", more))
        assert connection.read_line() == b"HTTP/1.1 100 Continue\r\n"
        connection.read_line()
        connection.send(body)
        assert connection.answer().status == 200
    assert queue.receive_bodies() == ["hello"]


def test_a_chunked_body(queue: Queue, broker: RunningBroker, account: str) -> None:
    body = payload(queue, MessageBody="hello")
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:1], body[1:7], body[7:]))
    with RawConnection(broker.address) as connection:
        connection.send(
            raw_request("POST", "/", headers(account, **{"Transfer-Encoding": "chunked"}), chunks + b"0\r\n\r\n")
        )
        assert connection.answer().status == 200
    assert queue.receive_bodies() == ["hello"]


def test_a_gzipped_body(queue: Queue, broker: RunningBroker, account: str) -> None:
    body = gzip.compress(payload(queue, MessageBody="hello"))
    status, _, _ = broker.request("POST", "/", body, dict(headers(account, **{"Content-Encoding": "gzip"})))
    assert status == 200
    assert queue.receive_bodies() == ["hello"]


def test_a_gzipped_body_that_grows_too_large_is_refused(queue: Queue, broker: RunningBroker, account: str) -> None:
    body = gzip.compress(payload(queue, MessageBody="hello") + b" " * 16_000_000)
    status, _, _ = broker.request("POST", "/", body, dict(headers(account, **{"Content-Encoding": "gzip"})))
    assert status in (400, 413)
    assert queue.counts() == (0, 0, 0)


def test_a_body_that_is_not_gzip_is_refused(queue: Queue, broker: RunningBroker, account: str) -> None:
    body = payload(queue, MessageBody="hello")
    for bad in (body, gzip.compress(body)[:-10]):
        status, _, _ = broker.request("POST", "/", bad, dict(headers(account, **{"Content-Encoding": "gzip"})))
        assert 400 <= status < 500
    assert queue.counts() == (0, 0, 0)


def test_a_body_of_four_megabytes(queue: Queue, broker: RunningBroker, account: str) -> None:
    body = payload(queue, MessageBody="hello")
    body += b" " * (4_000_000 - len(body))
    status, _, _ = broker.request("POST", "/", body, dict(headers(account)))
    assert status == 200
    assert queue.receive_bodies() == ["hello"]


def test_a_request_that_arrives_byte_by_byte(queue: Queue, broker: RunningBroker, account: str) -> None:
    request = raw_request("POST", "/", headers(account), payload(queue, MessageBody="hello"))
    with RawConnection(broker.address) as connection:
        connection.send(*[request[at : at + 1] for at in range(len(request))])
        assert connection.answer().status == 200
    assert queue.receive_bodies() == ["hello"]


def test_header_names_are_in_any_case(queue: Queue, broker: RunningBroker, account: str) -> None:
    for form in (str.lower, str.upper):
        changed = [(form(name), value) for name, value in headers(account)]
        with RawConnection(broker.address) as connection:
            connection.send(raw_request("POST", "/", changed, payload(queue, MessageBody="hello")))
            assert connection.answer().status == 200


@pytest.mark.parametrize("content_type", [JSON_TYPE + "; charset=utf-8", JSON_TYPE.upper(), "application/json"])
def test_the_content_type_may_be_written_otherwise(
    queue: Queue, broker: RunningBroker, account: str, content_type: str
) -> None:
    changed = dict(headers(account)) | {"Content-Type": content_type}
    status, _, _ = broker.request("POST", "/", payload(queue, MessageBody="hello"), changed)
    assert status == 200


def test_a_connection_is_kept(queue: Queue, broker: RunningBroker, account: str) -> None:
    with RawConnection(broker.address) as connection:
        for number in range(3):
            connection.send(raw_request("POST", "/", headers(account), payload(queue, MessageBody=str(number))))
            answer = connection.answer()
            assert answer.status == 200
            assert answer.headers.get("connection", "keep-alive").lower() == "keep-alive"
    assert queue.receive_bodies() == ["0", "1", "2"]


def test_a_connection_is_kept_after_an_error(queue: Queue, broker: RunningBroker, account: str) -> None:
    with RawConnection(broker.address) as connection:
        connection.send(raw_request("POST", "/", headers(account), payload(queue)))
        assert connection.answer().status == 400
        connection.send(raw_request("POST", "/", headers(account), payload(queue, MessageBody="hello")))
        assert connection.answer().status == 200


def test_a_connection_is_closed_when_the_client_asks(queue: Queue, broker: RunningBroker, account: str) -> None:
    with RawConnection(broker.address) as connection:
        request = raw_request("POST", "/", headers(account, Connection="close"), payload(queue, MessageBody="hello"))
        connection.send(request)
        assert connection.answer().status == 200
        assert connection.closed_by_peer()


def test_pipelined_requests_are_answered_in_order(queue: Queue, broker: RunningBroker, account: str) -> None:
    sends = [raw_request("POST", "/", headers(account), payload(queue, MessageBody=str(n))) for n in range(5)]
    receive = raw_request("POST", "/", headers(account, "ReceiveMessage"), payload(queue, MaxNumberOfMessages=10))
    with RawConnection(broker.address) as connection:
        connection.send(b"".join([*sends, receive]))
        *sent, received = connection.answers(6)
    assert [answer.status for answer in sent] == [200] * 5
    messages = received.json["Messages"]
    assert [message["Body"] for message in messages] == ["0", "1", "2", "3", "4"]
    assert [message["MessageId"] for message in messages] == [answer.json["MessageId"] for answer in sent]


def test_a_reply_behind_a_long_poll_keeps_its_place(queue: Queue, broker: RunningBroker, account: str) -> None:
    poll = raw_request("POST", "/", headers(account, "ReceiveMessage"), payload(queue, WaitTimeSeconds=20))
    listing = raw_request("POST", "/", headers(account, "ListQueues"), b"{}")
    with RawConnection(broker.address) as connection:
        connection.send(poll + listing)
        broker.settle()
        queue.send("hello")
        first, second = connection.answers(2)
    assert [message["Body"] for message in first.json["Messages"]] == ["hello"]
    assert [url.rsplit("/", 1)[1] for url in second.json["QueueUrls"]] == [queue.name]


def test_a_query_may_be_a_get(queue: Queue, broker: RunningBroker, account: str) -> None:
    path = f"/{account}/{queue.name}?Action=SendMessage&MessageBody=a%20b%2Bc+d"
    status, found, _ = broker.request("GET", path, headers={"Authorization": credential(account)})
    assert status == 200
    assert found["content-type"].startswith("text/xml")
    assert queue.receive_bodies() == ["a b+c d"]


def test_an_http_1_0_request(queue: Queue, broker: RunningBroker, account: str) -> None:
    request = raw_request("POST", "/", headers(account), payload(queue, MessageBody="hello"))
    with RawConnection(broker.address) as connection:
        connection.send(request.replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert connection.answer().status == 200
        assert connection.closed_by_peer()
    assert queue.receive_bodies() == ["hello"]


def test_the_date_header_is_real_time_whatever_the_clock_says(broker: RunningBroker, clock: MessageClock) -> None:
    clock.advance(86_400)
    _, found, _ = broker.request("GET", "/health")
    said = parsedate_to_datetime(found["date"]).timestamp()
    assert abs(said - time.time()) < 60
