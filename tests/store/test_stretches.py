"""Stretches: a group reads in its order across them, and a deep queue's groups cost the log no more than a shallow one's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.store import stretches
from broker.store.batch import Batch
from broker.store.changes import LANE_READY, MoveRow
from broker.store.sqlite import SqliteStore
from broker.store.stretches import Stretches
from tests.store.conformance import PLENTY, ids, message, read


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def store(directory: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(str(directory), synchronous="off")
    store.open()
    yield store
    store.close()


def group(store: SqliteStore, name: str, after: int = 0, limit: int = 1000) -> list[int]:
    return ids(read(store.group(1, name, after, unleased=False, limit=limit, bytes_max=PLENTY)))


@pytest.mark.interpreted
def test_a_stretch_ends_with_the_batch_that_fills_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "MESSAGES_PER_STRETCH", 3)
    filling = Stretches()
    assert [filling.place(1, 10) for _ in range(2)] == [10, 10]
    assert [filling.place(1, 11) for _ in range(3)] == [10, 10, 10]
    assert filling.place(2, 11) == 11
    assert [filling.place(1, 12) for _ in range(2)] == [12, 12]


def test_what_is_forgotten_never_takes_a_queue_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "_QUEUES_MAX", 2)
    filling = Stretches()
    placed = [filling.place(queue, batch) for batch, queue in enumerate((1, 2, 1, 3, 1, 2, 1), start=1)]
    of_first = placed[::2]
    assert of_first == sorted(of_first)


def test_one_batch_gives_a_queue_one_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "_QUEUES_MAX", 2)
    filling = Stretches()
    assert filling.place(1, 3) == 3
    assert [filling.place(queue, 7) for queue in (1, 2, 1, 3, 4, 1)] == [3, 7, 3, 7, 7, 3]


def test_a_group_is_read_in_order_across_stretches_restarts_and_moves(
    store: SqliteStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretches, "MESSAGES_PER_STRETCH", 4)
    batch = Batch(0)

    def commit(*rows: int, moved: dict[int, int] | None = None) -> None:
        nonlocal batch
        batch = Batch(batch.number + 1)
        for n in rows:
            batch.add_message(message(n, group=f"g{n % 3}"))
        for n, order in (moved or {}).items():
            batch.move_message(MoveRow(n, 1, LANE_READY, order, 1, 1))
        store.commit(batch)

    for first in range(1, 31, 3):
        commit(first, first + 1, first + 2)
    store.close()
    store.open()
    commit(31, 32, 33, moved={3: 34, 6: 35})
    commit(*range(40, 46))
    assert group(store, "g0") == [*range(9, 34, 3), 3, 6, 42, 45]
    assert group(store, "g1") == [*range(1, 32, 3), 40, 43]
    assert group(store, "g1", after=10, limit=3) == [13, 16, 19]
    assert group(store, "g1", after=31) == [40, 43]
    assert group(store, "g1", after=43) == []
    assert group(store, "none") == []


def test_a_deep_queue_of_many_groups_costs_few_pages(store: SqliteStore) -> None:
    """By group alone, each of these deletes would write a page of the index."""
    groups, count = 1000, 60_000
    for number, first in enumerate(range(0, count, 2000), start=1):
        batch = Batch(number)
        for n in range(first + 1, first + 2001):
            batch.add_message(message(n, group=f"g{n % groups}", body=b"x"))
        store.commit(batch)
        store.checkpoint()
    batch = Batch(1000)
    for n in range(1, 101):
        batch.delete_message(n, 1)
    store.commit(batch)
    read(store.messages((1,), content=False))
    assert store._database is not None
    log = store._database._log
    assert log.sizes()[0] / log._frame_bytes < 40
