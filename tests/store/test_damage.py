"""What cannot be used is refused with a clear message and left as it is; what is older is brought up to date, with a copy kept."""

import asyncio
import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from broker.store import schema, sqlite_reads
from broker.store.base import CommitUncertain, StoreError, StoreUnusable
from broker.store.batch import Batch
from broker.store.commit_records import read_commits
from broker.store.sqlite import SqliteStore
from tests.store.conformance import message, present, read


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A data directory with five hundred messages in it."""
    directory = tmp_path / "data"
    store = SqliteStore(str(directory))
    store.open()
    batch = Batch(1)
    for number in range(1, 501):
        batch.add_message(message(number, body=b"x" * 1000))
    store.commit(batch)
    store.close()
    return directory


def refused(directory: Path) -> str:
    """Why the directory is refused. Checks that the file stays as it was, and that the lock is let go of."""
    file = directory / "pombo.db"
    before = file.read_bytes()
    for _ in range(2):
        with pytest.raises(StoreUnusable) as caught:
            SqliteStore(str(directory)).open()
    assert file.read_bytes() == before
    assert str(file) in str(caught.value)
    return str(caught.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pombo.db").write_bytes(b"my diary\n" * 1000)
    assert "not a Pombo database" in refused(tmp_path)
    (tmp_path / "pombo.db").write_bytes(b"short")
    assert "not a Pombo database" in refused(tmp_path)


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "pombo.db")
    other.execute("CREATE TABLE diary (day, text)")
    other.commit()
    other.close()
    assert "not one of Pombo's" in refused(tmp_path)


def test_a_newer_version_is_refused(directory: Path) -> None:
    connection = sqlite3.connect(directory / "pombo.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert "newer version" in refused(directory)


def test_a_newer_version_that_is_still_in_the_log_is_refused(directory: Path) -> None:
    connection = sqlite3.connect(directory / "pombo.db")
    connection.execute("PRAGMA user_version = 99")
    assert os.path.getsize(directory / "pombo.db-wal") > 0
    assert "newer version" in refused(directory)
    connection.close()


def test_a_file_that_was_cut_short_is_refused(directory: Path) -> None:
    file = directory / "pombo.db"
    os.truncate(file, os.path.getsize(file) // 2)
    assert "shorter" in refused(directory)


def test_a_damaged_first_page_is_refused(directory: Path) -> None:
    with open(directory / "pombo.db", "r+b") as file:
        file.seek(100)
        file.write(b"\xa5" * 4000)
    assert "damaged" in refused(directory)


def test_damage_that_shows_later_is_an_error_and_ends_in_doubt(directory: Path) -> None:
    file = directory / "pombo.db"
    connection = sqlite3.connect(file)
    (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'message_place'").fetchone()
    connection.close()
    with open(file, "r+b") as opened:
        opened.seek((root - 1) * schema.PAGE_BYTES)
        opened.write(b"\xa5" * schema.PAGE_BYTES)
    store = SqliteStore(str(directory))
    secret = store.open().secret
    with pytest.raises(StoreError, match="malformed"):
        read(store.scan(1, 0, skip_groups=(), unleased=False, limit=9, bytes_max=9))
    batch = Batch(2)
    batch.add_message(message(1000))
    store.commit(batch)  # it is in the commit log
    for _ in range(2):
        with pytest.raises(CommitUncertain, match="malformed"):
            store.checkpoint()
        with pytest.raises(CommitUncertain, match="malformed"):
            store.commit(Batch(3))
    store.close()
    assert len(read_commits(str(directory), secret).after(1)) == 1


def test_an_empty_file_is_a_new_store(tmp_path: Path) -> None:
    (tmp_path / "pombo.db").touch()
    store = SqliteStore(str(tmp_path))
    assert store.open().batch_number == 0
    store.close()


def test_a_crash_before_the_first_transaction_leaves_a_new_store(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "pombo.db")
    connection.execute(f"PRAGMA page_size = {schema.PAGE_BYTES}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    store = SqliteStore(str(tmp_path))
    assert store.open().batch_number == 0
    store.close()
    connection = sqlite3.connect(tmp_path / "pombo.db")
    assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    assert connection.execute("PRAGMA page_size").fetchone() == (schema.PAGE_BYTES,)
    connection.close()


def test_an_older_version_is_brought_up_to_date_and_a_copy_is_kept(directory: Path) -> None:
    steps = [*schema.released_steps(), "\nCREATE TABLE added (a);\nINSERT INTO added VALUES (';');\n"]
    store = SqliteStore(str(directory), steps=steps)
    assert store.open().batch_number == 1
    assert present(store) == [*range(1, 501)]
    store.close()
    connection = sqlite3.connect(directory / "pombo.db")
    assert connection.execute("SELECT a FROM added").fetchall() == [(";",)]
    assert connection.execute("PRAGMA user_version").fetchone() == (len(steps),)
    connection.close()
    copy = sqlite3.connect(directory / f"pombo.db.schema-{len(steps) - 1}")
    assert copy.execute("PRAGMA user_version").fetchone() == (len(steps) - 1,)
    assert copy.execute("SELECT sum(length(taken)) FROM block").fetchone() == (500,)
    copy.close()
    assert "newer version" in refused(directory)


def test_a_step_that_fails_leaves_the_old_version(directory: Path) -> None:
    steps = [*schema.released_steps(), "CREATE TABLE added (a);\nINSERT INTO missing VALUES (1);\n"]
    with pytest.raises(StoreUnusable, match="missing"):
        SqliteStore(str(directory), steps=steps).open()
    store = SqliteStore(str(directory))
    assert store.open().batch_number == 1
    store.close()


@pytest.mark.parametrize("statement", ["", "PRAGMA cache_size"])
def test_a_reader_that_cannot_be_opened_is_an_error_of_the_store_and_is_opened_later(
    directory: Path, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    failures = [sqlite3.OperationalError("unable to open database file")]
    connect, execute = sqlite_reads._ReadConnection.__init__, sqlite_reads._ReadConnection.execute

    def failing_connect(connection: sqlite_reads._ReadConnection, *arguments: Any, **options: Any) -> None:
        if failures and not statement:
            raise failures.pop()
        connect(connection, *arguments, **options)

    def failing_execute(connection: sqlite_reads._ReadConnection, text: str, values: Any = ()) -> sqlite3.Cursor:
        if failures and text.startswith(statement):
            raise failures.pop()
        return execute(connection, text, values)

    monkeypatch.setattr(sqlite_reads._ReadConnection, "__init__", failing_connect)
    monkeypatch.setattr(sqlite_reads._ReadConnection, "execute", failing_execute)
    store = SqliteStore(str(directory))
    store.open()
    before = set(threading.enumerate())

    async def fail() -> None:
        with pytest.raises(StoreError, match=r"pombo\.db: unable to open database file"):
            await store.messages((1,), content=False)
        for thread in set(threading.enumerate()) - before:
            await asyncio.to_thread(thread.join, 5)
            assert not thread.is_alive()

    asyncio.run(fail())
    assert present(store) == [*range(1, 501)]
    store.close()
