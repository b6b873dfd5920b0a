"""The flusher: many batches as one, in order, when enough has gathered or somebody asks; and what follows a failed attempt."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from broker.clock import process_time_s
from broker.store import flusher as module
from broker.store.base import CommitFailed, CommitUncertain, Recovered, StoreError
from broker.store.batch import Batch
from broker.store.flusher import Flusher
from tests.store.conformance import counters, message

SOON_S = 10.0


class Database:
    """Remembers what it was given. `fails` is asked before each write."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.synced: list[int] = []  # how many batches there were
        self.fails: Callable[[], BaseException | None] = lambda: None
        self.sync_fails: Callable[[], BaseException | None] = lambda: None
        self.may_write = threading.Event()
        self.may_write.set()
        self.writing = threading.Event()
        self.written = threading.Event()

    def write(self, batch: Batch) -> None:
        self.writing.set()
        assert self.may_write.wait(SOON_S)
        failure = self.fails()
        if failure is not None:
            raise failure
        self.batches.append(batch)
        self.written.set()

    def sync(self) -> None:
        failure = self.sync_fails()
        if failure is not None:
            raise failure
        self.synced.append(len(self.batches))

    @property
    def messages(self) -> list[list[int]]:
        return [sorted(batch.messages) for batch in self.batches]


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def flusher(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flusher]:
    """One that does nothing until it is asked."""
    monkeypatch.setattr(module, "_LAG_S", 3600.0)
    monkeypatch.setattr(module, "_RETRY_S", 3600.0)
    flusher = Flusher(0, database.write, database.sync)
    yield flusher
    database.may_write.set()
    flusher.close()


def sends(number: int, *ids: int) -> Batch:
    batch = Batch(number)
    for each in ids:
        batch.add_message(message(each))
    return batch


def deletes(number: int, *ids: int) -> Batch:
    batch = Batch(number)
    for each in ids:
        batch.delete_message(each, 1)
    return batch


def in_thread(work: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def wait_until(done: Callable[[], bool]) -> None:
    """For what another thread does at once."""
    end_s = process_time_s() + SOON_S
    while not done():
        assert process_time_s() < end_s
        threading.Event().wait(0.001)


def test_what_is_sent_and_deleted_meanwhile_is_never_written(flusher: Flusher, database: Database) -> None:
    flusher.add(sends(1, 1, 2), 10)
    flusher.add(deletes(2, 1), 10)
    flusher.add(sends(3, 3), 10)
    flusher.flush()
    assert database.messages == [[2, 3]]
    assert database.batches[0].deleted == {}
    assert database.batches[0].number == 3


def test_what_is_in_the_database_already_is_deleted_there(flusher: Flusher, database: Database) -> None:
    flusher.add(sends(1, 1), 10)
    flusher.flush()
    flusher.add(deletes(2, 1), 10)
    flusher.flush()
    assert [batch.deleted for batch in database.batches] == [{}, {1: 1}]


def test_nothing_is_written_twice(flusher: Flusher, database: Database) -> None:
    flusher.add(sends(1, 1), 10)
    for _ in range(3):
        flusher.flush()
    assert database.messages == [[1]]


def test_a_flush_up_to_an_older_batch_does_not_wait_for_newer_ones(flusher: Flusher, database: Database) -> None:
    flusher.add(sends(1, 1), 10)
    flusher.flush()
    flusher.add(sends(2, 2), 10)
    flusher.flush(1)
    assert database.messages == [[1]]


@pytest.mark.parametrize(
    ("limit", "size", "rows"), [("FLUSH_BYTES", 50, 1), ("FLUSH_ROWS", 1, 50), ("FLUSH_ARRIVALS", 1, 50)]
)
def test_much_is_written_without_being_asked_for(
    flusher: Flusher, database: Database, monkeypatch: pytest.MonkeyPatch, limit: str, size: int, rows: int
) -> None:
    monkeypatch.setattr(module, limit, 100)
    flusher.add(sends(1, *range(rows)), size)
    assert not database.writing.is_set()
    flusher.add(sends(2, *range(100, 100 + rows)), size)
    assert database.writing.wait(SOON_S)


def test_what_is_deleted_again_is_not_much(
    flusher: Flusher, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FLUSH_ARRIVALS", 10)
    for number in range(1, 100, 2):
        flusher.add(sends(number, *range(9)), 1)
        flusher.add(deletes(number + 1, *range(9)), 1)
    assert not database.writing.is_set()


def test_little_is_written_after_a_while(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LAG_S", 0.0)
    flusher = Flusher(0, database.write, database.sync)
    flusher.add(sends(1, 1), 10)
    assert database.writing.wait(SOON_S)
    flusher.close()


def test_who_commits_waits_while_the_database_is_far_behind(
    flusher: Flusher, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FLUSH_BYTES", 100)
    monkeypatch.setattr(module, "WAITING_BYTES_MAX", 200)
    database.may_write.clear()
    flusher.add(sends(1, 1), 100)
    assert database.writing.wait(SOON_S)
    flusher.add(sends(2, 2), 199)
    committing = in_thread(lambda: flusher.add(sends(3, 3), 1))
    committing.join(0.01)
    assert committing.is_alive()
    database.may_write.set()
    committing.join(SOON_S)
    assert not committing.is_alive()


def test_a_segment_is_free_when_all_of_it_was_written_and_synced(flusher: Flusher, database: Database) -> None:
    flusher.add(sends(1, 1), 10)
    flusher.flush()
    assert database.synced == []
    flusher.make_durable(1)
    assert database.synced == [1]
    flusher.make_durable(1)
    flusher.make_durable(0)
    assert database.synced == [1]
    flusher.add(sends(2, 2), 10)
    flusher.want_durable(2)
    flusher.make_durable(2)
    assert (database.messages, database.synced) == ([[1], [2]], [1, 2])


async def test_a_read_waits_for_what_was_committed_before_it(flusher: Flusher, database: Database) -> None:
    await flusher.until_flushed()
    flusher.add(sends(1, 1), 10)
    await flusher.until_flushed()
    assert database.messages == [[1]]


async def test_a_read_that_names_a_batch_waits_for_no_later_one(flusher: Flusher, database: Database) -> None:
    flusher.add(sends(1, 1), 10)
    await flusher.until_flushed(1)
    flusher.add(sends(2, 2), 10)
    await flusher.until_flushed(1)
    assert database.messages == [[1]]
    await flusher.until_flushed(3)  # which is still to be committed: all that is will do
    assert database.messages == [[1], [2]]


async def test_a_flush_that_ends_while_a_read_begins_to_wait_is_not_missed(flusher: Flusher) -> None:
    flusher.add(sends(1, 1), 10)
    changed: Any = flusher._changed
    reader = threading.get_ident()

    class FlushedBefore:
        """The lock, which the reader takes just after a flush."""

        def __enter__(self) -> None:
            if threading.get_ident() == reader:
                flusher._changed = changed
                flusher.flush()
            changed.__enter__()

        def __exit__(self, *given: Any) -> None:
            changed.__exit__(*given)

        def __getattr__(self, name: str) -> Any:
            return getattr(changed, name)

    late: Any = FlushedBefore()
    flusher._changed = late
    await asyncio.wait_for(flusher.until_flushed(), SOON_S)


async def test_a_read_that_is_given_up_hurts_nobody(flusher: Flusher, database: Database) -> None:
    database.may_write.clear()
    flusher.add(sends(1, 1), 10)
    given_up = asyncio.ensure_future(flusher.until_flushed())
    other = asyncio.ensure_future(flusher.until_flushed())
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.sleep(0)
    database.may_write.set()
    await other


def test_recovery_sees_what_the_database_lacks(flusher: Flusher) -> None:
    first = Batch(1)
    first.set_counters(counters(1, messages=1))
    first.set_counters(counters(2, messages=2))
    first.put_resource("queue", "a", b"1")
    first.put_resource("queue", "b", b"2")
    second = Batch(2)
    second.message_time_ms = 77
    second.set_counters(counters(1, messages=5))
    second.delete_resource("queue", "b")
    second.drop_generation(2)
    flusher.add(first, 10)
    flusher.add(second, 10)
    found = flusher.overlay(Recovered(0, 50, b"s" * 32, {("topic", "t"): b"3"}))
    resources = {("topic", "t"): b"3", ("queue", "a"): b"1"}
    assert found == Recovered(2, 77, b"s" * 32, resources, {1: counters(1, messages=5)})


def test_what_was_refused_is_kept_in_its_place_and_tried_again(flusher: Flusher, database: Database) -> None:
    database.fails = lambda: CommitFailed("no room", disk_full=True)
    flusher.add(sends(1, 1), 10)
    with pytest.raises(CommitFailed, match="no room"):
        flusher.flush()
    with pytest.raises(CommitFailed) as refused:
        flusher.check()
    assert refused.value.disk_full
    flusher.add(deletes(2, 1), 10)
    flusher.add(sends(3, 3), 10)
    database.fails = lambda: None
    flusher.flush()
    flusher.check()
    assert database.messages == [[3]]


def test_who_is_told_that_all_is_flushed_may_commit_again(flusher: Flusher, database: Database) -> None:
    database.fails = lambda: CommitFailed("no room", disk_full=True)
    flusher.add(sends(1, 1), 1)
    with pytest.raises(CommitFailed):
        flusher.flush()
    database.fails = lambda: None
    syncing, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        syncing.set()
        assert go_on.wait(SOON_S)

    database.sync_fails = slow
    flusher.want_durable(1)
    flusher.flush()
    assert syncing.wait(SOON_S)
    flusher.check()
    go_on.set()


def test_a_refusal_that_ends_while_it_is_told_is_told_whole(flusher: Flusher) -> None:
    class Ending(CommitFailed):
        def __str__(self) -> str:
            flusher._refused = None
            return "no room"

    flusher._refused = Ending("no room", disk_full=True)
    with pytest.raises(CommitFailed, match="no room") as told:
        flusher.check()
    assert told.value.disk_full


def test_what_was_refused_is_tried_again_without_being_asked_for(
    flusher: Flusher, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.0)
    failures = iter([CommitFailed("no room")])
    database.fails = lambda: next(failures, None)
    flusher.add(sends(1, *range(module.FLUSH_ROWS)), 10)
    assert database.written.wait(SOON_S)


def test_what_was_written_but_not_synced_is_not_written_again(flusher: Flusher, database: Database) -> None:
    failures = iter([CommitFailed("no room")])
    database.sync_fails = lambda: next(failures, None)
    flusher.add(sends(1, 1, 2), 10)
    with pytest.raises(CommitFailed, match="no room"):
        flusher.make_durable(1)
    flusher.add(deletes(2, 1), 10)
    flusher.make_durable(2)
    assert database.messages == [[1, 2], []]
    assert database.batches[1].deleted == {1: 1}


def test_a_sync_that_was_refused_is_tried_again(
    flusher: Flusher, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where nothing waits to be written: until then nothing is committed."""
    monkeypatch.setattr(module, "_RETRY_S", 0.0)
    flusher.add(sends(1, 1), 10)
    flusher.flush()
    failures = iter([CommitFailed("no room")] * 3)
    database.sync_fails = lambda: next(failures, None)
    flusher.want_durable(1)
    wait_until(lambda: flusher.is_durable(1))
    flusher.check()


def test_an_error_while_merging_is_a_failure_too(
    flusher: Flusher, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def merged(_batches: list[Batch]) -> Batch:
        raise MemoryError

    flusher.add(sends(1, 1), 10)
    with monkeypatch.context() as patch:
        patch.setattr(module, "merged", merged)
        with pytest.raises(CommitUncertain):
            flusher.flush()
    assert database.batches == []


async def test_a_read_of_what_was_refused_fails(flusher: Flusher, database: Database) -> None:
    database.fails = lambda: CommitFailed("no room")
    flusher.add(sends(1, 1), 10)
    with pytest.raises(StoreError, match="no room"):
        await flusher.until_flushed()
    database.fails = lambda: None
    await flusher.until_flushed()


@pytest.mark.parametrize(
    ("failure", "text"), [(CommitUncertain("in doubt"), "in doubt"), (ValueError("a bug"), "cannot be brought")]
)
async def test_after_any_other_failure_nothing_is_written_any_more(
    flusher: Flusher, database: Database, failure: BaseException, text: str
) -> None:
    failures = iter([failure])
    database.fails = lambda: next(failures, None)
    flusher.add(sends(1, 1), 10)
    with pytest.raises(CommitUncertain, match=text):
        await flusher.until_flushed()
    for _ in range(2):
        with pytest.raises(CommitUncertain, match=text):
            flusher.check()
        with pytest.raises(CommitUncertain, match=text):
            flusher.flush()
        with pytest.raises(CommitUncertain, match=text):
            await flusher.until_flushed()
    assert not flusher.close()
    assert database.batches == []


def test_closing_writes_what_waits(flusher: Flusher, database: Database) -> None:
    flusher.add(sends(1, 1), 10)
    assert flusher.close()
    assert database.messages == [[1]]


async def test_closing_ends_when_the_database_refuses(flusher: Flusher, database: Database) -> None:
    database.fails = lambda: CommitFailed("no room")
    flusher.add(sends(1, 1), 10)
    assert not flusher.close()
    with pytest.raises(StoreError, match="closed"):
        await flusher.until_flushed()
