"""What earlier versions wrote is there after an upgrade."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import astuple

from broker.store import schema
from broker.store.base import Recovered
from broker.store.batch import Batch
from broker.store.changes import DeduplicationRow
from broker.store.sqlite import SqliteStore
from tests.store.conformance import counters, read


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def first_version(directory: Path) -> Iterator[sqlite3.Connection]:
    """A database of schema step 1, for rows to be put in. It is closed when the test ends, or before."""
    directory.mkdir()
    connection = sqlite3.connect(directory / "pombo.db")
    connection.executescript(schema.released_steps()[0])
    connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    connection.execute("PRAGMA user_version = 1")
    connection.execute("INSERT INTO meta VALUES (1, 41, 5000, 7, ?)", (b"s" * 32,))
    yield connection
    connection.close()


def opened(directory: Path, connection: sqlite3.Connection) -> tuple[SqliteStore, Recovered]:
    connection.commit()
    connection.close()
    store = SqliteStore(str(directory), synchronous="off")
    return store, store.open()


def test_batches_go_on_and_counters_are_kept(directory: Path, first_version: sqlite3.Connection) -> None:
    first_version.execute("INSERT INTO counters VALUES (?, ?, ?, ?, ?, ?, ?, ?)", astuple(counters(1, messages=3)))
    store, recovered = opened(directory, first_version)
    assert recovered == Recovered(41, 5000, b"s" * 32, {}, {1: counters(1, messages=3)})
    assert store.grant_sequences(1) == range(8, 9)
    batch = Batch(42)
    batch.set_counters(counters(1, messages=4))
    store.commit(batch)
    store.close()
    recovered = store.open()
    store.close()
    assert (recovered.batch_number, recovered.message_time_ms) == (42, 5000)
    assert recovered.counters == {1: counters(1, messages=4)}


def test_deduplication_entries_are_kept_but_for_forgotten_ones(
    directory: Path, first_version: sqlite3.Connection
) -> None:
    entries = [(1, 4, b"a" * 16, 100, "id-a", 20), (1, 5, b"b" * 16, 200, "id-b", 10), (2, 4, b"a" * 16, 100, "id", 1)]
    first_version.executemany("INSERT INTO deduplication VALUES (?, ?, ?, ?, ?, ?)", entries)
    first_version.execute("INSERT INTO forgotten VALUES (1, 5)")
    store, _ = opened(directory, first_version)
    digests = (b"a" * 16, b"b" * 16)
    assert read(store.deduplication(1, digests, [(0, 99)], since_ms=0)) == [
        DeduplicationRow(1, 10, b"b" * 16, 200, "id-b")
    ]
    assert read(store.deduplication(2, digests, [(0, 99)], since_ms=0)) == [
        DeduplicationRow(2, 1, b"a" * 16, 100, "id")
    ]
    assert store.clear_dropped() is False
    store.close()
