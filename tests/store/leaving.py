"""For tests of what stays in the commit log: messages that are left to the store, and what becomes of them and of the files."""

import os
from pathlib import Path

from broker.store.commit_log import CommitLog
from broker.store.directory import KEPT_PREFIX
from broker.store.sqlite import SqliteStore
from tests.store.conformance import PLENTY, message, read
from tests.store.inside import Commits, leave

BODY = b"x" * 500
EACH = 20  # messages of a batch
SEGMENT_BYTES = 40_000  # of three batches


def body(number: int) -> bytes:
    return b"%d " % number + BODY


def leave_many(commit: Commits, count: int, *, first: int = 1) -> None:
    for begin in range(first, first + count, EACH):
        commit(leave(*(message(n, body=body(n)) for n in range(begin, begin + EACH))))


def kept(directory: Path) -> list[str]:
    return sorted(name for name in os.listdir(directory) if name.startswith(KEPT_PREFIX))


def bodies(store: SqliteStore, queue: int = 1) -> list[tuple[int, bytes | None]]:
    return [(row.id, row.body) for row in read(store.look(queue, 0, limit=9999, bytes_max=PLENTY)).rows]


def expected(*numbers: int) -> list[tuple[int, bytes]]:
    return [(n, body(n)) for n in numbers]


def sync(store: SqliteStore) -> None:
    """What was written is durable, so that files are free."""
    assert store._database is not None
    store._database.sync()


def reopened(store: SqliteStore, directory: Path) -> SqliteStore:
    store.close()
    again = SqliteStore(str(directory))
    again.open()
    return again


def log_to_prepare(store: SqliteStore, commit: Commits) -> CommitLog:
    """The store's log, of which the segment that is not in use may be replaced by whoever calls `_prepare`."""
    log = store._commits
    assert log is not None
    log._database.make_durable(commit.number)
    log._gives_way = False
    return log
