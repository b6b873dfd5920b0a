"""The commit log: two files beside the database to which every batch is appended, one write and one sync each.

A batch is durable once its record is here. The database gets it later, together with many others (flusher.py). The two files
are segments: when the one in use is full, the other is written over, as soon as the database is durable up to its last record.
The first turn is short: while the first segment takes the first records, the other is brought to its full length (segment.py).

A record is a checksum, the batch's number, a length, and the batch. The checksum begins with the store's secret, so a record
is never taken for one of another store. Reading stops at the first record that is not whole; a number that does not follow is a
remnant. What is read is therefore exactly what was written, in order, up to some point that no acknowledgement lies behind.
"""

import contextlib
import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import msgspec
from msgspec.structs import replace

from broker.store.batch import SMALL_BYTES, Batch
from broker.store.changes import DeduplicationRow, LeaseRow, MessageRow, MoveRow
from broker.store.counters import Written, packed_counters
from broker.store.directory import SEGMENT_NAMES
from broker.store.entries import Packed
from broker.store.new_blocks import NewBlock
from broker.store.segment import Segment

SEGMENT_BYTES: Final = 16 * 1024 * 1024
# Changes of a segment: what a start has to bring into the database is bounded, however small they are.
SEGMENT_ROWS: Final = 65_536
# Likewise of bodies that are written once for several messages, and that the database has for each.
SEGMENT_LEFT_OUT_BYTES: Final = 4 * SEGMENT_BYTES
_SMALL_BYTES: Final = 2 * SMALL_BYTES  # at most, as a record
_WORTH_SHRINKING_BYTES: Final = 1024 * 1024
_LENGTH_AT_FIRST_BYTES: Final = 1024 * 1024  # of the first segment: one or two milliseconds of a start
_FEW_BYTES: Final = 256 * 1024  # who commits no more has no use for segments of full length
_CHECKSUM: Final = struct.Struct("<I")
_HEAD: Final = struct.Struct("<QI")  # number, bytes of the batch
_BEFORE_BATCH: Final = _CHECKSUM.size + _HEAD.size


class Durable(Protocol):
    """The database behind the log."""

    def want_durable(self, number: int) -> None:
        """Everything up to this batch should be durable in the database soon."""
        ...

    def make_durable(self, number: int) -> None:
        """Return when it is. Blocking. Raises StoreError."""
        ...

    def is_durable(self, number: int) -> bool:
        """Whether it is."""
        ...


class _Block(msgspec.Struct, array_like=True):
    """A block of a batch. See new_blocks.py."""

    queue: int
    heads: bytes
    names: list[str | None] | None
    members: bytes
    content_bytes: int
    body_bytes: int


class _Record(msgspec.Struct, array_like=True):
    """A batch as it is written. See changes.py for what the parts are."""

    message_time_ms: int
    messages: list[MessageRow]
    leases: list[LeaseRow]
    moves: list[MoveRow]
    deleted: dict[int, int] | list[int]  # without their queues: before schema step 6
    counters: Written
    deduplication: dict[int, Packed] | list[DeduplicationRow]  # one by one: before schema step 5
    forgotten: dict[int, int]
    resources: list[tuple[tuple[str, str], bytes | None]]
    dropped: list[int]
    # The messages, by their places, whose body is that of the one before; none before schema step 7.
    repeated: list[int] = []
    # None of both before schema step 9. What was sent in blocks is in one, contents and bodies of each in turn, and at the end, so
    # that it is put there without another copy.
    blocks: list[_Block] = []
    sent: bytes = b""


_NOTHING_SENT: Final = 2  # bytes, of an empty `sent`
_SENT: Final = struct.Struct(">BI")  # MessagePack's "bin 32", bytes
_BIN_32: Final = 0xC6

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Record).decode


class CommitLog:
    """Both segments, empty to begin with. `append` is called by one thread at a time.

    `has_space`: whether the disk has room to spare for segments of full length.
    """

    def __init__(
        self,
        directory: str,
        secret: bytes,
        database: Durable,
        *,
        synced: bool,
        has_space: Callable[[], bool] = lambda: True,
    ) -> None:
        self._segments = [Segment(os.path.join(directory, name), synced=synced) for name in SEGMENT_NAMES]
        self._database = database
        self._has_space = has_space
        self._turn = threading.Lock()  # of whoever writes to the segment that is not in use, or makes it the one in use
        self._seed = zlib.crc32(secret)
        self._current = 0
        self._offset = 0
        self._rows = 0
        self._left_out = 0  # bytes of repeated bodies
        self._lengthening: threading.Thread | None = None
        self._lengthens = synced  # the disk is waited for, so that it matters
        self._gives_way = (
            False  # the lengthening thread, to whoever wants the turn: a lock alone would let it go on and on
        )
        first = self._segments[0]
        while synced and has_space() and first.size < _LENGTH_AT_FIRST_BYTES and first.lengthen(_LENGTH_AT_FIRST_BYTES):
            pass

    @property
    def has_room(self) -> bool:
        """Whether a small batch fits without a wait for another segment."""
        return self._offset + _SMALL_BYTES <= SEGMENT_BYTES and not self._holds_enough()

    def _holds_enough(self) -> bool:
        """Whether the segment in use is full, however long it is."""
        return self._rows >= SEGMENT_ROWS or self._left_out >= SEGMENT_LEFT_OUT_BYTES

    def append(self, batch: Batch) -> int:
        """Make a batch durable; the bytes that it comes to, with every body that is written once for several messages.

        Raises CommitFailed where nothing of it remains, CommitUncertain otherwise.
        """
        record, left_out = _record(batch, self._seed)
        if self._lengthens and self._offset > _FEW_BYTES:
            self._lengthen_other()
        if self._offset and self._goes_on_before(len(record)):
            self._go_on()
        segment = self._segments[self._current]
        segment.write(record, self._offset)
        segment.newest = batch.number
        self._offset += len(record)
        self._rows += batch.rows
        self._left_out += left_out
        return len(record) + left_out

    def _goes_on_before(self, size: int) -> bool:
        """Whether a record of this size belongs into the other segment."""
        end = self._offset + size
        if end > SEGMENT_BYTES or self._holds_enough():
            return True
        other = self._segments[1 - self._current]
        grows = end > self._segments[self._current].size
        return grows and other.size >= SEGMENT_BYTES and self._database.is_durable(other.newest)

    def _go_on(self) -> None:
        """Use the other segment."""
        full, other = self._segments[self._current], self._segments[1 - self._current]
        self._database.make_durable(other.newest)
        self._database.want_durable(full.newest)
        self._gives_way = True
        with self._turn:
            if other.size > SEGMENT_BYTES:  # one large batch
                other.cut(SEGMENT_BYTES)
            self._current, self._offset, self._rows, self._left_out = 1 - self._current, 0, 0, 0

    def shrink(self) -> bool:
        """On a full disk: give back what the segment holds that is not in use; whether it was much. From any thread."""
        self._gives_way = True
        with self._turn:
            other = self._segments[1 - self._current]
            if other.size < _WORTH_SHRINKING_BYTES or not self._database.is_durable(other.newest):
                return False
            other.cut(0)
            self._lengthens = False
            return True

    def _lengthen_other(self) -> None:
        """Have the segment that is not in use brought to its full length, by a thread beside those that commit."""
        if self._lengthening is not None and self._lengthening.is_alive():
            return
        if all(segment.size >= SEGMENT_BYTES for segment in self._segments):
            self._lengthens = False
        elif self._segments[1 - self._current].size < SEGMENT_BYTES:
            thread = threading.Thread(
                target=self._lengthen, args=(self._segments[1 - self._current],), name="pombo-commit-log", daemon=True
            )
            self._gives_way = False
            try:
                thread.start()
            except RuntimeError:  # the system has no more threads for us
                self._lengthens = False
            else:
                self._lengthening = thread

    def _lengthen(self, segment: Segment) -> None:
        """Piece by piece, as long as it is not in use, and nobody waits to have it. Nothing depends on it."""
        while not self._gives_way:
            with self._turn:
                if segment is self._segments[self._current] or segment.size >= SEGMENT_BYTES:
                    return
                self._lengthens = self._lengthens and self._has_space() and segment.lengthen(SEGMENT_BYTES)
                if not self._lengthens:
                    return

    def close(self, *, discard: bool) -> None:
        """Let go of the files; `discard`: the database has all of it, they can go."""
        self._gives_way = True
        if self._lengthening is not None:
            self._lengthening.join()
        segments, self._segments = self._segments, []
        for segment in segments:
            segment.close()
        if discard:
            for segment in segments:
                os.unlink(segment.path)


def _record(batch: Batch, seed: int) -> tuple[bytes, int]:
    batch.pack()
    messages, repeated, left_out = batch.bodies_once()
    blocks: list[_Block] = []
    sent: list[bytes] = []
    for some in batch.blocks.values():
        for block in some:
            sizes = len(block.contents), len(block.bodies)
            blocks.append(_Block(block.queue, block.heads, block.names, block.members, *sizes))
            sent += (block.contents, block.bodies)
    payload = _encode(
        _Record(
            batch.message_time_ms,
            messages,
            list(batch.leases.values()),
            list(batch.moves.values()),
            batch.deleted,
            batch.counters,
            batch.deduplication,
            batch.forgotten,
            list(batch.resources.items()),
            batch.dropped,
            repeated,
            blocks,
        )
    )
    parts = [payload]
    if sent:
        parts = [payload[:-_NOTHING_SENT], _SENT.pack(_BIN_32, sum(map(len, sent))), *sent]
    head = _HEAD.pack(batch.number, sum(map(len, parts)))
    checksum = zlib.crc32(head, seed)
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return b"".join((_CHECKSUM.pack(checksum), head, *parts)), left_out


class Commits:
    """What a directory's log holds."""

    def __init__(self, found: dict[int, bytes]) -> None:
        self._found = found

    def after(self, number: int) -> list[Batch]:
        """The batches that follow one, in order, up to the first that is missing."""
        batches = []
        while (payload := self._found.get(number + 1)) is not None:
            number += 1
            batches.append(_batch(number, payload))
        return batches

    def beyond(self, number: int) -> int | None:
        """The first batch that is there although one between it and batch `number` is missing."""
        while number + 1 in self._found:
            number += 1
        return min((found for found in self._found if found > number), default=None)


def read_commits(directory: str, secret: bytes) -> Commits:
    """What is in a directory's log, where there is one. Another process may be writing it. Raises OSError."""
    found: dict[int, bytes] = {}
    for name in SEGMENT_NAMES:
        with contextlib.suppress(FileNotFoundError), open(os.path.join(directory, name), "rb") as file:
            found.update(_records(file.read(), zlib.crc32(secret)))
    return Commits(found)


def _records(segment: bytes, seed: int) -> Iterator[tuple[int, bytes]]:
    """(number, batch) of each whole record from the beginning."""
    at, previous = 0, 0
    while at + _BEFORE_BATCH <= len(segment):
        (checksum,) = _CHECKSUM.unpack_from(segment, at)
        number, size = _HEAD.unpack_from(segment, at + _CHECKSUM.size)
        head = segment[at + _CHECKSUM.size : at + _BEFORE_BATCH]
        payload = segment[at + _BEFORE_BATCH : at + _BEFORE_BATCH + size]
        follows = not previous or number == previous + 1
        if not follows or len(payload) < size or zlib.crc32(payload, zlib.crc32(head, seed)) != checksum:
            return
        yield number, payload
        at, previous = at + _BEFORE_BATCH + size, number


def _batch(number: int, payload: bytes) -> Batch:
    record = _decode(payload)
    batch = Batch(number)
    batch.message_time_ms = record.message_time_ms
    for place in record.repeated:
        record.messages[place] = replace(record.messages[place], body=record.messages[place - 1].body)
    batch.messages = {row.id: row for row in record.messages}
    # One by one: with what a flush may have brought into the database since, later batches can say more of them.
    batch.messages.update((row.id, row) for block in _blocks(record) for row in block.rows())
    batch.leases = {row.id: row for row in record.leases}
    batch.moves = {row.id: row for row in record.moves}
    batch.deleted = record.deleted if isinstance(record.deleted, dict) else dict.fromkeys(record.deleted, 0)
    batch.counters = packed_counters(record.counters)
    if isinstance(record.deduplication, dict):
        batch.deduplication = record.deduplication
    else:
        for row in record.deduplication:
            batch.add_deduplication(row.queue, row.digest, row.order, row.sent_at_ms, row.message_id)
    batch.forgotten = record.forgotten
    batch.resources = dict(record.resources)
    batch.dropped = record.dropped
    return batch


def _blocks(record: _Record) -> Iterator[NewBlock]:
    at = 0
    for block in record.blocks:
        bodies_at, end = at + block.content_bytes, at + block.content_bytes + block.body_bytes
        sent = record.sent[at:bodies_at], record.sent[bodies_at:end]
        yield NewBlock(block.queue, block.heads, block.names, block.members, *sent)
        at = end
