"""Errors on the wire, in both protocols: shape, code, status, header and text. Source: recorded replies."""

from typing import Any, NamedTuple

import pytest

from tests.sqs.queues import NO_SUCH_QUEUE, Queue, Sqs, refused
from tests.sqs.wire_clients import NAMESPACE, JsonClient, QueryClient

OWN = "com.amazonaws.sqs#"
CORAL = "com.amazon.coral.service#"
SQS = "AWS.SimpleQueueService."


class Case(NamedTuple):
    operation: str
    json: dict[str, Any]  # QueueUrl is filled in unless given
    query: dict[str, str | int]
    type: str
    code: str
    text: str
    query_text: str | None = None  # where it differs
    status: int = 400


BATCH = "SendMessageBatchRequestEntry"
CASES = {
    "no such queue": Case(
        "SendMessage",
        {"QueueUrl": "nowhere", "MessageBody": "a"},
        {"QueueUrl": "nowhere", "MessageBody": "a"},
        OWN + "QueueDoesNotExist",
        NO_SUCH_QUEUE,
        "The specified queue does not exist.",
        "The specified queue does not exist for this wsdl version.",
    ),
    "missing parameter": Case(
        "SendMessage",
        {},
        {},
        CORAL + "MissingRequiredParameterException",
        "MissingParameter",
        "The request must contain the parameter MessageBody.",
    ),
    "invalid parameter": Case(
        "SendMessage",
        {"MessageBody": "a", "DelaySeconds": 901},
        {"MessageBody": "a", "DelaySeconds": 901},
        CORAL + "InvalidParameterValueException",
        "InvalidParameterValue",
        "Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.",
    ),
    "unknown attribute": Case(
        "SetQueueAttributes",
        {"Attributes": {"QueueArn": "x"}},
        {"Attribute__1__Name": "QueueArn", "Attribute__1__Value": "x"},
        OWN + "InvalidAttributeName",
        "InvalidAttributeName",
        "Unknown Attribute QueueArn.",
    ),
    "malformed handle": Case(
        "DeleteMessage",
        {"ReceiptHandle": "x"},
        {"ReceiptHandle": "x"},
        OWN + "ReceiptHandleIsInvalid",
        "ReceiptHandleIsInvalid",
        'The input receipt handle "x" is not a valid receipt handle.',
    ),
    "ids not distinct": Case(
        "SendMessageBatch",
        {"Entries": [{"Id": "a", "MessageBody": "x"}, {"Id": "a", "MessageBody": "y"}]},
        {
            f"{BATCH}__1__Id": "a",
            f"{BATCH}__1__MessageBody": "x",
            f"{BATCH}__2__Id": "a",
            f"{BATCH}__2__MessageBody": "y",
        },
        OWN + "BatchEntryIdsNotDistinct",
        SQS + "BatchEntryIdsNotDistinct",
        "",
    ),
    "no such move task": Case(
        "StartMessageMoveTask",
        {"SourceArn": "arn:aws:sqs:us-east-1:111111111111:nowhere"},
        {"SourceArn": "arn:aws:sqs:us-east-1:111111111111:nowhere"},
        OWN + "ResourceNotFoundException",
        "ResourceNotFoundException",
        "",
        status=404,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_an_error_in_json(queue: Queue, sqs_json: JsonClient, case: Case) -> None:
    answer = sqs_json.call(case.operation, {"QueueUrl": queue.url} | case.json)
    assert answer.status == case.status
    assert answer.json["__type"] == case.type
    assert answer.headers["x-amzn-query-error"] == f"{case.code};Sender"
    assert answer.headers["content-type"] == "application/x-amz-json-1.0"
    assert answer.headers["x-amzn-requestid"]
    assert answer.json["message"]
    if case.text:
        assert answer.json["message"] == case.text


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_an_error_in_xml(queue: Queue, sqs_query: QueryClient, case: Case) -> None:
    answer = sqs_query.call(case.operation, **{"QueueUrl": queue.url} | case.query)
    assert answer.status == case.status
    assert answer.body.startswith(b'<?xml version="1.0"?>')
    assert answer.xml.tag == f"{{{NAMESPACE}}}ErrorResponse"
    assert answer.text("Error/Type") == "Sender"
    assert answer.text("Error/Code") == case.code
    assert answer.text("RequestId") == answer.headers["x-amzn-requestid"]
    assert answer.text("Error/Message")
    if case.text:
        assert answer.text("Error/Message") == (case.query_text or case.text)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_boto3_shows_the_query_protocols_code_and_the_shapes_class(queue: Queue, sqs: Sqs, case: Case) -> None:
    method = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in case.operation).lstrip("_")
    parameters = {"QueueUrl": queue.url} | case.json
    if case.operation == "StartMessageMoveTask":
        del parameters["QueueUrl"]
    with refused(case.code, status=case.status) as caught:
        getattr(sqs, method)(**parameters)
    modelled = getattr(sqs.exceptions, case.type.split("#")[1], None) if case.type.startswith(OWN) else None
    assert modelled is None or isinstance(caught.value, modelled)


def test_a_purge_too_soon_is_forbidden(sqs_with_cooldowns: Sqs, broker_with_cooldowns: Any, account: str) -> None:
    url = sqs_with_cooldowns.create_queue(QueueName="orders")["QueueUrl"]
    sqs_with_cooldowns.purge_queue(QueueUrl=url)
    answer = JsonClient(broker_with_cooldowns.address, account).call("PurgeQueue", {"QueueUrl": url})
    assert answer.status == 403
    assert answer.json["__type"] == OWN + "PurgeQueueInProgress"
    assert answer.headers["x-amzn-query-error"] == f"{SQS}PurgeQueueInProgress;Sender"
    answer = QueryClient(broker_with_cooldowns.address, account).call("PurgeQueue", QueueUrl=url)
    assert (answer.status, answer.text("Error/Code")) == (403, SQS + "PurgeQueueInProgress")


def test_an_existing_queue_has_another_name_in_each_protocol(
    queue: Queue, sqs_json: JsonClient, sqs_query: QueryClient
) -> None:
    answer = sqs_json.call("CreateQueue", {"QueueName": queue.name, "Attributes": {"DelaySeconds": "7"}})
    assert answer.json["__type"] == OWN + "QueueNameExists"
    assert answer.headers["x-amzn-query-error"] == "QueueAlreadyExists;Sender"
    answer = sqs_query.call(
        "CreateQueue", QueueName=queue.name, Attribute__1__Name="DelaySeconds", Attribute__1__Value=7
    )
    assert answer.text("Error/Code") == "QueueAlreadyExists"


def test_an_unknown_operation_in_json(sqs_json: JsonClient) -> None:
    answer = sqs_json.call("FlyAway")
    assert 400 <= answer.status < 500
    assert answer.json["__type"].endswith("UnknownOperationException")


@pytest.mark.parametrize("action", ["FlyAway", "sendmessage", ""])
def test_an_unknown_action_in_query(sqs_query: QueryClient, action: str) -> None:
    answer = sqs_query.call(action)
    assert 400 <= answer.status < 500
    if action:
        assert answer.text("Error/Code") == "InvalidAction"
        assert answer.text("Error/Message") == f"The action {action} is not valid for this endpoint."


def test_a_text_that_echoes_input_is_escaped(queue: Queue, sqs_query: QueryClient, sqs_json: JsonClient) -> None:
    handle = '<a href="x">&\'\r\n</a>'
    text = f'The input receipt handle "{handle}" is not a valid receipt handle.'
    assert sqs_query.call("DeleteMessage", QueueUrl=queue.url, ReceiptHandle=handle).text("Error/Message") == text
    answer = sqs_json.call("DeleteMessage", {"QueueUrl": queue.url, "ReceiptHandle": handle})
    assert answer.json["message"] == text


def test_request_ids_differ(sqs_json: JsonClient) -> None:
    assert len({sqs_json.call("ListQueues").headers["x-amzn-requestid"] for _ in range(10)}) == 10
