"""What several tests of the store need of its inside: the connection that writes, and a database that is none."""

import sqlite3

from broker.store.sqlite import SqliteStore


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
