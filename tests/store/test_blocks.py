"""Waiting messages that the database keeps many to a row: which they are, and how they are taken out."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.store import read_statements as read_sql
from broker.store.arrangement import MESSAGES_MIN, arranged
from broker.store.base import CommitUncertain, StoreError
from broker.store.batch import Batch
from broker.store.blocks import BLOCKS_PER_PAGE
from broker.store.changes import LANE_LATER, MessageRow, MoveRow
from broker.store.directory import SEGMENT_NAMES
from broker.store.group_pages import OPENED_MAX
from broker.store.new_blocks import BYTES_MAX, MESSAGE_BYTES_MAX, MESSAGES_MAX, NewBlock, joined, packed
from broker.store.sqlite import SqliteStore
from broker.store.stretches import BLOCK_SIZE, MESSAGES_PER_STRETCH
from tests.store.conformance import PLENTY, counters, ids, lease, message, present, read
from tests.store.inside import Commits, connection_of, delete, leave, leave_row, rows_in, send


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(str(tmp_path / "data"), synchronous="off")
    store.open()
    yield store
    store.close()


# ---- What makes a block


def blocks_of(*rows: MessageRow, leased: tuple[int, ...] = ()) -> tuple[list[int], list[list[int]]]:
    batch = Batch(1)
    send(*rows)(batch)
    for number in leased:
        batch.set_lease(lease(number, 9))
    own, blocks = arranged(batch)
    return sorted(row.id for row in own), [[row.id for row in block.rows()] for block in blocks]


def test_a_few_messages_get_rows_of_their_own() -> None:
    assert blocks_of(*(message(n) for n in range(1, MESSAGES_MIN))) == ([*range(1, MESSAGES_MIN)], [])


def test_each_queue_has_blocks_of_its_own() -> None:
    own, blocks = blocks_of(*(message(n, 1 + n % 2) for n in range(1, 41)))
    assert (own, sorted(blocks)) == ([], [[*range(1, 41, 2)], [*range(2, 41, 2)]])


def test_a_block_has_bounds() -> None:
    own, blocks = blocks_of(*(message(n) for n in range(1, 3 * MESSAGES_MAX + 1)))
    assert (own, [len(block) for block in blocks]) == ([], [MESSAGES_MAX] * 3)
    size = MESSAGE_BYTES_MAX - 100
    own, blocks = blocks_of(*(message(n, body=b"x" * size, content=b"") for n in range(1, 33)))
    assert (own, [len(block) for block in blocks]) == ([], [BYTES_MAX // size] * 4)


def test_what_is_left_over_is_a_small_block() -> None:
    """Rows among blocks would be looked at with every page."""
    assert blocks_of(*(message(n) for n in range(1, MESSAGES_MAX + 2))) == (
        [],
        [[*range(1, MESSAGES_MAX + 1)], [MESSAGES_MAX + 1]],
    )
    own, blocks = blocks_of(*(message(n, body=b"x" * (MESSAGE_BYTES_MAX + 1)) for n in range(1, 10)))
    assert (own, blocks) == ([*range(1, 10)], [])


def test_only_what_waits_in_the_order_of_its_arrival_is_in_blocks() -> None:
    others = (
        message(22, lane=LANE_LATER),
        message(23, order=90),
        message(24),
        message(25, body=b"x" * (MESSAGE_BYTES_MAX + 1)),
    )
    own, blocks = blocks_of(*others, *(message(n) for n in range(20, 0, -1)), leased=(24,))
    assert (own, blocks) == ([22, 23, 24, 25], [[*range(1, 21)]])


def test_small_blocks_that_follow_each_other_become_one() -> None:
    rows = [message(n, group=(None, "a", "b")[n % 3] if n > 30 else None) for n in range(1, 61)]
    some = [block for at in range(0, 60, 7) for block in packed(rows[at : at + 7])]
    assert [block.count for block in some] == [7] * 8 + [4]
    (whole,) = joined(some)
    assert whole.rows() == rows
    assert (whole.id, whole.last, whole.size) == (1, 60, sum(len(row.content) + len(row.body) for row in rows))
    assert set(whole.names or ()) == {None, "a", "b"}
    assert [block.count for block in joined(some * 2)] == [60, 60]


@given(st.lists(st.tuples(st.integers(1, 80), st.integers(0, 3_000), st.integers(0, 90)), max_size=9))
def test_joined_blocks_have_the_same_messages(sends: list[tuple[int, int, int]]) -> None:
    rows: list[MessageRow] = []
    blocks: list[NewBlock] = []
    for count, size, groups in sends:
        some = [
            message(len(rows) + n, group=f"g{n % groups}" if groups else None, body=b"x" * size)
            for n in range(1, count + 1)
        ]
        rows += some
        blocks += packed(some)
    fewer = joined(blocks)
    assert [row for block in fewer for row in block.rows()] == rows
    assert all(block.count <= MESSAGES_MAX and block.size <= BYTES_MAX for block in fewer)
    for block, following in pairwise(fewer):
        assert block.count + following.count > MESSAGES_MAX // 2 or block.size + following.size > BYTES_MAX // 2


def test_blocks_of_a_queue_do_not_overlap() -> None:
    """Memory keeps messages of some groups, and leaves those of others, which came between them, to the store."""
    batch = Batch(1)
    for n in range(1, 101):
        row = message(n, group="ab"[n % 3 == 0])
        if n % 3:
            leave_row(batch, row)
        else:
            batch.add_message(row)
    batch.pack()
    own, blocks = arranged(batch)
    assert own == []
    assert [row.id for block in blocks for row in block.rows()] == [*range(1, 101)]


def test_a_few_that_are_left_to_the_store_get_rows(store: SqliteStore) -> None:
    commit = Commits(store)
    commit(leave(*(message(n) for n in range(1, MESSAGES_MIN))))
    assert (rows_in(store, "block"), rows_in(store, "message")) == (0, MESSAGES_MIN - 1)
    commit(leave(*(message(n) for n in range(MESSAGES_MIN, 2 * MESSAGES_MIN))))
    assert (rows_in(store, "block"), present(store)) == (1, [*range(1, 2 * MESSAGES_MIN)])


def test_what_was_left_to_the_store_and_found_there_is_what_later_batches_say(tmp_path: Path) -> None:
    """After a power failure the database may lack all of what the commit log holds."""
    store = SqliteStore(str(tmp_path / "data"))
    store.open()
    commit = Commits(store)
    commit(send(message(1)))
    for name in ("pombo.db", "pombo.db-wal"):
        shutil.copy(tmp_path / "data" / name, tmp_path / name)
    commit(leave(*(message(n) for n in range(2, 200))))
    commit(delete(*range(2, 100)))
    commit(lambda batch: batch.set_lease(lease(100, 5)))
    again = tmp_path / "again"
    again.mkdir()
    for name in SEGMENT_NAMES:
        shutil.copy(tmp_path / "data" / name, again / name)
    for name in ("pombo.db", "pombo.db-wal"):
        shutil.copy(tmp_path / name, again / name)
    store.close()
    restarted = SqliteStore(str(again))
    restarted.open()
    assert present(restarted) == [1, *range(100, 200)]
    (leased,) = [row for row in read(restarted.look(1, 0, limit=999, bytes_max=PLENTY)).rows if row.leased]
    assert (leased.id, leased.body) == (100, b"body 100")
    restarted.close()


# ---- What is taken out of one


def test_a_block_goes_with_its_last_message(store: SqliteStore) -> None:
    commit = Commits(store)
    commit(send(*(message(n) for n in range(1, 65))))
    assert (rows_in(store, "block"), rows_in(store, "message")) == (1, 0)
    commit(delete(*range(1, 57)))
    assert (rows_in(store, "block"), present(store)) == (1, [*range(57, 65)])
    commit(delete(*range(57, 65)))
    assert (rows_in(store, "block"), rows_in(store, "block_content"), present(store)) == (0, 0, [])


def test_a_few_that_are_left_do_not_keep_the_space_of_all(store: SqliteStore) -> None:
    commit = Commits(store)
    commit(send(*(message(n) for n in range(1, 65))))
    commit(delete(*(n for n in range(1, 65) if n % 10 != 3)))
    assert (rows_in(store, "block"), rows_in(store, "message")) == (0, 7)
    page = read(store.scan(1, 0, skip_groups=(), unleased=True, limit=9, bytes_max=PLENTY))
    assert [(row.id, row.leased, row.body) for row in page.rows] == [
        (n, False, b"body %d" % n) for n in range(3, 65, 10)
    ]
    commit(delete(3, 63))
    assert present(store) == [13, 23, 33, 43, 53]


@pytest.mark.parametrize("count", [1, 16, 17, 100])
def test_as_many_blocks_as_there_are_give_up_what_is_leased(store: SqliteStore, count: int) -> None:
    commit = Commits(store)
    for first in range(1, 10 * count, 10):
        commit(send(*(message(n) for n in range(first, first + 10))))
    commit(lambda batch: [batch.set_lease(lease(n, n)) for n in range(5, 10 * count, 10)])
    page = read(store.timed(1, (0, 0), content_until_ms=PLENTY, limit=999, bytes_max=PLENTY))
    assert [(row.id, row.body) for row in page.rows] == [(n, b"body %d" % n) for n in range(5, 10 * count, 10)]
    assert present(store) == [*range(1, 10 * count + 1)]


def test_a_block_without_its_content_ends_the_broker(store: SqliteStore) -> None:
    """Else what it held would be marked as taken out, and be nowhere."""
    commit = Commits(store)
    commit(send(*(message(n) for n in range(1, 65))))
    store.checkpoint()
    connection_of(store).execute("DELETE FROM block_content")
    batch = Batch(2)
    batch.set_lease(lease(1, 5))
    assert store._database is not None
    with pytest.raises(CommitUncertain, match="damaged: block 1 has no content"):
        store._database.apply(batch)
    assert rows_in(store, "lease") == 0


def test_heads_that_are_cut_short_are_an_error_of_the_store(store: SqliteStore) -> None:
    Commits(store)(send(*(message(n) for n in range(1, 65))))
    connection_of(store).execute("UPDATE block SET heads = substr(heads, 1, 100)")
    with pytest.raises(StoreError, match=r"pombo\.db"):
        present(store)


def test_what_is_leased_gets_rows_of_its_own(store: SqliteStore) -> None:
    commit = Commits(store)
    commit(send(*(message(n) for n in range(1, 65))))
    commit(lambda batch: [batch.set_lease(lease(n, 500)) for n in (1, 7, 64)])
    assert (rows_in(store, "message"), rows_in(store, "body")) == (3, 3)
    page = read(store.timed(1, (0, 0), content_until_ms=500, limit=9, bytes_max=PLENTY))
    assert [(row.id, row.enqueued_at_ms, row.content, row.body) for row in page.rows] == [
        (n, 1000 + n, b"content %d" % n, b"body %d" % n) for n in (1, 7, 64)
    ]
    commit(delete(1, 7))
    assert present(store) == [n for n in range(1, 65) if n not in (1, 7)]


def test_what_is_moved_leaves_its_block(store: SqliteStore) -> None:
    commit = Commits(store)
    commit(send(*(message(n) for n in range(1, 65))))
    commit(lambda batch: batch.move_message(MoveRow(5, 2, LANE_LATER, 5, 77, 1)))
    assert (present(store, 2), 5 in present(store)) == ([5], False)
    (row,) = read(store.look(2, 0, limit=9, bytes_max=PLENTY)).rows
    assert (row.lane, row.enqueued_at_ms, row.body) == (LANE_LATER, 77, b"body 5")


def test_what_is_moved_and_deleted_at_once_is_gone_from_where_it_was(store: SqliteStore) -> None:
    """A batch remembers where a message was, however often it is moved before it is deleted."""
    commit = Commits(store)
    commit(send(*(message(n) for n in range(1, 65)), *(message(n, 2) for n in range(101, 165))))

    def fill(batch: Batch) -> None:
        batch.move_message(MoveRow(5, 2, LANE_LATER, 5, 77, 1))
        batch.move_message(MoveRow(5, 3, LANE_LATER, 5, 77, 2))
        batch.delete_message(5, 3)
        batch.move_message(MoveRow(6, 2, LANE_LATER, 6, 77, 1))
        batch.move_message(MoveRow(6, 3, LANE_LATER, 6, 77, 2))

    commit(fill)
    assert present(store) == [n for n in range(1, 65) if n not in (5, 6)]
    assert (len(present(store, 2)), present(store, 3)) == (64, [6])


def test_a_lease_in_another_queue_s_numbers_takes_nothing(store: SqliteStore) -> None:
    """What was moved to a queue may have a number between those of one of its blocks."""
    commit = Commits(store)
    commit(send(*(message(n, 1 + n % 2) for n in range(1, 65))))
    commit(lambda batch: batch.move_message(MoveRow(30, 2, LANE_LATER, 30, 77, 1)))
    commit(lambda batch: batch.set_lease(lease(30, 5, queue=2)))
    assert (len(present(store, 1)), len(present(store, 2))) == (31, 33)
    commit(delete(30, queue=2))
    assert (len(present(store, 1)), len(present(store, 2))) == (31, 32)


def test_a_restart_knows_which_queues_have_blocks(store: SqliteStore, tmp_path: Path) -> None:
    commit = Commits(store)
    commit(send(*(message(n, 1 + n % 3) for n in range(1, 65))))
    store.close()
    store.open()
    commit = Commits(store)
    commit.number = 1
    commit(delete(*range(3, 65, 3), queue=1))
    assert [present(store, queue) for queue in (1, 2, 3)] == [[], [*range(1, 65, 3)], [*range(2, 65, 3)]]


def test_what_was_rolled_back_is_still_in_its_block(store: SqliteStore) -> None:
    """A queue whose last block would have gone is still one that has blocks."""
    commit = Commits(store)
    commit(send(*(message(n) for n in range(1, 65))))
    connection = connection_of(store)
    connection.execute("CREATE TEMP TRIGGER full BEFORE INSERT ON batch BEGIN SELECT RAISE(ABORT, 'no'); END")
    batch = Batch(2)
    delete(*range(1, 65))(batch)
    assert store._database is not None
    with pytest.raises(sqlite3.Error):
        store._database.apply(batch)
    connection.execute("DROP TRIGGER full")
    assert rows_in(store, "block") == 1
    commit(send(message(99)))
    commit(delete(*range(1, 65)))
    assert rows_in(store, "block") == 0


def test_a_dropped_generation_takes_its_blocks_along(store: SqliteStore) -> None:
    commit = Commits(store)
    commit(send(*(message(n, 1 + n % 2) for n in range(1, 3001)), *(message(n) for n in range(4000, 4003))))
    commit(lambda batch: (batch.set_counters(counters(1)), batch.drop_generation(1)))
    while store.clear_dropped():
        pass
    assert (present(store, 2), rows_in(store, "message")) == ([*range(1, 3001, 2)], 0)
    (left,) = connection_of(store).execute("SELECT count(*) FROM block WHERE queue = 1").fetchone()
    assert (left, rows_in(store, "block")) == (0, rows_in(store, "block_content"))


def test_a_queue_that_is_emptied_and_filled_at_once_still_has_blocks(store: SqliteStore) -> None:
    commit = Commits(store)
    commit(send(*(message(n) for n in range(1, 65))))
    commit.flushes = False
    commit(delete(*range(1, 65)))
    commit(send(*(message(n) for n in range(65, 129))))
    store.checkpoint()
    commit(lambda batch: batch.set_lease(lease(70, 5)))
    commit(delete(71))
    assert ids(read(store.timed(1, (0, 0), content_until_ms=9, limit=9, bytes_max=PLENTY))) == [70]
    assert present(store) == [n for n in range(65, 129) if n != 71]


def test_what_is_remembered_is_of_queues_that_have_blocks(store: SqliteStore) -> None:
    assert store._database is not None
    blocks = store._database._writer._blocks
    commit = Commits(store)
    commit(send(*(message(n, 1 + n % 3) for n in range(1, 91)), message(91, 9)))
    assert blocks._queues == {1, 2, 3}
    commit(lambda batch: batch.drop_generation(1))
    commit(delete(*range(1, 91, 3), queue=2))
    commit(send(message(92)))
    assert blocks._queues == {3}


def test_who_deletes_one_message_reads_few_blocks(store: SqliteStore) -> None:
    """However many there are, of a queue or of others."""
    commit = Commits(store)
    for first in range(1, 20_000, 1000):
        commit(send(*(message(n, 1 + n % 2, body=b"x" * 900) for n in range(first, first + 1000))))
    connection = connection_of(store)
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    connection.set_progress_handler(step, 100)
    commit(delete(10_000, queue=1))
    connection.set_progress_handler(None, 0)
    assert 10_000 not in present(store)
    assert steps < 100


# ---- Message groups


def grouped(numbers: range, *groups: str | None, queue: int = 1) -> list[MessageRow]:
    """Messages of these groups in turn."""
    return [message(n, queue, group=groups[n % len(groups)]) for n in numbers]


def names(store: SqliteStore) -> list[Any]:
    """What each block says that it holds."""
    store.checkpoint()
    rows = connection_of(store).execute("SELECT group_names FROM block ORDER BY id").fetchall()
    return [None if text is None else json.loads(text) for (text,) in rows]


def group(store: SqliteStore, name: str, after: int = 0, limit: int = 1000) -> list[int]:
    return ids(read(store.group(1, name, after, unleased=True, limit=limit, bytes_max=PLENTY)))


def test_a_block_names_the_groups_that_wait_in_it(store: SqliteStore) -> None:
    commit = Commits(store)
    commit(send(*grouped(range(1, 65), "a", "b", None)))
    commit(send(*(message(n) for n in range(65, 129))))
    assert names(store) == [["b", None, "a"], None]
    commit(delete(*range(3, 65, 3)))
    assert names(store) == [["b", None, 0], None]
    assert (group(store, "a"), group(store, "b")) == ([], [*range(1, 65, 3)])
    commit(delete(*range(2, 65, 3)))
    assert names(store) == [["b", 0, 0], None]
    assert present(store) == [*range(1, 65, 3), *range(65, 129)]


def test_what_leaves_a_block_keeps_its_group(store: SqliteStore) -> None:
    commit = Commits(store)
    commit(send(*grouped(range(1, 65), "a", None, "b")))
    commit(lambda batch: [batch.set_lease(lease(n, 500)) for n in (2, 3, 4)])
    page = read(store.timed(1, (0, 0), content_until_ms=500, limit=9, bytes_max=PLENTY))
    assert [(row.id, row.group, row.body) for row in page.rows] == [
        (2, "b", b"body 2"),
        (3, "a", b"body 3"),
        (4, None, b"body 4"),
    ]
    assert group(store, "b", limit=3) == [5, 8, 11]
    commit(delete(*range(5, 65)))
    assert group(store, "a") == group(store, "b") == []
    assert present(store) == [1, 2, 3, 4]


def test_a_group_is_looked_for_where_a_stretch_has_it(store: SqliteStore) -> None:
    """However many blocks of others lie before and between."""
    commit = Commits(store)
    for first in range(1, 60_000, 500):
        rare = "rare" if first in (1, 59_501) else "often"
        commit(send(*grouped(range(first, first + 499), "often"), message(first + 499, group=rare)))
    assert rows_in(store, "block_group") < 10
    assert (group(store, "rare"), group(store, "rare", 500), group(store, "none")) == ([500, 60_000], [60_000], [])
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    connection = connection_of(store)
    connection.set_progress_handler(step, 100)
    values = {"queue": 1, "group": "rare", "after": 500, "limit": 100, "bytes_max": PLENTY, "blocks_max": 32}
    connection.execute(read_sql.GROUP[True], values).fetchall()
    connection.set_progress_handler(None, 0)
    assert steps < 100


def test_the_groups_of_a_stretch_go_with_its_last_block(store: SqliteStore) -> None:
    commit = Commits(store)
    count = MESSAGES_MAX * MESSAGES_PER_STRETCH // BLOCK_SIZE
    commit(send(*grouped(range(1, count + 1), "a", "b")))
    second, third = range(count + 1, count + 65), range(count + 65, count + 129)
    commit(send(*grouped(second, "b", "c"), *grouped(third, "a", queue=2)))
    assert rows_in(store, "block_group") == 5
    commit(delete(*range(1, count)))
    assert rows_in(store, "block_group") == 3, "what is left has a row of its own"
    commit(delete(*second))
    assert rows_in(store, "block_group") == 1
    again = range(count + 129, count + 193)
    commit(send(*grouped(again, "c")))
    assert group(store, "c") == [*again]
    commit(lambda batch: batch.drop_generation(2))
    while store.clear_dropped():
        pass
    assert rows_in(store, "block_group") == 1


def test_a_page_passes_over_blocks_of_groups_that_it_skips(store: SqliteStore) -> None:
    commit = Commits(store)
    commit(send(*grouped(range(1, 6401), "a", "b"), message(6401, group="c")))
    commit(delete(3, 64 * 7 + 1))
    for skip_groups, expected in ((("a", "b"), [6401]), (("a", "b", "c"), []), (("b",), [2, 4, 6])):
        page = read(store.scan(1, 0, skip_groups=skip_groups, unleased=True, limit=3, bytes_max=PLENTY))
        assert (ids(page), page.more) == (expected, len(expected) == 3)


def test_what_was_sent_is_opened_once_for_all_groups(store: SqliteStore) -> None:
    commit = Commits(store)
    groups = [f"g{n}" for n in range(10)]
    count = 3 * OPENED_MAX * MESSAGES_MAX
    commit(send(*grouped(range(1, count + 1), *groups)))
    store.checkpoint()
    opened = store._opened._opened
    for after in (0, 640):
        for number, name in enumerate(groups):
            expected = [n for n in range(after + 1, after + 1000) if n % 10 == number]
            assert group(store, name, after, limit=20) == expected[:20]
            assert len(opened) < 12 + after // 64
    for after in range(0, count, 1000):
        end = min(count, MESSAGES_MAX * (after // MESSAGES_MAX + BLOCKS_PER_PAGE))
        assert group(store, "g0", after) == [n for n in range(after + 1, end + 1) if n % 10 == 0]
        assert len(opened) <= OPENED_MAX


def test_a_group_of_a_block_without_content_is_an_error_of_the_store(store: SqliteStore) -> None:
    Commits(store)(send(*grouped(range(1, 65), "a", "b")))
    store.checkpoint()
    connection_of(store).execute("DELETE FROM block_content")
    with pytest.raises(StoreError, match="damaged: block 1 has no content"):
        group(store, "a")


def test_a_block_of_a_single_group_is_not_kept_when_it_was_read(store: SqliteStore) -> None:
    commit = Commits(store)
    commit(send(*grouped(range(1, 65), "a")))
    commit(send(*grouped(range(65, 129), "a", "b")))
    store.checkpoint()
    assert group(store, "a", limit=999) == [*range(1, 65), *range(66, 129, 2)]
    assert [*store._opened._opened] == [65]


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM block_content WHERE id = 65",
        "UPDATE block_content SET bodies = x'00' WHERE id = 65",
        "UPDATE block SET heads = heads || substr(heads, 1, 24) WHERE id = 65",
        "UPDATE block SET heads = substr(heads, 25) WHERE id = 65",
        "UPDATE block SET taken = taken || x'0000' WHERE id = 65",
        "UPDATE block SET taken = x'' WHERE id = 65",
        "UPDATE block SET members = substr(members, 2) WHERE id = 65",
        "UPDATE block SET members = zeroblob(63) || x'07' WHERE id = 65",
        """UPDATE block SET group_names = '["b"]' WHERE id = 65""",
        """UPDATE block SET group_names = '[0, "b"]' WHERE id = 65""",
        "UPDATE block SET group_names = '[true, false]' WHERE id = 65",
    ],
)
def test_a_page_of_blocks_that_are_damaged_is_an_error_of_the_store(store: SqliteStore, damage: str) -> None:
    """Not messages with the contents of others."""
    commit = Commits(store)
    for first in (1, 65, 129):
        commit(send(*grouped(range(first, first + 64), "a", "b")))
    store.checkpoint()
    connection_of(store).execute(damage)
    wanted: dict[str, Any] = {"limit": 999, "bytes_max": PLENTY}
    for page in (
        lambda: store.scan(1, 0, skip_groups=(), unleased=True, **wanted),
        lambda: store.look(1, 0, **wanted),
    ):
        with pytest.raises(StoreError):
            read(page())


def test_a_read_after_one_that_failed_sees_what_was_committed_since(store: SqliteStore) -> None:
    commit = Commits(store)
    commit(send(*grouped(range(1, 65), "a", "b")))
    commit(send(*(message(n, queue=2) for n in range(65, 129))))
    store.checkpoint()
    connection_of(store).execute("DELETE FROM block_content WHERE id = 1")
    wanted: dict[str, Any] = {"unleased": True, "limit": 999, "bytes_max": PLENTY}
    failures = []
    for number, failing in enumerate(
        (
            lambda: store.scan(1, 0, skip_groups=(), **wanted),
            lambda: store.group(1, "a", 0, **wanted),
        )
    ):
        with pytest.raises(StoreError) as failed:
            read(failing())
        failures.append(failed)  # and with it the frames that it came through
        commit(send(message(129 + number, queue=2)))
        page = read(store.scan(2, 0, skip_groups=(), **wanted))
        assert ids(page) == [*range(65, 130 + number)]


def test_a_page_of_few_messages_reads_no_more_blocks_than_it_may_have_bytes_of(store: SqliteStore) -> None:
    commit = Commits(store)
    commit(send(*(message(n, body=b"x" * 1000) for n in range(1, 641))))
    store.checkpoint()
    connection_of(store).execute("DELETE FROM block_content WHERE id > 128")
    page = read(store.scan(1, 0, skip_groups=(), unleased=True, limit=100, bytes_max=70_000))
    sizes = [len(row.content or b"") + len(row.body or b"") for row in page.rows]
    assert sum(sizes[:-1]) < 70_000 <= sum(sizes)
    assert (ids(page), page.more) == ([*range(1, len(sizes) + 1)], True)
