"""GetQueueAttributes and SetQueueAttributes."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec

from broker.core.engine import Engine
from broker.core.errors import MissingParameter
from broker.core.queue import Queue
from broker.core.settings import QueueName, QueueSettings
from broker.services.context import Call
from broker.services.operation import QueryName
from broker.services.sqs.attribute_rules import (
    check_attributes,
    is_attribute,
    merge_attributes,
    read_settings,
    with_defaults,
)
from broker.services.sqs.errors import InvalidAttributeName
from broker.services.sqs.queue_urls import queue_name
from broker.services.sqs.redrive import check_dead_letter_queue
from broker.services.sqs.service import SERVICE

_COUNTS: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)

AttributeMap = Annotated[dict[str, str], QueryName("Attribute", "Name", "Value")]


class GetQueueAttributesRequest(msgspec.Struct, rename="pascal", kw_only=True):
    queue_url: str | None = None
    attribute_names: Annotated[list[str], QueryName("AttributeName")] | None = None


class GetQueueAttributesResult(msgspec.Struct, rename="pascal", kw_only=True):
    attributes: AttributeMap | msgspec.UnsetType = msgspec.UNSET


@SERVICE.operation("GetQueueAttributes", GetQueueAttributesRequest, GetQueueAttributesResult)
async def get_queue_attributes(call: Call, request: GetQueueAttributesRequest) -> GetQueueAttributesResult:
    """The named attributes that have a value; `All` means every one, no name none."""
    name = queue_name(call, request.queue_url)
    found = await call.runtime.call(_get, call.runtime.engine, name, request.attribute_names or ())
    return GetQueueAttributesResult(attributes=found or msgspec.UNSET)


class SetQueueAttributesRequest(msgspec.Struct, rename="pascal", kw_only=True):
    queue_url: str | None = None
    attributes: AttributeMap | None = None


@SERVICE.operation("SetQueueAttributes", SetQueueAttributesRequest)
async def set_queue_attributes(call: Call, request: SetQueueAttributesRequest) -> None:
    """Set the given attributes, all or none; an empty policy or KMS key removes it."""
    name = queue_name(call, request.queue_url)
    await call.runtime.call(_set, call.runtime.engine, name, request.attributes or {})


def configure(
    engine: Engine, name: QueueName, *, fifo: bool, current: Mapping[str, str], changes: Mapping[str, str]
) -> tuple[QueueSettings, dict[str, str]]:
    """What a queue's settings and attributes become by checked changes, where everything about that is valid."""
    attributes = merge_attributes(current, changes)
    settings = read_settings(attributes, fifo=fifo)
    if settings.redrive is not None and "RedrivePolicy" in changes:
        check_dead_letter_queue(engine, name, fifo=fifo, redrive=settings.redrive, text=changes["RedrivePolicy"])
    return settings, attributes


def _set(engine: Engine, name: QueueName, given: Mapping[str, str]) -> None:
    queue = engine.find_queue(name)
    if not given:
        raise MissingParameter("Attributes")
    fifo = queue.settings.fifo
    changes = check_attributes(given, fifo=fifo, creating=False)
    settings, attributes = configure(engine, name, fifo=fifo, current=queue.attributes, changes=changes)
    engine.configure_queue(queue, settings, attributes)


def _get(engine: Engine, name: QueueName, names: Sequence[str]) -> dict[str, str]:
    queue = engine.find_queue(name)
    every = "All" in names
    wanted = set(names) - {"All"}
    for attribute in names:
        if attribute in wanted and not is_attribute(attribute):
            raise InvalidAttributeName(f"Unknown Attribute {attribute}.")
    values = _identity(queue) | with_defaults(queue.attributes, fifo=queue.settings.fifo)
    if every or not wanted.isdisjoint(_COUNTS):
        counts = engine.counts(queue)
        values |= zip(_COUNTS, map(str, (counts.visible, counts.in_flight, counts.delayed)), strict=True)
    return {attribute: value for attribute, value in values.items() if every or attribute in wanted}


def _identity(queue: Queue) -> dict[str, str]:
    return {
        "QueueArn": queue.name.arn,
        "CreatedTimestamp": str(queue.created_at_ms // 1000),
        "LastModifiedTimestamp": str(queue.modified_at_ms // 1000),
    }
