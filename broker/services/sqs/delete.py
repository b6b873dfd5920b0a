"""DeleteMessage and DeleteMessageBatch."""

from collections.abc import Sequence
from typing import Final

import msgspec

from broker.errors import AwsError
from broker.services.context import Call
from broker.services.sqs.batches import check_entries, failed
from broker.services.sqs.message_shapes import (
    BatchResultErrorEntry,
    DeleteMessageBatchRequest,
    DeleteMessageBatchRequestEntry,
    DeleteMessageBatchResult,
    DeleteMessageBatchResultEntry,
    DeleteMessageRequest,
)
from broker.services.sqs.queue_urls import find_queue
from broker.services.sqs.service import SERVICE

_ENTRY: Final = "DeleteMessageBatchRequestEntry"


@SERVICE.operation("DeleteMessage", DeleteMessageRequest)
async def delete_message(call: Call, request: DeleteMessageRequest) -> None:
    """Delete a received message; deleting it again succeeds."""
    await call.runtime.call(_delete, call, request.queue_url, request.receipt_handle)


@SERVICE.operation("DeleteMessageBatch", DeleteMessageBatchRequest, DeleteMessageBatchResult)
async def delete_message_batch(call: Call, request: DeleteMessageBatchRequest) -> DeleteMessageBatchResult:
    """Delete up to ten messages, each as DeleteMessage would."""
    entries = request.entries or []
    successful: list[DeleteMessageBatchResultEntry] = []
    errors: list[BatchResultErrorEntry] = []
    await call.runtime.call(_delete_entries, call, request.queue_url, entries, successful, errors)
    return DeleteMessageBatchResult(successful=successful, failed=errors or msgspec.UNSET)


def _delete_entries(
    call: Call,
    queue_url: str | None,
    entries: Sequence[DeleteMessageBatchRequestEntry],
    successful: list[DeleteMessageBatchResultEntry],
    errors: list[BatchResultErrorEntry],
) -> None:
    """Goes on behind the entries that it has seen to where it is called again, because rows were absent."""
    engine = call.runtime.engine
    queue = find_queue(call, queue_url)
    check_entries(entries, _ENTRY)
    for entry in entries[len(successful) + len(errors) :]:
        try:
            engine.delete(queue, entry.receipt_handle)
        except AwsError as error:
            errors.append(failed(entry, error))
        else:
            successful.append(DeleteMessageBatchResultEntry(entry.id))


def _delete(call: Call, queue_url: str | None, handle: str) -> None:
    call.runtime.engine.delete(find_queue(call, queue_url), handle)
