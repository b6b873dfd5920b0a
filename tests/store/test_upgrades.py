"""What earlier versions wrote is there after an upgrade."""

import shutil
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import astuple

from broker.store import commit_records, schema
from broker.store.backup import backup_directory
from broker.store.base import Recovered
from broker.store.batch import Batch
from broker.store.changes import DeduplicationRow
from broker.store.new_blocks import packed
from broker.store.sqlite import SqliteStore
from tests.store.conformance import counters, ids, message, read


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


SECRET = b"s" * 32
ENTRIES = [DeduplicationRow(1, order, b"%16d" % order, 100, f"id-{order}") for order in (5, 6)]


@pytest.fixture
def fourth_version(directory: Path) -> Path:
    """A directory that a broker of schema step 4 left when it was killed: an entry in the database, a batch in the commit log."""
    directory.mkdir()
    connection = sqlite3.connect(directory / "pombo.db", isolation_level=None)
    schema.create(connection, SECRET, schema.released_steps()[:4])
    connection.execute("INSERT INTO deduplication VALUES (1, 5, ?, 100, 'id-5')", (ENTRIES[0].digest,))
    connection.close()
    record = msgspec.msgpack.encode([5_000, [message(6)], [], [], [], [], [ENTRIES[1]], {}, [], []])
    head = commit_records._HEAD.pack(1, len(record))
    checksum = zlib.crc32(record, zlib.crc32(head, zlib.crc32(SECRET)))
    (directory / "pombo.commits.0").write_bytes(commit_records._CHECKSUM.pack(checksum) + head + record)
    return directory


def check_all_of_it(directory: Path) -> None:
    store = SqliteStore(str(directory), synchronous="off")
    assert store.open().batch_number == 1
    digests = tuple(entry.digest for entry in ENTRIES)
    assert sorted(read(store.deduplication(1, digests, [(0, 99)], since_ms=0)), key=astuple) == ENTRIES
    assert ids(read(store.messages((6,), content=True))) == [6]
    store.close()


def test_what_was_only_in_the_commit_log_is_there(fourth_version: Path) -> None:
    check_all_of_it(fourth_version)


def test_the_old_directory_stays_with_its_commit_log(fourth_version: Path, tmp_path: Path) -> None:
    check_all_of_it(fourth_version)
    again = tmp_path / "again"
    again.mkdir()
    for name in ("pombo.db", "pombo.commits.0"):
        shutil.copy(fourth_version / f"{name}.schema-4", again / name)
    check_all_of_it(again)


def test_a_copy_that_was_cut_short_is_made_again(fourth_version: Path, tmp_path: Path) -> None:
    (fourth_version / "pombo.commits.0.schema-4").write_bytes(b"begun")
    (fourth_version / "pombo.db.schema-4.part").write_bytes(b"begun")
    test_the_old_directory_stays_with_its_commit_log(fourth_version, tmp_path)


def test_a_backup_of_an_older_directory_is_whole(fourth_version: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    backup_directory(str(fourth_version), str(copy / "pombo.db"))
    check_all_of_it(copy)
    assert schema.examine(str(fourth_version / "pombo.db"), 99) == 4  # it was left as it is


def test_blocks_of_before_have_no_groups(directory: Path) -> None:
    """Step 7: messages in a block, and one with a group in a row of its own."""
    directory.mkdir()
    connection = sqlite3.connect(directory / "pombo.db", isolation_level=None)
    schema.create(connection, SECRET, schema.released_steps()[:7])
    rows = [message(n) for n in range(1, 65)]
    (block,) = packed(rows)
    connection.execute("INSERT INTO block VALUES (1, 1, 64, 1, ?, ?)", (bytes(64), block.heads))
    connection.execute("INSERT INTO block_content VALUES (1, ?, ?)", block.sent)
    connection.execute("INSERT INTO message VALUES (65, 1, 0, 65, 1, 'g', 1065, x'01')")
    connection.execute("INSERT INTO body VALUES (65, x'02')")
    store, _ = opened(directory, connection)
    page = read(store.scan(1, 0, skip_groups=("g",), unleased=True, limit=99, bytes_max=1 << 40))
    assert [(row.id, row.group, row.body) for row in page.rows] == [(row.id, None, row.body) for row in rows]
    assert ids(read(store.group(1, "g", 0, unleased=True, limit=99, bytes_max=1 << 40))) == [65]
    batch = Batch(1)
    for n in range(1, 61):
        batch.delete_message(n, 1)
    store.commit(batch)
    assert ids(read(store.look(1, 0, limit=99, bytes_max=1 << 40))) == [61, 62, 63, 64, 65]
    store.close()
