"""The commit log: two files beside the database to which every batch is appended, one write and one sync each.

A batch is durable once its record is here. The database gets it later, together with many others (flusher.py). The two files
are segments: when the one in use is full, the other is written over, as soon as the database is durable up to its last record.
The first turn is short: while the first segment takes the first records, the other is brought to its full length (segment.py).

Where the database refers to what was sent in blocks instead of having it too (sent.py), a segment is kept for as long as it does,
and another file takes its place. commit_records.py says what a record is.
"""

import contextlib
import os
import threading
from collections.abc import Callable
from typing import Final, Protocol

from broker.store.base import CommitFailed, CommitUncertain
from broker.store.batch import SMALL_BYTES, Batch
from broker.store.commit_records import record_of, seed_of
from broker.store.directory import SEGMENT_NAMES
from broker.store.segment import NO_ROOM, SEGMENT_BYTES, Segment
from broker.store.sent import Sent

# Changes of a segment: what a start has to bring into the database is bounded, however small they are.
SEGMENT_ROWS: Final = 65_536
# Likewise of bodies that are written once for several messages, and that the database has for each.
SEGMENT_LEFT_OUT_BYTES: Final = 4 * SEGMENT_BYTES
_SMALL_BYTES: Final = 2 * SMALL_BYTES  # at most, as a record
_WORTH_SHRINKING_BYTES: Final = 1024 * 1024
_LENGTH_AT_FIRST_BYTES: Final = 1024 * 1024  # of the first segment: one or two milliseconds of a start
# What stays here goes to the database no more, but memory has it until it is flushed: a byte in so many counts.
_OF_WHAT_STAYS: Final = 4
_FEW_BYTES: Final = 256 * 1024  # who commits no more has no use for segments of full length


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


class CommitLog:
    """Both segments, empty to begin with. `append` is called by one thread at a time.

    `stays`: the database refers to what is sent in blocks, instead of having it too. `has_space`: whether the disk has room to
    spare for segments of full length.
    """

    def __init__(
        self,
        directory: str,
        secret: bytes,
        database: Durable,
        sent: Sent,
        *,
        synced: bool,
        stays: bool,
        has_space: Callable[[], bool] = lambda: True,
    ) -> None:
        sent.keep_all(synced=synced)
        self._segments = [Segment(os.path.join(directory, name), synced=synced) for name in SEGMENT_NAMES]
        self._directory = directory
        self._database = database
        self._sent = sent
        self._stays = stays
        self._has_space = has_space
        self._turn = threading.Lock()  # of whoever writes to the segment that is not in use, or makes it the one in use
        self._seed = seed_of(secret)
        self._current = 0
        self._offset = 0
        self._rows = 0
        self._left_out = 0  # bytes of repeated bodies
        self._preparing: threading.Thread | None = None
        self._synced = synced
        self._names_are_durable = True
        self._uncertain: CommitUncertain | None = None  # why they never will be
        self._lengthens = synced  # the disk is waited for, so that it matters
        self._gives_way = (
            False  # the lengthening thread, to whoever wants the turn: a lock alone would let it go on and on
        )
        first = self._segments[0]
        self._names = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
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
        record, left_out, sent_at = record_of(batch, self._seed)
        if self._synced and self._offset > _FEW_BYTES:
            self._prepare_other()
        if self._offset and self._goes_on_before(len(record)):
            self._go_on()
        segment = self._segments[self._current]
        if not self._offset:
            segment.first = batch.number
        if self._stays and batch.blocks:
            self._hold(segment)  # first: what is written has happened
        segment.write(record, self._offset)
        segment.newest = batch.number
        stays = self._stay(batch, segment, self._offset + sent_at) if self._stays and batch.blocks else 0
        self._offset += len(record)
        self._rows += batch.rows
        self._left_out += left_out
        return len(record) + left_out - stays + stays // _OF_WHAT_STAYS

    def _hold(self, segment: Segment) -> None:
        """Blocks will refer to this segment. Raises CommitFailed."""
        try:
            self._sent.hold(segment.first, segment)
        except OSError as error:
            raise CommitFailed(f"{segment.path}: {error.strerror}") from error

    def _stay(self, batch: Batch, segment: Segment, at: int) -> int:
        """What was sent in the batch's blocks is in this segment, from there on. How many bytes that is."""
        began_at = at
        for blocks in batch.blocks.values():
            for block in blocks:
                if block.size:
                    block.segment, block.extents = segment.first, [(at, block.content_bytes, block.body_bytes)]
                at += block.size
        return at - began_at

    def _goes_on_before(self, size: int) -> bool:
        """Whether a record of this size belongs into the other segment."""
        end = self._offset + size
        if end > SEGMENT_BYTES or self._holds_enough():
            return True
        other = self._segments[1 - self._current]
        grows = end > self._segments[self._current].size
        ready = other.size >= SEGMENT_BYTES and self._database.is_durable(other.newest)
        return grows and ready and not self._sent.refers_to(other.first)

    def _go_on(self) -> None:
        """Use the other segment."""
        full = self._segments[self._current]
        self._database.make_durable(self._segments[1 - self._current].newest)
        self._database.want_durable(full.newest)
        self._gives_way = True
        self._sent.turn()
        with self._turn:
            other = self._segments[1 - self._current]
            if not self._sent.release(other.first):
                other = self._segments[1 - self._current] = self._in_place_of(other)
            self._make_names_durable()
            if other.size > SEGMENT_BYTES:  # one large batch
                other.cut(SEGMENT_BYTES)
            self._current, self._offset, self._rows, self._left_out = 1 - self._current, 0, 0, 0

    def _in_place_of(self, kept: Segment) -> Segment:
        """Another file for a segment that blocks refer to. Raises CommitFailed; then the segment is what it was."""
        segment: Segment | None = None
        try:
            path, is_free = self._sent.take_spare()
            segment = Segment(path, synced=self._synced, empty=not is_free)
            self._names_are_durable = False
            self._sent.keep(kept.first, kept.path, path)
        except OSError as error:
            if segment is not None:
                segment.close()
            raise CommitFailed(f"{kept.path}: {error.strerror}", disk_full=error.errno in NO_ROOM) from error
        segment.path = kept.path
        kept.close()
        return segment

    def _make_names_durable(self) -> None:
        """Before anything is written to a file that took the place of another. Raises CommitUncertain.

        What could not be synced once is never known to be: a second attempt may succeed without.
        """
        if self._uncertain is not None:
            raise self._uncertain
        if not self._names_are_durable and self._synced:
            try:
                os.fsync(self._names)
            except OSError as error:
                self._uncertain = CommitUncertain(f"{self._directory}: {error.strerror}; its names may not be on disk")
                raise self._uncertain from error
        self._names_are_durable = True

    def shrink(self) -> bool:
        """On a full disk: give back what the segment holds that is not in use; whether it was much. From any thread."""
        self._gives_way = True
        with self._turn:
            other = self._segments[1 - self._current]
            large = other.size >= _WORTH_SHRINKING_BYTES and self._database.is_durable(other.newest)
            try:
                if large and self._sent.release(other.first):
                    other.cut(0)
                elif not self._sent.drop_spare():
                    return False
            except OSError:
                return False  # no room was made
            self._lengthens = False
            return True

    def _prepare_other(self) -> None:
        """Have the segment that is not in use replaced where blocks refer to it, and brought to its full length.

        By a thread beside those that commit. Nothing depends on it.
        """
        if self._preparing is not None and self._preparing.is_alive():
            return
        other = self._segments[1 - self._current]
        if not self._is_to_be_replaced(other) and (not self._lengthens or other.size >= SEGMENT_BYTES):
            return
        thread = threading.Thread(target=self._prepare, name="pombo-commit-log", daemon=True)
        self._gives_way = False
        try:
            thread.start()
        except RuntimeError:  # the system has no more threads for us
            self._lengthens = False
        else:
            self._preparing = thread

    def _is_to_be_replaced(self, other: Segment) -> bool:
        """Not before its turn comes near: until then a file may become free."""
        near = self._offset >= SEGMENT_BYTES // 2
        return near and self._sent.refers_to(other.first) and self._database.is_durable(other.newest)

    def _prepare(self) -> None:
        """Piece by piece, as long as nobody waits for the turn."""
        with self._turn:
            at = 1 - self._current
            if not self._gives_way and self._is_to_be_replaced(self._segments[at]):
                try:
                    self._segments[at] = self._in_place_of(self._segments[at])
                    self._make_names_durable()
                except (CommitFailed, CommitUncertain):
                    return  # who needs it will find out
            other = self._segments[at]
        while not self._gives_way:
            with self._turn:
                if other is not self._segments[1 - self._current] or other.size >= SEGMENT_BYTES:
                    return
                self._lengthens = self._lengthens and self._has_space() and other.lengthen(SEGMENT_BYTES)
                if not self._lengthens:
                    return

    def close(self, *, discard: bool) -> None:
        """Let go of the files; `discard`: the database has all of it, they can go."""
        self._gives_way = True
        if self._preparing is not None:
            self._preparing.join()
        if self._segments:
            os.close(self._names)
        segments, self._segments = self._segments, []
        for segment in segments:
            segment.close()
            with contextlib.suppress(OSError):  # the next start finds the file as it is
                if discard and self._sent.release(segment.first):
                    os.unlink(segment.path)
                elif discard:
                    self._sent.keep(segment.first, segment.path, None)
        if discard:
            with contextlib.suppress(OSError):  # likewise
                self._sent.tidy()
