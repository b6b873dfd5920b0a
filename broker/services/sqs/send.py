"""SendMessage and SendMessageBatch."""

from collections.abc import Sequence
from typing import Final

import msgspec

from broker.core.admission import admit, require_fifo_ids
from broker.core.content import Attribute
from broker.core.engine import Engine
from broker.core.message import Admitted, Sent
from broker.core.settings import QueueSettings
from broker.errors import AwsError
from broker.services.context import Call
from broker.services.digests import attributes_md5
from broker.services.sqs.batches import check_bytes, check_entries, failed
from broker.services.sqs.message_attributes import given_bytes, read_attributes, read_trace_header, text_bytes
from broker.services.sqs.message_shapes import (
    BatchResultErrorEntry,
    SendMessageBatchRequest,
    SendMessageBatchRequestEntry,
    SendMessageBatchResult,
    SendMessageBatchResultEntry,
    SendMessageRequest,
    SendMessageResult,
)
from broker.services.sqs.queue_urls import find_queue
from broker.services.sqs.service import SERVICE

_ENTRY: Final = "SendMessageBatchRequestEntry"


@SERVICE.operation("SendMessage", SendMessageRequest, SendMessageResult)
async def send_message(call: Call, request: SendMessageRequest) -> SendMessageResult:
    """Send one message. A duplicate of a FIFO queue answers its original's id, and the MD5s of this request."""
    admitted, trace, sent = await call.runtime.call(_send, call, request)
    return SendMessageResult(
        md5_of_message_body=admitted.body_md5,
        md5_of_message_attributes=_md5_or_unset(admitted.attributes),
        md5_of_message_system_attributes=_md5_or_unset(trace),
        message_id=sent.message_id,
        sequence_number=sent.sequence_number or msgspec.UNSET,
    )


@SERVICE.operation("SendMessageBatch", SendMessageBatchRequest, SendMessageBatchResult)
async def send_message_batch(call: Call, request: SendMessageBatchRequest) -> SendMessageBatchResult:
    """Send up to ten messages, in their order; the valid ones are accepted together."""
    return await call.runtime.call(_send_batch, call, request.queue_url, request.entries or ())


# Both run as one engine call: the queue that is checked is the queue that is sent to.


def _send(call: Call, request: SendMessageRequest) -> tuple[Admitted, tuple[Attribute, ...], Sent]:
    engine: Engine = call.runtime.engine
    queue = find_queue(call, request.queue_url)
    admitted, trace = _admit(call, queue.settings, request, in_batch=False)
    return admitted, trace, engine.send(queue, (admitted,))[0]


def _send_batch(
    call: Call, queue_url: str | None, entries: Sequence[SendMessageBatchRequestEntry]
) -> SendMessageBatchResult:
    engine: Engine = call.runtime.engine
    queue = find_queue(call, queue_url)
    check_entries(entries, _ENTRY)
    check_bytes(sum(text_bytes(e.message_body) + given_bytes(e.message_attributes) for e in entries))
    for entry in entries:
        require_fifo_ids(queue.settings, entry.message_group_id, entry.message_deduplication_id, in_batch=True)
    accepted: list[tuple[SendMessageBatchRequestEntry, Admitted, tuple[Attribute, ...]]] = []
    errors: list[BatchResultErrorEntry] = []
    for entry in entries:
        try:
            accepted.append((entry, *_admit(call, queue.settings, entry, in_batch=True)))
        except AwsError as error:
            errors.append(failed(entry, error))
    all_sent = engine.send(queue, [admitted for _, admitted, _ in accepted]) if accepted else []
    return SendMessageBatchResult(
        successful=[_result(*one, sent) for one, sent in zip(accepted, all_sent, strict=True)],
        failed=errors or msgspec.UNSET,
    )


def _admit(
    call: Call,
    settings: QueueSettings,
    given: SendMessageRequest | SendMessageBatchRequestEntry,
    *,
    in_batch: bool,
) -> tuple[Admitted, tuple[Attribute, ...]]:
    """The message, and the system attributes that came with it. The trace header may come with HTTP instead."""
    trace = read_trace_header(given.message_system_attributes)
    admitted = admit(
        settings,
        body=given.message_body,
        attributes=read_attributes(given.message_attributes),
        delay_s=given.delay_seconds,
        group=given.message_group_id,
        deduplication_id=given.message_deduplication_id,
        sender=call.principal,
        trace_header=call.trace_header if trace is None else trace.value.decode(),
        in_batch=in_batch,
    )
    return admitted, () if trace is None else (trace,)


def _result(
    entry: SendMessageBatchRequestEntry, admitted: Admitted, trace: tuple[Attribute, ...], sent: Sent
) -> SendMessageBatchResultEntry:
    return SendMessageBatchResultEntry(
        id=entry.id,
        message_id=sent.message_id,
        md5_of_message_body=admitted.body_md5,
        md5_of_message_attributes=_md5_or_unset(admitted.attributes),
        md5_of_message_system_attributes=_md5_or_unset(trace),
        sequence_number=sent.sequence_number or msgspec.UNSET,
    )


def _md5_or_unset(attributes: tuple[Attribute, ...]) -> str | msgspec.UnsetType:
    return attributes_md5(attributes) if attributes else msgspec.UNSET
