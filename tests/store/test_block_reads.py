"""Reads of what is kept in blocks: every one answers as if each message had rows of its own."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from broker.store import read_statements as sql
from broker.store.arrangement import MESSAGES_MIN
from broker.store.base import Page, Store, StoredMessage
from broker.store.batch import Batch
from broker.store.blocks import BLOCKS_PER_PAGE
from broker.store.changes import LANE_LATER, LANE_READY, MessageRow, MoveRow
from broker.store.columns import Columns
from broker.store.new_blocks import MESSAGE_BYTES_MAX, MESSAGES_MAX
from broker.store.sqlite import SqliteStore
from tests.core.dict_store import DictStore
from tests.store.conformance import PLENTY, ids, lease, message, present, read
from tests.store.inside import Commits, connection_of, delete, leave, send


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(str(tmp_path / "data"), synchronous="off")
    store.open()
    yield store
    store.close()


def test_a_page_merges_rows_and_blocks(store: SqliteStore) -> None:
    commit = Commits(store)
    commit(send(*(message(n, group="g" if n % 10 == 0 else None) for n in range(1, 201))))
    commit(lambda batch: [batch.set_lease(lease(n, 5)) for n in (11, 12)])
    page = read(store.scan(1, 7, skip_groups=(), unleased=True, limit=9, bytes_max=PLENTY))
    assert (ids(page), page.more) == ([8, 9, 10, 13, 14, 15, 16, 17, 18], True)
    page = read(store.scan(1, 7, skip_groups=("g",), unleased=False, limit=6, bytes_max=PLENTY))
    assert ([row.id for row in page.rows], [row.leased for row in page.rows]) == (
        [8, 9, 11, 12, 13, 14],
        [False, False, True, True, False, False],
    )
    page = read(store.oldest(1, LANE_READY, limit=12))
    assert (ids(page), page.rows[0].body) == ([*range(1, 13)], None)
    assert ids(read(store.oldest(1, LANE_LATER, limit=12))) == []


def test_a_page_goes_on_where_the_rest_of_a_block_was_taken_out(store: SqliteStore) -> None:
    commit = Commits(store)
    commit(send(*(message(n) for n in range(1, 129))))
    commit(delete(63, 64))
    for bytes_max in (0, 1, PLENTY):
        page = read(store.scan(1, 62, skip_groups=(), unleased=True, limit=1, bytes_max=bytes_max))
        assert (ids(page), page.more) == ([65], True)


@pytest.mark.parametrize("bytes_max", [0, 1, 1000, 1001, 64_000, 1 << 20])
def test_a_page_of_blocks_has_as_many_bytes_as_one_of_rows(store: SqliteStore, bytes_max: int) -> None:
    rows = [message(n, body=b"x" * 990, content=b"y" * 10) for n in range(1, 201)]
    Commits(store)(send(*rows))
    for after in (0, 5, 63, 64, 190):
        for page in (
            read(store.scan(1, after, skip_groups=(), unleased=True, limit=500, bytes_max=bytes_max)),
            read(store.look(1, after, limit=500, bytes_max=bytes_max)),
        ):
            fit = min(200 - after, max(1, -(-bytes_max // 1000)))
            assert (ids(page), page.more) == ([*range(after + 1, after + fit + 1)], after + fit < 200)


@pytest.mark.parametrize("count", [BLOCKS_PER_PAGE, BLOCKS_PER_PAGE + 1, 3 * BLOCKS_PER_PAGE])
def test_a_page_of_many_small_blocks_says_that_there_is_more(store: SqliteStore, count: int) -> None:
    commit = Commits(store)
    for n in range(count):
        commit(send(*(message(n * MESSAGES_MIN + each) for each in range(1, MESSAGES_MIN + 1))))
    page = read(store.scan(1, 0, skip_groups=(), unleased=True, limit=9999, bytes_max=PLENTY))
    assert (len(page.rows), page.more) == (MESSAGES_MIN * BLOCKS_PER_PAGE, count > BLOCKS_PER_PAGE)
    assert present(store) == [*range(1, MESSAGES_MIN * count + 1)]


def test_what_others_have_in_blocks_is_not_more(store: SqliteStore) -> None:
    commit = Commits(store)
    commit(send(*(message(n, group="rare" if n == 5 else "often") for n in range(1, 65))))
    commit(send(*(message(n, group="often") for n in range(65, 129))))
    wanted: dict[str, Any] = {"unleased": True, "limit": 100, "bytes_max": PLENTY}
    for page in (
        read(store.group(1, "rare", 0, **wanted)),
        read(store.scan(1, 0, skip_groups=("often",), **wanted)),
    ):
        assert (ids(page), page.more) == ([5], False)


def test_a_page_looks_at_no_rows_beyond_its_blocks(store: SqliteStore) -> None:
    """Few rows among many blocks: each page would read them all, and most of them again and again."""
    commit = Commits(store)
    for first in range(1, 100 * MESSAGES_MAX, MESSAGES_MAX):
        large = message(first, body=b"x" * (MESSAGE_BYTES_MAX + 1))  # has a row
        commit(send(large, *(message(n) for n in range(first + 1, first + MESSAGES_MAX))))
    statement = sql.SCAN[0, True].replace("length(found.content)", "looked(found.content)")
    connection = connection_of(store)
    looked: list[bytes] = []
    connection.create_function("looked", 1, lambda content: looked.append(content) or len(content))
    values = {"queue": 1, "after": 0, "limit": 1000, "bytes_max": PLENTY, "blocks_max": BLOCKS_PER_PAGE}
    connection.execute(statement, values).fetchall()
    assert BLOCKS_PER_PAGE <= len(set(looked)) <= BLOCKS_PER_PAGE + 1
    assert present(store) == [*range(1, 100 * MESSAGES_MAX + 1)]


def test_json_is_given_to_sqlite_as_text(store: SqliteStore) -> None:
    """From version 3.45 on it takes a blob for its own binary form of JSON."""
    commit = Commits(store)
    commit(send(*(message(n, group="abc"[n % 3]) for n in range(1, 129))))
    read(store.oldest(1, LANE_READY, limit=1))  # opens the connection
    statements: list[str] = []
    assert store._pages is not None
    assert store._pages._connection is not None
    read(store._pages._connection.set_trace_callback(statements.append))
    connection_of(store).set_trace_callback(statements.append)
    for groups in ((), ("a",), ("a", "b")):
        read(store.scan(1, 0, skip_groups=groups, unleased=True, limit=200, bytes_max=PLENTY))
    read(store.group(1, "a", 0, unleased=True, limit=200, bytes_max=PLENTY))
    read(store.messages((1, 2), content=True))
    commit(lambda batch: [batch.set_lease(lease(n, 5)) for n in (1, 2)])
    commit(delete(1, 2, *range(65, 129)))
    store.checkpoint()
    assert sum("json_each(" in statement for statement in statements) > 10
    assert [statement for statement in statements if "json_each(x'" in statement.lower()] == []


def rows_of(columns: list[Columns]) -> list[StoredMessage]:
    """The same messages as rows."""
    rows: list[StoredMessage] = []
    for some in columns:
        content_at, body_at = some.content_at, some.body_at
        for number, at_ms, content_bytes, body_bytes in zip(*some.states(), strict=True):
            content = some.contents[content_at : content_at + content_bytes]
            body = some.bodies[body_at : body_at + body_bytes]
            state = number, some.queue, LANE_READY, number, None, at_ms, False, 0, 0, 0, None, content, body
            rows.append(StoredMessage(*state))
            content_at, body_at = content_at + content_bytes, body_at + body_bytes
        assert (some.count, some.first, some.last) == (len(some.states()[0]), rows[-some.count].id, rows[-1].id)
        assert (content_at - some.content_at, body_at - some.body_at) == (some.content_bytes, some.body_bytes)
    return rows


def in_columns(store: Store, after: int = 0, limit: int = 500, bytes_max: int = PLENTY) -> tuple[list[int], bool]:
    """The ids of a page in columns, which is the beginning of what follows in rows, and whether there is more."""
    wanted: dict[str, Any] = {"skip_groups": (), "unleased": True, "bytes_max": bytes_max}
    page = read(store.scan(1, after, limit=limit, columns=True, **wanted))
    assert page.columns
    assert not page.rows
    rows = rows_of(page.columns)
    assert rows == read(store.scan(1, after, limit=len(rows), **(wanted | {"bytes_max": PLENTY}))).rows
    return [row.id for row in rows], page.more


@pytest.mark.parametrize("where", ["database", "segments"])
def test_a_page_in_columns(store: SqliteStore, where: str) -> None:
    """64 messages to a block: a page goes on to the end of the one in which it would stop."""
    commit = Commits(store)
    put = send if where == "database" else leave
    for at in range(1, 641, 160):
        commit(put(*(message(n, body=b"%d" % n * (n % 7)) for n in range(at, at + 160))))
    assert in_columns(store) == ([*range(1, 641)], False)
    assert in_columns(store, after=100, limit=50) == ([*range(101, 225)], True)
    assert in_columns(store, limit=80) == ([*range(1, 161)], True)
    assert in_columns(store, bytes_max=1) == ([*range(1, 65)], True)
    assert in_columns(store, after=639) == ([640], False)
    commit(delete(1, 64, 65, *range(200, 210)))
    left = [n for n in range(1, 641) if n not in (1, 64, 65, *range(200, 210))]
    assert in_columns(store) == (left, False)
    assert in_columns(store, after=205) == ([n for n in left if n > 205], False)


def test_small_blocks_that_were_joined_are_columns_of_several_extents(store: SqliteStore) -> None:
    commit = Commits(store)
    commit.flushes = False
    for at in range(1, 301, 10):
        commit(leave(*(message(n, body=b"%d" % n * 30) for n in range(at, at + 10))))
        commit(leave(message(1000 + at, queue=2, body=b"between" * (at * 10))))
    store.checkpoint()
    assert in_columns(store) == ([*range(1, 301)], False)
    assert in_columns(store, after=15, limit=1)[0][0] == 16


def test_a_page_has_rows_where_a_message_has_a_row_or_a_group(store: SqliteStore) -> None:
    commit = Commits(store)
    commit(leave(*(message(n) for n in range(1, 129))))
    commit(leave(*(message(n, group="g") for n in range(129, 193))))
    assert in_columns(store) == ([*range(1, 129)], True)
    page = read(store.scan(1, 128, skip_groups=(), unleased=True, limit=500, bytes_max=PLENTY, columns=True))
    assert (ids(page), page.columns) == ([*range(129, 193)], [])
    commit(send(message(193)))
    page = read(store.scan(1, 0, skip_groups=("g",), unleased=True, limit=500, bytes_max=PLENTY, columns=True))
    assert (ids(page), page.columns) == ([*range(1, 129), 193], [])
    page = read(store.scan(1, 500, skip_groups=(), unleased=True, limit=500, bytes_max=PLENTY, columns=True))
    assert (page.rows, page.columns, page.more) == ([], [], False)


KINDS = ("send", "send one", "leave", "delete", "delete all", "lease", "move", "move to the end", "drop")
GROUPS = ("g", "h", "0", 'a "quoted" one', "über")
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 1 << 20)), min_size=1, max_size=14)


class History:
    """Random changes, as an engine might make them, on the store and on one in plain dictionaries."""

    def __init__(self, store: Store) -> None:
        self.plain = DictStore()
        self.commit = Commits(store, self.plain)
        self.next = 1
        self.generation = 4  # of the queues 1, 2 and 3

    def step(self, kind: str, n: int) -> None:
        self.commit.flushes = n % 5 < 3
        queue = 1 + n % 3
        waiting = sorted(row.id for row in self.plain.rows.values() if row.queue == queue)
        at = n % max(1, len(waiting))
        some = waiting[at : at + 1 + n % 90]
        if kind == "send":
            self.commit(send(*(self._message(n) for _ in range(n % 150))))
        elif kind == "send one":
            self.commit(send(self._message(n)))
        elif kind == "leave":
            self.commit.flushes = True  # nothing is said of them before they were found
            rows = [self._message(n) for _ in range(n % 150)]
            left = [row for row in rows if row.lane == LANE_READY]
            kept = n % 9 * 3 if n % 2 else 0
            self.commit(lambda batch: (send(*left[:kept])(batch), leave(*left[kept:])(batch)))
            self.plain.read_through = self.commit.number
        elif kind == "delete":
            self.commit(delete(*some, queue=queue))
        elif kind == "delete all":
            self.commit(delete(*waiting, queue=queue))
        elif kind == "lease":
            self.commit(lambda batch: [batch.set_lease(lease(each, n + each, queue)) for each in some[:9]])
        elif kind == "move":
            self.commit(lambda batch: [self._move(batch, each, queue, n) for each in some[:5]])
        elif kind == "move to the end":
            self.commit(lambda batch: [self._move_to_the_end(batch, each, queue, n) for each in some[:5]])
        else:
            self.commit(lambda batch: (self._fill(batch, queue), batch.drop_generation(queue + 10)))

    def _fill(self, batch: Batch, queue: int) -> None:
        for _ in range(20):
            batch.add_message(replace(self._message(0), queue=queue + 10))

    def _message(self, n: int) -> MessageRow:
        number, self.next = self.next, self.next + 1
        kind = (number * 7919 + n) % 23
        row = message(number, 1 + (number + n // 7) % 3)
        # A queue without groups, one in which some messages have one, and one in which all have.
        if row.queue > 1 and (kind % 3 or row.queue == 3):
            row = replace(row, group=GROUPS[(number * 31 + n % 7) % (1 + n % len(GROUPS))])
        if kind == 1:
            return replace(row, lane=LANE_LATER)
        return replace(row, body=b"b" * (10_000 if kind == 2 else kind))

    def _move_to_the_end(self, batch: Batch, number: int, queue: int, n: int) -> None:
        order, self.next = self.next, self.next + 1
        batch.set_lease(lease(number, n, queue))
        batch.move_message(MoveRow(number, 1 + (queue + n % 2) % 3, LANE_READY, order, 1000 + order, queue))

    def _move(self, batch: Batch, number: int, queue: int, n: int) -> None:
        target = 1 + (queue + n % 2) % 3
        batch.set_lease(lease(number, n, queue))
        batch.move_message(MoveRow(number, target, LANE_LATER, number, n, queue))


def all_pages(page_after: Callable[[int], Awaitable[Page]], place: Callable[[StoredMessage], int]) -> list[Any]:
    async def pages() -> list[StoredMessage]:
        rows: list[StoredMessage] = []
        while True:
            page = await page_after(place(rows[-1]) if rows else 0)
            found = page.rows or rows_of(page.columns)
            rows += found
            assert found or not page.more
            if not page.more:
                return rows

    return asyncio.run(pages())


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(1, 200), st.sampled_from([1, 700, 70_000]), st.booleans(), st.booleans())
def test_every_read_is_the_same_as_without_blocks(
    steps: list[tuple[str, int]], limit: int, bytes_max: int, unleased: bool, columns: bool
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        store = SqliteStore(directory, synchronous="off")
        store.open()
        history = History(store)
        for kind, n in steps:
            history.step(kind, n)
        for queue in (1, 2, 3):
            for skip_groups in ((), ("g",), ("g", "h"), ("0", *GROUPS[3:])):
                given_: dict[str, Any] = {"skip_groups": skip_groups, "unleased": unleased, "bytes_max": bytes_max}
                assert all_pages(
                    lambda after, q=queue, g=given_: store.scan(q, after, limit=limit, columns=columns, **g),
                    lambda row: row.order,
                ) == all_pages(
                    lambda after, q=queue, g=given_: history.plain.scan(q, after, limit=9999, **g),
                    lambda row: row.order,
                )
            for group in (*GROUPS, "none"):
                given_ = {"unleased": unleased, "bytes_max": bytes_max}
                assert all_pages(
                    lambda after, q=queue, g=group, o=given_: store.group(q, g, after, limit=limit, **o),
                    lambda row: row.order,
                ) == all_pages(
                    lambda after, q=queue, g=group, o=given_: history.plain.group(q, g, after, limit=9999, **o),
                    lambda row: row.order,
                )
            for since_ms in (0, 1000 + history.next // 2):
                for runs_max in (9999, 10):
                    _, found_runs = read(store.newest_arrivals(queue, since_ms, runs_max=runs_max))
                    _, expected_runs = read(history.plain.newest_arrivals(queue, since_ms, runs_max=runs_max))
                    assert len(found_runs) <= runs_max
                    assert sum(count for _, count in found_runs) == sum(count for _, count in expected_runs)
                    if runs_max == 9999:
                        assert found_runs == expected_runs
            assert all_pages(
                lambda after, q=queue: store.look(q, after, limit=limit, bytes_max=bytes_max), lambda row: row.id
            ) == all_pages(
                lambda after, q=queue: history.plain.look(q, after, limit=limit, bytes_max=PLENTY), lambda row: row.id
            )
            for lane in (LANE_READY, LANE_LATER):
                found, expected = (read(s.oldest(queue, lane, limit=limit)) for s in (store, history.plain))
                assert found.rows == expected.rows[: len(found.rows)]
                assert found.more == (len(found.rows) < len(expected.rows) or expected.more)
            timed: dict[str, Any] = {"content_until_ms": PLENTY, "limit": 9999, "bytes_max": PLENTY}
            found, expected = (read(s.timed(queue, (0, 0), **timed)) for s in (store, history.plain))
            assert found.rows == expected.rows
        store.close()
