"""SQLite as a backend: the conformance suite, with each way to run it, and what is its own."""

import os
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from broker.store import flusher, schema, write_ahead_log
from broker.store.backup import backup_directory
from broker.store.base import Store, StoreUnusable
from broker.store.batch import Batch
from broker.store.directory import SEGMENT_NAMES
from broker.store.sqlite import SqliteStore
from tests.store.conformance import StoreConformance, ids, message, read
from tests.store.inside import connection_of


class TestSqlite(StoreConformance):
    def make(self, directory: Path) -> Store:
        return SqliteStore(str(directory), synchronous="off")

    def restore(self, copy: Path, directory: Path) -> Store:
        directory.mkdir()
        shutil.copy(copy, directory / "pombo.db")
        return self.make(directory)


linux_only = pytest.mark.skipif(not os.path.exists("/proc/self/fdinfo"), reason="reads /proc")


def pragma(store: SqliteStore, name: str) -> object:
    return connection_of(store).execute(f"PRAGMA {name}").fetchone()[0]


def batch_of(number: int, *numbers: int, body: bytes = b"body") -> Batch:
    batch = Batch(number)
    for each in numbers:
        batch.add_message(message(each, body=body))
    return batch


def test_the_file_is_set_up_to_follow_the_commit_log(store: SqliteStore) -> None:
    assert pragma(store, "journal_mode") == "wal"
    assert pragma(store, "synchronous") == 1  # NORMAL: checkpoints are synced, transactions are not
    assert pragma(store, "auto_vacuum") == 2  # incremental
    assert pragma(store, "page_size") == schema.PAGE_BYTES
    assert pragma(store, "wal_autocheckpoint") == 0
    assert pragma(store, "secure_delete") == 0


@linux_only
@pytest.mark.parametrize(("synchronous", "level"), [("full", 1), ("normal", 1), ("off", 0)])
def test_synchronous_is_the_users_choice(directory: Path, synchronous: str, level: int) -> None:
    store = SqliteStore(str(directory), synchronous=synchronous)
    store.open()
    store.commit(batch_of(1, 1))
    store.grant_sequences(1)
    store.clear_dropped()
    store.vacuum()
    assert pragma(store, "synchronous") == level
    for name in SEGMENT_NAMES:
        (file,) = [each for each in Path("/proc/self/fd").iterdir() if os.path.realpath(each) == str(directory / name)]
        flags = int(Path("/proc/self/fdinfo", file.name).read_text().split("flags:")[1].split()[0], 8)
        assert bool(flags & os.O_DSYNC) == (synchronous == "full")
    store.close()


def test_memory_is_a_private_directory_that_goes_with_the_store() -> None:
    first, second = SqliteStore(":memory:"), SqliteStore(":memory:")
    first.open()
    second.open()
    assert first.directory != second.directory
    assert os.stat(first.directory).st_mode & 0o077 == 0
    assert pragma(first, "synchronous") == 0
    first.commit(batch_of(1, 1))
    assert ids(read(first.messages((1,), content=True))) == [1]
    first.close()
    second.close()
    assert not os.path.exists(first.directory)
    assert not os.path.exists(second.directory)


def test_the_lock_names_the_directory_and_the_process(store: SqliteStore, directory: Path) -> None:
    with pytest.raises(StoreUnusable) as refused:
        SqliteStore(str(directory)).open()
    assert str(directory) in str(refused.value)
    assert str(os.getpid()) in str(refused.value)


def test_a_process_id_left_behind_locks_nobody_out(directory: Path) -> None:
    directory.mkdir()
    (directory / "pombo.lock").write_text("1\n")
    store = SqliteStore(str(directory))
    store.open()
    store.close()


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnusable, match="file"):
        SqliteStore(str(tmp_path / "file" / "data")).open()


def test_closing_leaves_one_whole_file(directory: Path) -> None:
    store = SqliteStore(str(directory))
    store.open()
    store.commit(batch_of(1, *range(1, 500)))
    read(store.messages((1,), content=True))
    store.close()
    assert sorted(os.listdir(directory)) == ["pombo.db", "pombo.lock", "pombo.pin", "reserve"]


def test_no_thread_outlives_the_store(directory: Path) -> None:
    before = set(threading.enumerate())
    store = SqliteStore(str(directory))
    store.open()
    read(store.messages((1,), content=True))
    read(store.look(1, 0, limit=1, bytes_max=1))
    read(store.backup(str(directory / "copy")))
    store.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive()


def test_the_log_is_copied_beside_the_writer_and_bounded(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_ahead_log, "PASSIVE_BYTES", 1 << 18)
    monkeypatch.setattr(write_ahead_log, "FINISH_BYTES", 1 << 20)
    store = SqliteStore(str(directory), synchronous="off")
    store.open()
    for number in range(1, 200):
        store.commit(batch_of(number, number, body=b"x" * 100_000))
        if number % 5 == 0:
            store.clear_dropped()
            read(store.messages((number,), content=False))
    assert os.path.getsize(directory / "pombo.db-wal") < 3 << 20
    store.close()


def test_a_reader_that_stays_does_not_stop_commits(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_ahead_log, "PASSIVE_BYTES", 1 << 18)
    monkeypatch.setattr(write_ahead_log, "FINISH_BYTES", 1 << 20)
    store = SqliteStore(str(directory), synchronous="off")
    store.open()
    reader = sqlite3.connect(directory / "pombo.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM message").fetchone()
    for number in range(1, 100):
        store.commit(batch_of(number, number, body=b"x" * 100_000))
    reader.close()
    store.commit(batch_of(100, 100))
    assert ids(read(store.messages((1, 99, 100), content=False))) == [1, 99, 100]
    store.checkpoint()
    assert os.path.getsize(directory / "pombo.db-wal") == 0
    store.close()


def test_a_backup_is_a_database_with_nothing_missing(store: SqliteStore, tmp_path: Path) -> None:
    store.commit(batch_of(1, *range(1, 500)))
    read(store.backup(str(tmp_path / "copy")))
    copy = sqlite3.connect(tmp_path / "copy")
    assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert copy.execute("SELECT sum(length(taken)) FROM block").fetchone() == (499,)
    copy.close()
    assert sorted(os.listdir(tmp_path)) == ["copy", "data"]


@pytest.mark.parametrize("killed", [False, True])
def test_a_directory_can_be_copied_with_what_its_database_lacks(
    store: SqliteStore, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    monkeypatch.setattr(flusher, "_LAG_S", 3600.0)
    store.commit(batch_of(1, 1, 2))
    store.checkpoint()
    store.commit(batch_of(2, 3))
    data = tmp_path / "left" if killed else directory
    if killed:
        shutil.copytree(directory, data)
    backup_directory(str(data), str(tmp_path / "copy"))
    copy = sqlite3.connect(tmp_path / "copy")
    assert copy.execute("SELECT id FROM message ORDER BY id").fetchall() == [(1,), (2,), (3,)]
    assert copy.execute("SELECT max(number) FROM batch").fetchone() == (2,)
    copy.close()
    assert not [name for name in os.listdir(tmp_path) if name.startswith("copy") and name != "copy"]


def test_unused_space_goes_back_to_the_file_system(store: SqliteStore, directory: Path) -> None:
    for number in range(1, 41):
        store.commit(batch_of(number, *range(number * 100, number * 100 + 100), body=b"x" * 20_000))
    store.checkpoint()
    size = os.path.getsize(directory / "pombo.db")
    batch = Batch(41)
    batch.drop_generation(1)
    store.commit(batch)
    while store.clear_dropped():
        pass
    slices = 0
    while store.vacuum():
        slices += 1
    store.checkpoint()
    assert slices > 10
    assert os.path.getsize(directory / "pombo.db") < size / 2


def test_a_start_that_was_killed_before_the_database_was_made_is_begun_anew(tmp_path: Path) -> None:
    made, directory = tmp_path / "made", tmp_path / "data"
    for path in (made, directory):
        path.mkdir()
    connection = sqlite3.connect(made / "pombo.db", isolation_level=None)
    connection.execute(f"PRAGMA page_size = {schema.PAGE_BYTES}")
    connection.execute("PRAGMA synchronous = OFF")  # a journal counts from its first page on
    connection.execute("PRAGMA application_id = 1")
    connection.execute("PRAGMA application_id = 0")
    connection.execute("BEGIN")
    connection.execute("PRAGMA application_id = 2")
    for name in ("pombo.db", "pombo.db-journal"):
        shutil.copy(made / name, directory / name)
    connection.close()
    store = SqliteStore(str(directory))
    store.open()
    store.close()
