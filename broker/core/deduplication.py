"""FIFO deduplication: has this deduplication ID been accepted within the last five minutes?

Entries live in the store, in the order in which they were accepted. Memory holds the newest ones exactly, and for all of the
window filters (acceptance.py): none of them knows a new ID, and those that know an old one say where to look it up. After a
restart the filters are made of the store's entries before the first ID is asked for. An answer of the store
is as good as the batch that it contains: what was accepted since must be among the newest entries, or the store is asked again.
Source of the rule: SQS Developer Guide, "Using the message deduplication ID".
"""

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

from broker.core.absent import Absent, Read
from broker.core.acceptance import Acceptance, Span
from broker.core.ledger import Ledger, Listing
from broker.core.limits import DEDUPLICATION_MS
from broker.store.base import AcceptedPage
from broker.store.batch import Batch
from broker.store.changes import DeduplicationRow
from broker.store.entries import DIGEST_BYTES

_RECENT_MAX: Final = 500  # and as many that were before them
_ENTRY_BYTES: Final = 300  # of memory (measured)
_LOOKED_UP_MAX: Final = 10_000  # answers for calls that never came back for them would pile up
_PAGE_ENTRIES: Final = 4_096  # of a read: 1 ms of the event loop
_BEYOND_ALL: Final = 1 << 61
_EMPTY: Final = blake2b(digest_size=DIGEST_BYTES)  # to copy it takes less than to make one


class Entry:
    """An accepted deduplication ID and what its sender was told."""

    __slots__ = ("message_id", "order", "sent_at_ms")

    def __init__(self, sent_at_ms: int, message_id: str, order: int) -> None:
        self.sent_at_ms: Final = sent_at_ms
        self.message_id: Final = message_id
        self.order: Final = order


def digest_of(scope: str | None, deduplication_id: str) -> bytes:
    """What an ID is remembered by. `scope`: the message group under DeduplicationScope=messageGroup, else None."""
    text = deduplication_id if scope is None else f"{scope}\0{deduplication_id}"
    digest = _EMPTY.copy()
    digest.update(text.encode())
    return digest.digest()


class _Answer(NamedTuple):
    """What the store knew of a digest, all batches up to `batch` included."""

    batch: int
    entry: Entry | None


class Deduplication:
    """The window of one FIFO queue or topic. `queue`: its number; a purge does not forget. `ledger`: has the memory budget.

    `new`: nothing was ever accepted.
    """

    def __init__(self, queue: int, ledger: Ledger, *, new: bool) -> None:
        self._queue = queue
        self._ledger = ledger
        self.held_bytes = 0  # of the memory that all queues share
        self.used_at = 0  # see usage.py
        self.listing: Listing | None = None
        self._accepted = Acceptance()
        self._accepted_bytes = 0  # of held_bytes
        self._loaded = new
        self._loading: Read | None = None
        self._stale = not new  # the store may hold entries that have left the window
        self._recent: dict[bytes, Entry] = {}
        self._earlier: dict[bytes, Entry] = {}  # before those
        self._recent_batch = 0  # the newest that carries an entry which was added to them
        self._earlier_batch = 0
        self._evicted_batch = 0  # the newest that may carry an entry which is in neither
        self._looked_up: OrderedDict[bytes, _Answer] = OrderedDict()

    def require(self, digests: Sequence[bytes], now_ms: int) -> None:
        """Have it known of each digest whether it was accepted. Raises Absent where only the store knows.

        That holds until the next call of this method, however many entries are added meanwhile.
        """
        if not self._loaded:
            raise Absent(self._load(now_ms))
        if len(self._recent) >= _RECENT_MAX:
            self._evict()
        recent, earlier, accepted = self._recent, self._earlier, self._accepted
        unknown: list[bytes] = []
        spans: set[Span] = set()
        for digest in digests:
            if digest in recent or digest in earlier or (self._looked_up and self._was_looked_up(digest)):
                continue
            if found := accepted.spans(digest):
                unknown.append(digest)
                spans.update(found)
        if unknown:
            spans.add((accepted.last + 1, _BEYOND_ALL))  # what is accepted until the store is asked
            raise Absent(self._look_up(tuple(unknown), sorted(spans), now_ms))

    def entry(self, digest: bytes, now_ms: int) -> Entry | None:
        """The unexpired entry of one digest that `require` has settled; None if it is new.

        One that the store knew is a recent one again. That an ID is new holds until it is added: the call may yet be repeated.
        """
        entry = self._recent.get(digest) or self._earlier.get(digest)
        remembered = entry is not None
        if entry is None and (answer := self._looked_up.get(digest)) is not None:
            entry = answer.entry
        if entry is None or now_ms - entry.sent_at_ms >= DEDUPLICATION_MS:
            return None
        if self._looked_up.pop(digest, None) is not None and not remembered:
            self._hold(_ENTRY_BYTES)
            self._recent[digest] = entry
        return entry

    def add(self, digest: bytes, entry: Entry, batch: Batch) -> None:
        """Remember an accepted message. Entries come in their order. What the store answered has served its purpose."""
        batch.add_deduplication(self._queue, digest, entry.order, entry.sent_at_ms, entry.message_id)
        if not self._loaded:
            self._evicted_batch = max(self._evicted_batch, batch.number)
            return  # it left memory while the call was at it
        if self._accepted.add(digest, entry.order, entry.sent_at_ms):
            self._forget_expired(entry.sent_at_ms, batch)
        if self._looked_up:
            self._looked_up.pop(digest, None)
        if digest not in self._recent:
            self._hold(_ENTRY_BYTES)
        self._recent[digest] = entry
        self._recent_batch = batch.number

    def unload(self) -> None:
        """Forget what memory holds; the store has it all, or will with the batch that the next read waits for."""
        self._evicted_batch = max(self._evicted_batch, self._earlier_batch, self._recent_batch)
        self._recent.clear()
        self._earlier.clear()
        self._looked_up.clear()
        self._accepted.clear()
        self._accepted_bytes = 0
        self._loaded, self._loading = False, None
        self._stale = True  # what expires meanwhile is in no filter
        self._hold(-self.held_bytes)

    def _hold(self, size: int) -> None:
        self.held_bytes += size
        self._ledger.memory_bytes += size

    def _evict(self) -> None:
        """Leave the earlier entries to the store. Never within a call, which has relied on them."""
        self._hold(-len(self._earlier) * _ENTRY_BYTES)
        self._evicted_batch = max(self._evicted_batch, self._earlier_batch)
        self._earlier, self._earlier_batch = self._recent, self._recent_batch
        self._recent = {}

    # Filters

    def _forget_expired(self, now_ms: int, batch: Batch) -> None:
        """A layer was begun: let go of those that have expired, and of their entries."""
        expired = self._accepted.expire(now_ms)
        if expired or self._stale:
            self._stale = False
            first = self._accepted.first
            assert first is not None
            batch.forget_deduplication(self._queue, first - 1)
        self._count_filters()

    def _count_filters(self) -> None:
        self._hold(self._accepted.memory_bytes - self._accepted_bytes)
        self._accepted_bytes = self._accepted.memory_bytes

    def _load(self, now_ms: int) -> Read:
        """The next page of what the filters lack, from the newest entry to the oldest. Nothing is added meanwhile."""
        if self._loading is None:
            queue, below = self._queue, self._accepted.first or _BEYOND_ALL
            since_ms = now_ms - DEDUPLICATION_MS

            def arrive(read: Read, page: AcceptedPage) -> None:
                if self._loading is read:
                    self._loading = None
                    if page.digests:
                        self._take_in(page)
                    self._loaded = not page.more

            def fail(read: Read) -> None:
                if self._loading is read:
                    self._loading = None

            self._loading = Read(
                self._ledger.journal.newest,
                lambda store: store.accepted(queue, below, since_ms=since_ms, limit=_PAGE_ENTRIES),
                arrive,
                fail,
            )
        return self._loading

    def _take_in(self, page: AcceptedPage) -> None:
        digests = [page.digests[at : at + DIGEST_BYTES] for at in range(0, len(page.digests), DIGEST_BYTES)]
        self._accepted.take_in(page.first, page.last, page.newest_ms, digests)
        self._count_filters()

    # Entries

    def _was_looked_up(self, digest: bytes) -> bool:
        answer = self._looked_up.get(digest)
        return answer is not None and answer.batch >= self._evicted_batch

    def _look_up(self, wanted: tuple[bytes, ...], spans: list[tuple[int, int]], now_ms: int) -> Read:
        queue, since_ms, batch = self._queue, now_ms - DEDUPLICATION_MS, self._ledger.journal.newest
        return Read(
            batch,
            lambda store: store.deduplication(queue, wanted, spans, since_ms=since_ms),
            lambda _read, rows: self._arrived(wanted, batch, rows),
        )

    def _arrived(self, wanted: tuple[bytes, ...], batch: int, rows: list[DeduplicationRow]) -> None:
        found = {r.digest: Entry(r.sent_at_ms, r.message_id, r.order) for r in sorted(rows, key=lambda r: r.order)}
        for digest in wanted:
            # An entry that a concurrent send has added meanwhile is in _recent and goes first.
            self._looked_up[digest] = _Answer(batch, found.get(digest))
        while len(self._looked_up) > _LOOKED_UP_MAX:
            self._looked_up.popitem(last=False)
