"""What a broker refuses is raised as the class of AWS's code; a body that arrives otherwise than it was sent is found."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from client import errors
from client.client import MISMATCH, Client
from client.errors import AwsError, DigestMismatch
from client.messages import FailedEntry, Outgoing
from tests.client.endpoint import Endpoint, answer
from tests.sqs.attribute_md5 import body_md5

# Refusals

Call = Callable[[Client, str, str], Coroutine[Any, Any, Any]]
MISSING_TOPIC = "arn:aws:sns:us-east-1:{account}:missing"
LIST_VALUE = {"a": {"DataType": "String", "StringListValues": ["x"]}}
REFUSED: dict[str, tuple[type[AwsError], Call]] = {
    "no queue": (errors.QueueDoesNotExist, lambda c, url, _: c.send(url + "-missing", "a")),
    "no queue of this name": (errors.QueueDoesNotExist, lambda c, *_: c.queue_url("missing")),
    "other attributes": (errors.QueueNameExists, lambda c, *_: c.create_queue("queue", {"DelaySeconds": "1"})),
    "receipt handle": (errors.ReceiptHandleIsInvalid, lambda c, url, _: c.delete(url, "bad")),
    "count": (errors.InvalidParameterValue, lambda c, url, _: c.receive(url, 11)),
    "name": (errors.InvalidParameterValue, lambda c, *_: c.create_queue("no name")),
    "no parameter": (errors.MissingParameter, lambda c, url, _: c.call("sqs", "DeleteMessage", QueueUrl=url)),
    "attribute name": (errors.InvalidAttributeName, lambda c, url, _: c.queue_attributes(url, "Nonsense")),
    "attribute value": (
        errors.InvalidAttributeValue,
        lambda c, url, _: c.set_queue_attributes(url, {"DelaySeconds": "x"}),
    ),
    "characters": (errors.InvalidMessageContents, lambda c, url, _: c.send(url, "\0")),
    "no entries": (errors.EmptyBatchRequest, lambda c, url, _: c.send_batch(url, [])),
    "eleven entries": (
        errors.TooManyEntriesInBatchRequest,
        lambda c, url, _: c.delete_batch(url, ["handle"] * 11),
    ),
    "large entries": (
        errors.BatchRequestTooLong,
        lambda c, url, _: c.send_batch(url, [Outgoing(body="x" * 600_000)] * 2),
    ),
    "list values": (
        errors.UnsupportedOperation,
        lambda c, url, _: c.call("sqs", "SendMessage", QueueUrl=url, MessageBody="a", MessageAttributes=LIST_VALUE),
    ),
    "no topic": (errors.NotFound, lambda c, _, account: c.publish(MISSING_TOPIC.format(account=account), "a")),
    "no topic for a batch": (
        errors.NotFound,
        lambda c, _, account: c.publish_batch(MISSING_TOPIC.format(account=account), [Outgoing(body="a")]),
    ),
    "topic name": (errors.InvalidParameter, lambda c, *_: c.create_topic("no name")),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_refusal_has_its_class(client: Client, url: str, account: str, case: str) -> None:
    kind, call = REFUSED[case]
    with pytest.raises(AwsError) as refused:
        await call(client, url, account)
    error = refused.value
    assert type(error) is kind, error.code
    assert error.message
    assert error.request_id
    assert 400 <= error.status < 500
    assert not error.transient


# Digests

SENT = b'{"MessageId":"m","MD5OfMessageBody":"%s"}'


async def test_a_send_of_which_another_body_arrived(endpoint: Endpoint) -> None:
    endpoint.says(answer(body=SENT % body_md5("jello").encode()))
    async with Client(endpoint_url=endpoint.url) as client:
        with pytest.raises(DigestMismatch, match=body_md5("hello")):
            await client.send("q", "hello")
    assert len(endpoint.arrived) == 1


async def test_an_entry_of_which_another_body_arrived_has_failed(endpoint: Endpoint) -> None:
    entries = [{"Id": str(i), "MessageId": "m", "MD5OfMessageBody": body_md5(body)} for i, body in enumerate("axc")]
    endpoint.says(answer(body=json.dumps({"Successful": entries, "Failed": []}).encode()))
    async with Client(endpoint_url=endpoint.url) as client:
        result = await client.send_batch("q", [Outgoing(body=body) for body in "abc"])
    assert [sent.id for sent in result.successful] == ["0", "2"]
    assert result.failed == [FailedEntry(id="1", code=MISMATCH, message="the endpoint took another body")]


async def test_an_entry_that_was_not_sent_has_failed(endpoint: Endpoint) -> None:
    entry = {"Id": "7", "MessageId": "m", "MD5OfMessageBody": body_md5("a")}
    endpoint.says(answer(body=json.dumps({"Successful": [entry]}).encode()))
    async with Client(endpoint_url=endpoint.url) as client:
        result = await client.send_batch("q", [Outgoing(body="a")])
    assert result.successful == []
    assert [failed.id for failed in result.failed] == ["7"]


async def test_a_message_that_arrives_with_another_body(endpoint: Endpoint) -> None:
    message = {"MessageId": "m-1", "ReceiptHandle": "r", "Body": "jello", "MD5OfBody": body_md5("hello")}
    endpoint.says(answer(body=json.dumps({"Messages": [message]}).encode()))
    async with Client(endpoint_url=endpoint.url) as client:
        with pytest.raises(DigestMismatch, match="m-1"):
            await client.receive("q")
