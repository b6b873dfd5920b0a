"""A store in plain dictionaries: slow, obvious, and the reference that the engine's tests run on without an event loop."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from broker.store.base import AcceptedPage, Page, Recovered, StoredMessage
from broker.store.batch import Batch
from broker.store.changes import LANE_READY, CounterRow, DeduplicationRow, LeaseRow, MessageRow
from broker.store.columns import Columns
from broker.store.counters import unpack_counters
from broker.store.entries import entry_at
from broker.store.new_blocks import HEAD


class DictStore:
    """What is committed lives here; a restart is a new engine on the same DictStore."""

    def __init__(self) -> None:
        self.batch_number = 0
        self.message_time_ms = 0
        self.granted = 0
        self.rows: dict[int, MessageRow] = {}
        self.leases: dict[int, LeaseRow] = {}
        self.counters: dict[int, CounterRow] = {}
        self.entries: list[DeduplicationRow] = []
        self.resources: dict[tuple[str, str], bytes] = {}
        self.dropped: set[int] = set()
        self.left: dict[int, int] = {}  # of which batch a message is that was left to the store
        self.read_through = 0  # the newest batch that a page of messages has contained
        self.past: dict[int, tuple[dict[int, MessageRow], dict[int, LeaseRow]]] = {0: ({}, {})}

    def open(self) -> Recovered:
        return self.recover()

    def recover(self) -> Recovered:
        return Recovered(self.batch_number, self.message_time_ms, b"s" * 32, dict(self.resources), dict(self.counters))

    def grant_sequences(self, count: int) -> range:
        start = self.granted + 1
        self.granted += count
        return range(start, start + count)

    def commit(self, batch: Batch) -> None:
        self.batch_number = batch.number
        self.message_time_ms = max(self.message_time_ms, batch.message_time_ms)
        self.rows.update(batch.messages)
        left = [row for builder in batch.left.values() for block in builder.blocks() for row in block.rows()]
        left += [row for blocks in batch.blocks.values() for block in blocks for row in block.rows()]
        self.rows.update((row.id, row) for row in left)
        self.left.update((row.id, batch.number) for row in left)
        for message_id in (*batch.moves, *batch.leases, *batch.deleted):
            assert self.left.get(message_id, 0) <= self.read_through, "no read has found it"
        for move in batch.moves.values():
            assert move.source == self.rows[move.id].queue
            self.rows[move.id] = replace(
                self.rows[move.id],
                queue=move.queue,
                lane=move.lane,
                order=move.order,
                enqueued_at_ms=move.enqueued_at_ms,
            )
            if move.id in self.leases:
                self.leases[move.id] = replace(self.leases[move.id], queue=move.queue)
        self.leases.update(batch.leases)
        for message_id, queue in batch.deleted.items():
            row = self.rows.pop(message_id, None)
            assert row is None or queue == row.queue
            self.leases.pop(message_id, None)
        self.counters.update((queue, unpack_counters(packed)) for queue, packed in batch.counters.items())
        for queue, (digests, facts) in batch.deduplication.items():
            self.entries += [entry_at(queue, bytes(digests), bytes(facts), n) for n in range(len(digests) // 16)]
        for queue, up_to in batch.forgotten.items():
            self.entries = [e for e in self.entries if e.queue != queue or e.order > up_to]
        for key, record in batch.resources.items():
            if record is None:
                self.resources.pop(key, None)
            else:
                self.resources[key] = record
        for queue in batch.dropped:
            self.dropped.add(queue)
            self.counters.pop(queue, None)
        self.past[batch.number] = dict(self.rows), dict(self.leases)

    def commit_at_once(self, _batch: Batch) -> bool:
        return False

    def clear_dropped(self) -> bool:
        for message_id in [r.id for r in self.rows.values() if r.queue in self.dropped]:
            self.rows.pop(message_id)
            self.leases.pop(message_id, None)
        self.dropped.clear()
        return False

    def vacuum(self) -> bool:
        return False

    def checkpoint(self) -> None:
        """There is no log."""

    def close(self) -> None:
        """There is nothing to close."""

    def _stored(self, row: MessageRow, *, content: bool) -> StoredMessage:
        lease = self.leases.get(row.id)
        return StoredMessage(
            row.id,
            row.queue,
            row.lane,
            row.order,
            row.group,
            row.enqueued_at_ms,
            lease is not None,
            lease.visible_at_ms if lease else 0,
            lease.receive_count if lease else 0,
            lease.first_received_at_ms if lease else 0,
            lease.source if lease else None,
            row.content if content else None,
            row.body if content else None,
        )

    def _then(self, batch_number: int | None) -> "DictStore | None":
        """What was here when that batch was the last; None: it is, or is not known."""
        if batch_number is None or batch_number not in self.past:
            return None
        then = DictStore()
        then.batch_number = batch_number
        then.rows, then.leases = self.past[batch_number]
        return then

    def _page(self, rows: list[StoredMessage], limit: int, bytes_max: int = 1 << 40) -> Page:
        taken: list[StoredMessage] = []
        size = 0
        for row in rows:
            if len(taken) >= limit or (taken and size >= bytes_max):
                break
            taken.append(row)
            size += len(row.content or b"") + len(row.body or b"")
        return self._answered(Page(self.batch_number, taken, len(taken) < len(rows)))

    def _answered(self, page: Page) -> Page:
        self.read_through = max(self.read_through, page.batch_number)
        return page

    async def scan(
        self,
        queue: int,
        after_order: int,
        *,
        skip_groups: tuple[str, ...],
        unleased: bool,
        limit: int,
        bytes_max: int,
        contains: int | None = None,
        columns: bool = False,
    ) -> Page:
        """As old as it may be, and in columns where it may be."""
        if (then := self._then(contains)) is not None:
            return self._answered(
                await then.scan(
                    queue,
                    after_order,
                    skip_groups=skip_groups,
                    unleased=unleased,
                    limit=limit,
                    bytes_max=bytes_max,
                    columns=columns,
                )
            )
        rows = [
            self._stored(r, content=True)
            for r in sorted(self.rows.values(), key=lambda r: r.order)
            if r.queue == queue
            and r.lane == LANE_READY
            and r.order > after_order
            and (r.group is None or r.group not in skip_groups)
            and not (unleased and r.id in self.leases)
        ]
        page = self._page(rows, limit, bytes_max)
        return in_columns(page) if columns and all(map(can_be_in_columns, page.rows)) else page

    async def group(
        self,
        queue: int,
        group: str,
        after_order: int,
        *,
        unleased: bool,
        limit: int,
        bytes_max: int,
        contains: int | None = None,
    ) -> Page:
        """As old as it may be."""
        if (then := self._then(contains)) is not None:
            return self._answered(
                await then.group(queue, group, after_order, unleased=unleased, limit=limit, bytes_max=bytes_max)
            )
        rows = [
            self._stored(r, content=True)
            for r in sorted(self.rows.values(), key=lambda r: r.order)
            if r.queue == queue
            and r.lane == LANE_READY
            and r.order > after_order
            and r.group == group
            and not (unleased and r.id in self.leases)
        ]
        return self._page(rows, limit, bytes_max)

    async def timed(
        self, queue: int, after: tuple[int, int], *, content_until_ms: int, limit: int, bytes_max: int
    ) -> Page:
        leases = sorted((v for v in self.leases.values() if v.queue == queue), key=lambda v: (v.visible_at_ms, v.id))
        rows = [
            self._stored(self.rows[v.id], content=v.visible_at_ms <= content_until_ms)
            for v in leases
            if (v.visible_at_ms, v.id) > after
        ]
        return self._page(rows, limit, bytes_max)

    async def count_timed(
        self, queue: int, after_ms: int, until_ms: int, *, by_group: bool
    ) -> tuple[int, list[tuple[str | None, int, int]]]:
        counts: dict[str | None, list[int]] = {}
        for lease in self.leases.values():
            if lease.queue == queue and after_ms < lease.visible_at_ms <= until_ms:
                group = self.rows[lease.id].group if by_group else None
                counts.setdefault(group, [0, 0])[0 if lease.receive_count else 1] += 1
        return self.batch_number, [(g, received, never) for g, (received, never) in counts.items()]

    async def in_flight(self, queue: int, after_id: int, *, now_ms: int, limit: int) -> Page:
        rows = [
            self._stored(self.rows[v.id], content=False)
            for v in sorted(self.leases.values(), key=lambda v: v.id)
            if v.queue == queue and v.id > after_id and v.visible_at_ms > now_ms and v.receive_count
        ]
        return self._page(rows, limit)

    async def messages(self, ids: tuple[int, ...], *, content: bool) -> Page:
        rows = [self._stored(self.rows[i], content=content) for i in sorted(ids) if i in self.rows]
        return Page(self.batch_number, rows, False)

    async def oldest(self, queue: int, lane: int, *, limit: int) -> Page:
        rows = [
            self._stored(r, content=False)
            for r in sorted(self.rows.values(), key=lambda r: r.order)
            if r.queue == queue and r.lane == lane
        ]
        return self._page(rows, limit)

    async def look(self, queue: int, after_id: int, *, limit: int, bytes_max: int) -> Page:
        rows = [
            self._stored(r, content=True)
            for r in sorted(self.rows.values(), key=lambda r: r.id)
            if r.queue == queue and r.id > after_id
        ]
        return self._page(rows, limit, bytes_max)

    async def newest_arrivals(self, queue: int, since_ms: int, *, runs_max: int) -> tuple[int, list[tuple[int, int]]]:
        times: dict[int, int] = {}
        for row in self.rows.values():
            fresh = row.lane == LANE_READY and row.id not in self.leases
            if row.queue == queue and fresh and row.enqueued_at_ms > since_ms:
                times[row.enqueued_at_ms] = times.get(row.enqueued_at_ms, 0) + 1
        runs = sorted(times.items())
        size = max(1, -(-len(runs) // runs_max))
        shared = [runs[i : i + size] for i in range(0, len(runs), size)]
        return self.batch_number, [(some[-1][0], sum(count for _, count in some)) for some in shared]

    async def deduplication(
        self, queue: int, digests: tuple[bytes, ...], spans: Sequence[tuple[int, int]], *, since_ms: int
    ) -> list[DeduplicationRow]:
        entries = [e for e in self.entries if e.queue == queue and e.sent_at_ms > since_ms]
        return [e for e in entries if e.digest in digests and any(a <= e.order <= b for a, b in spans)]

    async def accepted(self, queue: int, below_order: int, *, since_ms: int, limit: int) -> AcceptedPage:
        entries = sorted((e for e in self.entries if e.queue == queue and e.order < below_order), key=lambda e: e.order)
        page = [e for e in entries[-limit:] if e.sent_at_ms > since_ms]
        if not page:
            return AcceptedPage(0, 0, 0, b"", False)
        digests = b"".join(e.digest for e in page)
        return AcceptedPage(page[0].order, page[-1].order, page[-1].sent_at_ms, digests, len(page) == limit)

    async def backup(self, path: str) -> None:
        raise AssertionError(f"nothing to copy to {path}")


def run(coroutine: Any) -> Any:
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the store waited")


def can_be_in_columns(row: StoredMessage) -> bool:
    """Whether nothing has happened to a message but its arrival, without a message group."""
    return row.group is None and not row.leased and row.order == row.id


def in_columns(page: Page) -> Page:
    """The same page in columns of two messages, all of which are in one buffer."""
    whole = b"".join([*(row.content or b"" for row in page.rows), *(row.body or b"" for row in page.rows)])
    content_at, body_at = 0, sum(len(row.content or b"") for row in page.rows)
    columns: list[Columns] = []
    for rows in (page.rows[at : at + 2] for at in range(0, len(page.rows), 2)):
        sizes = [(len(row.content or b""), len(row.body or b"")) for row in rows]
        heads = [HEAD.pack(row.id, row.enqueued_at_ms, *each) for row, each in zip(rows, sizes, strict=True)]
        content_bytes, body_bytes = (sum(each) for each in zip(*sizes, strict=True))
        columns.append(
            Columns(rows[0].queue, b"".join(heads), whole, content_at, content_bytes, whole, body_at, body_bytes)
        )
        content_at += content_bytes
        body_at += body_bytes
    return Page(page.batch_number, [], page.more, columns)
