"""ReceiveMessage."""

from collections.abc import Sequence
from typing import Final

import msgspec

from broker.core.admission import check_id, wrong_queue_type
from broker.core.errors import InvalidParameterValue
from broker.core.message import Delivery
from broker.services.context import Call
from broker.services.digests import attributes_md5
from broker.services.sqs.errors import InvalidAttributeName
from broker.services.sqs.message_attributes import TRACE_HEADER, Select, received, select, selector
from broker.services.sqs.message_shapes import Message, ReceiveMessageRequest, ReceiveMessageResult
from broker.services.sqs.queue_urls import find_queue, known_queue
from broker.services.sqs.service import SERVICE
from broker.services.sqs.visibility import VISIBILITY_S_MAX

COUNT_MAX: Final = 10
WAIT_S_MAX: Final = 20
_NAMES_MAX: Final = 1_000  # a message has ten

_SYSTEM_ATTRIBUTES: Final = frozenset(
    {
        "SenderId",
        "SentTimestamp",
        "ApproximateReceiveCount",
        "ApproximateFirstReceiveTimestamp",
        "SequenceNumber",
        "MessageDeduplicationId",
        "MessageGroupId",
        TRACE_HEADER,
        "DeadLetterQueueSourceArn",
    }
)
_NONE: Final[frozenset[str]] = frozenset()


@SERVICE.operation("ReceiveMessage", ReceiveMessageRequest, ReceiveMessageResult)
async def receive_message(call: Call, request: ReceiveMessageRequest) -> ReceiveMessageResult:
    """Receive up to ten messages, waiting up to 20 seconds for the first. Nothing received: no Messages at all."""
    queue = known_queue(call, request.queue_url)
    count = 1 if request.max_number_of_messages is None else request.max_number_of_messages
    if not 1 <= count <= COUNT_MAX:
        raise _invalid("MaxNumberOfMessages", count, f"Must be between 1 and {COUNT_MAX}, if provided.")
    _check_range("VisibilityTimeout", request.visibility_timeout, VISIBILITY_S_MAX)
    _check_range("WaitTimeSeconds", request.wait_time_seconds, WAIT_S_MAX)
    names = request.message_attribute_names or ()
    if len(names) > _NAMES_MAX:
        raise _invalid("MessageAttributeNames", len(names), f"Must be at most {_NAMES_MAX} names.")
    system = _system_attributes(request)
    runtime = call.runtime
    if queue is None:
        queue = await runtime.call(find_queue, call, request.queue_url)
    if request.receive_request_attempt_id is not None:
        if not queue.settings.fifo:
            raise wrong_queue_type("ReceiveRequestAttemptId", request.receive_request_attempt_id)
        check_id("ReceiveRequestAttemptId", request.receive_request_attempt_id)
    deliveries = await runtime.receive(
        queue,
        count=count,
        visibility_ms=_ms(request.visibility_timeout),
        wait_ms=_ms(request.wait_time_seconds),
        attempt_id=request.receive_request_attempt_id,
        connected=call.connected,
    )
    if not deliveries:
        return ReceiveMessageResult()
    wanted = selector(names)
    return ReceiveMessageResult(messages=[_message(delivery, system, wanted) for delivery in deliveries])


def _message(delivery: Delivery, system: frozenset[str], wanted: Select | None) -> Message:
    content = delivery.content
    message = Message(
        message_id=content.message_id,
        receipt_handle=delivery.receipt_handle,
        md5_of_body=content.body_md5,
        body=delivery.body.decode(),
    )
    if system:
        message.attributes = _system_values(delivery, system) or msgspec.UNSET
    if content.attributes:
        chosen = select(content.attributes, wanted)
        if chosen:
            message.md5_of_message_attributes = attributes_md5(chosen)
            message.message_attributes = {attribute.name: received(attribute) for attribute in chosen}
    return message


def _system_values(delivery: Delivery, wanted: frozenset[str]) -> dict[str, str]:
    content = delivery.content
    values = {
        "SenderId": content.sender,
        "SentTimestamp": str(content.sent_at_ms),
        "ApproximateReceiveCount": str(delivery.receive_count),
        "ApproximateFirstReceiveTimestamp": str(delivery.first_received_at_ms),
        "SequenceNumber": delivery.sequence_number,
        "MessageDeduplicationId": content.deduplication_id,
        "MessageGroupId": delivery.group,
        TRACE_HEADER: content.trace_header,
        "DeadLetterQueueSourceArn": delivery.source,
    }
    return {name: value for name, value in values.items() if value is not None and name in wanted}


def _system_attributes(request: ReceiveMessageRequest) -> frozenset[str]:
    """The system attributes that are asked for: by both lists together. Raises InvalidAttributeName."""
    names: Sequence[str] = (request.attribute_names or []) + (request.message_system_attribute_names or [])
    if not names:
        return _NONE
    wanted = frozenset(names) - {"All"}
    unknown = wanted - _SYSTEM_ATTRIBUTES
    if unknown:
        raise InvalidAttributeName(f"Unknown Attribute {min(unknown)}.")
    return _SYSTEM_ATTRIBUTES if "All" in names else wanted


def _check_range(parameter: str, value: int | None, most: int) -> None:
    if value is not None and not 0 <= value <= most:
        raise _invalid(parameter, value, f"Must be >= 0 and <= {most}, if provided.")


def _invalid(parameter: str, value: int, reason: str) -> InvalidParameterValue:
    return InvalidParameterValue(f"Value {value} for parameter {parameter} is invalid. Reason: {reason}")


def _ms(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * 1000
