"""TagQueue, UntagQueue and ListQueueTags. Source: SQS API Reference; Developer Guide, "Quotas related to queues"."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec

from broker.core.admission import characters_allowed
from broker.core.engine import Engine
from broker.core.errors import InvalidParameterValue, MissingParameter
from broker.core.settings import QueueName
from broker.services.context import Call
from broker.services.operation import QueryName
from broker.services.sqs.queue_urls import queue_name
from broker.services.sqs.service import SERVICE

TAGS_MAX: Final = 50
_KEY_MAX: Final = 128
_VALUE_MAX: Final = 256

TagMap = Annotated[dict[str, str], QueryName("Tag", "Key", "Value")]


class TagQueueRequest(msgspec.Struct, rename="pascal", kw_only=True):
    queue_url: str | None = None
    tags: TagMap | None = None


@SERVICE.operation("TagQueue", TagQueueRequest)
async def tag_queue(call: Call, request: TagQueueRequest) -> None:
    """Add tags; one whose key exists replaces it."""
    await call.runtime.call(_tag, call.runtime.engine, queue_name(call, request.queue_url), request.tags or {})


class UntagQueueRequest(msgspec.Struct, rename="pascal", kw_only=True):
    queue_url: str | None = None
    tag_keys: Annotated[list[str], QueryName("TagKey")] | None = None


@SERVICE.operation("UntagQueue", UntagQueueRequest)
async def untag_queue(call: Call, request: UntagQueueRequest) -> None:
    """Remove the tags with these keys, where there are any."""
    await call.runtime.call(_untag, call.runtime.engine, queue_name(call, request.queue_url), request.tag_keys or ())


class ListQueueTagsRequest(msgspec.Struct, rename="pascal"):
    queue_url: str | None = None


class ListQueueTagsResult(msgspec.Struct, rename="pascal"):
    tags: TagMap | msgspec.UnsetType = msgspec.UNSET


@SERVICE.operation("ListQueueTags", ListQueueTagsRequest, ListQueueTagsResult)
async def list_queue_tags(call: Call, request: ListQueueTagsRequest) -> ListQueueTagsResult:
    """A queue's tags; absent where it has none."""
    queue = await call.runtime.call(call.runtime.engine.find_queue, queue_name(call, request.queue_url))
    return ListQueueTagsResult(dict(queue.tags) or msgspec.UNSET)


def check_tags(name: QueueName, tags: Mapping[str, str]) -> None:
    """The lengths of keys and values, and the number of all of a queue's tags. Raises InvalidParameterValue."""
    if len(tags) > TAGS_MAX:
        raise InvalidParameterValue(f"Too many tags added for queue {name.name}.")
    for key, value in tags.items():
        _check_key(key)
        if len(value) > _VALUE_MAX:
            raise InvalidParameterValue(f"Tag values must be between 0 and {_VALUE_MAX} characters in length.")
        if not characters_allowed((key + value).encode()):
            raise InvalidParameterValue("Tag keys and values must not contain control characters.")


def _check_key(key: str) -> None:
    if not 1 <= len(key) <= _KEY_MAX:
        raise InvalidParameterValue(f"Tag keys must be between 1 and {_KEY_MAX} characters in length.")


def _tag(engine: Engine, name: QueueName, tags: Mapping[str, str]) -> None:
    queue = engine.find_queue(name)
    if not tags:
        raise MissingParameter("Tags")
    together = queue.tags | dict(tags)
    check_tags(name, together)
    engine.tag_queue(queue, together)


def _untag(engine: Engine, name: QueueName, keys: Sequence[str]) -> None:
    queue = engine.find_queue(name)
    if not keys:
        raise MissingParameter("TagKeys")
    for key in keys:
        _check_key(key)
    gone = frozenset(keys)
    engine.tag_queue(queue, {key: value for key, value in queue.tags.items() if key not in gone})
