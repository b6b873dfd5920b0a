"""Messages as a Lambda function gets them, and what its answer says of each. Source: Lambda Developer Guide, Amazon SQS."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

from client.clock import Clock
from client.messages import Message, MessageAttribute

_RUNS_MAX_MS: Final = 900_000  # Lambda's longest timeout


class Context:
    """What a handler is told of its run. Nothing ends a handler here; the time left is what Lambda would give it at most."""

    function_version: Final = "$LATEST"

    def __init__(self, function_name: str, clock: Clock) -> None:
        self.function_name = function_name
        self.aws_request_id = clock.token()
        self._clock = clock
        self._ends_s = clock.now_s() + _RUNS_MAX_MS / 1000

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds, 0 to 900,000."""
        return max(0, int((self._ends_s - self._clock.now_s()) * 1000))


def sqs_event(messages: Sequence[Message], queue_arn: str) -> dict[str, Any]:
    """The event of a batch."""
    region = queue_arn.split(":")[3]
    return {"Records": [_record(message, queue_arn, region) for message in messages]}


def _record(message: Message, queue_arn: str, region: str) -> dict[str, Any]:
    record = {
        "messageId": message.message_id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": dict(message.attributes),
        "messageAttributes": {name: _attribute(value) for name, value in message.message_attributes.items()},
        "md5OfBody": message.md5_of_body,
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": region,
    }
    if message.md5_of_message_attributes is not None:
        record["md5OfMessageAttributes"] = message.md5_of_message_attributes
    return record


def _attribute(attribute: MessageAttribute) -> dict[str, Any]:
    described: dict[str, Any] = {"stringListValues": [], "binaryListValues": [], "dataType": attribute.data_type}
    if attribute.binary_value is not None:
        described["binaryValue"] = base64.b64encode(attribute.binary_value).decode()
    else:
        described["stringValue"] = attribute.string_value
    return described


def failed_ids(answer: Any, message_ids: Sequence[str]) -> list[str]:
    """The messages that an answer with batchItemFailures calls failed: all of them where it names none that was in the batch.

    Nothing, an empty object, and a list that is missing, null or empty mean success.
    """
    everything = list(message_ids)
    if answer is None:
        return []
    if not isinstance(answer, Mapping):
        return everything
    failures = answer.get("batchItemFailures")
    if failures is None:
        return []
    if not isinstance(failures, list | tuple):
        return everything
    failed = []
    for failure in failures:
        identifier = failure.get("itemIdentifier") if isinstance(failure, Mapping) else None
        if identifier not in message_ids:
            return everything
        failed.append(str(identifier))
    return failed
