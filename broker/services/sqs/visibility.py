"""ChangeMessageVisibility and ChangeMessageVisibilityBatch."""

from typing import Final

import msgspec

from broker.core.errors import InvalidParameterValue, MissingParameter
from broker.core.limits import VISIBILITY_MS_MAX
from broker.core.settings import QueueName
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
from broker.services.sqs.queue_urls import queue_name
from broker.services.sqs.service import SERVICE

VISIBILITY_S_MAX: Final = VISIBILITY_MS_MAX // 1000
_ENTRY: Final = "ChangeMessageVisibilityBatchRequestEntry"


@SERVICE.operation("ChangeMessageVisibility", ChangeMessageVisibilityRequest)
async def change_message_visibility(call: Call, request: ChangeMessageVisibilityRequest) -> None:
    """Let a received message become visible 0 to 43,200 seconds from now."""
    name = queue_name(call, request.queue_url)
    await call.runtime.call(_change, call, name, request.receipt_handle, request.visibility_timeout)


@SERVICE.operation(
    "ChangeMessageVisibilityBatch", ChangeMessageVisibilityBatchRequest, ChangeMessageVisibilityBatchResult
)
async def change_message_visibility_batch(
    call: Call, request: ChangeMessageVisibilityBatchRequest
) -> ChangeMessageVisibilityBatchResult:
    """Change up to ten messages, each as ChangeMessageVisibility would."""
    name = queue_name(call, request.queue_url)
    entries = request.entries or []
    await call.runtime.call(call.runtime.engine.find_queue, name)
    check_entries(entries, _ENTRY)
    successful: list[ChangeMessageVisibilityBatchResultEntry] = []
    errors: list[BatchResultErrorEntry] = []
    for entry in entries:
        try:
            await call.runtime.call(_change, call, name, entry.receipt_handle, entry.visibility_timeout)
        except AwsError as error:
            errors.append(failed(entry, error))
        else:
            successful.append(ChangeMessageVisibilityBatchResultEntry(entry.id))
    return ChangeMessageVisibilityBatchResult(successful=successful, failed=errors or msgspec.UNSET)


def _change(call: Call, name: QueueName, handle: str, timeout_s: int | None) -> None:
    engine = call.runtime.engine
    queue = engine.find_queue(name)
    if timeout_s is None:
        raise MissingParameter("VisibilityTimeout")
    if not 0 <= timeout_s <= VISIBILITY_S_MAX:
        raise InvalidParameterValue(
            f"Value {timeout_s} for parameter VisibilityTimeout is invalid. Reason: Must be >= 0 and "
            f"<= {VISIBILITY_S_MAX}, if provided."
        )
    engine.change_visibility(queue, handle, timeout_s * 1000)
