"""The batch log: counters of queues that the newest batches wrote into their own rows, and not yet into the counters' table.

A batch may touch hundreds of ten thousand queues, whose counters lie on as many pages. So each batch writes one row that holds
them all, and those of many batches go to their table together. A log that has been read back is what it was when it was
written: the last word on a queue wins, and a generation that was dropped has none.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from broker.store.batch import Batch
from broker.store.counters import Written, packed_counters

_QUEUES_MAX: Final = 1024
_BATCHES_MAX: Final = 256


class _Entry(msgspec.Struct, array_like=True):
    """What a batch's row holds."""

    counters: Written
    dropped: list[int]


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(_Entry)


class BatchLog:
    """The writer's memory of it. `message_time_ms`: the newest that was committed."""

    def __init__(self) -> None:
        self.counters: dict[int, bytes] = {}  # queue -> packed
        self.message_time_ms = 0
        self._batches = 0

    def restore(self, rows: Iterable[tuple[int, int, bytes]]) -> int:
        """Begin with what is committed: (number, message time, log) in their order. Answers the newest number."""
        self.counters.clear()
        self.message_time_ms = self._batches = newest = 0
        for number, message_time_ms, log in rows:
            entry = _decoder.decode(log) if log else _Entry({}, [])
            self._add(packed_counters(entry.counters), entry.dropped, message_time_ms)
            newest = number
        return newest

    def row(self, batch: Batch) -> tuple[int, int, bytes]:
        """The batch's row."""
        log = b""
        if batch.counters or batch.dropped:
            log = _encode(_Entry(batch.counters, batch.dropped))
        return batch.number, max(self.message_time_ms, batch.message_time_ms), log

    def full_with(self, batch: Batch) -> bool:
        """Whether everything should go to the counters' table in this batch's transaction."""
        return self._batches >= _BATCHES_MAX or len(self.counters) + len(batch.counters) > _QUEUES_MAX

    def older_than(self, batch: Batch) -> list[tuple[int, bytes]]:
        """The counters that the table takes then: the batch's own, and what it drops, are in its row."""
        return [row for row in self.counters.items() if row[0] not in batch.counters and row[0] not in batch.dropped]

    def committed(self, batch: Batch, *, emptied: bool) -> None:
        """The batch is on disk; `emptied`: with it, all counters that the log held."""
        if emptied:
            self.counters.clear()
            self._batches = 0
        self._add(batch.counters, batch.dropped, batch.message_time_ms)

    def _add(self, counters: dict[int, bytes], dropped: Iterable[int], message_time_ms: int) -> None:
        self.counters.update(counters)
        for queue in dropped:
            self.counters.pop(queue, None)
        self.message_time_ms = max(self.message_time_ms, message_time_ms)
        self._batches += 1
