"""Publish and PublishBatch."""

from collections.abc import Sequence

import msgspec

from broker.errors import AwsError
from broker.services.context import Call
from broker.services.sns.batches import check_entries, failed
from broker.services.sns.direct import publish_to_endpoint, publish_to_phone
from broker.services.sns.errors import BatchRequestTooLong, InvalidParameter
from broker.services.sns.message_rules import draft, require_fifo_ids, size
from broker.services.sns.message_shapes import (
    PublishBatchRequest,
    PublishBatchRequestEntry,
    PublishBatchResult,
    PublishBatchResultEntry,
    PublishRequest,
    PublishResult,
)
from broker.services.sns.names import read_topic_arn
from broker.services.sns.publishing import Accepted, publish_all
from broker.services.sns.service import SERVICE
from broker.services.sns.state import Topics

_ENDPOINT = ":endpoint/"


@SERVICE.operation("Publish", PublishRequest, PublishResult, at_queue=False)
async def publish(call: Call, request: PublishRequest) -> PublishResult:
    """Publish one message: to a topic's subscriptions, to a device, or to a phone."""
    given = [request.topic_arn, request.target_arn, request.phone_number]
    if sum(1 for target in given if target) > 1:
        raise InvalidParameter("TopicArn, TargetArn, PhoneNumber Reason: only one of them can be given")
    if request.phone_number:
        return PublishResult(message_id=await publish_to_phone(call, request.phone_number, draft(request)))
    if request.target_arn and _ENDPOINT in request.target_arn:
        return PublishResult(message_id=await publish_to_endpoint(call, request.target_arn, draft(request)))
    arn = request.topic_arn or request.target_arn
    if not arn:
        raise InvalidParameter("TopicArn or TargetArn Reason: no value for required parameter")
    name = read_topic_arn(arn, "TopicArn" if request.topic_arn else "TargetArn", region=call.region)
    accepted = (await publish_all(call, name, [lambda topic: draft(request, topic)]))[0]
    if isinstance(accepted, AwsError):
        raise accepted
    return _result(accepted)


@SERVICE.operation("PublishBatch", PublishBatchRequest, PublishBatchResult, at_queue=False)
async def publish_batch(call: Call, request: PublishBatchRequest) -> PublishBatchResult:
    """Publish up to ten messages to a topic, in their order; the valid ones are accepted together."""
    name = read_topic_arn(request.topic_arn, region=call.region)
    entries = request.publish_batch_request_entries or []
    topic = await call.runtime.call(call.runtime.part(Topics).find, name)
    check_entries(entries)
    if sum(map(size, entries)) > topic.message_bytes_max:
        raise BatchRequestTooLong("The length of all the messages put together is more than the limit.")
    for one in entries:
        require_fifo_ids(one, topic)
    drafts = [lambda topic, entry=entry: draft(entry, topic) for entry in entries]
    outcomes = await publish_all(call, name, drafts)
    return _batch_result(entries, outcomes)


def _batch_result(
    entries: Sequence[PublishBatchRequestEntry], outcomes: Sequence[Accepted | AwsError]
) -> PublishBatchResult:
    result = PublishBatchResult(successful=[], failed=[])
    for entry, outcome in zip(entries, outcomes, strict=True):
        if isinstance(outcome, AwsError):
            result.failed.append(failed(entry.id, outcome))
        else:
            one = _result(outcome)
            result.successful.append(
                PublishBatchResultEntry(id=entry.id, message_id=one.message_id, sequence_number=one.sequence_number)
            )
    return result


def _result(accepted: Accepted) -> PublishResult:
    return PublishResult(message_id=accepted.message_id, sequence_number=accepted.sequence_number or msgspec.UNSET)
