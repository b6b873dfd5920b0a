"""The console's paths and parameters: what is unknown or wrong is refused in JSON, by name."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.conftest import RunningBroker
from tests.sqs.conftest import MakeQueue
from tests.sqs.wire_clients import credential

MIB = 1_048_576


def refused(broker: RunningBroker, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    """Status and text of a refusal."""
    status, reply_headers, body = broker.request(method, path, headers=headers)
    assert reply_headers["content-type"] == "application/json"
    return status, json.loads(body)["error"]


@pytest.mark.parametrize(
    "path",
    [
        "/_pombo",
        "/_pombo/nothing",
        "/_pombo/sqs",
        "/_aws/",
        "/_aws/sqs/messagesx",
        "/_aws/sqs/messages/us-east-1/q",
        "/healthy",
        "/_localstack/health/x",
    ],
)
def test_an_unknown_path_is_named(broker: RunningBroker, path: str) -> None:
    status, said = refused(broker, path)
    assert status == 404
    assert f"the path is {path!r}; expected" in said


@pytest.mark.parametrize("path", ["/health", "/_localstack/health"])
def test_health_has_localstacks_form_and_is_open_to_every_host(broker: RunningBroker, path: str) -> None:
    status, _, body = broker.request("GET", path, headers={"Host": "pombo.internal:4566"})
    assert status == 200
    health = json.loads(body)
    assert health["services"] == {"sqs": "running", "sns": "running", "lambda": "running"}
    assert set(health) == {"services", "edition", "version"}


@pytest.mark.parametrize(("path", "method"), [("/_pombo/reset", "GET"), ("/_pombo/sqs/messages", "DELETE")])
def test_a_method_that_is_not_meant_is_refused(broker: RunningBroker, path: str, method: str) -> None:
    status, said = refused(broker, path, method)
    assert status == 405
    assert method in said


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "QueueUrl is missing; expected the URL or the name of a queue"),
        ({"QueueUrl": "no/such/form"}, "QueueUrl is 'no/such/form'"),
        ({"QueueUrl": "q", "Limit": "0"}, "Limit is '0'; expected a number from 1 to 1000"),
        ({"QueueUrl": "q", "Limit": "many"}, "Limit is 'many'; expected a number"),
        ({"QueueUrl": "q", "After": "-1"}, "After is '-1'; expected a number"),
    ],
)
def test_a_wrong_parameter_is_named(
    broker: RunningBroker, make_queue: MakeQueue, account: str, parameters: dict[str, str], said: str
) -> None:
    make_queue("q")
    path = "/_pombo/sqs/messages?" + urlencode(parameters)
    status, text = refused(broker, path, Authorization=credential(account))
    assert status == 400
    assert said in text


def test_a_switch_is_true_or_false(broker: RunningBroker, make_queue: MakeQueue) -> None:
    path = "/_aws/sqs/messages?" + urlencode({"QueueUrl": make_queue("q").url, "ShowInvisible": "perhaps"})
    assert refused(broker, path) == (400, "ShowInvisible is 'perhaps'; expected true or false")


def localstack(broker: RunningBroker, url: str) -> list[dict[str, Any]]:
    path = "/_aws/sqs/messages?" + urlencode({"QueueUrl": url})
    status, _, body = broker.request("GET", path, headers={"Accept": "application/json"})
    assert status == 200
    return list(json.loads(body)["ReceiveMessageResponse"]["ReceiveMessageResult"]["Message"])


def test_localstacks_form_goes_over_many_pages(broker: RunningBroker, make_queue: MakeQueue) -> None:
    queue = make_queue("q")
    bodies = [str(number) for number in range(450)]
    queue.send_many(bodies)
    assert [message["Body"] for message in localstack(broker, queue.url)] == bodies


def test_localstacks_form_is_bounded(broker: RunningBroker, make_queue: MakeQueue) -> None:
    """The oldest come, and of a deep queue no more than fits."""
    queue = make_queue("q")
    for number in range(24):
        queue.send(f"{number:02d}" + "x" * (MIB - 2))
    found = [message["Body"][:2] for message in localstack(broker, queue.url)]
    assert found == [f"{number:02d}" for number in range(len(found))]
    assert 10 <= len(found) <= 20


def test_localstacks_form_has_what_a_receive_would_show(broker: RunningBroker, make_queue: MakeQueue) -> None:
    queue = make_queue("q")
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
    sent = queue.send(
        "body", MessageAttributes={"a": {"DataType": "String", "StringValue": "x"}}, MessageSystemAttributes=trace
    )
    (message,) = localstack(broker, queue.url)
    assert message["MessageId"] == sent["MessageId"]
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    attributes = {attribute["Name"]: attribute["Value"] for attribute in message["Attribute"]}
    assert attributes["AWSTraceHeader"] == trace["AWSTraceHeader"]["StringValue"]
