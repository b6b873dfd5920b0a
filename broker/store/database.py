"""The database file, for whatever writes to it: the writer's connection, SQLite's log, and the space for a full disk.

One thread at a time has its turn here. This module decides what is done when the disk is full, and when the log is brought into
the file; it knows nothing of the commit log, nor of who waits.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeVar

from broker.clock import Chance, process_time_s
from broker.store import schema
from broker.store import statements as sql
from broker.store.arrangement import Arrangement, arranged
from broker.store.backup import bring_in_sent
from broker.store.base import CommitFailed, CommitUncertain, Recovered, StoreError, StoreUnusable
from broker.store.batch import Batch
from broker.store.commit_records import open_segments
from broker.store.directory import Directory
from broker.store.sent import Sent
from broker.store.sqlite_writer import Writer
from broker.store.write_ahead_log import FINISH_BYTES, WriteAheadLog

T = TypeVar("T")

BUSY_TIMEOUT_MS: Final = 5000
_CACHE_KB: Final = 16384
_STATEMENTS_CACHED: Final = 256
_RESERVE_RETRY_S: Final = 1.0
_DISK_LOW_BYTES: Final = 2 * FINISH_BYTES
# Below this it is looked at before each batch with messages. A byte of these takes room in the commit log, in SQLite's, and in the
# file itself.
_DISK_WATCHED_BYTES: Final = 1024 * 1024 * 1024
_BYTES_PER_BYTE: Final = 3
_DISK_KNOWN_S: Final = 1.0  # how long what was seen of it is believed
_LOG_WORTH_SHORTENING_BYTES: Final = 1024 * 1024


class Database:
    """The database of a directory that is open and locked. `synced`: `sync` and grants wait for the disk. `arrange`: see Writer."""

    def __init__(
        self,
        directory: Directory,
        steps: Sequence[str],
        *,
        synced: bool,
        careless: bool,
        arrange: Arrangement = arranged,
    ) -> None:
        self._directory = directory
        self.sent = Sent(directory.path)  # what blocks refer to
        # Without a sync for each transaction: the commit log has what matters. `careless` leaves out those of checkpoints too.
        self._synchronous = "OFF" if careless else "NORMAL"
        self._turn = threading.RLock()
        self._reserve_missing_since_s: float | None = None  # when it was last looked for; None: it is there
        self._look_at_disk()
        self.give_way: Callable[[], bool] = lambda: False  # has others give space back; whether it was much
        version = schema.examine(directory.database, len(steps))
        if version == 0 and (name := directory.remains()):
            raise StoreUnusable(
                f"{directory.path} holds {name}, which belongs to a database that is not there; all was left as it is"
                " (to begin anew, use an empty directory)"
            )
        self.connection = sqlite3.connect(
            directory.database, isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS_CACHED
        )
        try:
            self._configure(new=version == 0)
            if version == 0:
                # Whatever `synchronous` says: a commit log that is longer than a moment belongs to a database that is there.
                self.connection.execute("PRAGMA synchronous = FULL")
                schema.create(self.connection, Chance().secret(32), steps)
                self.connection.execute(f"PRAGMA synchronous = {self._synchronous}")
                directory.sync()
            else:
                self._find_sent()
                schema.upgrade(
                    self.connection,
                    directory.database,
                    version,
                    steps,
                    commits=directory.commits,
                    complete=lambda copy: bring_in_sent(copy, self.sent),
                )
            self._writer = Writer(
                self.connection, directory.database, self.sent, synced=synced, mindful=not careless, arrange=arrange
            )
            found = self._writer.recover()  # opens SQLite's log
            self.sent.drop_later(found.batch_number)
            self._log = WriteAheadLog(directory.database, schema.PAGE_BYTES, self._synchronous, BUSY_TIMEOUT_MS)
        except BaseException:
            self.connection.close()
            self.sent.close()
            raise
        self._restore_reserve()

    def _find_sent(self) -> None:
        (secret,) = self.connection.execute(sql.READ_META).fetchone()
        self.sent.find(open_segments(self._directory.path, secret))

    def _configure(self, *, new: bool) -> None:
        execute = self.connection.execute
        execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        if new:
            execute(f"PRAGMA page_size = {schema.PAGE_BYTES}")
            execute("PRAGMA auto_vacuum = INCREMENTAL")
        (mode,) = execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreUnusable(f"{self._directory.database}: this file system does not support a write-ahead log")
        execute("PRAGMA wal_autocheckpoint = 0")
        execute(f"PRAGMA synchronous = {self._synchronous}")
        execute(f"PRAGMA cache_size = -{_CACHE_KB}")
        # What a statement would have to undo is a file of its own otherwise, whenever that is more than a few pages.
        execute("PRAGMA temp_store = MEMORY")
        # Some builds overwrite whatever is deleted with zeros: every delete would write its overflow pages.
        execute("PRAGMA secure_delete = OFF")

    def recover(self, overlay: Callable[[Recovered], Recovered] = lambda found: found) -> Recovered:
        """What is in it, but for messages and deduplication entries. Nothing is written before `overlay` has returned."""
        with self._turn:
            return overlay(self._writer.recover())

    def grant(self, count: int) -> range:
        """The next `count` sequence numbers, durably taken."""
        with self._turn:
            return self._writer.grant(count)

    def apply(self, batch: Batch) -> None:
        """Write a batch that is in the commit log: for that, also the reserved space is there."""
        with self._turn:
            self._look_at_disk()
            self._log.tend(self.connection, self._disk_is_low)
            self._move_slice(at_rest=True)  # first: a batch that is applied has been, whatever comes of this
            self.with_room(partial(self._writer.apply, batch), frees=True)

    def sync(self) -> None:
        """Make everything durable that was written."""
        with self._turn:
            self.with_room(self._writer.sync, frees=True)

    def clear_slice(self) -> bool:
        """Delete one slice of what is dead; whether any is left."""
        with self._turn:
            self._log.tend(self.connection, self._disk_is_low)
            return self.with_room(self._writer.clear_slice, frees=True)

    def _move_slice(self, *, at_rest: bool) -> bool:
        """Whether there was a segment of which few blocks are left, of which some were brought into the database."""
        segment = self.sent.sparse(at_rest=at_rest)
        if segment is None or self._disk_is_low():
            return False
        try:
            self.with_room(partial(self._writer.move_slice, segment), frees=False)
        except CommitFailed:
            return False  # what is wrong is of no concern to a flush that can do without
        except CommitUncertain:
            raise
        except StoreError:  # it cannot be read; whoever asks for its messages will be told
            self.sent.leave(segment)
        return True

    def vacuum_slice(self) -> bool:
        """Give one slice of unused space back; whether there is more."""
        with self._turn:
            self._look_at_disk()
            if self.sent.has_unused:
                self.sync()
            if self._move_slice(at_rest=False):
                return True
            if self._reserve_missing_since_s is None and not self._disk_is_low():
                return self._writer.vacuum_slice()
            if self._writer.vacuum_slice(keep_pages=0):
                return True
            self.checkpoint()
            self._restore_reserve()
            return False

    def checkpoint(self) -> None:
        """Bring all of SQLite's log into the file."""
        with self._turn:
            self._log.finish(self.connection, "TRUNCATE", BUSY_TIMEOUT_MS)

    def stop(self) -> None:
        """End the thread that checkpoints beside the writer, and finish a last one."""
        self._log.stop()
        self.checkpoint()

    def close(self) -> None:
        """Let go of the files."""
        self.connection.close()
        self._log.close()
        self.sent.close()

    # A full disk

    @property
    def has_reserve(self) -> bool:
        """Whether space is set aside, so that the disk is not known to be full."""
        return self._reserve_missing_since_s is None

    def has_space_to_spare(self) -> bool:
        """Whether the disk has room for what only makes things quicker."""
        return self.has_reserve and not self._disk_is_low()

    def check_room(self, size: Callable[[], int]) -> None:
        """Whether messages may be stored that come to `size` bytes, with those that wait. Raises CommitFailed.

        What is acknowledged must find room in the database; what is left of a full disk is for deletes, and for shrinking the
        file afterwards.
        """
        missing_since_s = self._reserve_missing_since_s
        if missing_since_s is not None and process_time_s() - missing_since_s > _RESERVE_RETRY_S:
            self._restore_reserve()
        if self._reserve_missing_since_s is None:
            if self._free_bytes >= _DISK_WATCHED_BYTES and process_time_s() - self._looked_at_s < _DISK_KNOWN_S:
                return
            self._look_at_disk()
            if self._free_bytes >= _BYTES_PER_BYTE * size():
                return
        raise CommitFailed(
            f"{self._directory.path}: the disk is full; nothing is stored until there is room", disk_full=True
        )

    def with_room(self, write: Callable[[], T], *, frees: bool) -> T:
        """Write, and again if the disk is full and room can be made.

        What logs hold and need no more comes first. What frees space, or is acknowledged, must not need any: it may also use
        what was set aside for it, which is more than SQLite's log usually holds back from the database file.
        """
        ways = iter((self._shorten_log, self.give_way, *((self._give_reserve,) if frees else ())))
        while True:
            try:
                return write()
            except CommitFailed as failed:
                if not failed.disk_full or not any(make_room() for make_room in ways):
                    raise

    def _look_at_disk(self) -> None:
        self._free_bytes = self._directory.free_bytes()
        self._looked_at_s = process_time_s()

    def _disk_is_low(self) -> bool:
        return self._free_bytes < _DISK_LOW_BYTES

    def _restore_reserve(self) -> None:
        with self._turn:
            self._reserve_missing_since_s = None if self._directory.reserve() else process_time_s()

    def _shorten_log(self) -> bool:
        """Whether the log has given space back to the file system."""
        if os.path.getsize(self._directory.database + "-wal") < _LOG_WORTH_SHORTENING_BYTES:
            return False
        with self._turn:
            return self._log.finish(self.connection, "TRUNCATE", BUSY_TIMEOUT_MS)

    def _give_reserve(self) -> bool:
        with self._turn:
            if not self._directory.release_reserve():
                return False
            self._reserve_missing_since_s = process_time_s()
            self._shorten_log()
            return True
