"""Looking into a queue without receiving: what is there, in which state; nothing is changed by it."""

from dataclasses import dataclass
from typing import Literal

from broker.core.content import Content, read_content
from broker.core.fifo import FifoQueue
from broker.core.queue import Queue
from broker.errors import ServiceUnavailable
from broker.services.runtime import Runtime
from broker.store.base import StoredMessage, StoreError

State = Literal["visible", "in_flight", "delayed"]
_BYTES_MAX = 4 * 1_048_576


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A message as a look finds it. Times in milliseconds since the epoch; 0: never."""

    id: int
    content: Content
    body: bytes
    state: State
    receive_count: int
    visible_at_ms: int
    enqueued_at_ms: int
    first_received_at_ms: int
    group: str | None
    order: int
    source: str | None


async def look(runtime: Runtime, queue: Queue, after_id: int, limit: int) -> tuple[list[LookedAt], int | None]:
    """Up to `limit` messages of a queue by age, those with id > after_id; and the id to go on after, None at the end.

    Shows what is committed when it is called, and everything acknowledged before that. Raises ServiceUnavailable.
    """
    await runtime.commits.until(runtime.commits.newest)
    try:
        page = await runtime.store.look(queue.generation, after_id, limit=limit, bytes_max=_BYTES_MAX)
    except StoreError as error:
        raise ServiceUnavailable("The service is temporarily unavailable: messages could not be read.") from error
    now_ms = runtime.clock.now_ms()
    expired_ms = now_ms - queue.settings.retention_ms
    found = [_looked_at(queue, row, now_ms) for row in page.rows if row.enqueued_at_ms > expired_ms]
    return found, page.rows[-1].id if page.more else None


def _looked_at(queue: Queue, row: StoredMessage, now_ms: int) -> LookedAt:
    assert row.content is not None and row.body is not None
    visible_at_ms = row.visible_at_ms if row.leased else row.enqueued_at_ms
    if isinstance(queue, FifoQueue) and not row.leased:
        visible_at_ms += queue.settings.delay_ms
    state: State = "visible"
    if visible_at_ms > now_ms:
        state = "in_flight" if row.receive_count else "delayed"
    return LookedAt(
        row.id,
        read_content(row.content),
        row.body,
        state,
        row.receive_count,
        visible_at_ms,
        row.enqueued_at_ms,
        row.first_received_at_ms,
        row.group,
        row.order,
        row.source,
    )
