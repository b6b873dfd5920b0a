"""Counters that wait in the batches' own rows: every restart finds the newest, wherever they are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

from broker.store import batch_log
from broker.store.base import Recovered
from broker.store.batch import Batch
from broker.store.changes import CounterRow
from broker.store.counters import unpack_counters
from broker.store.sqlite import SqliteStore
from tests.store.conformance import counters
from tests.store.inside import connection_of

QUEUES: Final = 10
BATCHES: Final = 7


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def store(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteStore]:
    monkeypatch.setattr(batch_log, "_QUEUES_MAX", QUEUES)
    monkeypatch.setattr(batch_log, "_BATCHES_MAX", BATCHES)
    store = SqliteStore(str(directory), synchronous="off")
    store.open()
    yield store
    store.close()


def rows(store: SqliteStore, table: str) -> int:
    found: tuple[int] = connection_of(store).execute(f"SELECT count(*) FROM {table}").fetchone()
    return found[0]


def reopened(store: SqliteStore) -> Recovered:
    store.close()
    return store.open()


def commit(store: SqliteStore, number: int, *changed: CounterRow, dropped: int | None = None) -> None:
    batch = Batch(number)
    for row in changed:
        batch.set_counters(row)
    if dropped is not None:
        batch.drop_generation(dropped)
    store.commit(batch)
    store.checkpoint()  # each by itself


@pytest.mark.parametrize("batches", range(1, 3 * BATCHES))
def test_a_restart_finds_the_newest_counters_after_any_number_of_batches(store: SqliteStore, batches: int) -> None:
    expected: dict[int, CounterRow] = {}
    for number in range(1, batches + 1):
        changed = (counters(number % 3, messages=number), counters(3 + number % 5, messages=100 + number))
        commit(store, number, *changed)
        expected.update({row.queue: row for row in changed})
    assert store.recover().counters == expected
    recovered = reopened(store)
    assert (recovered.batch_number, recovered.counters) == (batches, expected)
    commit(store, batches + 1, counters(0, messages=7))
    assert reopened(store).counters == expected | {0: counters(0, messages=7)}


def test_a_batch_writes_its_own_row_and_not_the_table(store: SqliteStore) -> None:
    commit(store, 1, counters(1), counters(2))
    assert rows(store, "counters") == 0
    assert store.recover().counters == {1: counters(1), 2: counters(2)}


def test_the_rows_are_bounded_by_batches_and_by_queues(store: SqliteStore) -> None:
    for number in range(1, 5 * BATCHES):
        commit(store, number, counters(1, messages=number))
        assert rows(store, "batch") <= BATCHES + 1
    number = 5 * BATCHES
    commit(store, number, *(counters(queue) for queue in range(100, 100 + 3 * QUEUES)))
    commit(store, number + 1, counters(1, messages=9))
    assert rows(store, "batch") == 1
    assert rows(store, "counters") == 1 + 3 * QUEUES
    assert len(store.recover().counters) == 1 + 3 * QUEUES


@pytest.mark.parametrize("before", range(2 * BATCHES))
@pytest.mark.parametrize("after", [0, 1, 2 * BATCHES])
def test_a_dropped_generation_never_comes_back(store: SqliteStore, before: int, after: int) -> None:
    commit(store, 1, counters(1), counters(2))
    for number in range(2, 2 + before):
        commit(store, number, counters(2, messages=number))
    commit(store, 2 + before, counters(3), dropped=1)
    for number in range(3 + before, 3 + before + after):
        commit(store, number, counters(2, messages=number))
    assert set(store.recover().counters) == {2, 3}
    assert set(reopened(store).counters) == {2, 3}


def test_what_earlier_versions_wrote_is_read() -> None:
    """Before schema step 7 a batch's row held its counters one by one."""
    log = batch_log.BatchLog()
    newest = log.restore(
        [
            (1, 5, msgspec.msgpack.encode([[counters(1, messages=1), counters(2), counters(3)], []])),
            (2, 6, msgspec.msgpack.encode([[counters(1, messages=2)], [3]])),
        ]
    )
    assert (newest, log.message_time_ms) == (2, 6)
    found = {queue: unpack_counters(packed) for queue, packed in log.counters.items()}
    assert found == {1: counters(1, messages=2), 2: counters(2)}
