"""The store on SQLite: a commit log in front, the database behind it, and readers.

A commit is a record in the commit log (commit_log.py), which makes it durable. The flusher (flusher.py) brings what is there into
the database (database.py), many batches at a time; a read (sqlite_reads.py) waits until that has what was committed before it.
A start brings the rest of the log into the database first.
"""

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Final

from broker.store import schema
from broker.store.base import CommitFailed, CommitUncertain, Recovered, StoreError, StoreUnusable
from broker.store.batch import Batch, merged
from broker.store.commit_log import CommitLog
from broker.store.commit_records import read_commits
from broker.store.database import BUSY_TIMEOUT_MS, Database
from broker.store.directory import DATABASE_NAME, MEMORY, SEGMENT_NAMES, Directory
from broker.store.flusher import Flusher
from broker.store.sqlite_reads import SqliteReads

SYNCHRONOUS: Final = ("full", "normal", "off")


class _WouldTakeLong(Exception):
    """Room must be made first. Nothing was committed."""


class SqliteStore(SqliteReads):
    """A store in the directory `data`, or in a private temporary one for `:memory:`.

    `synchronous`: `full` syncs every commit; `normal` may lose the last ones in a power failure; `off` leaves it all to the
    operating system. `steps` are the schema's, another list only in tests.
    """

    def __init__(self, data: str, *, synchronous: str = "full", steps: Sequence[str] | None = None) -> None:
        assert synchronous in SYNCHRONOUS, f"synchronous must be one of {SYNCHRONOUS}"
        super().__init__()
        self._directory = Directory(data)
        self._synchronous = "off" if data == MEMORY else synchronous
        self._steps = schema.released_steps() if steps is None else steps
        self._database: Database | None = None
        self._flusher: Flusher | None = None
        self._commits: CommitLog | None = None
        self._at_once = False  # the commit under way must not wait for room to be made
        self._newest_dropping = 0  # number of the newest batch that leaves something to be cleared

    @property
    def directory(self) -> str:
        """Where the data is; of `:memory:` too, once it is open."""
        return self._directory.path

    def open(self) -> Recovered:
        self._directory.open()
        try:
            return self._open_files()
        except (OSError, sqlite3.Error, CommitFailed, CommitUncertain) as error:
            self._close_files()
            raise StoreUnusable(f"{self._directory.database} cannot be used: {error}") from error
        except BaseException:
            self._close_files()
            raise

    def _open_files(self) -> Recovered:
        path, synced = self._directory.path, self._synchronous == "full"
        self._database = database = Database(
            self._directory, self._steps, synced=synced, careless=self._synchronous == "off"
        )
        recovered = self._bring_in_commits(database)
        self._flusher = Flusher(recovered.batch_number, database.apply, database.sync)
        self._commits = CommitLog(
            path,
            recovered.secret,
            self._flusher,
            database.sent,
            synced=synced,
            # With `normal`, SQLite's checkpoints would make blocks durable whose contents, in the commit log, are not.
            stays=self._synchronous != "normal",
            has_space=database.has_space_to_spare,
        )
        database.give_way = self._commits.shrink
        self._directory.sync()
        self._open_readers(self._directory.database, BUSY_TIMEOUT_MS, self._flusher.until_flushed, database.sent)
        return recovered

    def _bring_in_commits(self, database: Database) -> Recovered:
        """What an earlier process did not flush. Raises StoreUnusable where some of it is missing."""
        recovered = database.recover()
        number = recovered.batch_number
        commits = read_commits(self._directory.path, recovered.secret)
        beyond = commits.beyond(number)
        if beyond is not None and self._synchronous == "full":
            names = " and ".join(SEGMENT_NAMES)
            way_out = f"to go on with what the database holds, remove {names}"
            if database.sent.log_in_use:
                way_out = "what was sent of messages that wait is in them, too"
            raise StoreUnusable(
                f"{self._directory.path}: {names} hold batch {beyond}, but not all between it and batch {number}, the last one in"
                f" {DATABASE_NAME}: one of these files is damaged, or from another time; they were left as they are"
                f" ({way_out})"
            )
        late = commits.after(number)
        if late:
            database.apply(merged(late))
            recovered = database.recover()
        database.sync()  # before the commit log is emptied
        return recovered

    def recover(self) -> Recovered:
        database, flusher, _ = self._open_parts
        return database.recover(flusher.overlay)

    def grant_sequences(self, count: int) -> range:
        database, _, _ = self._open_parts
        return database.grant(count)

    def commit(self, batch: Batch) -> None:
        database, flusher, commits = self._open_parts
        flusher.check()
        if batch.arrivals:
            database.check_room(lambda: batch.message_bytes + flusher.waiting_bytes)
        size = self._append(database, commits, batch)
        if batch.dropped or batch.forgotten:
            self._newest_dropping = batch.number
        flusher.add(batch, size)

    def _append(self, database: Database, commits: CommitLog, batch: Batch) -> int:
        if not self._at_once:
            return database.with_room(partial(commits.append, batch), frees=not batch.arrivals)
        try:
            return commits.append(batch)
        except CommitFailed as failed:
            raise _WouldTakeLong from failed

    def commit_at_once(self, batch: Batch) -> bool:
        database, flusher, commits = self._open_parts
        if not (batch.is_small() and flusher.keeps_up and commits.has_room and database.has_reserve):
            return False
        self._at_once = True
        try:
            self.commit(batch)
        except _WouldTakeLong:
            return False
        finally:
            self._at_once = False
        return True

    def clear_dropped(self) -> bool:
        database, flusher, _ = self._open_parts
        flusher.flush(self._newest_dropping)
        return database.clear_slice()

    def vacuum(self) -> bool:
        database, _, _ = self._open_parts
        return database.vacuum_slice()

    def checkpoint(self) -> None:
        database, flusher, _ = self._open_parts
        flusher.flush()
        database.checkpoint()

    def close(self) -> None:
        if self._flusher is not None and self._database is not None:
            self._close_readers()
            everything = self._flusher.close() and self._is_synced(self._database)
            self._database.stop()
            if self._commits is not None:
                self._commits.close(discard=everything)
                self._commits = None
        self._close_files()

    def _is_synced(self, database: Database) -> bool:
        """Whether the database can do without the commit log, once everything is flushed."""
        try:
            database.sync()
        except StoreError:
            return False
        return True

    def _close_files(self) -> None:
        """Let go of everything."""
        self._close_readers()
        if self._flusher is not None:
            self._flusher.close()
            self._flusher = None
        if self._commits is not None:
            self._commits.close(discard=False)
            self._commits = None
        if self._database is not None:
            self._database.close()
            self._database = None
        self._directory.close()

    @property
    def _open_parts(self) -> tuple[Database, Flusher, CommitLog]:
        assert self._database is not None, "the store is not open"
        assert self._flusher is not None
        assert self._commits is not None
        return self._database, self._flusher, self._commits
