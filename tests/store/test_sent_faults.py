"""What was sent in blocks stays in the commit log: what goes wrong with its files, and what a start finds that is not its own."""

import errno
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broker.store.base import CommitFailed, CommitUncertain, StoreError, StoreUnusable
from broker.store.directory import KEPT_PREFIX, NEXT_NAME, SEGMENT_NAMES, SPARE_NAME
from broker.store.segment import Segment
from broker.store.sent import Sent
from broker.store.sqlite import SqliteStore
from tests.store.conformance import PLENTY, message, present, read
from tests.store.inside import Commits, connection_of, delete, leave, send
from tests.store.leaving import EACH, bodies, body, expected, kept, leave_many, log_to_prepare, reopened, sync

pytestmark = pytest.mark.usefixtures("short_segments")


def test_a_missing_file_is_named_and_nothing_is_begun(store: SqliteStore, directory: Path, commit: Commits) -> None:
    leave_many(commit, 300)
    store.close()
    missing = kept(directory)[1]
    os.rename(directory / missing, directory / "elsewhere")
    before = sorted(os.listdir(directory))
    with pytest.raises(StoreUnusable, match=f"{missing} missing"):
        SqliteStore(str(directory)).open()
    assert sorted(os.listdir(directory)) == before
    os.rename(directory / "elsewhere", directory / missing)
    again = SqliteStore(str(directory))
    again.open()
    assert bodies(again) == expected(*range(1, 301))
    again.close()


def test_a_file_that_was_cut_short_is_an_error_of_the_store(
    store: SqliteStore, directory: Path, commit: Commits
) -> None:
    leave_many(commit, 300)
    os.truncate(directory / kept(directory)[0], 100)
    with pytest.raises(StoreError, match=f"{kept(directory)[0]} is damaged"):
        read(store.look(1, 0, limit=9999, bytes_max=PLENTY))
    last = read(store.look(1, 290, limit=9999, bytes_max=PLENTY))
    assert [row.id for row in last.rows] == [*range(291, 301)]


class Refused:
    """Calls of one of the operating system's functions that concern the log's files, as on a full disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self._monkeypatch, self._name = monkeypatch, name
        self._function: Callable[..., Any] = getattr(os, name)
        monkeypatch.setattr(os, name, self._refuse)

    def _refuse(self, *arguments: Any, **others: Any) -> Any:
        if any(os.path.basename(str(path)) in (NEXT_NAME, SPARE_NAME, *SEGMENT_NAMES) for path in arguments[:2]):
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._function(*arguments, **others)

    def end(self) -> None:
        self._monkeypatch.setattr(os, self._name, self._function)


@pytest.mark.parametrize("refused", ["open", "link", "replace"])
def test_a_full_disk_refuses_the_batch_that_needs_another_file(
    store: SqliteStore, commit: Commits, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    leave_many(commit, 120)
    full = Refused(monkeypatch, refused)
    with pytest.raises(CommitFailed) as caught:
        leave_many(commit, 120, first=121)
    assert caught.value.disk_full
    last = commit.number - 1
    assert len(present(store)) == last * EACH
    full.end()
    commit.number = last
    leave_many(commit, 100, first=last * EACH + 1)
    assert bodies(store) == expected(*range(1, last * EACH + 101))


@pytest.mark.parametrize("refused", ["open", "link", "replace"])
@pytest.mark.parametrize("in_blocks", [False, True])
def test_a_segment_that_could_not_be_replaced_is_still_the_logs(
    store: SqliteStore,
    directory: Path,
    commit: Commits,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    refused: str,
    in_blocks: bool,
) -> None:
    leave_many(commit, 100)
    log = log_to_prepare(store, commit)
    full = Refused(monkeypatch, refused)
    log._prepare()
    full.end()
    commit(delete(*range(1, 101)))
    sync(store)
    commit.flushes = False
    for n in range(101, 401, EACH):
        rows = [message(m, body=body(m)) for m in range(n, n + EACH)]
        commit(leave(*rows) if in_blocks else send(*rows))
    shutil.copytree(directory, tmp_path / "killed")
    killed = SqliteStore(str(tmp_path / "killed"))
    killed.open()
    assert bodies(killed) == expected(*range(101, 401))
    killed.close()
    assert bodies(store) == expected(*range(101, 401))


def test_a_batch_that_nobody_could_read_is_refused_before_it_is_written(
    store: SqliteStore, directory: Path, commit: Commits, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_many(commit, 60)
    commit(send(*(message(n, body=body(n)) for n in range(61, 81))))  # to the other segment

    def no_more_files(_segment: Segment) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(Segment, "for_reading", no_more_files)
        with pytest.raises(CommitFailed):
            commit(leave(*(message(n, body=b"refused") for n in range(81, 101))))
    commit.number -= 1
    commit(leave(*(message(n, body=body(n)) for n in range(101, 121))))
    again = reopened(store, directory)
    assert bodies(again) == expected(*range(1, 81), *range(101, 121))
    again.close()


def test_with_normal_a_file_is_free_when_what_emptied_it_is_durable(
    store: SqliteStore, directory: Path, commit: Commits, tmp_path: Path
) -> None:
    """What blocks refer to was acknowledged as durable, whatever `synchronous` is now."""
    leave_many(commit, 300)
    store.close()
    other = SqliteStore(str(directory), synchronous="normal")
    other.open()
    more = Commits(other)
    more.number = commit.number
    more(delete(*range(1, 101)))
    connection = connection_of(other)
    synced: list[str] = []
    connection.set_trace_callback(synced.append)
    while other.vacuum():
        pass
    connection.set_trace_callback(None)
    assert "PRAGMA synchronous = FULL" in synced
    assert len(kept(directory)) < 5
    assert bodies(other) == expected(*range(101, 301))
    other.close()


def test_a_sparse_file_that_cannot_be_read_stays(store: SqliteStore, directory: Path, commit: Commits) -> None:
    leave_many(commit, 300)
    commit(delete(*(n for n in range(1, 301) if (n - 1) // EACH % 3)))
    store.checkpoint()
    damaged = kept(directory)[0]
    os.truncate(directory / damaged, 100)
    while store.vacuum():
        pass
    commit(send(message(301, body=body(301))))
    sync(store)
    assert kept(directory) == [damaged]


def test_a_start_empties_no_file_that_somebody_may_be_copying(tmp_path: Path) -> None:
    path = tmp_path / SEGMENT_NAMES[0]
    path.write_bytes(b"copied")
    files = os.open(path, os.O_RDONLY), os.open(path, os.O_RDONLY)
    found = Sent(str(tmp_path))
    found.find({1: (files[0], str(path))})
    assert found.recover({}) == []
    found.keep_all(synced=True)
    assert not path.exists()
    assert os.pread(files[1], 100, 0) == b"copied"
    os.close(files[1])


@pytest.mark.parametrize("referred", [False, True])
def test_a_kill_between_two_names_of_a_file(tmp_path: Path, referred: bool) -> None:
    path, name = tmp_path / SEGMENT_NAMES[0], tmp_path / f"{KEPT_PREFIX}1"
    path.write_bytes(b"sent")
    os.link(path, name)
    found = Sent(str(tmp_path))
    found.find({1: (os.open(path, os.O_RDONLY), str(path))})
    found.recover({1: 4} if referred else {})
    found.keep_all(synced=True)
    assert (path.exists(), name.read_bytes()) == (False, b"sent")
    if referred:
        assert found.read(1, [(0, 1, 3)]) == (b"s", b"ent")
    found.synced(0)
    assert name.exists() == referred
    found.close()


def test_a_segment_that_could_not_be_replaced_has_one_name(
    store: SqliteStore, directory: Path, commit: Commits, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_many(commit, 120)
    before = kept(directory)
    full = Refused(monkeypatch, "replace")
    with pytest.raises(CommitFailed):
        leave_many(commit, 120, first=121)
    full.end()
    assert kept(directory) == before
    assert all(os.stat(directory / name).st_nlink == 1 for name in SEGMENT_NAMES)


def test_without_its_database_what_was_kept_is_left_alone(store: SqliteStore, directory: Path, commit: Commits) -> None:
    leave_many(commit, 300)
    store.close()
    os.rename(directory / "pombo.db", directory / "moved")
    with pytest.raises(StoreUnusable, match="a database that is not there"):
        SqliteStore(str(directory)).open()
    (directory / "pombo.db").unlink(missing_ok=True)
    os.rename(directory / "moved", directory / "pombo.db")
    again = SqliteStore(str(directory))
    again.open()
    assert bodies(again) == expected(*range(1, 301))
    again.close()


@pytest.mark.parametrize("count", [80, 300])  # 80: no file was kept yet
def test_after_a_kill_without_its_database_all_is_left_as_it_is(
    directory: Path, commit: Commits, count: int, tmp_path: Path
) -> None:
    leave_many(commit, count)
    killed, moved = tmp_path / "killed", tmp_path / "moved"
    shutil.copytree(directory, killed)
    moved.mkdir()
    for gone in (["pombo.db"], ["pombo.db", "pombo.db-wal", "pombo.db-shm"]):
        for name in gone:
            os.rename(killed / name, moved / name)
        before = {name: (killed / name).read_bytes() for name in os.listdir(killed) if name != "pombo.lock"}
        with pytest.raises(StoreUnusable, match="belongs to a database that is not there"):
            SqliteStore(str(killed)).open()
        assert {name: (killed / name).read_bytes() for name in os.listdir(killed) if name != "pombo.lock"} == before
        for name in gone:
            os.rename(moved / name, killed / name)
    again = SqliteStore(str(killed))
    again.open()
    assert bodies(again) == expected(*range(1, count + 1))
    again.close()


@pytest.mark.parametrize("done", ["replace", "unlink"])
def test_a_change_of_names_that_has_happened_has_happened_whatever_was_said(
    store: SqliteStore, directory: Path, commit: Commits, monkeypatch: pytest.MonkeyPatch, done: str
) -> None:
    function: Callable[..., None] = getattr(os, done)

    def done_and_refused(*arguments: Any, **others: Any) -> None:
        function(*arguments, **others)
        if any(os.path.basename(str(path)) in SEGMENT_NAMES for path in arguments):
            raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, done, done_and_refused)
        leave_many(commit, 120)
        store.close()
    again = reopened(store, directory)
    assert bodies(again) == expected(*range(1, 121))
    again.close()


def test_names_that_could_not_be_synced_once_are_never_trusted(
    store: SqliteStore, directory: Path, commit: Commits, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_many(commit, 100)
    log = log_to_prepare(store, commit)
    fsync = os.fsync

    def refused(file: int) -> None:
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        fsync(file)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refused)
        log._prepare()
    with pytest.raises(CommitUncertain, match="its names may not be on disk"):
        leave_many(commit, 120, first=101)
    assert bodies(store)[:100] == expected(*range(1, 101))


@pytest.mark.parametrize("refused", ["link", "unlink"])
def test_a_stop_on_a_full_disk_ends_and_loses_nothing(
    store: SqliteStore, directory: Path, commit: Commits, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    leave_many(commit, 120)
    full = Refused(monkeypatch, refused)
    store.close()
    full.end()
    again = reopened(store, directory)
    assert bodies(again) == expected(*range(1, 121))
    again.close()


def test_files_of_another_time_go_at_a_start(
    store: SqliteStore, directory: Path, commit: Commits, tmp_path: Path
) -> None:
    """A copy of the database is put back among the files of what came after it."""
    leave_many(commit, 20)
    read(store.backup(str(tmp_path / "copy.db")))
    leave_many(commit, 300, first=21)
    store.close()
    for name in os.listdir(directory):
        if not name.startswith(KEPT_PREFIX):
            os.unlink(directory / name)
    os.rename(tmp_path / "copy.db", directory / "pombo.db")
    restored = SqliteStore(str(directory))
    restored.open()
    assert (bodies(restored), kept(directory)) == (expected(*range(1, 21)), [])
    assert not (directory / SPARE_NAME).exists()
    restored.close()


def test_a_segment_that_may_hold_later_batches_is_not_written_over(segments_found: Sent, tmp_path: Path) -> None:
    """Where a copy was restored, the batches that follow have the numbers of what came after it."""
    sent = segments_found
    sent.drop_later(4)
    sent.account({}, {1: 100, 3: 100})
    sent.synced(sent.transactions)
    assert kept(tmp_path) == []
    assert (tmp_path / SPARE_NAME).read_bytes() == b"1" * 100


@pytest.fixture
def segments_found(tmp_path: Path) -> Sent:
    """Segments 1, 3 and 5, the first two of which blocks refer to."""
    for number in (1, 3, 5):
        (tmp_path / f"{KEPT_PREFIX}{number}").write_bytes(b"%d" % number * 100)
    found = Sent(str(tmp_path))
    found.find({})
    assert found.recover({1: 100, 3: 100}) == []
    return found
