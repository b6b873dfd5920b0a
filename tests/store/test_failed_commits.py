"""Full disks, I/O errors and kills: what a failed commit leaves behind, and what may still be done."""

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.store import commit_log, database
from broker.store.base import CommitFailed, CommitUncertain, StoreError, StoreUnusable
from broker.store.batch import Batch
from broker.store.commit_log import CommitLog
from broker.store.commit_records import read_commits
from broker.store.database import Database
from broker.store.directory import SEGMENT_NAMES, Directory
from broker.store.sent import Sent
from broker.store.sqlite import SqliteStore
from broker.store.sqlite_writer import Writer
from tests.store.conformance import counters, message, present
from tests.store.inside import Behind, connection_of


class FaultyConnection:
    """The writer's connection, but statements that `fails` picks fail with its code before they run."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.fails: Callable[[str], int | None] = lambda statement: None

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        code = self.fails(statement)
        if code is not None:
            error = sqlite3.OperationalError("injected")
            error.sqlite_errorcode = code
            raise error
        return self._connection.execute(statement, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


@pytest.fixture
def store(store: SqliteStore) -> SqliteStore:
    """With a batch that is in the database."""
    store.commit(sends(1, 1, 2, 3))
    store.checkpoint()
    return store


@pytest.fixture
def connection(store: SqliteStore) -> Iterator[FaultyConnection]:
    assert store._database is not None
    writer: Any = store._database._writer
    faulty = FaultyConnection(writer.connection)
    writer.connection = faulty
    yield faulty
    writer.connection = faulty._connection


@pytest.fixture
def full_log(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no room for the commit log, whatever is done."""

    def pwrite(*_given: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(commit_log.os, "pwrite", pwrite)


def sends(number: int, *numbers: int) -> Batch:
    batch = Batch(number)
    for each in numbers:
        batch.add_message(message(each))
    return batch


def deletes(number: int, *numbers: int) -> Batch:
    batch = Batch(number)
    for each in numbers:
        batch.delete_message(each, 1)
    return batch


def after_a_kill(store: SqliteStore, copy: Path) -> list[int]:
    """What is there if the broker is killed now."""
    copy.mkdir()
    for name in (*SEGMENT_NAMES, "pombo.db", "pombo.db-wal"):
        shutil.copy(Path(store.directory, name), copy / name)
    killed = SqliteStore(str(copy))
    killed.open()
    found = present(killed)
    killed.close()
    return found


# The commit log


@pytest.mark.usefixtures("full_log")
def test_without_room_in_the_commit_log_nothing_has_happened(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CommitFailed, match="commits") as failed:
        store.commit(sends(2, 4, 5))
    assert failed.value.disk_full
    assert present(store) == [1, 2, 3]
    assert store.recover().batch_number == 1
    monkeypatch.undo()
    assert after_a_kill(store, tmp_path / "copy") == [1, 2, 3]
    store.commit(sends(2, 6))
    assert present(store) == [1, 2, 3, 6]


def test_what_cannot_be_written_down_is_shown_and_changes_nothing(store: SqliteStore) -> None:
    batch = sends(2, 4)
    batch.add_message(message(5, enqueued_at_ms=object()))
    with pytest.raises(TypeError):
        store.commit(batch)
    assert present(store) == [1, 2, 3]
    store.commit(sends(2, 6))
    assert present(store) == [1, 2, 3, 6]


@pytest.mark.usefixtures("full_log")
def test_what_would_have_to_make_room_is_not_committed_at_once(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That takes a checkpoint, and more: the event loop must not wait for it."""
    monkeypatch.setattr(Database, "with_room", lambda *_given, **_more: pytest.fail("room was made"))
    assert store.commit_at_once(deletes(2, 1)) is False
    monkeypatch.undo()
    assert present(store) == [1, 2, 3]
    assert store.commit_at_once(deletes(2, 1)) is True
    assert present(store) == [2, 3]


@pytest.mark.parametrize(
    ("count", "large", "at_once"), [(1, {}, True), (3, {"body": 200_000}, False), (3, {"content": 200_000}, False)]
)
def test_only_what_is_small_is_committed_at_once(
    store: SqliteStore, count: int, large: dict[str, int], at_once: bool
) -> None:
    batch = Batch(2)
    for number in range(10, 10 + count):
        batch.add_message(message(number, **{name: b"x" * size for name, size in large.items()}))
    assert store.commit_at_once(batch) is at_once
    assert len(present(store)) == (3 + count if at_once else 3)


def test_on_a_nearly_full_disk_all_unused_space_is_given_back(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else messages would be refused for ever, for whom the database has room."""
    large = Batch(2)
    for number in range(100, 600):
        large.add_message(message(number, body=b"x" * 2000))
    store.commit(large)
    store.checkpoint()
    store.commit(deletes(3, *range(200, 300)))
    store.checkpoint()
    assert store.vacuum() is False
    monkeypatch.setattr(Directory, "free_bytes", lambda _directory: 1_000_000)
    (free,) = connection_of(store).execute("PRAGMA freelist_count").fetchone()
    while store.vacuum():
        pass
    assert free > 0
    assert connection_of(store).execute("PRAGMA freelist_count").fetchone() == (0,)


def test_for_deletes_the_commit_log_may_use_the_reserve(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reserve = Path(store.directory, "reserve")
    pwrite = os.pwrite

    def while_reserved(file: int, data: Any, offset: int) -> int:
        if reserve.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(file, data, offset)

    monkeypatch.setattr(commit_log.os, "pwrite", while_reserved)
    with pytest.raises(CommitFailed):
        store.commit(sends(2, 4))
    assert reserve.exists()
    store.commit(deletes(2, 1))
    assert present(store) == [2, 3]
    with pytest.raises(CommitFailed, match="the disk is full"):
        store.commit(sends(3, 4))


# The database behind it


@pytest.mark.parametrize("statement", ["BEGIN", "INSERT OR REPLACE INTO body", "INSERT OR REPLACE INTO batch"])
@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_BUSY])
def test_what_is_acknowledged_waits_until_the_database_takes_it(
    store: SqliteStore,
    connection: FaultyConnection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    statement: str,
    code: int,
) -> None:
    monkeypatch.setattr(database, "_RESERVE_RETRY_S", -1.0)
    connection.fails = lambda text: code if text.startswith(statement) else None
    batch = sends(2, 4, 5)
    batch.set_counters(counters(1, messages=5))
    store.commit(batch)
    with pytest.raises(StoreError, match=r"pombo\.db"):
        present(store)
    with pytest.raises(CommitFailed, match=r"pombo\.db"):
        store.commit(sends(3, 6))
    recovered = store.recover()
    assert (recovered.batch_number, recovered.counters) == (2, {1: counters(1, messages=5)})
    assert after_a_kill(store, tmp_path / "copy") == [1, 2, 3, 4, 5]
    connection.fails = lambda text: None
    assert present(store) == [1, 2, 3, 4, 5]
    store.commit(sends(3, 6))
    assert present(store) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC, sqlite3.SQLITE_IOERR_WRITE]
)
def test_an_error_at_the_commit_point_leaves_doubt_and_loses_nothing(
    store: SqliteStore, connection: FaultyConnection, tmp_path: Path, code: int
) -> None:
    connection.fails = lambda text: code if text == "COMMIT" else None
    store.commit(sends(2, 4))
    with pytest.raises(CommitUncertain, match="unknown"):
        store.checkpoint()
    with pytest.raises(CommitUncertain, match="unknown"):
        store.commit(sends(3, 5))
    connection.fails = lambda text: None
    store._database._writer._roll_back()  # type: ignore[union-attr]  # as the end of the process does
    assert after_a_kill(store, tmp_path / "copy") == [1, 2, 3, 4]


def test_what_the_database_has_not_taken_is_there_after_a_stop(
    store: SqliteStore, connection: FaultyConnection, directory: Path
) -> None:
    connection.fails = lambda text: sqlite3.SQLITE_IOERR_WRITE if text.startswith("BEGIN") else None
    store.commit(sends(2, 4))
    store.close()
    store.open()
    assert present(store) == [1, 2, 3, 4]
    store.close()
    assert sorted(os.listdir(directory)) == ["pombo.db", "pombo.lock", "pombo.pin", "reserve"]


@pytest.mark.parametrize("failure", [CommitFailed("no room", disk_full=True), CommitUncertain("no room for doubt")])
def test_a_directory_whose_commit_log_cannot_be_brought_in_is_refused_and_kept(
    store: SqliteStore, connection: FaultyConnection, monkeypatch: pytest.MonkeyPatch, failure: StoreError
) -> None:
    connection.fails = lambda text: sqlite3.SQLITE_IOERR_WRITE if text.startswith("BEGIN") else None
    store.commit(sends(2, 4))
    store.close()

    def fail(_writer: Writer, _batch: Batch) -> None:
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "apply", fail)
        with pytest.raises(StoreUnusable, match="no room"):
            store.open()
    store.open()
    assert present(store) == [1, 2, 3, 4]


def test_a_commit_log_with_a_gap_is_refused_and_kept(store: SqliteStore, directory: Path) -> None:
    secret = store.recover().secret
    store.close()
    log = CommitLog(str(directory), secret, Behind(), Sent(str(directory)), stays=False, synced=False)
    log.append(sends(3, 5))
    log.close(discard=False)
    with pytest.raises(StoreUnusable, match=r"hold batch 3, but not all between it and batch 1"):
        store.open()
    assert read_commits(str(directory), secret).beyond(1) == 3
    careless = SqliteStore(str(directory), synchronous="normal")  # where a loss of power may leave that
    assert careless.open().batch_number == 1
    careless.close()


def test_granting_fails_without_a_grant(store: SqliteStore, connection: FaultyConnection) -> None:
    first = store.grant_sequences(10)
    connection.fails = lambda text: sqlite3.SQLITE_FULL if text == "COMMIT" else None
    with pytest.raises(CommitFailed):
        store.grant_sequences(10)
    connection.fails = lambda text: None
    assert store.grant_sequences(10).start >= first.stop


def test_a_real_limit_of_the_file_stops_sends_and_loses_nothing(store: SqliteStore) -> None:
    execute = connection_of(store).execute
    (pages,) = execute("PRAGMA page_count").fetchone()
    execute(f"PRAGMA max_page_count = {pages + 5}")
    large = Batch(2)
    for number in range(10, 200):
        large.add_message(message(number, body=b"x" * 10_000))
    store.commit(large)
    with pytest.raises(StoreError, match="full"):
        present(store)
    with pytest.raises(CommitFailed) as failed:
        store.commit(sends(3, 500))
    assert failed.value.disk_full
    execute(f"PRAGMA max_page_count = {pages + 5000}")
    assert present(store) == [1, 2, 3, *range(10, 200)]


def test_on_a_full_disk_deletes_and_purges_use_the_reserve_and_sends_do_not(
    store: SqliteStore, connection: FaultyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve = Path(store.directory, "reserve")
    assert reserve.stat().st_blocks * 512 >= 16 << 20
    full = True

    def fails(text: str) -> int | None:
        return sqlite3.SQLITE_FULL if text == "COMMIT" and full and reserve.exists() else None

    connection.fails = fails
    store.commit(sends(2, 4))  # the last one: it has its room in the commit log
    assert present(store) == [1, 2, 3, 4]
    assert not reserve.exists()
    with pytest.raises(CommitFailed, match="the disk is full"):
        store.commit(sends(3, 5))
    store.commit(deletes(3, 1))
    assert present(store) == [2, 3, 4]
    purge = Batch(4)
    purge.drop_generation(1)
    store.commit(purge)
    while store.clear_dropped():
        pass
    assert present(store) == []
    with pytest.raises(CommitFailed):
        store.commit(sends(5, 9))
    full = False
    monkeypatch.setattr(database, "_RESERVE_RETRY_S", -1.0)
    store.commit(sends(5, 9))
    assert reserve.exists()


@pytest.mark.parametrize(("size", "taken"), [(1000, True), (2_000_000, False)])
def test_messages_are_taken_only_where_there_is_room_for_them_in_the_database(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, size: int, taken: bool
) -> None:
    """What is acknowledged is in the commit log, and must still find room behind it."""
    monkeypatch.setattr(Directory, "free_bytes", lambda _directory: 5_000_000)
    monkeypatch.setattr(store._database, "_free_bytes", 5_000_000)
    batch = Batch(2)
    batch.add_message(message(4, body=b"x" * size))
    if taken:
        store.commit(batch)
    else:
        with pytest.raises(CommitFailed, match="the disk is full"):
            store.commit(batch)
        assert store.commit_at_once(batch) is False
    store.commit(deletes(3 if taken else 2, 1))
    assert present(store) == ([2, 3, 4] if taken else [2, 3])


def test_a_full_disk_gets_back_what_the_commit_log_does_not_need(
    store: SqliteStore, connection: FaultyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_log, "SEGMENT_BYTES", 3_000_000)
    monkeypatch.setattr(commit_log, "_FEW_BYTES", 3_000_000)  # no segment gets longer but by its records
    first, second = (Path(store.directory, name) for name in SEGMENT_NAMES)
    for number in (2, 3):
        batch = Batch(number)
        batch.add_message(message(number + 2, body=b"x" * 2_500_000))
        store.commit(batch)
        store.checkpoint()
    assert store._flusher is not None
    store._flusher.make_durable(3)
    assert first.stat().st_size > 2_000_000
    connection.fails = lambda text: sqlite3.SQLITE_FULL if text == "COMMIT" and first.stat().st_size else None
    store.commit(deletes(4, 1))
    assert present(store) == [2, 3, 4, 5]
    assert (first.stat().st_size, second.stat().st_size > 2_000_000) == (0, True)
    assert Path(store.directory, "reserve").exists()


# Kills, and the loss of power


CHILD = """
import sys
import threading
from broker.store.batch import Batch
from broker.store.commit_log import CommitLog
from broker.store.commit_records import read_commits
from broker.store.sqlite import SqliteStore
from tests.store.conformance import message
store = SqliteStore(sys.argv[1])
number = store.open().batch_number
while True:
    number += 1
    batch = Batch(number)
    batch.add_message(message(2 * number))
    batch.add_message(message(2 * number + 1))
    batch.delete_message(2 * (number - 1), 1)
    store.commit(batch)
    print(number, flush=True)
"""


def test_after_a_kill_every_batch_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    acknowledged = 0
    for rounds in (3, 40, 90):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(directory)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONPATH": "."},
        )
        assert child.stdout is not None
        for _ in range(rounds):
            acknowledged = int(child.stdout.readline())
        child.kill()
        child.communicate()
        store = SqliteStore(str(directory))
        recovered = store.open()
        found = present(store)
        store.close()
        assert recovered.batch_number >= acknowledged
        assert found == sorted([*range(3, 2 * recovered.batch_number + 2, 2), 2 * recovered.batch_number])
        acknowledged = recovered.batch_number


class LossOfPower:
    """The disk as it is if the power fails: what was synced, and nothing else.

    The commit log is synced with every write. Of the database and SQLite's log it keeps the copy of the last sync; a transaction
    that writes nothing into the log is none, whatever was asked for.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, directory: Path, disk: Path) -> None:
        self._directory, self._disk = directory, disk
        self._turn = threading.Lock()
        self.syncs = 0
        disk.mkdir()
        sync = Writer.sync

        def synced(writer: Writer) -> None:
            log = Path(writer._path + "-wal")
            before = log.read_bytes()
            sync(writer)
            if log.parent != directory or log.read_bytes() == before:
                return
            with self._turn:
                for name in ("pombo.db", "pombo.db-wal"):
                    shutil.copy(directory / name, disk / name)
                self.syncs += 1

        monkeypatch.setattr(Writer, "sync", synced)

    def happens(self, after: Path) -> Path:
        """A directory as it is found when power is back."""
        with self._turn:
            shutil.copytree(self._disk, after)
            for name in SEGMENT_NAMES:
                shutil.copy(self._directory / name, after / name)
        return after


def test_after_a_loss_of_power_every_acknowledged_batch_is_there(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_log, "SEGMENT_BYTES", 800)
    power = LossOfPower(monkeypatch, directory, tmp_path / "disk")
    store = SqliteStore(str(directory))
    store.open()
    for number in range(1, 101):
        store.commit(sends(number, number))
        if number % 7 == 0:
            present(store)
        if number % 10 == 0:
            again = SqliteStore(str(power.happens(tmp_path / f"after-{number}")))
            assert again.open().batch_number == number
            assert present(again) == [*range(1, number + 1)]
            again.close()
    assert power.syncs > 4
    store.close()


def test_a_start_makes_what_it_found_durable_before_it_empties_the_commit_log(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    power = LossOfPower(monkeypatch, directory, tmp_path / "disk")
    store = SqliteStore(str(directory))
    store.open()
    store.commit(sends(1, 1))
    assert present(store) == [1]  # in the database, but not synced there
    store._close_files()
    assert SqliteStore.open(store).batch_number == 1
    again = SqliteStore(str(power.happens(tmp_path / "after")))
    again.open()
    assert present(again) == [1]
    again.close()
    store.close()
