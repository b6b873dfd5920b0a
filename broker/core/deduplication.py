"""FIFO deduplication: has this deduplication ID been accepted within the last five minutes?

Entries live in the store. Memory holds, per minute, a filter that answers "surely new", and the newest entries exactly; what
the filter cannot rule out is looked up. After a restart there are no filters for the minutes before it, so for five minutes
every ID is looked up. An answer of the store is as good as the batch that it contains: what was accepted since must be among the
newest entries, or the store is asked again. Source of the rule: SQS Developer Guide, "Using the message deduplication ID".
"""

from collections import OrderedDict
from hashlib import blake2b
from typing import Final, NamedTuple

from broker.core.absent import Absent, Read
from broker.core.ledger import Ledger
from broker.core.limits import DEDUPLICATION_MS
from broker.store.changes import Batch, DeduplicationRow

BUCKET_MS: Final = 60_000
_RECENT_MAX: Final = 1_000
_ENTRY_BYTES: Final = 400  # of memory (measured)
_LOOKED_UP_MAX: Final = 10_000  # answers for calls that never came back for them would pile up
_FILTER_KEYS: Final = 4_096  # of the first filter of a bucket; each further one is twice as large
_BITS_PER_KEY: Final = 16  # with four probes: about 1 in 400 new IDs is looked up for nothing


class Entry(NamedTuple):
    """An accepted deduplication ID and what its sender was told."""

    sent_at_ms: int
    message_id: str
    order: int


def digest_of(scope: str | None, deduplication_id: str) -> bytes:
    """What an ID is remembered by. `scope`: the message group under DeduplicationScope=messageGroup, else None."""
    text = deduplication_id if scope is None else f"{scope}\0{deduplication_id}"
    return blake2b(text.encode(), digest_size=16).digest()


class _Filter:
    """A Bloom filter of one bucket; grows by doubling, so that its error rate holds."""

    __slots__ = ("_layers", "_room", "memory_bytes")

    def __init__(self) -> None:
        self._layers: list[tuple[bytearray, int]] = []
        self._room = 0
        self.memory_bytes = 0

    def add(self, digest: bytes) -> None:
        if self._room == 0:
            keys = _FILTER_KEYS << len(self._layers)
            self._layers.append((bytearray(keys * _BITS_PER_KEY // 8), keys * _BITS_PER_KEY - 1))
            self._room = keys
            self.memory_bytes += keys * _BITS_PER_KEY // 8
        self._room -= 1
        bits, mask = self._layers[-1]
        number = int.from_bytes(digest)
        for _ in range(4):
            bits[(number & mask) >> 3] |= 1 << (number & 7)
            number >>= 32

    def __contains__(self, digest: bytes) -> bool:
        number = int.from_bytes(digest)
        probes = (number, number >> 32, number >> 64, number >> 96)
        return any(all(bits[(p & mask) >> 3] & (1 << (p & 7)) for p in probes) for bits, mask in self._layers)


class _Answer(NamedTuple):
    """What the store knew of a digest, all batches up to `batch` included."""

    batch: int
    entry: Entry | None


class Deduplication:
    """The window of one FIFO queue or topic. `queue`: its number; a purge does not forget. `ledger`: has the memory budget."""

    def __init__(self, queue: int, blind_until_ms: int, ledger: Ledger) -> None:
        self._queue = queue
        self._ledger = ledger
        self.held_bytes = 0  # of the memory that all queues share
        self._blind_until_ms = blind_until_ms  # until then, entries from before the start may exist
        self._filters: dict[int, _Filter] = {}
        self._recent: OrderedDict[bytes, tuple[Entry, int]] = OrderedDict()  # with the batch that carries the entry
        self._evicted_batch = 0  # the newest that carries an entry which is no longer among the recent ones
        self._looked_up: OrderedDict[bytes, _Answer] = OrderedDict()
        self._forgotten_below = 0

    def find(self, digests: list[bytes], now_ms: int, newest_batch: int) -> list[Entry | None]:
        """The unexpired entry of each digest, None where it is new. Raises Absent where only the store knows.

        What it has found holds until the next call of it, however many entries are added meanwhile.
        """
        self._evict(now_ms)
        unknown = [d for d in digests if not self._known(d, now_ms)]
        if unknown:
            since_ms = now_ms - DEDUPLICATION_MS
            wanted = tuple(unknown)
            raise Absent(
                Read(
                    newest_batch,
                    lambda store: store.deduplication(self._queue, wanted, since_ms=since_ms),
                    lambda _read, rows: self._arrived(wanted, newest_batch, rows),
                )
            )
        return [self._entry(d, now_ms) for d in digests]

    def entry(self, digest: bytes, now_ms: int) -> Entry | None:
        """The entry of one digest that `find` has settled: within a batch, an earlier message may have taken its place.

        One that the store knew is a recent one again. That an ID is new holds until it is added: the call may yet be repeated.
        """
        entry = self._entry(digest, now_ms)
        if entry is not None and self._looked_up.pop(digest, None) is not None and digest not in self._recent:
            self._hold(_ENTRY_BYTES)
            self._recent[digest] = entry, 0
        return entry

    def add(self, digest: bytes, entry: Entry, batch: Batch) -> None:
        """Remember an accepted message. What the store answered has served its purpose."""
        self._looked_up.pop(digest, None)
        bucket = entry.sent_at_ms // BUCKET_MS
        filter_ = self._filters.get(bucket)
        if filter_ is None:
            self._expire(entry.sent_at_ms, batch)
            filter_ = self._filters[bucket] = _Filter()
        before_bytes = filter_.memory_bytes
        filter_.add(digest)
        self._hold(filter_.memory_bytes - before_bytes + (0 if digest in self._recent else _ENTRY_BYTES))
        self._recent[digest] = entry, batch.number
        self._recent.move_to_end(digest)
        batch.add_deduplication(
            DeduplicationRow(self._queue, bucket, digest, entry.sent_at_ms, entry.message_id, entry.order)
        )

    def unload(self) -> None:
        """Forget what memory holds; the store has it all, or will with the batch that a look-up waits for.

        Without filters, every ID is looked up for five minutes. Never between a call's `find` and its `entry`.
        """
        if self._filters:
            self._blind_until_ms = self._ledger.now_ms() + DEDUPLICATION_MS
            self._filters.clear()
        self._evicted_batch = max([self._evicted_batch, *(batch for _, batch in self._recent.values())])
        self._recent.clear()
        self._looked_up.clear()
        self._hold(-self.held_bytes)

    def _hold(self, size: int) -> None:
        self.held_bytes += size
        self._ledger.memory_bytes += size

    def _known(self, digest: bytes, now_ms: int) -> bool:
        if digest in self._recent:
            return True
        answer = self._looked_up.get(digest)
        if answer is not None and answer.batch >= self._evicted_batch:
            return True
        return now_ms >= self._blind_until_ms and not any(digest in f for f in self._filters.values())

    def _entry(self, digest: bytes, now_ms: int) -> Entry | None:
        recent = self._recent.get(digest)
        answer = self._looked_up.get(digest)
        entry = recent[0] if recent is not None else answer.entry if answer is not None else None
        return entry if entry is not None and now_ms - entry.sent_at_ms < DEDUPLICATION_MS else None

    def _arrived(self, wanted: tuple[bytes, ...], batch: int, rows: list[DeduplicationRow]) -> None:
        found = {r.digest: Entry(r.sent_at_ms, r.message_id, r.order) for r in sorted(rows, key=lambda r: r.sent_at_ms)}
        for digest in wanted:
            # An entry that a concurrent send has added meanwhile is in _recent and goes first.
            self._looked_up[digest] = _Answer(batch, found.get(digest))
        while len(self._looked_up) > _LOOKED_UP_MAX:
            self._looked_up.popitem(last=False)

    def _evict(self, now_ms: int) -> None:
        """Leave the oldest of the recent entries to the store. Never within a call, which has relied on them."""
        while self._recent:
            entry, batch = next(iter(self._recent.values()))
            expired = now_ms - entry.sent_at_ms >= DEDUPLICATION_MS
            if not expired and len(self._recent) <= _RECENT_MAX:
                return
            self._recent.popitem(last=False)
            self._hold(-_ENTRY_BYTES)
            if not expired:
                self._evicted_batch = max(self._evicted_batch, batch)

    def _expire(self, now_ms: int, batch: Batch) -> None:
        below = (now_ms - DEDUPLICATION_MS) // BUCKET_MS
        for bucket in [b for b in self._filters if b < below]:
            self._hold(-self._filters.pop(bucket).memory_bytes)
        if below > self._forgotten_below:
            self._forgotten_below = below
            batch.forget_deduplication(self._queue, below)
