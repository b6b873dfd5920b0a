"""What several tests need of the inside of a store: the connection that writes, a database that is none, batches in a row."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from broker.store.base import Store
from broker.store.batch import Batch
from broker.store.changes import MessageRow
from broker.store.commit_records import read_commits
from broker.store.sqlite import SqliteStore
from tests.store.conformance import message

SECRET: Final = b"s" * 32


def connection_of(store: SqliteStore) -> sqlite3.Connection:
    """The connection that writes."""
    assert store._database is not None
    return store._database.connection


class Behind:
    """What a commit log takes for its database: durable at once when it is awaited, and not before. Remembers what it was asked."""

    def __init__(self) -> None:
        self.wanted: list[int] = []
        self.awaited: list[int] = []

    def want_durable(self, number: int) -> None:
        self.wanted.append(number)

    def make_durable(self, number: int) -> None:
        self.awaited.append(number)

    def is_durable(self, number: int) -> bool:
        return number <= max(self.awaited, default=0)


def sends(number: int, body: bytes = b"body") -> Batch:
    """A batch with one message, of its own number."""
    batch = Batch(number)
    batch.add_message(message(number, body=body))
    return batch


def numbers(directory: Path, after: int = 0, secret: bytes = SECRET) -> list[int]:
    """Those of the batches in a commit log that follow one."""
    return [batch.number for batch in read_commits(str(directory), secret).after(after)]


def rows_in(store: SqliteStore, table: str) -> int:
    """Of what is flushed."""
    store.checkpoint()
    (count,) = connection_of(store).execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(count)


class Commits:
    """Commits one batch after the other, each flushed as a transaction of its own, or with those after it."""

    def __init__(self, *stores: Store) -> None:
        self._stores = stores
        self.number = 0
        self.flushes = True

    def __call__(self, fill: Callable[[Batch], object]) -> None:
        self.number += 1
        batch = Batch(self.number)
        fill(batch)
        for store in self._stores:
            store.commit(batch)
            if self.flushes:
                store.checkpoint()


def send(*rows: MessageRow) -> Callable[[Batch], object]:
    return lambda batch: [batch.add_message(row) for row in rows]


def leave(*rows: MessageRow) -> Callable[[Batch], object]:
    """To the store alone."""
    return lambda batch: [leave_row(batch, row) for row in rows]


def leave_row(batch: Batch, row: MessageRow) -> None:
    """Of LANE_READY."""
    batch.leave_message(row.id, row.queue, row.group, row.enqueued_at_ms, row.content, row.body)


def delete(*numbers: int, queue: int = 1) -> Callable[[Batch], object]:
    return lambda batch: [batch.delete_message(n, queue) for n in numbers]
