"""The commit log's segments get their full length before records need it; and whatever that thread does, records are whole.

To write over what a file holds is quicker than to make a file longer (docs/adr/0017-segments-of-full-length.md).
"""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from broker.store import commit_log
from broker.store.commit_log import CommitLog
from broker.store.directory import SEGMENT_NAMES, Directory
from broker.store.sent import Sent
from broker.store.sqlite import SqliteStore
from tests.store.inside import SECRET, Behind, numbers, sends

pytestmark = pytest.mark.interpreted

STILL_WAITS_S: Final = 0.05


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 20,000 bytes, in pieces of 3,000; who has written 1,000 gets them."""
    monkeypatch.setattr(commit_log, "SEGMENT_BYTES", 20_000)
    monkeypatch.setattr(commit_log, "_LENGTH_AT_FIRST_BYTES", 4_000)
    monkeypatch.setattr(commit_log, "_FEW_BYTES", 1_000)
    monkeypatch.setattr("broker.store.segment._PIECE_BYTES", 3_000)


def sizes(directory: Path) -> list[int]:
    return [os.path.getsize(directory / name) for name in SEGMENT_NAMES]


def lengthened(log: CommitLog) -> bool:
    """Wait for the thread that makes a segment longer; whether there was one."""
    thread = log._preparing
    if thread is not None:
        thread.join()
    return thread is not None


class Held:
    """Pieces of zeros that are being written until they are let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.began = threading.Event()
        self.let_go = threading.Event()
        self.pieces = 0
        self._pwrite = os.pwrite
        monkeypatch.setattr(os, "pwrite", self._write)

    def _write(self, file: int, data: Any, offset: int) -> int:
        if not any(data[:100]):
            self.pieces += 1
            self.began.set()
            self.let_go.wait()
        return self._pwrite(file, data, offset)

    def keeps_waiting(self, function: Callable[[], Any]) -> None:
        """Call something while a piece is being written, which it has to wait for."""
        self.began.wait()
        thread = threading.Thread(target=function)
        thread.start()
        thread.join(STILL_WAITS_S)
        assert thread.is_alive()
        self.let_go.set()
        thread.join()


def test_both_segments_get_their_full_length_before_records_need_it(
    log: CommitLog, tmp_path: Path, behind: Behind
) -> None:
    assert sizes(tmp_path) == [4_000, 0]
    for number in (1, 2):
        log.append(sends(number, b"x" * 900))
    assert not lengthened(log), "for so little"
    log.append(sends(3, b"x" * 900))
    assert lengthened(log)
    assert sizes(tmp_path) == [4_000, 20_000]
    for number in (4, 5):
        log.append(sends(number, b"x" * 900))
    assert behind.wanted == [4], "the fifth would have made the first segment longer"
    for number in (6, 7):
        log.append(sends(number, b"x" * 900))
    assert lengthened(log)
    assert sizes(tmp_path) == [20_000, 20_000]
    assert numbers(tmp_path) == [1, 2, 3, 4, 5, 6, 7]
    for number in range(8, 100):
        log.append(sends(number, b"x" * 900))
        assert sizes(tmp_path) == [20_000, 20_000]
    assert numbers(tmp_path, after=90) == list(range(91, 100))


@pytest.mark.parametrize(("synced", "has_space"), [(True, False), (False, True)])
def test_without_space_to_spare_or_without_waiting_for_the_disk_segments_grow_with_their_records(
    tmp_path: Path, behind: Behind, synced: bool, has_space: bool
) -> None:
    log = CommitLog(
        str(tmp_path), SECRET, behind, Sent(str(tmp_path)), stays=False, synced=synced, has_space=lambda: has_space
    )
    assert sizes(tmp_path) == [0, 0]
    written = sum(log.append(sends(number, b"x" * 900)) for number in range(1, 10))
    lengthened(log)
    assert sizes(tmp_path) == [written, 0]
    log.close(discard=False)


def test_a_nearly_full_disk_has_no_space_to_spare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(str(tmp_path))
    store.open()
    assert sizes(tmp_path) == [4_000, 0]
    store.close()
    with monkeypatch.context() as patch:
        patch.setattr(Directory, "free_bytes", lambda _directory: 100_000_000)
        store.open()
        assert sizes(tmp_path) == [0, 0]
        store.close()
    monkeypatch.setattr(Directory, "reserve", lambda _directory: False)
    store.open()
    assert sizes(tmp_path) == [0, 0]
    store.close()


def test_a_segment_that_cannot_get_its_length_is_used_without(
    log: CommitLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = log.append(sends(1, b"x" * 1_900))
    pwrite = os.pwrite

    def full(file: int, data: Any, offset: int) -> int:
        if not any(data[:100]):
            raise OSError(errno.ENOSPC, "No space left on device")
        return pwrite(file, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    for number in range(2, 10):
        written += log.append(sends(number, b"x" * 900))
        assert lengthened(log)
    assert sizes(tmp_path) == [written, 0]
    assert numbers(tmp_path) == list(range(1, 10))


def test_without_another_thread_records_are_as_durable(
    log: CommitLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    written = sum(log.append(sends(number, b"x" * 900)) for number in range(1, 10))
    assert sizes(tmp_path) == [written, 0]
    assert numbers(tmp_path) == list(range(1, 10))


def test_a_segment_that_was_given_back_gets_its_length_by_records_alone(
    log: CommitLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_log, "_WORTH_SHRINKING_BYTES", 1)
    for number in (1, 2):
        log.append(sends(number, b"x" * 1_200))
    assert lengthened(log)
    assert log.shrink()
    log.append(sends(3, b"x" * 900))
    log._gives_way = False
    log._prepare()  # what was under way, perhaps
    lengthened(log)
    assert sizes(tmp_path) == [4_000, 0]


def test_a_record_waits_for_the_piece_that_is_being_written_where_it_belongs_and_for_no_other(
    log: CommitLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)
    for number in (1, 2):
        log.append(sends(number, b"x" * 1_200))
    held.keeps_waiting(lambda: log.append(sends(3, b"x" * 18_500)))
    assert held.pieces == 1
    assert numbers(tmp_path) == [1, 2, 3]


def test_closing_waits_for_the_piece_that_is_being_written_and_for_no_other(
    tmp_path: Path, behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = CommitLog(str(tmp_path), SECRET, behind, Sent(str(tmp_path)), stays=False, synced=True)
    held = Held(monkeypatch)
    for number in (1, 2):
        log.append(sends(number, b"x" * 1_200))
    held.keeps_waiting(lambda: log.close(discard=False))
    assert sizes(tmp_path) == [4_000, 3_000]


def test_nothing_but_records_goes_into_the_segment_in_use(
    log: CommitLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_log, "_FEW_BYTES", 100_000)  # not of itself
    log.append(sends(1, b"x" * 3_000))
    held = Held(monkeypatch)
    preparing = threading.Thread(target=log._prepare)
    preparing.start()
    held.keeps_waiting(lambda: log.append(sends(2, b"x" * 17_500)))  # which takes the other, before it has its length
    preparing.join()
    written = log._offset
    assert sizes(tmp_path) == [4_000, written]
    assert numbers(tmp_path) == [1, 2]
