"""The store's contract: recover, grant sequences, commit, read pages, drop what is dead, back up, close.

Commits are blocking and run one at a time, in order; reads are awaitable, run beside them, and never keep a cursor open.
Every read contains all that was committed when it began, unless it says which batch is enough, and answers with the number of the
last batch that it contains, taken in its own transaction, so that the engine can apply later Changes on top. A backend passes
`tests/store/conformance.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from broker.store.batch import Batch
from broker.store.changes import CounterRow, DeduplicationRow
from broker.store.columns import Columns
from broker.store.counters import unpack_counters


class StoreError(Exception):
    """The store cannot do what it was asked; the text names the file and the reason, for an operator."""


class StoreUnusable(StoreError):
    """The data directory cannot be opened: locked by another broker, from a newer version, damaged. Nothing was changed."""


class CommitFailed(StoreError):
    """A batch was rolled back as a whole (disk full, an I/O error before the commit point). The store stays usable."""

    def __init__(self, text: str, *, disk_full: bool = False) -> None:
        super().__init__(text)
        self.disk_full = disk_full


class CommitUncertain(StoreError):
    """The operating system refused to make a commit durable. It is unknown what is on disk: the process must end."""


class StoredMessage(NamedTuple):
    """A message as a read found it: its row, its lease where it has one, and its content where the read was asked for it."""

    id: int
    queue: int
    lane: int
    order: int
    group: str | None
    enqueued_at_ms: int
    leased: bool  # a lease row exists; the next four are 0, 0, 0, None where not
    visible_at_ms: int
    receive_count: int
    first_received_at_ms: int
    source: str | None
    content: bytes | None  # None: not asked for
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the order that the read names, and whether there was more beyond them when it ran."""

    batch_number: int
    rows: list[StoredMessage]
    more: bool
    columns: list[Columns] = field(default_factory=list)  # instead of rows, of a scan that may answer so


@dataclass(frozen=True, slots=True)
class AcceptedPage:
    """Deduplication entries in a row: the orders of the first and the last, the newest's time, and all digests in one."""

    first: int
    last: int
    newest_ms: int
    digests: bytes  # 16 bytes each; none: the other fields say nothing
    more: bool  # there may be older ones


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a start needs: everything but messages."""

    batch_number: int  # of the last batch committed; 0 for a new store
    message_time_ms: int
    secret: bytes  # 32 bytes, drawn when the store was made: the key of receipt handles
    resources: dict[tuple[str, str], bytes] = field(default_factory=dict)
    counters: dict[int, CounterRow] = field(default_factory=dict)

    def with_batch(self, batch: Batch) -> "Recovered":
        """What it is with one more batch, or with one that it holds already."""
        resources = self.resources | batch.resources
        counters = self.counters | {queue: unpack_counters(packed) for queue, packed in batch.counters.items()}
        return Recovered(
            batch_number=max(self.batch_number, batch.number),
            message_time_ms=max(self.message_time_ms, batch.message_time_ms),
            secret=self.secret,
            resources={name: record for name, record in resources.items() if record is not None},
            counters={queue: row for queue, row in counters.items() if queue not in batch.dropped},
        )


class Store(Protocol):
    """One backend. See the module's text for the threading rules."""

    def open(self) -> Recovered:
        """Take the lock, apply schema steps, recover. Blocking. Raises StoreUnusable."""
        ...

    def recover(self) -> Recovered:
        """What is committed now, re-read after a failed commit. Blocking, on the writer's thread."""
        ...

    def grant_sequences(self, count: int) -> range:
        """`count` consecutive positive numbers that were never granted before and never will be. Blocking, durable."""
        ...

    def commit(self, batch: Batch) -> None:
        """Make a batch durable as a whole. Blocking. Raises CommitFailed or CommitUncertain."""
        ...

    def commit_at_once(self, batch: Batch) -> bool:
        """Commit a batch if that takes nothing but one small write. False: nothing was done, `commit` should do it.

        For the event loop's thread. Raises as `commit` does.
        """
        ...

    def clear_dropped(self) -> bool:
        """Delete one slice (a few milliseconds' worth) of the rows of dropped generations; whether any are left. Blocking."""
        ...

    def vacuum(self) -> bool:
        """Give one slice of unused space back to the file system; whether there is more. Blocking. Called when idle."""
        ...

    def checkpoint(self) -> None:
        """Bring the write-ahead log's content into the database file. Blocking."""
        ...

    def close(self) -> None:
        """Checkpoint, close, release the lock. Blocking."""
        ...

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
        """Messages of LANE_READY with order > after_order, in order, with content; not those of `skip_groups` (it may be long).

        `unleased`: only messages without a lease row. Stops after `limit` rows, or after the row that brings contents and bodies
        to `bytes_max` bytes (at least one row is returned if there is one). `contains`: the batch that is enough;
        where it is still to be committed, all that is committed. Cost: the rows skipped are passed over in C.

        `columns`: where all messages of the page can be columns, it may have these instead of rows, up to twice as many, and go on
        to the end of those in which it would stop.
        """
        ...

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
        """Like scan, for one message group alone. LANE_READY only."""
        ...

    async def timed(
        self, queue: int, after: tuple[int, int], *, content_until_ms: int, limit: int, bytes_max: int
    ) -> Page:
        """Leased messages with (visible_at_ms, id) > after, in that order; with content where visible_at_ms <= content_until_ms."""
        ...

    async def count_timed(
        self, queue: int, after_ms: int, until_ms: int, *, by_group: bool
    ) -> tuple[int, list[tuple[str | None, int, int]]]:
        """(batch number, [(group, received at least once, never received)]) of leases with after_ms < visible_at_ms <= until_ms.

        One row per message group, or, without `by_group`, a single row whose group is None. Counts run in C.
        """
        ...

    async def in_flight(self, queue: int, after_id: int, *, now_ms: int, limit: int) -> Page:
        """Messages with a lease that ends after now_ms and receive_count > 0, id > after_id, in id order, without content."""
        ...

    async def messages(self, ids: tuple[int, ...], *, content: bool) -> Page:
        """The messages with these ids that exist, in id order, whichever queue or generation they belong to.

        All that have a lease, or are in LANE_LATER; others need not be found.
        """
        ...

    async def oldest(self, queue: int, lane: int, *, limit: int) -> Page:
        """The first messages of a lane by order, without content: what retention looks at. Leased ones included."""
        ...

    async def look(self, queue: int, after_id: int, *, limit: int, bytes_max: int) -> Page:
        """Messages with id > after_id in id order, with content, whatever their state: looking without receiving."""
        ...

    async def newest_arrivals(self, queue: int, since_ms: int, *, runs_max: int) -> tuple[int, list[tuple[int, int]]]:
        """(batch number, [(enqueued_at_ms, how many)] ascending) of unleased LANE_READY messages enqueued after since_ms.

        All that have a message group are counted; others need not be. Beyond `runs_max` distinct times, neighbours are counted
        together, at the latest of their times.
        """
        ...

    async def deduplication(
        self, queue: int, digests: tuple[bytes, ...], spans: Sequence[tuple[int, int]], *, since_ms: int
    ) -> list[DeduplicationRow]:
        """Entries of a queue (its number) with these digests and sent_at_ms > since_ms, among those of the spans of order.

        Each span is (first, last). Cost: the digests of the spans are passed over in C, once for each that is wanted.
        """
        ...

    async def accepted(self, queue: int, below_order: int, *, since_ms: int, limit: int) -> AcceptedPage:
        """The digests of the newest entries below an order: `first` of the page before, or beyond all.

        Transactions' entries come whole, so there may be some more than `limit`, and some with sent_at_ms <= since_ms; but none
        of a transaction that has only such.
        """
        ...

    async def backup(self, path: str) -> None:
        """Copy the live database, consistent as of one batch, to a new file. Raises StoreError if `path` exists."""
        ...
