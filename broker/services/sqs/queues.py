"""CreateQueue, DeleteQueue, ListQueues, GetQueueUrl and PurgeQueue."""

import re
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from broker.core.engine import Engine
from broker.core.errors import InvalidParameterValue, QueueNameExists
from broker.core.settings import QueueName
from broker.services.context import Call
from broker.services.operation import QueryName
from broker.services.sqs.attribute_rules import check_attributes, differing_attribute, is_fifo
from broker.services.sqs.attributes import AttributeMap, configure
from broker.services.sqs.paging import PAGE_MAX, check_max_results, cut_page, read_token
from broker.services.sqs.queue_urls import queue_name, queue_url
from broker.services.sqs.service import SERVICE
from broker.services.sqs.tags import TagMap, check_tags

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
_FIFO_NAME: Final = re.compile(r"(?=.{6,80}\Z)[A-Za-z0-9_-]+\.fifo")


class CreateQueueRequest(msgspec.Struct, rename="pascal", kw_only=True):
    queue_name: str
    attributes: AttributeMap | None = None
    tags: TagMap | None = msgspec.field(default=None, name="tags")


class CreateQueueResult(msgspec.Struct, rename="pascal"):
    queue_url: str


@SERVICE.operation("CreateQueue", CreateQueueRequest, CreateQueueResult, at_queue=False)
async def create_queue(call: Call, request: CreateQueueRequest) -> CreateQueueResult:
    """Make a queue, or find the one of this name if it has the given attributes."""
    name = QueueName(call.account, call.region, request.queue_name)
    await call.runtime.call(ensure_queue, call.runtime.engine, name, request.attributes or {}, request.tags or {})
    return CreateQueueResult(queue_url(call, name))


class DeleteQueueRequest(msgspec.Struct, rename="pascal"):
    queue_url: str | None = None


@SERVICE.operation("DeleteQueue", DeleteQueueRequest)
async def delete_queue(call: Call, request: DeleteQueueRequest) -> None:
    """Delete a queue and everything in it."""
    await call.runtime.call(_delete, call.runtime.engine, queue_name(call, request.queue_url))


class ListQueuesRequest(msgspec.Struct, rename="pascal", kw_only=True):
    queue_name_prefix: str | None = None
    next_token: str | None = None
    max_results: int | None = None


class ListQueuesResult(msgspec.Struct, rename="pascal", kw_only=True):
    queue_urls: Annotated[list[str], QueryName("QueueUrl")] | msgspec.UnsetType = msgspec.UNSET
    next_token: str | msgspec.UnsetType = msgspec.UNSET


@SERVICE.operation("ListQueues", ListQueuesRequest, ListQueuesResult, at_queue=False)
async def list_queues(call: Call, request: ListQueuesRequest) -> ListQueuesResult:
    """The account's queues in the region, by name, up to 1,000 or MaxResults at a time."""
    check_max_results(request.max_results, PAGE_MAX)
    names = await call.runtime.call(
        call.runtime.engine.queue_names,
        call.account,
        call.region,
        prefix=request.queue_name_prefix or "",
        after=read_token(request.next_token),
        limit=(request.max_results or PAGE_MAX) + 1,
    )
    page, next_token = cut_page(names, request.max_results)
    return ListQueuesResult(queue_urls=[queue_url(call, name) for name in page] or msgspec.UNSET, next_token=next_token)


class GetQueueUrlRequest(msgspec.Struct, rename="pascal", kw_only=True):
    queue_name: str
    queue_owner_aws_account_id: str | None = msgspec.field(default=None, name="QueueOwnerAWSAccountId")


class GetQueueUrlResult(msgspec.Struct, rename="pascal"):
    queue_url: str


@SERVICE.operation("GetQueueUrl", GetQueueUrlRequest, GetQueueUrlResult)
async def get_queue_url(call: Call, request: GetQueueUrlRequest) -> GetQueueUrlResult:
    """The URL of the queue of this name, of the caller's account or of the named one."""
    name = QueueName(request.queue_owner_aws_account_id or call.account, call.region, request.queue_name)
    queue = await call.runtime.call(call.runtime.engine.find_queue, name)
    return GetQueueUrlResult(queue_url(call, queue.name))


class PurgeQueueRequest(msgspec.Struct, rename="pascal"):
    queue_url: str | None = None


@SERVICE.operation("PurgeQueue", PurgeQueueRequest)
async def purge_queue(call: Call, request: PurgeQueueRequest) -> None:
    """Drop every message of a queue: visible, delayed and in flight."""
    await call.runtime.call(_purge, call.runtime.engine, queue_name(call, request.queue_url))


def ensure_queue(engine: Engine, name: QueueName, given: Mapping[str, str], tags: Mapping[str, str]) -> None:
    """Make a queue with these attributes and tags unless there is one with the same attributes.

    Only the given attributes are compared, and tags never. Raises QueueNameExists, QueueDeletedRecently and every error of
    a bad name, attribute or tag.
    """
    fifo = is_fifo(given)
    _check_name(name.name, fifo=fifo)
    checked = check_attributes(given, fifo=fifo, creating=True)
    check_tags(name, tags)
    if engine.has_queue(name):
        existing = engine.find_queue(name)
        differing = differing_attribute(checked, existing.attributes, fifo=fifo)
        if differing is not None:
            raise QueueNameExists(differing)
        return
    settings, attributes = configure(engine, name, fifo=fifo, current={}, changes=checked)
    engine.create_queue(name, settings, attributes, dict(tags))


def _check_name(name: str, *, fifo: bool) -> None:
    if fifo and not _FIFO_NAME.fullmatch(name):
        raise InvalidParameterValue(
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with "
            ".fifo suffix and be 1 to 80 in length."
        )
    if not fifo and not _NAME.fullmatch(name):
        raise InvalidParameterValue(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
        )


def _delete(engine: Engine, name: QueueName) -> None:
    engine.delete_queue(engine.find_queue(name))


def _purge(engine: Engine, name: QueueName) -> None:
    engine.purge_queue(engine.find_queue(name))
