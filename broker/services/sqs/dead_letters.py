"""ListDeadLetterSourceQueues."""

from typing import Annotated

import msgspec

from broker.core.engine import Engine
from broker.core.settings import QueueName
from broker.services.context import Call
from broker.services.operation import QueryName
from broker.services.sqs.paging import PAGE_MAX, check_max_results, cut_page, read_token
from broker.services.sqs.queue_urls import queue_name, queue_url
from broker.services.sqs.service import SERVICE


class ListDeadLetterSourceQueuesRequest(msgspec.Struct, rename="pascal", kw_only=True):
    queue_url: str | None = None
    next_token: str | None = None
    max_results: int | None = None


class ListDeadLetterSourceQueuesResult(msgspec.Struct, rename="pascal", kw_only=True):
    queue_urls: Annotated[list[str], QueryName("QueueUrl")] = msgspec.field(name="queueUrls")
    next_token: str | msgspec.UnsetType = msgspec.UNSET


@SERVICE.operation("ListDeadLetterSourceQueues", ListDeadLetterSourceQueuesRequest, ListDeadLetterSourceQueuesResult)
async def list_dead_letter_source_queues(
    call: Call, request: ListDeadLetterSourceQueuesRequest
) -> ListDeadLetterSourceQueuesResult:
    """The queues that have this one as their dead-letter queue, by name."""
    name = queue_name(call, request.queue_url)
    check_max_results(request.max_results, PAGE_MAX)
    after = read_token(request.next_token)
    sources = await call.runtime.call(_sources, call.runtime.engine, name)
    page, next_token = cut_page([source for source in sources if source.name > after], request.max_results)
    return ListDeadLetterSourceQueuesResult(
        queue_urls=[queue_url(call, source) for source in page], next_token=next_token
    )


def _sources(engine: Engine, name: QueueName) -> list[QueueName]:
    return engine.dead_letter_sources(engine.find_queue(name))
