"""The event that a function gets of a batch of messages, which messages it wants, and which it says it has failed to process.

Source: Lambda Developer Guide, "Example Amazon SQS message event", "Implementing partial batch responses", "Event filtering".
"""

import base64
from collections.abc import Sequence
from typing import Any, Final

import orjson

from broker.core.content import Attribute
from broker.core.message import Delivery
from broker.services.digests import attributes_md5
from broker.services.filtering.patterns import matches_pattern
from broker.services.lambda_.mapping import MappingRecord

_OVERHEAD_BYTES: Final = 600  # of a record, beside what was sent


def event_of(mapping: MappingRecord, batch: Sequence[Delivery]) -> bytes:
    """The payload of an invocation."""
    return orjson.dumps({"Records": [record_of(mapping, message) for message in batch]})


def record_of(mapping: MappingRecord, message: Delivery) -> dict[str, Any]:
    """One message as a function sees it."""
    content = message.content
    attributes = {
        "ApproximateReceiveCount": str(message.receive_count),
        "SentTimestamp": str(content.sent_at_ms),
        "SequenceNumber": message.sequence_number,
        "MessageGroupId": message.group,
        "SenderId": content.sender,
        "MessageDeduplicationId": content.deduplication_id,
        "ApproximateFirstReceiveTimestamp": str(message.first_received_at_ms),
        "AWSTraceHeader": content.trace_header,
        "DeadLetterQueueSourceArn": message.source,
    }
    record: dict[str, Any] = {
        "messageId": content.message_id,
        "receiptHandle": message.receipt_handle,
        "body": message.body.decode(),
        "attributes": {name: value for name, value in attributes.items() if value is not None},
        "messageAttributes": {a.name: _attribute(a) for a in content.attributes},
        "md5OfBody": content.body_md5,
        "eventSource": "aws:sqs",
        "eventSourceARN": mapping.queue.arn,
        "awsRegion": mapping.queue.region,
    }
    if content.attributes:
        record["md5OfMessageAttributes"] = attributes_md5(content.attributes)
    return record


def record_bytes(message: Delivery) -> int:
    """About how large a message's record will be."""
    attributes = sum(len(a.name) + len(a.data_type) + 2 * len(a.value) + 100 for a in message.content.attributes)
    return _OVERHEAD_BYTES + len(orjson.dumps(message.body.decode())) + attributes


def passes(mapping: MappingRecord, message: Delivery) -> bool:
    """Whether the mapping's filters let a message through; those that they do not are deleted unprocessed."""
    if not mapping.filters:
        return True
    record = record_of(mapping, message)
    return any(matches_pattern(pattern, record) for pattern in mapping.filters)


def failures_of(payload: bytes, every: set[str]) -> set[str]:
    """The ids of the messages that a ReportBatchItemFailures answer says were not processed.

    null, {} and an empty list: all were processed. No JSON, an identifier that is missing, empty or unknown: none was.
    """
    try:
        answer = orjson.loads(payload or b"null")
    except orjson.JSONDecodeError:
        return every
    if answer is None:
        return set()
    if not isinstance(answer, dict):
        return every
    listed = answer.get("batchItemFailures")
    if listed is None:
        return set()
    if not isinstance(listed, list):
        return every
    failed: set[str] = set()
    for one in listed:
        identifier = one.get("itemIdentifier") if isinstance(one, dict) else None
        if not isinstance(identifier, str) or identifier not in every:
            return every
        failed.add(identifier)
    return failed


def _attribute(attribute: Attribute) -> dict[str, Any]:
    shown: dict[str, Any] = {"stringListValues": [], "binaryListValues": [], "dataType": attribute.data_type}
    if attribute.data_type.startswith("Binary"):
        return {"binaryValue": base64.b64encode(attribute.value).decode("ascii"), **shown}
    return {"stringValue": attribute.value.decode(), **shown}
