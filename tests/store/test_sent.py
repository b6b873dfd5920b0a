"""What was sent in blocks stays in the commit log: files are kept for as long as blocks refer to them, and no longer."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.store import schema
from broker.store.backup import backup_directory
from broker.store.base import StoreError
from broker.store.batch import Batch
from broker.store.directory import KEPT_PREFIX, PIN_NAME, SEGMENT_NAMES, SPARE_NAME
from broker.store.segment import Segment
from broker.store.sent import AT_REST_TURNS, Sent
from broker.store.sqlite import SqliteStore
from tests.store.conformance import PLENTY, lease, message, present, read
from tests.store.inside import Commits, delete, rows_in, send
from tests.store.leaving import EACH, bodies, body, expected, kept, leave_many, log_to_prepare, reopened, sync

pytestmark = pytest.mark.usefixtures("short_segments")


# ---- What is kept


def test_what_was_sent_in_blocks_is_once_on_disk(store: SqliteStore, directory: Path, commit: Commits) -> None:
    leave_many(commit, 300)
    assert (rows_in(store, "block"), rows_in(store, "block_content"), rows_in(store, "body")) == (15, 0, 0)
    assert len(kept(directory)) == 3, "fifteen batches in segments of three, of which two are the log's"
    assert bodies(store) == expected(*range(1, 301))
    page = read(store.scan(1, 100, skip_groups=(), unleased=True, limit=7, bytes_max=PLENTY))
    assert [(row.id, row.content) for row in page.rows] == [(n, b"content %d" % n) for n in range(101, 108)]


def test_a_file_goes_with_the_last_block_that_refers_to_it(
    store: SqliteStore, directory: Path, commit: Commits
) -> None:
    leave_many(commit, 300)
    for n in range(1, 301, EACH):
        commit(delete(*range(n, n + EACH)))
        assert bodies(store) == expected(*range(n + EACH, 301))
    sync(store)
    assert kept(directory) == []
    assert sorted(os.listdir(directory)) == sorted(
        ["pombo.db", "pombo.db-shm", "pombo.db-wal", "pombo.lock", PIN_NAME, "reserve", SPARE_NAME, *SEGMENT_NAMES]
    )


def test_files_go_round(store: SqliteStore, directory: Path, commit: Commits) -> None:
    """A deep queue in its steady state: no file grows, and none is made."""
    leave_many(commit, 300)
    files = len(os.listdir(directory))
    for n in range(1, 3_000, EACH):
        leave_many(commit, EACH, first=300 + n)
        commit(delete(*range(n, n + EACH)))
        assert len(os.listdir(directory)) <= files + 4  # of fifty segments
    assert bodies(store) == expected(*range(3_001, 3_301))


def test_another_file_is_there_before_a_segment_is_full(store: SqliteStore, directory: Path, commit: Commits) -> None:
    """A thread beside those that commit gives a segment that blocks refer to its name, when the other one is half full."""
    leave_many(commit, 60 + EACH)
    log = log_to_prepare(store, commit)
    log._prepare()
    assert kept(directory) == [], "it may become free until then"
    leave_many(commit, EACH, first=81)
    log._prepare()
    assert (len(kept(directory)), os.path.getsize(directory / SEGMENT_NAMES[0])) == (1, 40_000)
    log._prepare()
    leave_many(commit, 100, first=101)
    assert bodies(store) == expected(*range(1, 201))
    again = reopened(store, directory)
    assert bodies(again) == expected(*range(1, 201))
    again.close()


def test_a_thread_that_prepares_meets_one_that_goes_on(
    store: SqliteStore, directory: Path, commit: Commits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the other segment and the turn, that one is replaced: its file is not kept in place of the first."""
    leave_many(commit, 120)
    log = store._commits
    assert log is not None
    flusher = log._database
    make_durable = flusher.make_durable

    def and_prepare(number: int) -> None:
        make_durable(number)
        log._gives_way = False
        log._prepare()

    monkeypatch.setattr(flusher, "make_durable", and_prepare)
    leave_many(commit, 120, first=121)
    assert bodies(store) == expected(*range(1, 241))


def test_a_file_that_becomes_free_is_not_taken_for_one_that_was_just_made(
    store: SqliteStore, directory: Path, commit: Commits, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    leave_many(commit, 180)
    assert store._database is not None
    keep = store._database.sent.keep

    def keep_while_another_becomes_free(number: int, path: str, other: str | None) -> None:
        monkeypatch.setattr(store._database.sent, "keep", keep)
        commits_beside(store, delete(*range(1, 61)))
        keep(number, path, other)

    def commits_beside(store: SqliteStore, fill: Callable[[Any], object]) -> None:
        batch = Batch(commit.number)  # as a flush would: that of the batch before is over
        fill(batch)
        assert store._database is not None
        store._database.apply(batch)
        store._database.sync()

    monkeypatch.setattr(store._database.sent, "keep", keep_while_another_becomes_free)
    leave_many(commit, 60, first=181)
    assert (directory / SPARE_NAME).exists()
    shutil.copytree(directory, tmp_path / "killed")
    killed = SqliteStore(str(tmp_path / "killed"))
    killed.open()
    assert bodies(killed) == bodies(store) == expected(*range(61, 241))
    killed.close()


def test_what_is_leased_gets_rows(store: SqliteStore, commit: Commits) -> None:
    leave_many(commit, 40)
    commit(lambda batch: [batch.set_lease(lease(n, 5)) for n in (3, 30)])
    assert (rows_in(store, "block"), rows_in(store, "body")) == (2, 2)
    assert bodies(store) == expected(*range(1, 41))


def test_a_start_finds_what_was_sent(store: SqliteStore, directory: Path, commit: Commits) -> None:
    leave_many(commit, 300)
    again = reopened(store, directory)
    assert len(kept(directory)) == 5, "the log's, too"
    assert bodies(again) == expected(*range(1, 301))
    more = Commits(again)
    more.number = commit.number
    more(delete(*range(1, 301)))
    assert present(again) == []
    again = reopened(again, directory)
    assert kept(directory) == []
    again.close()


def test_a_start_after_a_kill_finds_what_was_sent(
    store: SqliteStore, directory: Path, commit: Commits, tmp_path: Path
) -> None:
    for n in range(1, 400, EACH):
        leave_many(commit, EACH, first=n)
        commit.flushes = n % 3 > 0
        if n > 200:
            commit(delete(*range(n - 200, n - 200 + EACH // 2)))
        shutil.copytree(directory, tmp_path / str(n))
        killed = SqliteStore(str(tmp_path / str(n)))
        killed.open()
        assert bodies(killed) == bodies(store)
        assert [row[1] for row in bodies(killed)] == [body(row[0]) for row in bodies(killed)]
        killed.close()


def test_after_a_power_failure_the_database_is_behind(
    store: SqliteStore, directory: Path, commit: Commits, tmp_path: Path
) -> None:
    """What was written since the last sync is lost; files that this says are free are there still."""
    leave_many(commit, 300)
    sync(store)
    behind = tmp_path / "behind"
    behind.mkdir()
    for name in ("pombo.db", "pombo.db-wal"):
        shutil.copy(directory / name, behind / name)
    commit(lambda batch: [batch.delete_message(n, 1) for n in range(1, 120) if n != 50])
    commit(lambda batch: batch.set_lease(lease(50, 5)))
    store.checkpoint()  # flushed, and not durable
    for name in (*SEGMENT_NAMES, *kept(directory)):
        shutil.copy(directory / name, behind / name)
    again = SqliteStore(str(behind))
    again.open()
    assert bodies(again) == bodies(store) == expected(50, *range(120, 301))
    again.close()


def test_with_normal_the_database_has_it_all(directory: Path) -> None:
    """Its checkpoints are durable, and the commit log is not."""
    store = SqliteStore(str(directory), synchronous="normal")
    store.open()
    leave_many(Commits(store), 300)
    assert (rows_in(store, "block_content"), kept(directory)) == (15, [])
    assert bodies(store) == expected(*range(1, 301))
    store.close()


def test_what_was_kept_is_used_whatever_synchronous_is_now(
    store: SqliteStore, directory: Path, commit: Commits
) -> None:
    leave_many(commit, 300)
    store.close()
    other = SqliteStore(str(directory), synchronous="normal")
    other.open()
    assert bodies(other) == expected(*range(1, 301))
    other.close()


def test_dropped_generations_free_their_files(store: SqliteStore, directory: Path, commit: Commits) -> None:
    leave_many(commit, 300)
    commit(lambda batch: batch.drop_generation(1))
    while store.clear_dropped():
        pass
    sync(store)
    assert (rows_in(store, "block"), kept(directory)) == (0, [])


def test_an_idle_store_frees_files_by_itself(store: SqliteStore, directory: Path, commit: Commits) -> None:
    leave_many(commit, 300)
    commit(delete(*range(1, 301)))
    store.checkpoint()
    while store.vacuum():
        pass
    assert kept(directory) == []


# ---- Files of which little is left


def test_a_file_of_which_little_is_left_for_long_goes_too(store: SqliteStore, directory: Path, commit: Commits) -> None:
    leave_many(commit, 60)
    commit(delete(*range(1, 41)))  # two of the three blocks of the first segment
    for n in range(1, 6 * AT_REST_TURNS):
        commit(send(*(message(1_000 * n + m, 2, body=body(m)) for m in range(EACH))))
        commit(delete(*(1_000 * n + m for m in range(EACH)), queue=2))
    sync(store)
    assert kept(directory) == []
    assert (rows_in(store, "block"), rows_in(store, "block_content")) == (1, 1)
    assert bodies(store) == expected(*range(41, 61))


def test_a_file_that_is_being_emptied_is_left_alone(store: SqliteStore, directory: Path, commit: Commits) -> None:
    leave_many(commit, 300)
    for n in range(1, 250, EACH // 2):
        commit(delete(*range(n, n + EACH // 2)))
    assert rows_in(store, "block_content") == 0


def test_an_idle_store_leaves_no_file_to_few_messages(store: SqliteStore, directory: Path, commit: Commits) -> None:
    leave_many(commit, 300)
    commit(delete(*(n for n in range(1, 301) if (n - 1) // EACH % 3)))  # two of three blocks
    store.checkpoint()
    assert len(kept(directory)) == 3
    while store.vacuum():
        pass
    left = [n for n in range(1, 301) if not (n - 1) // EACH % 3]
    assert (bodies(store), rows_in(store, "block_content")) == (expected(*left), 3)
    sync(store)
    assert kept(directory) == []


# ---- Who reads meanwhile


class Segments:
    """Segments that are kept, each of one batch, with blocks of 100 bytes that refer to it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.sent = Sent(str(directory))

    def make(self, number: int) -> None:
        path = self.directory / SEGMENT_NAMES[0]
        segment = Segment(str(path), synced=False)
        segment.write(b"%100d" % number, 0)
        self.sent.hold(number, segment)
        segment.close()
        self.sent.account({number: 100}, {})
        assert not self.sent.release(number)
        self.sent.keep(number, str(path), None)

    def empty(self, number: int) -> None:
        self.sent.account({}, {number: 100})

    def sync(self) -> None:
        self.sent.synced(self.sent.transactions)

    def has(self, number: int) -> bool:
        try:
            assert self.sent.read(number, [(0, 60, 40)]) == ((b"%100d" % number)[:60], (b"%100d" % number)[60:])
        except StoreError:
            return False
        return True


@pytest.fixture
def segments(tmp_path: Path) -> Iterator[Segments]:
    segments = Segments(tmp_path)
    yield segments
    segments.sent.close()


def test_a_file_is_free_when_what_emptied_it_is_durable(segments: Segments) -> None:
    segments.make(1)
    segments.make(2)
    segments.sync()
    segments.empty(1)
    assert segments.has(1)
    segments.sync()
    assert (segments.has(1), segments.has(2)) == (False, True)
    assert (kept(segments.directory), (segments.directory / SPARE_NAME).exists()) == ([f"{KEPT_PREFIX}2"], True)


def test_a_read_that_may_have_found_its_blocks_keeps_a_file(segments: Segments) -> None:
    segments.make(1)
    before, also_before = segments.sent.begin_read(), segments.sent.begin_read()
    segments.sent.end_read(also_before)
    segments.empty(1)
    after = segments.sent.begin_read()
    segments.sync()
    assert segments.has(1)
    segments.sent.end_read(before)
    segments.sync()
    assert not segments.has(1)
    segments.sent.end_read(after)


def test_whoever_copies_the_database_keeps_all_files(segments: Segments, tmp_path: Path) -> None:
    segments.make(1)
    with Sent(str(tmp_path)).pinned(), Sent(str(tmp_path)).pinned():
        segments.empty(1)
        segments.sync()
        assert segments.has(1)
    segments.sync()
    assert not segments.has(1)


def test_one_spare_file_is_enough(segments: Segments) -> None:
    for number in (1, 2, 3):
        segments.make(number)
        segments.empty(number)
    segments.sync()
    names = set(os.listdir(segments.directory)) - {PIN_NAME}
    assert names == {SPARE_NAME}
    assert segments.sent.drop_spare()
    assert not segments.sent.drop_spare()


def test_a_backup_has_what_its_blocks_refer_to(
    store: SqliteStore, directory: Path, commit: Commits, tmp_path: Path
) -> None:
    leave_many(commit, 300)
    commit(delete(*range(1, 50)))
    read(store.backup(str(tmp_path / "live.db")))
    backup_directory(str(directory), str(tmp_path / "beside.db"))
    commit(delete(*range(50, 301)))
    sync(store)
    assert kept(directory) == []
    for name in ("live.db", "beside.db"):
        restored = tmp_path / name.removesuffix(".db")
        restored.mkdir()
        shutil.copy(tmp_path / name, restored / "pombo.db")
        copy = SqliteStore(str(restored))
        copy.open()
        assert bodies(copy) == expected(*range(50, 301))
        copy.close()


def test_what_an_upgrade_leaves_beside_it_is_whole(
    store: SqliteStore, directory: Path, commit: Commits, tmp_path: Path
) -> None:
    leave_many(commit, 300)
    store.close()
    newer = SqliteStore(str(directory), steps=[*schema.released_steps(), "SELECT 1;"])
    newer.open()
    more = Commits(newer)
    more.number = commit.number
    more(delete(*range(1, 301)))
    newer.close()
    assert kept(directory) == []
    before = tmp_path / "before"
    before.mkdir()
    for name in ("pombo.db", *SEGMENT_NAMES):
        if (left := directory / f"{name}.schema-{len(schema.released_steps())}").exists():
            shutil.copy(left, before / name)
    older = SqliteStore(str(before))
    older.open()
    assert bodies(older) == expected(*range(1, 301))
    older.close()


def test_a_file_with_two_names_is_given_to_nobody(segments: Segments) -> None:
    """As what a failure left behind."""
    segments.make(1)
    other = segments.directory / "other"
    os.link(segments.directory / f"{KEPT_PREFIX}1", other)
    segments.empty(1)
    segments.sync()
    assert kept(segments.directory) == []
    assert not (segments.directory / SPARE_NAME).exists()
    assert other.exists()
