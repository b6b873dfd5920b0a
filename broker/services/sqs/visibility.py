"""ChangeMessageVisibility and ChangeMessageVisibilityBatch."""

from typing import Final

import msgspec

from broker.core.errors import InvalidParameterValue, MissingParameter
from broker.core.limits import VISIBILITY_MS_MAX
from broker.errors import AwsError
from broker.services.context import Call
from broker.services.sqs.batches import check_entries, failed
from broker.services.sqs.message_shapes import (
    BatchResultErrorEntry,
    ChangeMessageVisibilityBatchRequest,
    ChangeMessageVisibilityBatchResult,
    ChangeMessageVisibilityBatchResultEntry,
    ChangeMessageVisibilityRequest,
)
from broker.services.sqs.queue_urls import find_queue
from broker.services.sqs.service import SERVICE

VISIBILITY_S_MAX: Final = VISIBILITY_MS_MAX // 1000
_ENTRY: Final = "ChangeMessageVisibilityBatchRequestEntry"


@SERVICE.operation("ChangeMessageVisibility", ChangeMessageVisibilityRequest)
async def change_message_visibility(call: Call, request: ChangeMessageVisibilityRequest) -> None:
    """Let a received message become visible 0 to 43,200 seconds from now."""
    await call.runtime.call(_change, call, request.queue_url, request.receipt_handle, request.visibility_timeout)


@SERVICE.operation(
    "ChangeMessageVisibilityBatch", ChangeMessageVisibilityBatchRequest, ChangeMessageVisibilityBatchResult
)
async def change_message_visibility_batch(
    call: Call, request: ChangeMessageVisibilityBatchRequest
) -> ChangeMessageVisibilityBatchResult:
    """Change up to ten messages, each as ChangeMessageVisibility would."""
    entries = request.entries or []
    await call.runtime.call(find_queue, call, request.queue_url)
    check_entries(entries, _ENTRY)
    successful: list[ChangeMessageVisibilityBatchResultEntry] = []
    errors: list[BatchResultErrorEntry] = []
    for entry in entries:
        try:
            await call.runtime.call(_change, call, request.queue_url, entry.receipt_handle, entry.visibility_timeout)
        except AwsError as error:
            errors.append(failed(entry, error))
        else:
            successful.append(ChangeMessageVisibilityBatchResultEntry(entry.id))
    return ChangeMessageVisibilityBatchResult(successful=successful, failed=errors or msgspec.UNSET)


def _change(call: Call, queue_url: str | None, handle: str, timeout_s: int | None) -> None:
    queue = find_queue(call, queue_url)
    if timeout_s is None:
        raise MissingParameter("VisibilityTimeout")
    if not 0 <= timeout_s <= VISIBILITY_S_MAX:
        raise InvalidParameterValue(
            f"Value {timeout_s} for parameter VisibilityTimeout is invalid. Reason: Must be >= 0 and "
            f"<= {VISIBILITY_S_MAX}, if provided."
        )
    call.runtime.engine.change_visibility(queue, handle, timeout_s * 1000)
