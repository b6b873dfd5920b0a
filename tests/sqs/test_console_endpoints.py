"""What is not AWS's: health, the clock, reset, and looking into a queue without receiving (ours and LocalStack's form)."""

import json
from contextlib import closing
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import pytest
from botocore.exceptions import ClientError

from tests.conftest import MessageClock, RunningBroker
from tests.sqs.attribute_md5 import body_md5, string
from tests.sqs.conftest import make_client
from tests.sqs.queues import Queue, Sqs
from tests.sqs.wire_clients import NAMESPACE, QueryClient, credential


@pytest.mark.parametrize("path", ["/health", "/_localstack/health"])
def test_health_answers_with_the_services(broker: RunningBroker, path: str) -> None:
    assert "sqs" in broker.request_json("GET", path)["services"]


def test_the_localstack_form_says_running(broker: RunningBroker) -> None:
    assert broker.request_json("GET", "/_localstack/health")["services"]["sqs"] in ("running", "available")


def test_the_clock_is_read_and_moved(broker: RunningBroker, queue: Queue) -> None:
    before = broker.request_json("GET", "/_pombo/clock")["now_ms"]
    assert broker.request_json("GET", "/_pombo/clock")["now_ms"] == before
    moved = broker.request_json("POST", "/_pombo/clock", {"advance_s": 900})
    assert moved["now_ms"] == before + 900_000
    queue.send()
    sent = queue.receive_one(MessageSystemAttributeNames=["SentTimestamp"])["Attributes"]["SentTimestamp"]
    assert int(sent) == before + 900_000


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"advance_s": -1}', b'{"advance_s": "much"}', b"[", b'{"advance_s": true}']
)
def test_a_clock_is_moved_forwards_by_a_number(broker: RunningBroker, body: bytes) -> None:
    before = broker.request_json("GET", "/_pombo/clock")
    status, _, _ = broker.request("POST", "/_pombo/clock", body)
    assert status == 400
    assert broker.request_json("GET", "/_pombo/clock") == before


def test_moving_the_clock_goes_from_deadline_to_deadline(sqs: Sqs, queue: Queue, clock: MessageClock) -> None:
    """Both become available on the way, each at its own time, so they come in that order."""
    queue.send("second", DelaySeconds=20)
    queue.send("first", DelaySeconds=10)
    clock.advance(900)
    assert queue.receive_bodies(10) == ["first", "second"]


def test_reset_deletes_every_queue(broker: RunningBroker, sqs: Sqs, queue: Queue) -> None:
    queue.send()
    broker.request_json("POST", "/_pombo/reset")
    assert "QueueUrls" not in sqs.list_queues()
    sqs.create_queue(QueueName=queue.name)
    assert queue.counts() == (0, 0, 0)
    queue.send("new")
    assert queue.receive_bodies() == ["new"]


def test_after_a_reset_every_name_is_free_even_with_cooldowns(
    broker_with_cooldowns: RunningBroker, sqs_with_cooldowns: Sqs
) -> None:
    for name in ("deleted-before", "there"):
        sqs_with_cooldowns.create_queue(QueueName=name)
    sqs_with_cooldowns.delete_queue(QueueUrl="deleted-before")
    broker_with_cooldowns.request_json("POST", "/_pombo/reset")
    for name in ("deleted-before", "there"):
        sqs_with_cooldowns.create_queue(QueueName=name)


def test_reset_is_a_post(broker: RunningBroker, sqs: Sqs, queue: Queue) -> None:
    status, _, _ = broker.request("GET", "/_pombo/reset")
    assert status == 405
    assert sqs.list_queues()["QueueUrls"] == [queue.url]


def look(broker: RunningBroker, queue: Queue, **parameters: str | int) -> dict[str, Any]:
    return dict(broker.request_json("GET", "/_pombo/sqs/messages?" + urlencode({"QueueUrl": queue.url, **parameters})))


@pytest.fixture
def three_states(queue: Queue) -> Queue:
    """A queue with a message in flight, a visible one and a delayed one."""
    queue.send("in flight", MessageGroupId="tenant", MessageAttributes={"a": string("x")})
    queue.receive_one()
    queue.send("visible")
    queue.send("delayed", DelaySeconds=100)
    return queue


def test_looking_shows_every_message_and_its_state(broker: RunningBroker, three_states: Queue) -> None:
    now_ms = broker.request_json("GET", "/_pombo/clock")["now_ms"]
    found = {message["Body"]: message for message in look(broker, three_states)["messages"]}
    assert {body: message["State"] for body, message in found.items()} == {
        "in flight": "in_flight",
        "visible": "visible",
        "delayed": "delayed",
    }
    assert [found[body]["ReceiveCount"] for body in ("in flight", "visible", "delayed")] == [1, 0, 0]
    assert found["in flight"]["VisibleAt"] == now_ms + 30_000
    assert found["delayed"]["VisibleAt"] == now_ms + 100_000
    assert found["in flight"]["MessageGroupId"] == "tenant"


def test_looking_changes_nothing(broker: RunningBroker, three_states: Queue) -> None:
    for _ in range(3):
        look(broker, three_states)
    assert three_states.counts() == (1, 1, 1)
    received = three_states.receive_one(MessageSystemAttributeNames=["ApproximateReceiveCount"])
    assert received["Attributes"]["ApproximateReceiveCount"] == "1"


def test_looking_comes_in_pages(broker: RunningBroker, queue: Queue) -> None:
    bodies = [str(number) for number in range(25)]
    queue.send_many(bodies)
    found: list[str] = []
    page = look(broker, queue, Limit=10)
    while True:
        assert len(page["messages"]) <= 10
        found += [message["Body"] for message in page["messages"]]
        if page["next"] is None:
            break
        page = look(broker, queue, Limit=10, After=page["next"])
    assert found == bodies


def test_looking_into_an_unknown_queue_is_not_found(broker: RunningBroker, queue: Queue) -> None:
    for path in ("/_pombo/sqs/messages", "/_aws/sqs/messages"):
        status, _, _ = broker.request("GET", f"{path}?QueueUrl={quote(queue.url)}x")
        assert status in (400, 404)
        assert broker.request("GET", path)[0] == 400


def peek(broker: RunningBroker, queue: Queue, **parameters: str) -> list[dict[str, Any]]:
    """LocalStack's endpoint, as JSON."""
    path = "/_aws/sqs/messages?" + urlencode({"QueueUrl": queue.url, **parameters})
    status, headers, body = broker.request("GET", path, headers={"Accept": "application/json"})
    assert status == 200, body
    assert headers["content-type"].startswith("application/json")
    result = json.loads(body)["ReceiveMessageResponse"]["ReceiveMessageResult"]
    return list((result or {}).get("Message", []))


def test_localstacks_endpoint_shows_visible_messages(broker: RunningBroker, three_states: Queue) -> None:
    (message,) = peek(broker, three_states)
    assert message["Body"] == "visible"
    assert message["MD5OfBody"] == body_md5("visible")
    assert message["MessageId"]
    assert message["ReceiptHandle"]
    attributes = {attribute["Name"]: attribute["Value"] for attribute in message["Attribute"]}
    assert attributes["ApproximateReceiveCount"] == "0"
    assert {"SenderId", "SentTimestamp"} <= set(attributes)
    assert three_states.counts() == (1, 1, 1)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"ShowInvisible": "true"}, ["in flight", "visible"]),
        ({"ShowDelayed": "true"}, ["delayed", "visible"]),
        ({"ShowInvisible": "true", "ShowDelayed": "true"}, ["delayed", "in flight", "visible"]),
        ({"ShowInvisible": "false", "ShowDelayed": "false"}, ["visible"]),
    ],
)
def test_localstacks_endpoint_shows_more_when_asked(
    broker: RunningBroker, three_states: Queue, parameters: dict[str, str], expected: list[str]
) -> None:
    assert sorted(message["Body"] for message in peek(broker, three_states, **parameters)) == expected


def test_localstacks_endpoint_answers_xml_unless_json_is_accepted(broker: RunningBroker, three_states: Queue) -> None:
    path = "/_aws/sqs/messages?" + urlencode({"QueueUrl": three_states.url, "ShowInvisible": "true"})
    status, headers, body = broker.request("GET", path)
    assert status == 200
    assert "xml" in headers["content-type"]
    names = {"aws": NAMESPACE}
    root = ElementTree.fromstring(body)
    assert root.tag == f"{{{NAMESPACE}}}ReceiveMessageResponse"
    found = [element.text for element in root.findall("aws:ReceiveMessageResult/aws:Message/aws:Body", names)]
    assert sorted(map(str, found)) == ["in flight", "visible"]
    assert root.findall("aws:ReceiveMessageResult/aws:Message/aws:Attribute/aws:Name", names)


def test_localstacks_endpoint_shows_message_attributes(broker: RunningBroker, three_states: Queue) -> None:
    found = {message["Body"]: message for message in peek(broker, three_states, ShowInvisible="true")}
    (attribute,) = found["in flight"]["MessageAttribute"]
    assert attribute["Name"] == "a"
    assert attribute["Value"]["DataType"] == "String"
    assert attribute["Value"]["StringValue"] == "x"


def test_localstacks_endpoint_takes_the_queue_from_its_path(broker: RunningBroker, queue: Queue, account: str) -> None:
    queue.send("hello")
    path = f"/_aws/sqs/messages/us-east-1/{account}/{queue.name}"
    status, _, body = broker.request("GET", path, headers={"Accept": "application/json"})
    assert status == 200
    assert b"hello" in body


def test_localstacks_endpoint_may_be_an_aws_clients_endpoint(
    broker: RunningBroker, three_states: Queue, account: str, sqs_query: QueryClient
) -> None:
    path = "/_aws/sqs/messages"
    with closing(make_client(broker.url + path, account)) as client:
        for _ in range(2):
            (message,) = client.receive_message(QueueUrl=three_states.url)["Messages"]
            assert message["Body"] == "visible"
            assert message["Attributes"]["ApproximateReceiveCount"] == "0"
        answer = sqs_query.call("ReceiveMessage", path=path, QueueUrl=three_states.url)
        assert answer.texts("ReceiveMessageResult/Message/Body") == ["visible"]
        three_states.receive_one()
        assert "Messages" not in client.receive_message(QueueUrl=three_states.url)


def test_localstacks_endpoint_carries_out_no_other_operation(
    broker: RunningBroker, three_states: Queue, account: str, sqs_query: QueryClient
) -> None:
    path = "/_aws/sqs/messages"
    with closing(make_client(broker.url + path, account)) as client, pytest.raises(ClientError):
        client.purge_queue(QueueUrl=three_states.url)
    assert sqs_query.call("PurgeQueue", path=path, QueueUrl=three_states.url).status == 400
    assert three_states.counts() == (1, 1, 1)


def test_localstacks_endpoint_of_an_empty_queue_has_no_messages(broker: RunningBroker, queue: Queue) -> None:
    assert peek(broker, queue) == []


FOREIGN = [
    {"Host": "evil.example"},
    {"Host": "evil.example:4566"},
    {"Host": "localhost.evil.example"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
]
OURS = ["/_pombo/clock", "/_pombo/reset", "/_pombo/sqs/messages"]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("path", OURS)
def test_foreign_hosts_and_origins_are_refused(
    broker: RunningBroker, sqs: Sqs, queue: Queue, path: str, headers: dict[str, str]
) -> None:
    for method in ("GET", "POST"):
        status, _, _ = broker.request(method, f"{path}?QueueUrl={quote(queue.url)}", b'{"advance_s": 1}', headers)
        assert status == 403
    assert sqs.list_queues()["QueueUrls"] == [queue.url]


@pytest.mark.parametrize("host", ["localhost", "localhost:1234", "127.0.0.1", "[::1]:4566"])
def test_loopback_hosts_are_ours(broker: RunningBroker, host: str) -> None:
    assert broker.request("GET", "/_pombo/clock", headers={"Host": host})[0] == 200


def test_our_own_origin_is_ours(broker: RunningBroker) -> None:
    assert broker.request("GET", "/_pombo/clock", headers={"Origin": broker.url})[0] == 200


def test_an_unknown_path_of_ours_is_not_found(broker: RunningBroker, account: str) -> None:
    headers = {"Authorization": credential(account)}
    for path in ("/_pombo/nothing", "/_pombo", "/_pombo/"):
        status, _, _ = broker.request("GET", path, headers=headers)
        assert status == 404
