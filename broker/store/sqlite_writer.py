"""Applying a batch as one transaction, and clearing away what is dead in short ones.

A batch is one call: the rows are laid out flat for statements of fixed sizes, so that the thread asks for the GIL a few times a
batch and not once a row. A transaction is durable where the text says so: what else is written is in the commit log, or is done
again. This module decides what an error of SQLite means for a transaction; it knows nothing of files, threads or waiting replies.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from broker.clock import process_time_s
from broker.store import statements as sql
from broker.store.arrangement import Arrangement, arranged
from broker.store.base import CommitFailed, CommitUncertain, Recovered, StoreError
from broker.store.batch import Batch
from broker.store.batch_log import BatchLog
from broker.store.block_writer import BlockWriter
from broker.store.changes import LANE_READY, LeaseRow, MessageRow, MoveRow
from broker.store.counters import unpack_counters
from broker.store.entries import rows_of
from broker.store.sent import Sent
from broker.store.stretches import BLOCK_SIZE, Stretches

_SLICE_S: Final = 0.003
_SLICE_ROWS: Final = 128
_SLICE_BLOCKS: Final = 8
_SLICE_ACCEPTED: Final = 16  # rows of up to 1,024 entries
_VACUUM_PAGES: Final = 64
# Free pages that are kept: traffic fills them again sooner than the file would grow back.
_FREE_PAGES_KEPT: Final = 4096
_PRIMARY_CODE: Final = 0xFF

# What the file or the disk is to blame for; the other errors of the module are bugs of ours.
_OF_THE_FILE: Final = (sqlite3.OperationalError, sqlite3.DatabaseError)

# What happens to the data is out of our hands after these, whenever they come.
_UNCERTAIN: Final = frozenset(
    {sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
)


class Writer:
    """The one connection that writes, used by one thread at a time.

    `sent`: what blocks refer to. `synced`: what must be durable waits for the disk; `mindful`: what frees files does, at least.
    `arrange`: which messages of a batch get rows, and which make blocks.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: str,
        sent: Sent,
        *,
        synced: bool,
        mindful: bool,
        arrange: Arrangement = arranged,
    ) -> None:
        self.connection = connection
        self._path = path
        self._synced = synced
        self._mindful = mindful
        self._stretches = Stretches()
        self._log = BatchLog()
        self._sent = sent
        self._blocks = BlockWriter(connection, sent)
        self._arrange = arrange

    def recover(self) -> Recovered:
        """What is committed, but for messages and deduplication entries."""
        self._roll_back()
        execute = self.connection.execute
        (secret,) = execute(sql.READ_META).fetchone()
        batch_number = self._log.restore(execute(sql.READ_BATCHES))
        recovered = Recovered(batch_number=batch_number, message_time_ms=self._log.message_time_ms, secret=secret)
        for kind, key, record in execute(sql.READ_RESOURCES):
            recovered.resources[kind, key] = record
        packed = dict(execute(sql.READ_COUNTERS)) | self._log.counters
        recovered.counters.update((queue, unpack_counters(counters)) for queue, counters in packed.items())
        self._blocks.recover()
        return recovered

    def grant(self, count: int) -> range:
        """The next `count` sequence numbers, durably taken, with everything before."""
        if not self._synced:
            return self._grant(count)
        with self._durably():
            return self._grant(count)

    def _grant(self, count: int) -> range:
        with self._transaction():
            ((newest,),) = self.connection.execute(sql.GRANT, (count,)).fetchall()
        return range(newest - count + 1, newest + 1)

    def sync(self) -> None:
        """Make everything durable that was written so far.

        It takes a change: SQLite does not sync for a transaction that leaves every page as it was.
        """
        transactions = self._sent.transactions
        if self._synced or (self._mindful and self._sent.in_use):
            with self._durably():
                self._grant(1)
        self._sent.synced(transactions)

    def apply(self, batch: Batch) -> None:
        """Write a batch. Raises CommitFailed when nothing of it remains, CommitUncertain when that is not known."""
        full = self._log.full_with(batch)
        with self._transaction():
            self._write(batch)
            self.connection.execute(sql.PUT_BATCH, self._log.row(batch))
            if full:
                self._put(sql.PUT_COUNTERS, self._log.older_than(batch))
                self.connection.execute(sql.DELETE_BATCHES, (batch.number,))
        self._log.committed(batch, emptied=full)
        self._blocks.committed(batch.dropped)

    def _write(self, batch: Batch) -> None:
        deleted = self._blocks.take_out(batch, self._put_messages)
        rows, blocks = self._arrange(batch)
        if rows:
            self._put_messages([(self._stretch(row, batch), row) for row in rows])
        if blocks:
            place = self._stretches.place
            self._blocks.put([(place(block.queue, batch.number, BLOCK_SIZE), block) for block in blocks])
        if batch.moves:
            moved = batch.moves.values()
            self._put(sql.MOVE_MESSAGE, (self._move(row, batch) for row in moved))
            self._put(sql.MOVE_LEASE, ((row.id, row.queue) for row in moved))
        if batch.leases:
            self._put(sql.PUT_LEASE, map(_lease, batch.leases.values()))
        self._delete_messages(sorted(deleted))
        if batch.dropped:
            self.connection.execute(sql.DELETE_COUNTERS, (sql.keys(batch.dropped),))
            self._put(sql.DROP_GENERATION, [(queue,) for queue in batch.dropped])
        if batch.deduplication:
            entries = (row for queue, packed in batch.deduplication.items() for row in rows_of(queue, packed))
            self._put(sql.PUT_ACCEPTED, entries)
        if batch.forgotten:
            self._put(sql.FORGET, batch.forgotten.items())
        if batch.resources:
            kept = [(*name, record) for name, record in batch.resources.items() if record is not None]
            self._put(sql.PUT_RESOURCE, kept)
            self._put(sql.DELETE_RESOURCE, [name for name, record in batch.resources.items() if record is None])

    def _put_messages(self, rows: list[tuple[int, MessageRow]]) -> None:
        """Rows of messages, each with its stretch."""
        self._put(sql.PUT_MESSAGE, (_message(stretch, row) for stretch, row in rows))
        self._put(sql.PUT_BODY, ((row.id, bytearray(row.body)) for _, row in rows))

    def _move(self, row: MoveRow, batch: Batch) -> tuple[int, ...]:
        return row.id, row.queue, row.lane, row.order, row.enqueued_at_ms, self._stretch(row, batch)

    def _stretch(self, row: MessageRow | MoveRow, batch: Batch) -> int:
        return self._stretches.place(row.queue, batch.number) if row.lane == LANE_READY else 0

    def _delete_messages(self, ids: list[int]) -> None:
        if not ids:
            return
        wanted = (sql.keys(ids),)
        for statement in (sql.DELETE_MESSAGE, sql.DELETE_BODY, sql.DELETE_LEASE):
            self.connection.execute(statement, wanted)

    def _put(self, statement: sql.Rows, rows: Iterable[tuple[Any, ...]]) -> None:
        statement.run(self.connection.execute, rows)

    def clear_slice(self) -> bool:
        """Delete for a few milliseconds from what is dead; whether anything is left."""
        until_s = process_time_s() + _SLICE_S
        with self._transaction():
            more = self._clear_some()
            while more and process_time_s() < until_s:
                more = self._clear_some()
        self._blocks.committed()
        return more

    def move_slice(self, segment: int) -> None:
        """Bring some of what blocks refer to in a segment into the database."""
        with self._transaction():
            self._blocks.move_some(segment, _SLICE_BLOCKS)
        self._blocks.committed()

    def _clear_some(self) -> bool:
        """Clear a few rows, or some thousands of entries; whether there was anything to clear."""
        execute = self.connection.execute
        dropped = execute(sql.NEXT_DROPPED).fetchone()
        if dropped is not None:
            rows = execute(sql.DROPPED_IDS, (dropped[0], _SLICE_ROWS)).fetchall()
            self._delete_messages([message_id for (message_id,) in rows])
            if len(rows) < _SLICE_ROWS and not self._blocks.clear_some(dropped[0], _SLICE_BLOCKS):
                execute(sql.CLEARED_GENERATION, dropped)
            return True
        forgotten = execute(sql.NEXT_FORGOTTEN).fetchone()
        if forgotten is not None:
            last = execute(sql.FORGOTTEN_UP_TO, (*forgotten, _SLICE_ACCEPTED - 1)).fetchone()
            if last is not None:
                execute(sql.DELETE_FORGOTTEN, (forgotten[0], *last))
            else:
                execute(sql.DELETE_FORGOTTEN, forgotten)
                execute(sql.CLEARED_FORGOTTEN, forgotten[:1])
            return True
        return False

    def vacuum_slice(self, *, keep_pages: int = _FREE_PAGES_KEPT) -> bool:
        """Give some unused pages back to the file system when much of the file is unused; whether to go on.

        With nothing to keep, any unused page goes.
        """
        free, total = self.connection.execute(sql.FREE_PAGES).fetchone()
        if free <= keep_pages or (keep_pages and free * 4 < total):
            return False
        with self._failing():
            # The pragma yields a row without columns for each page, which `execute` takes for the end.
            self.connection.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
        return True

    @contextmanager
    def _durably(self) -> Iterator[None]:
        """The transaction in here ends with a sync of SQLite's log, and so of every transaction that is in it."""
        if self.connection.in_transaction:
            raise CommitUncertain(f"{self._path}: an earlier transaction has not ended")
        self.connection.execute("PRAGMA synchronous = FULL")
        try:
            yield
        finally:
            if not self.connection.in_transaction:  # else its fate is unknown, and the connection is used no more
                self.connection.execute("PRAGMA synchronous = NORMAL")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._failing():
            self.connection.execute(sql.BEGIN)
            self._blocks.begin()
            yield
        with self._failing(committing=True):
            self.connection.execute(sql.COMMIT)

    @contextmanager
    def _failing(self, *, committing: bool = False) -> Iterator[None]:
        """Whatever is raised in here rolls back; what the file is to blame for becomes an error of the store."""
        try:
            yield
        except BaseException as error:
            if type(error) in _OF_THE_FILE:
                raise self._failure(error, committing=committing) from error
            self._roll_back()
            raise

    def _failure(self, error: BaseException, *, committing: bool) -> StoreError:
        """Roll back, and say what the error means. Anything but a full disk at the commit point leaves the commit in doubt."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        primary = code & _PRIMARY_CODE
        if code in _UNCERTAIN or primary in _UNCERTAIN or (committing and primary == sqlite3.SQLITE_IOERR):
            return CommitUncertain(f"{self._path}: {error}; it is unknown whether the last transaction is on disk")
        self._roll_back()
        return CommitFailed(f"{self._path}: {error}", disk_full=primary == sqlite3.SQLITE_FULL)

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            self.connection.execute(sql.ROLLBACK)


def _message(stretch: int, row: MessageRow) -> tuple[Any, ...]:
    place = row.id, row.queue, row.lane, row.order, row.group or "", row.enqueued_at_ms
    return stretch, *place, bytearray(row.content)


def _lease(row: LeaseRow) -> tuple[Any, ...]:
    timed = row.visible_at_ms, row.receive_count, row.first_received_at_ms
    return row.id, row.queue, *timed, row.source or ""
