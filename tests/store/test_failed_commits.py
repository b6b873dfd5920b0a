"""Full disks, I/O errors and kills: what a failed commit leaves behind, and what may still be done."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.store import sqlite
from broker.store.base import CommitFailed, CommitUncertain
from broker.store.changes import Batch
from broker.store.sqlite import SqliteStore
from tests.store.conformance import ids, message, read


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
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(str(tmp_path / "data"))
    store.open()
    store.commit(sends(1, 1, 2, 3))
    yield store
    store.close()


@pytest.fixture
def connection(store: SqliteStore) -> Iterator[FaultyConnection]:
    writer: Any = store._open_writer
    faulty = FaultyConnection(writer.connection)
    writer.connection = faulty
    yield faulty
    writer.connection = faulty._connection


def sends(number: int, *numbers: int) -> Batch:
    batch = Batch(number)
    for each in numbers:
        batch.add_message(message(each))
    return batch


def deletes(number: int, *numbers: int) -> Batch:
    batch = Batch(number)
    for each in numbers:
        batch.delete_message(each)
    return batch


def present(store: SqliteStore) -> list[int]:
    return ids(read(store.messages((*range(1, 3000),), content=False)))


@pytest.mark.parametrize("statement", ["BEGIN", "INSERT OR REPLACE INTO body", "INSERT OR REPLACE INTO batch"])
@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_BUSY])
def test_an_error_before_the_commit_point_leaves_nothing(
    store: SqliteStore, connection: FaultyConnection, statement: str, code: int
) -> None:
    connection.fails = lambda text: code if text.startswith(statement) else None
    with pytest.raises(CommitFailed, match=r"pombo\.db"):
        store.commit(sends(2, 4, 5))
    assert present(store) == [1, 2, 3]
    assert store.recover().batch_number == 1
    connection.fails = lambda text: None
    store.commit(sends(2, 6))
    assert present(store) == [1, 2, 3, 6]


def test_a_full_disk_at_the_commit_point_leaves_nothing(store: SqliteStore, connection: FaultyConnection) -> None:
    connection.fails = lambda text: sqlite3.SQLITE_FULL if text == "COMMIT" else None
    with pytest.raises(CommitFailed):
        store.commit(sends(2, 4))
    assert present(store) == [1, 2, 3]


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC, sqlite3.SQLITE_IOERR_WRITE]
)
def test_an_error_at_the_commit_point_leaves_doubt(store: SqliteStore, connection: FaultyConnection, code: int) -> None:
    connection.fails = lambda text: code if text == "COMMIT" else None
    with pytest.raises(CommitUncertain, match="unknown"):
        store.commit(sends(2, 4))
    connection.fails = lambda text: None


def test_a_bug_rolls_back_and_is_shown(store: SqliteStore) -> None:
    batch = sends(2, 4)
    batch.add_message(message(5, enqueued_at_ms=object()))
    with pytest.raises(sqlite3.Error):
        store.commit(batch)
    assert present(store) == [1, 2, 3]
    store.commit(sends(2, 6))


def test_granting_fails_without_a_grant(store: SqliteStore, connection: FaultyConnection) -> None:
    first = store.grant_sequences(10)
    connection.fails = lambda text: sqlite3.SQLITE_FULL if text == "COMMIT" else None
    with pytest.raises(CommitFailed):
        store.grant_sequences(10)
    connection.fails = lambda text: None
    assert store.grant_sequences(10).start >= first.stop


def test_a_real_limit_of_the_file_fails_the_batch_whole(store: SqliteStore) -> None:
    execute = store._open_writer.connection.execute
    (pages,) = execute("PRAGMA page_count").fetchone()
    execute(f"PRAGMA max_page_count = {pages + 5}")
    large = Batch(2)
    for number in range(10, 200):
        large.add_message(message(number, body=b"x" * 10_000))
    with pytest.raises(CommitFailed) as failed:
        store.commit(large)
    assert failed.value.disk_full
    assert present(store) == [1, 2, 3]
    store.commit(deletes(2, 1))
    assert present(store) == [2, 3]


def test_on_a_full_disk_deletes_and_purges_use_the_reserve_and_sends_do_not(
    store: SqliteStore, connection: FaultyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve = Path(store.directory, "reserve")
    assert reserve.stat().st_blocks * 512 >= 16 << 20
    full = True

    def fails(text: str) -> int | None:
        return sqlite3.SQLITE_FULL if text == "COMMIT" and full and reserve.exists() else None

    connection.fails = fails
    with pytest.raises(CommitFailed):
        store.commit(sends(2, 4))
    assert reserve.exists()
    store.commit(deletes(2, 1))
    assert present(store) == [2, 3]
    assert not reserve.exists()
    purge = Batch(3)
    purge.drop_generation(1)
    store.commit(purge)
    while store.clear_dropped():
        pass
    assert present(store) == []
    with pytest.raises(CommitFailed):
        store.commit(sends(4, 9))
    full = False
    monkeypatch.setattr(sqlite, "_RESERVE_RETRY_S", -1.0)
    store.commit(sends(4, 9))
    assert reserve.exists()


CHILD = """
import sys
from broker.store.changes import Batch
from broker.store.sqlite import SqliteStore
from tests.store.conformance import message
store = SqliteStore(sys.argv[1])
number = store.open().batch_number
while True:
    number += 1
    batch = Batch(number)
    batch.add_message(message(2 * number))
    batch.add_message(message(2 * number + 1))
    batch.delete_message(2 * (number - 1))
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
