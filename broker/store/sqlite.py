"""The store on SQLite: opens and owns the data directory, the writer, the readers and the write-ahead log.

One batch is one transaction on the writer's connection; the reads (sqlite_reads.py) run beside it on their own. What the
statements are is in statements.py, what the tables are in schema.sql.
"""

import os
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeVar

from broker.clock import Chance, process_time_s
from broker.store import schema
from broker.store.base import CommitFailed, Recovered, StoreUnusable
from broker.store.changes import Batch
from broker.store.directory import MEMORY, Directory
from broker.store.sqlite_reads import SqliteReads
from broker.store.sqlite_writer import Writer
from broker.store.write_ahead_log import FINISH_BYTES, WriteAheadLog

T = TypeVar("T")

SYNCHRONOUS: Final = ("full", "normal", "off")
_BUSY_TIMEOUT_MS: Final = 5000
_CACHE_KB: Final = 16384
_STATEMENTS_CACHED: Final = 256
_RESERVE_RETRY_S: Final = 1.0
_DISK_LOW_BYTES: Final = 2 * FINISH_BYTES
_LOG_WORTH_SHORTENING_BYTES: Final = 1024 * 1024


class SqliteStore(SqliteReads):
    """A store in the directory `data`, or in a private temporary one for `:memory:`.

    `synchronous`: `full` syncs every commit; `normal` may lose the last ones in a power failure; `off` leaves it all to the
    operating system. `steps` are the schema's, another list only in tests.
    """

    def __init__(self, data: str, *, synchronous: str = "full", steps: Sequence[str] | None = None) -> None:
        assert synchronous in SYNCHRONOUS, f"synchronous must be one of {SYNCHRONOUS}"
        super().__init__()
        self._directory = Directory(data)
        self._synchronous = "OFF" if data == MEMORY else synchronous.upper()
        self._steps = schema.released_steps() if steps is None else steps
        self._writer: Writer | None = None
        self._log: WriteAheadLog | None = None
        self._reserve_missing_since_s: float | None = None  # when it was last looked for; None: it is there

    @property
    def directory(self) -> str:
        """Where the data is; of `:memory:` too, once it is open."""
        return self._directory.path

    def open(self) -> Recovered:
        self._directory.open()
        try:
            version = schema.examine(self._directory.database, len(self._steps))
            return self._open_database(version)
        except sqlite3.Error as error:
            self._close_all()
            raise StoreUnusable(f"{self._directory.database} cannot be used: {error}") from error
        except BaseException:
            self._close_all()
            raise

    def _open_database(self, version: int) -> Recovered:
        path = self._directory.database
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS_CACHED
        )
        self._writer = writer = Writer(connection, path, self._synchronous)
        self._configure(connection, new=version == 0)
        if version == 0:
            schema.create(connection, Chance().secret(32), self._steps)
            self._directory.sync()
        else:
            schema.upgrade(connection, path, version, self._steps)
        recovered = writer.recover()
        self._log = WriteAheadLog(path, schema.PAGE_BYTES, self._synchronous, _BUSY_TIMEOUT_MS)
        self._open_readers(path, _BUSY_TIMEOUT_MS)
        self._restore_reserve()
        return recovered

    def _configure(self, connection: sqlite3.Connection, *, new: bool) -> None:
        execute = connection.execute
        execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
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

    def recover(self) -> Recovered:
        return self._open_writer.recover()

    def grant_sequences(self, count: int) -> range:
        return self._open_writer.grant(count)

    def commit(self, batch: Batch) -> None:
        self._tend()
        if batch.messages and self._reserve_missing_since_s is not None:
            # What is left of the disk is for deletes, and for shrinking the file afterwards.
            raise CommitFailed(
                f"{self._directory.path}: the disk is full; nothing is stored until there is room", disk_full=True
            )
        self._with_room(partial(self._open_writer.apply, batch), frees=not batch.messages)

    def clear_dropped(self) -> bool:
        self._tend()
        return self._with_room(self._open_writer.clear_slice, frees=True)

    def vacuum(self) -> bool:
        self._tend()
        if self._reserve_missing_since_s is None:
            return self._open_writer.vacuum_slice()
        if self._open_writer.vacuum_slice(keep_pages=0):
            return True
        self.checkpoint()
        self._restore_reserve()
        return False

    def checkpoint(self) -> None:
        assert self._log is not None, "the store is not open"
        self._log.finish(self._open_writer.connection, "TRUNCATE", _BUSY_TIMEOUT_MS)

    def close(self) -> None:
        if self._writer is None:
            return
        self._close_readers()
        if self._log is not None:
            self._log.stop()
            self.checkpoint()
        self._close_all()

    def _close_all(self) -> None:
        """Let go of everything, without a checkpoint of ours."""
        self._close_readers()
        if self._writer is not None:
            self._writer.connection.close()
            self._writer = None
        if self._log is not None:
            self._log.close()
            self._log = None
        self._directory.close()

    @property
    def _open_writer(self) -> Writer:
        assert self._writer is not None, "the store is not open"
        return self._writer

    def _tend(self) -> None:
        """Between two transactions: keep the log short, and set space aside again where it was needed."""
        assert self._log is not None, "the store is not open"
        self._log.tend(self._open_writer.connection, self._disk_is_low)
        missing_since_s = self._reserve_missing_since_s
        if missing_since_s is not None and process_time_s() - missing_since_s > _RESERVE_RETRY_S:
            self._restore_reserve()

    def _disk_is_low(self) -> bool:
        return self._directory.free_bytes() < _DISK_LOW_BYTES

    def _restore_reserve(self) -> None:
        self._reserve_missing_since_s = None if self._directory.reserve() else process_time_s()

    def _with_room(self, write: Callable[[], T], *, frees: bool) -> T:
        """Run a transaction, and again if the disk is full and room can be made.

        The log's own space comes first. What frees space must not need any: it may also use what was set aside for it, which
        is more than the log usually holds back from the database file.
        """
        ways = iter((self._shorten_log, self._give_reserve) if frees else (self._shorten_log,))
        while True:
            try:
                return write()
            except CommitFailed as failed:
                if not failed.disk_full or not any(make_room() for make_room in ways):
                    raise

    def _shorten_log(self) -> bool:
        """Whether the log has given space back to the file system."""
        assert self._log is not None, "the store is not open"
        if os.path.getsize(self._directory.database + "-wal") < _LOG_WORTH_SHORTENING_BYTES:
            return False
        return self._log.finish(self._open_writer.connection, "TRUNCATE", _BUSY_TIMEOUT_MS)

    def _give_reserve(self) -> bool:
        if not self._directory.release_reserve():
            return False
        self._reserve_missing_since_s = process_time_s()
        self._shorten_log()
        return True
