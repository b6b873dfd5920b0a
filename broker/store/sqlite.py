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
from broker.store.base import CommitFailed, Recovered, StoreUnusable
from broker.store.changes import Batch, merged
from broker.store.commit_log import CommitLog, read_commits
from broker.store.database import BUSY_TIMEOUT_MS, Database
from broker.store.directory import MEMORY, Directory
from broker.store.flusher import Flusher
from broker.store.sqlite_reads import SqliteReads

SYNCHRONOUS: Final = ("full", "normal", "off")


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
        self._newest_dropping = 0  # number of the newest batch that leaves something to be cleared

    @property
    def directory(self) -> str:
        """Where the data is; of `:memory:` too, once it is open."""
        return self._directory.path

    def open(self) -> Recovered:
        self._directory.open()
        try:
            return self._open_files()
        except (OSError, sqlite3.Error, CommitFailed) as error:
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
        recovered = database.recover()
        late = read_commits(path, recovered.secret).after(recovered.batch_number)
        if late:
            database.apply(merged(late))
            recovered = database.recover()
        database.sync()  # before the commit log is emptied
        self._flusher = Flusher(recovered.batch_number, database.apply, database.sync)
        self._commits = CommitLog(path, recovered.secret, self._flusher, synced=synced)
        self._directory.sync()
        self._open_readers(self._directory.database, BUSY_TIMEOUT_MS, self._flusher.until_flushed)
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
        if batch.messages:
            database.check_room()
        size = database.with_room(partial(commits.append, batch), frees=not batch.messages)
        if batch.dropped or batch.forgotten:
            self._newest_dropping = batch.number
        flusher.add(batch, size)

    def clear_dropped(self) -> bool:
        database, flusher, _ = self._open_parts
        flusher.flush(self._newest_dropping)
        return database.clear_slice()

    def vacuum(self) -> bool:
        database, flusher, _ = self._open_parts
        flusher.flush()
        return database.vacuum_slice()

    def checkpoint(self) -> None:
        database, flusher, _ = self._open_parts
        flusher.flush()
        database.checkpoint()

    def close(self) -> None:
        if self._flusher is not None and self._database is not None:
            self._close_readers()
            everything = self._flusher.close()
            self._database.stop()
            if self._commits is not None:
                self._commits.close(discard=everything)
                self._commits = None
        self._close_files()

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
