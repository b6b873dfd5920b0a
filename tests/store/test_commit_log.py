"""The commit log: what was appended is read back, in order and whole, up to where writing ended; and nothing else ever is."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.raw_writer import PARTS
from broker.store import commit_log, commit_records
from broker.store.base import CommitFailed, CommitUncertain
from broker.store.batch import Batch
from broker.store.changes import DeduplicationRow, MoveRow
from broker.store.commit_log import CommitLog
from broker.store.commit_records import read_commits, record_of
from broker.store.directory import SEGMENT_NAMES
from broker.store.new_blocks import MESSAGE_BYTES_MAX
from broker.store.sent import Sent
from tests.store.conformance import accept, counters, entry, lease, message
from tests.store.inside import SECRET, Behind, leave_row, numbers, sends


def contents(batch: Batch) -> dict[str, Any]:
    return {name: getattr(batch, name) for name in PARTS}


@pytest.mark.interpreted
def test_all_of_a_batch_is_compared() -> None:
    left_to_the_store = "left", "left_bytes", "_left_last", "blocks"  # read as messages
    assert sorted((*PARTS, *left_to_the_store)) == sorted(Batch.__slots__)


def test_a_batch_is_read_as_it_was(log: CommitLog, tmp_path: Path) -> None:
    batch = Batch(7)
    batch.message_time_ms = 1_700_000_000_000
    batch.add_message(message(1, group="gróup", body=bytes(range(256))))
    batch.add_message(message(2**62, group=None, content=b""))
    batch.set_lease(lease(1, 5, source="arn"))
    batch.set_lease(lease(3, 5))
    batch.move_message(MoveRow(4, 2, 1, 9, 9, 1))
    batch.delete_message(11, 3)
    batch.set_counters(counters(1, messages=3))
    accept(batch, entry(b"a"))
    batch.forget_deduplication(1, 4)
    batch.put_resource("queue", "q", b"\x00record")
    batch.delete_resource("topic", "t")
    batch.drop_generation(8)
    log.append(batch)
    log.append(Batch(8))
    found = read_commits(str(tmp_path), SECRET).after(6)
    assert [contents(each) for each in found] == [contents(batch), contents(Batch(8))]


def test_what_an_earlier_version_wrote_is_read() -> None:
    """A log of schema step 4: entries and counters one by one, moves and deletes without the queue that they concern."""
    rows = [DeduplicationRow(1, 5, b"a" * 16, 100, "id-a"), DeduplicationRow(2, 6, b"b" * 16, 101, "id-b")]
    record = msgspec.msgpack.encode([5_000, [], [], [[4, 2, 1, 9, 9]], [11], [counters(1)], rows, {}, [], []])
    expected = Batch(7)
    expected.message_time_ms = 5_000
    expected.move_message(MoveRow(4, 2, 1, 9, 9, 0))
    expected.delete_message(11, 0)
    expected.set_counters(counters(1))
    for row in rows:
        accept(expected, row)
    assert contents(commit_records._batch(7, record)) == contents(expected)


def test_a_body_that_several_queues_got_is_written_once(log: CommitLog, tmp_path: Path) -> None:
    batch = Batch(1)
    shared, other = bytes(range(256)) * 40, bytes(range(255, -1, -1)) * 40
    for number, body in enumerate((shared, shared, other, shared, shared, shared), 1):
        batch.add_message(message(number, queue=number, body=body, content=b"content %d" % number))
    assert log.append(batch) > 6 * len(shared)  # flushes are measured by what the database will have of it
    written = (tmp_path / SEGMENT_NAMES[0]).read_bytes()
    assert (written.count(shared), written.count(other)) == (2, 1)
    assert [contents(each) for each in read_commits(str(tmp_path), SECRET).after(0)] == [contents(batch)]


def test_what_is_left_to_the_store_is_read_as_any_message(log: CommitLog, tmp_path: Path) -> None:
    kept = [message(n, queue=1 + n % 2) for n in range(1, 4)]
    left = [message(n, queue=1 + n % 3, group=(None, "g", "gróup")[n % 3], body=bytes([n]) * n) for n in range(4, 250)]
    batch, expected = Batch(1), Batch(1)
    for row in kept:
        batch.add_message(row)
    for row in left:
        leave_row(batch, row)
    for row in kept + left:
        expected.add_message(row)
    assert (batch.arrivals, batch.message_bytes) == (expected.arrivals, expected.message_bytes)
    log.append(batch)
    assert (batch.arrivals, batch.rows, batch.message_bytes) == (249, 249, expected.message_bytes)
    assert [contents(each) for each in read_commits(str(tmp_path), SECRET).after(0)] == [contents(expected)]


def test_a_log_cut_within_blocks_ends_before_them(log: CommitLog, tmp_path: Path) -> None:
    batch = Batch(1)
    for n in range(1, 100):
        leave_row(batch, message(n))
    size = log.append(batch)
    segment = tmp_path / SEGMENT_NAMES[0]
    whole = segment.read_bytes()[:size]
    for at in range(0, size, 7):
        segment.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert numbers(tmp_path) == []
        segment.write_bytes(whole[:at])
        assert numbers(tmp_path) == []


@pytest.mark.parametrize("bodies", [[b"shared" * 200] * 3, [b"x" * (MESSAGE_BYTES_MAX + 1)]])
def test_bodies_of_several_and_large_ones_are_in_no_block(bodies: list[bytes]) -> None:
    batch = Batch(1)
    for n, body in enumerate(bodies, 1):
        leave_row(batch, message(n, queue=n, body=body))
    assert len(batch.messages) == max(1, len(bodies) - 1)
    batch.pack()
    assert batch.arrivals == len(bodies)


def test_only_what_follows_is_read(log: CommitLog, tmp_path: Path) -> None:
    for number in (4, 5, 6):
        log.append(sends(number))
    assert numbers(tmp_path, after=3) == [4, 5, 6]
    assert numbers(tmp_path, after=5) == [6]
    assert numbers(tmp_path, after=6) == []
    assert numbers(tmp_path, after=2) == []  # 3 is missing
    assert numbers(tmp_path, after=9) == []


def test_a_log_cut_anywhere_is_a_beginning_of_it(log: CommitLog, tmp_path: Path) -> None:
    ends = [0]
    for number in (1, 2, 3):
        ends.append(ends[-1] + log.append(sends(number)))
    segment = tmp_path / SEGMENT_NAMES[0]
    whole = segment.read_bytes()[: ends[-1]]
    for length in range(len(whole) + 1):
        segment.write_bytes(whole[:length])
        assert numbers(tmp_path) == [n for n in (1, 2, 3) if ends[n] <= length]


def test_damage_ends_the_log_before_it(log: CommitLog, tmp_path: Path) -> None:
    first = log.append(sends(1))
    size = first + log.append(sends(2))
    segment = tmp_path / SEGMENT_NAMES[0]
    whole = segment.read_bytes()[:size]
    for at in range(len(whole)):
        segment.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert numbers(tmp_path) == ([] if at < first else [1])


def test_a_log_of_another_store_is_nothing(log: CommitLog, tmp_path: Path) -> None:
    log.append(sends(1))
    assert numbers(tmp_path, secret=b"t" * 32) == []


def test_a_new_log_is_empty(log: CommitLog, tmp_path: Path, behind: Behind) -> None:
    log.append(sends(1))
    CommitLog(str(tmp_path), SECRET, behind, Sent(str(tmp_path)), stays=False, synced=False).close(discard=False)
    assert numbers(tmp_path) == []


def test_without_a_log_there_is_nothing_to_read(tmp_path: Path) -> None:
    assert numbers(tmp_path) == []


def test_a_full_segment_is_written_over_when_the_database_is_durable(
    log: CommitLog, tmp_path: Path, behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_log, "SEGMENT_BYTES", 3 * log.append(sends(1)))
    for number in range(2, 10):
        log.append(sends(number))
    # Segments hold 1-3, 4-6, 7-9: the first became full with 3, and was needed again for 7.
    assert behind.wanted == [3, 6]
    assert behind.awaited == [0, 3]
    assert numbers(tmp_path, after=3) == [4, 5, 6, 7, 8, 9]
    log.append(sends(10))
    assert numbers(tmp_path, after=6) == [7, 8, 9, 10]  # 5 and 6 lie behind 10, and are remnants
    assert max(os.path.getsize(tmp_path / name) for name in SEGMENT_NAMES) <= commit_log.SEGMENT_BYTES


def test_many_small_changes_fill_a_segment_too(log: CommitLog, behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit_log, "SEGMENT_ROWS", 100)
    for number in range(1, 102):
        log.append(sends(number))
    assert behind.wanted == [100]


def test_what_is_written_once_for_several_messages_counts_for_each(
    log: CommitLog, behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_log, "SEGMENT_LEFT_OUT_BYTES", 3_000)
    body = bytes(1_000)
    for number in range(1, 5):
        batch = Batch(number)
        batch.add_message(message(2 * number, queue=1, body=body))
        batch.add_message(message(2 * number + 1, queue=2, body=body))
        log.append(batch)
    assert behind.wanted == [3]


def test_while_the_database_is_not_durable_nothing_is_written_over(
    log: CommitLog, tmp_path: Path, behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(number: int) -> None:
        if number:
            raise CommitFailed("no room", disk_full=True)

    monkeypatch.setattr(commit_log, "SEGMENT_BYTES", log.append(sends(1)))
    monkeypatch.setattr(behind, "make_durable", refuse)
    log.append(sends(2))
    for _ in range(2):
        with pytest.raises(CommitFailed):
            log.append(sends(3))
    assert numbers(tmp_path) == [1, 2]


def test_only_what_the_database_has_for_good_is_given_back(
    log: CommitLog, tmp_path: Path, behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_log, "_WORTH_SHRINKING_BYTES", 1)
    monkeypatch.setattr(commit_log, "SEGMENT_BYTES", log.append(sends(1)))
    log.append(sends(2))
    assert not log.shrink()
    assert numbers(tmp_path) == [1, 2]
    behind.make_durable(1)
    assert log.shrink()
    assert not log.shrink()
    assert numbers(tmp_path, after=1) == [2]
    log.append(sends(3))
    assert numbers(tmp_path, after=1) == [2, 3]


def test_a_batch_larger_than_a_segment_has_one_of_its_own(
    log: CommitLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_log, "SEGMENT_BYTES", 1000)
    log.append(sends(1))
    log.append(sends(2, body=b"x" * 5000))
    log.append(sends(3))
    assert numbers(tmp_path, after=1) == [2, 3]
    log.append(sends(4, body=b"x" * 900))
    assert os.path.getsize(tmp_path / SEGMENT_NAMES[1]) == 1000
    assert numbers(tmp_path, after=2) == [3, 4]


def failing(code: int, *, after: int) -> Callable[[int, Any, int], int]:
    """A pwrite that writes `after` bytes at once, then fails."""
    pwrite = os.pwrite

    def write(file: int, data: Any, offset: int) -> int:
        nonlocal after
        if not after:
            raise OSError(code, os.strerror(code))
        written = pwrite(file, data[:after], offset)
        after -= written
        return written

    return write


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("after", [0, 1, 30])
def test_without_room_nothing_of_a_batch_remains(
    log: CommitLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, after: int
) -> None:
    log.append(sends(1))
    with monkeypatch.context() as patch:
        patch.setattr(commit_log.os, "pwrite", failing(code, after=after))
        with pytest.raises(CommitFailed, match=SEGMENT_NAMES[0]) as failed:
            log.append(sends(2, body=b"never"))
    assert failed.value.disk_full
    assert numbers(tmp_path) == [1]
    assert b"never" not in (tmp_path / SEGMENT_NAMES[0]).read_bytes()
    log.append(sends(2, body=b"other"))
    assert [row.body for row in read_commits(str(tmp_path), SECRET).after(1)[0].messages.values()] == [b"other"]


def test_a_write_in_pieces_is_whole(log: CommitLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(commit_log.os, "pwrite", lambda file, data, offset: pwrite(file, data[:7], offset))
    log.append(sends(1))
    assert numbers(tmp_path) == [1]


def test_any_other_error_leaves_doubt(log: CommitLog, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(commit_log.os, "pwrite", failing(errno.EIO, after=0))
        with pytest.raises(CommitUncertain, match="unknown"):
            log.append(sends(1))


def test_what_cannot_be_cut_off_again_leaves_doubt(log: CommitLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: int, length: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(commit_log.os, "pwrite", failing(errno.ENOSPC, after=3))
        patch.setattr(commit_log.os, "ftruncate", refuse)
        with pytest.raises(CommitUncertain, match="cut off"):
            log.append(sends(1))


def test_a_batch_that_is_written_down_again_is_the_same() -> None:
    """As after a first attempt for which there was no room."""
    batch = Batch(1)
    for n in range(1, 200):
        leave_row(batch, message(n, queue=1 + n % 3, body=b"%d" % n * (n % 50)))
    first, again = record_of(batch, 7), record_of(batch, 7)
    assert first == again
    assert sorted(row.body for blocks in batch.blocks.values() for block in blocks for row in block.rows()) == sorted(
        b"%d" % n * (n % 50) for n in range(1, 200)
    )
