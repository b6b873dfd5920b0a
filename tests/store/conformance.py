"""What every backend of the store must do, sentence by sentence of broker/store/base.py.

A backend runs it in three lines:

    class TestMyStore(StoreConformance):
        def make(self, directory: Path) -> Store:
            return MyStore(str(directory))
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest
from msgspec.structs import astuple, replace

from broker.store.base import AcceptedPage, Page, Recovered, Store, StoredMessage, StoreError, StoreUnusable
from broker.store.batch import Batch
from broker.store.changes import LANE_LATER, LANE_READY, CounterRow, DeduplicationRow, LeaseRow, MessageRow, MoveRow

T = TypeVar("T")
PLENTY = 1 << 40


def read(reading: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(reading)


def message(
    number: int, queue: int = 1, *, group: str | None = None, lane: int = LANE_READY, **other: Any
) -> MessageRow:
    row = MessageRow(number, queue, lane, number, group, 1000 + number, b"content %d" % number, b"body %d" % number)
    return replace(row, **other)


def lease(number: int, visible_at_ms: int, queue: int = 1, *, receive_count: int = 1, **other: Any) -> LeaseRow:
    row = LeaseRow(number, queue, visible_at_ms, receive_count, 500 if receive_count else 0, None)
    return replace(row, **other)


def counters(queue: int, messages: int = 0) -> CounterRow:
    return CounterRow(queue, messages, 1, 2, 3000, 7, 1001, True)


def entry(digest: bytes, *, queue: int = 1, order: int = 77, sent_at_ms: int = 5000) -> DeduplicationRow:
    return DeduplicationRow(queue, order, digest * 16, sent_at_ms, "id-" + digest.decode())


def accept(batch: Batch, row: DeduplicationRow) -> None:
    batch.add_deduplication(row.queue, row.digest, row.order, row.sent_at_ms, row.message_id)


def ids(page: Page) -> list[int]:
    return [row.id for row in page.rows]


def present(store: Store, queue: int = 1) -> list[int]:
    """All messages of a queue, by looking, page by page."""
    found: list[int] = []
    while True:
        page = read(store.look(queue, found[-1] if found else 0, limit=1000, bytes_max=PLENTY))
        found += ids(page)
        if not page.more:
            return found


class StoreConformance:
    """The suite. `make` gives a store on `directory` that has not been opened; the same directory is the same store."""

    def make(self, directory: Path) -> Store:
        raise NotImplementedError

    @pytest.fixture
    def directory(self, tmp_path: Path) -> Path:
        return tmp_path / "data"

    @pytest.fixture
    def store(self, directory: Path) -> Iterator[Store]:
        store = self.make(directory)
        store.open()
        yield store
        store.close()

    @pytest.fixture
    def commit(self, store: Store) -> Callable[..., Batch]:
        number = 0

        def commit(*rows: MessageRow | LeaseRow | MoveRow, fill: Callable[[Batch], object] | None = None) -> Batch:
            nonlocal number
            number += 1
            batch = Batch(number)
            for row in rows:
                if isinstance(row, MessageRow):
                    batch.add_message(row)
                elif isinstance(row, LeaseRow):
                    batch.set_lease(row)
                else:
                    batch.move_message(row)
            if fill is not None:
                fill(batch)
            store.commit(batch)
            return batch

        return commit

    def scan(self, store: Store, after_order: int = 0, *, queue: int = 1, **given: Any) -> Page:
        wanted: dict[str, Any] = {"skip_groups": (), "unleased": False, "limit": 1000, "bytes_max": PLENTY, **given}
        return read(store.scan(queue, after_order, **wanted))

    # ---- recovery

    def reopen(self, store: Store, directory: Path) -> Recovered:
        store.close()
        again = self.make(directory)
        recovered = again.open()
        again.close()
        return recovered

    def test_a_new_store_is_empty(self, directory: Path) -> None:
        store = self.make(directory)
        recovered = store.open()
        store.close()
        assert (recovered.batch_number, recovered.message_time_ms) == (0, 0)
        assert (recovered.resources, recovered.counters) == ({}, {})
        assert len(recovered.secret) == 32

    def test_a_restart_finds_what_was_committed(self, store: Store, directory: Path, commit: Any) -> None:
        secret = store.recover().secret

        def fill(batch: Batch) -> None:
            batch.put_resource("queue", "orders", b"record")
            batch.set_counters(counters(1, messages=1))
            batch.message_time_ms = 1234

        commit(message(1), fill=fill)
        store.close()
        again = self.make(directory)
        recovered = again.open()
        page = self.scan(again)
        again.close()
        assert recovered == Recovered(1, 1234, secret, {("queue", "orders"): b"record"}, {1: counters(1, messages=1)})
        assert page == Page(
            1, [StoredMessage(*astuple(message(1))[:6], False, 0, 0, 0, None, b"content 1", b"body 1")], False
        )

    def test_recover_reads_again_what_is_committed(self, store: Store, commit: Any) -> None:
        commit(fill=lambda batch: batch.put_resource("queue", "a", b"1"))
        commit(fill=lambda batch: batch.put_resource("queue", "a", b"2"))
        recovered = store.recover()
        assert recovered.batch_number == 2
        assert recovered.resources == {("queue", "a"): b"2"}

    def test_message_time_never_goes_backwards(self, store: Store, commit: Any) -> None:
        commit(fill=lambda batch: setattr(batch, "message_time_ms", 5000))
        commit(fill=lambda batch: setattr(batch, "message_time_ms", 0))
        assert store.recover().message_time_ms == 5000

    def test_a_second_owner_is_refused(self, store: Store, directory: Path) -> None:
        with pytest.raises(StoreUnusable, match=str(directory)):
            self.make(directory).open()

    def test_sequences_are_never_granted_twice(self, store: Store, directory: Path) -> None:
        first, second = store.grant_sequences(100), store.grant_sequences(5)
        store.close()
        again = self.make(directory)
        again.open()
        third = again.grant_sequences(1)
        again.close()
        granted = [*first, *second, *third]
        assert len(granted) == 106
        assert min(granted) > 0
        assert all(later > earlier for earlier, later in pairwise(granted))
        assert first == range(first.start, first.start + 100)

    # ---- batches

    def test_a_batch_may_be_applied_twice(self, store: Store, commit: Any) -> None:
        def fill(batch: Batch) -> None:
            batch.delete_message(3, 1)
            batch.put_resource("queue", "a", b"1")
            batch.delete_resource("queue", "b")
            batch.set_counters(counters(1))
            accept(batch, entry(b"a"))
            batch.forget_deduplication(2, 3)
            batch.drop_generation(9)

        commit(message(1), message(2), message(3), fill=lambda batch: batch.put_resource("queue", "b", b"1"))
        batch = commit(message(4), MoveRow(2, 5, LANE_LATER, 2, 1, 1), lease(2, 9, queue=5), fill=fill)
        before = (
            store.recover(),
            self.scan(store),
            read(store.timed(5, (0, 0), content_until_ms=0, limit=9, bytes_max=9)),
        )
        store.commit(batch)
        after = (
            store.recover(),
            self.scan(store),
            read(store.timed(5, (0, 0), content_until_ms=0, limit=9, bytes_max=9)),
        )
        assert before == after
        assert ids(after[1]) == [1, 4]

    @pytest.mark.parametrize("count", [1, 3, 8, 63, 64, 65, 300, 1000])
    def test_a_batch_of_any_size_is_written_and_deleted_whole(self, store: Store, commit: Any, count: int) -> None:
        numbers = range(1, count + 1)
        commit(*(message(n, group=f"g{n % 7}" if n % 2 else None) for n in numbers), *(lease(n, n) for n in numbers))
        page = self.scan(store, limit=count)
        assert ids(page) == [*numbers]
        assert [row.body for row in page.rows] == [b"body %d" % n for n in numbers]
        assert [row.visible_at_ms for row in page.rows] == [*numbers]
        commit(*(MoveRow(n, 2, LANE_LATER, n, 5, 1) for n in numbers))
        assert ids(read(store.timed(2, (0, 0), content_until_ms=0, limit=count, bytes_max=PLENTY))) == [*numbers]
        commit(fill=lambda batch: [batch.delete_message(n, 2) for n in numbers])
        assert ids(read(store.messages((*numbers,), content=False))) == []
        assert ids(read(store.timed(2, (0, 0), content_until_ms=0, limit=count, bytes_max=PLENTY))) == []

    def test_a_move_keeps_body_content_and_lease(self, store: Store, commit: Any) -> None:
        commit(message(1, group="g"), lease(1, 900, receive_count=4, source="arn:source"))
        commit(MoveRow(1, 2, LANE_LATER, 50, 777, 1))
        (row,) = read(store.messages((1,), content=True)).rows
        assert row == StoredMessage(
            1, 2, LANE_LATER, 50, "g", 777, True, 900, 4, 500, "arn:source", b"content 1", b"body 1"
        )
        assert ids(self.scan(store)) == []
        assert ids(read(store.in_flight(2, 0, now_ms=0, limit=9))) == [1]
        assert ids(read(store.in_flight(1, 0, now_ms=0, limit=9))) == []

    def test_resources_are_put_replaced_and_deleted(self, store: Store, commit: Any) -> None:
        def fill(batch: Batch) -> None:
            for number in range(100):
                batch.put_resource("topic", f"t{number}", b"%d" % number)
            batch.put_resource("queue", "t1", b"a queue")

        commit(fill=fill)
        commit(fill=lambda batch: [batch.delete_resource("topic", f"t{number}") for number in range(1, 100)])
        assert store.recover().resources == {("topic", "t0"): b"0", ("queue", "t1"): b"a queue"}

    def test_the_numbers_are_as_large_as_they_come(self, store: Store, commit: Any) -> None:
        large = 2**62
        commit(message(large, large, order=large, enqueued_at_ms=large), lease(large, large, large))
        assert ids(self.scan(store, queue=large)) == [large]

    # ---- scan and group

    def test_scan_answers_in_order_after_an_order(self, store: Store, commit: Any) -> None:
        commit(message(3), message(1), message(2, order=9), message(4, lane=LANE_LATER), message(5, queue=2))
        assert ids(self.scan(store)) == [1, 3, 2]
        assert ids(self.scan(store, 1)) == [3, 2]
        assert ids(self.scan(store, 9)) == []

    def test_scan_skips_groups_but_never_messages_without_one(self, store: Store, commit: Any) -> None:
        commit(*(message(n, group=group) for n, group in enumerate(["a", "b", None, "c", "a", None, "'\""], 1)))
        assert ids(self.scan(store, skip_groups=("a",))) == [2, 3, 4, 6, 7]
        assert ids(self.scan(store, skip_groups=("a", "c"))) == [2, 3, 6, 7]
        assert ids(self.scan(store, skip_groups=("a", "b", "c", "'\""))) == [3, 6]

    @pytest.mark.parametrize("skip_groups", [(), ("x",), ("x", "y")])
    def test_scan_leaves_out_leased_messages_on_request(
        self, store: Store, commit: Any, skip_groups: tuple[str, ...]
    ) -> None:
        commit(message(1), message(2), message(3), lease(2, 0))
        assert ids(self.scan(store, unleased=True, skip_groups=skip_groups)) == [1, 3]
        page = self.scan(store, skip_groups=skip_groups)
        assert ids(page) == [1, 2, 3]
        assert [row.leased for row in page.rows] == [False, True, False]

    def test_a_page_says_whether_there_is_more(self, store: Store, commit: Any) -> None:
        commit(*(message(n, group="g") for n in (1, 2, 3)))
        for limit, more in ((1, True), (2, True), (3, False), (4, False)):
            page = self.scan(store, limit=limit)
            assert (len(page.rows), page.more) == (min(limit, 3), more)
            page = read(store.group(1, "g", 0, unleased=True, limit=limit, bytes_max=PLENTY))
            assert (len(page.rows), page.more) == (min(limit, 3), more)
        assert self.scan(store, 3) == Page(1, [], False)

    def test_a_page_stops_after_the_row_that_reaches_its_bytes(self, store: Store, commit: Any) -> None:
        commit(*(message(n, body=b"x" * 40, content=b"y" * 60, group="g") for n in (1, 2, 3, 4)))
        for bytes_max, rows in ((0, 1), (1, 1), (100, 1), (101, 2), (200, 2), (399, 4), (400, 4)):
            page = self.scan(store, bytes_max=bytes_max)
            assert (len(page.rows), page.more) == (rows, rows < 4)
            page = read(store.group(1, "g", 0, unleased=False, limit=9, bytes_max=bytes_max))
            assert (len(page.rows), page.more) == (rows, rows < 4)
            assert len(read(store.look(1, 0, limit=9, bytes_max=bytes_max)).rows) == rows

    def test_empty_and_large_bodies_come_back_whole(self, store: Store, commit: Any) -> None:
        anything = bytes(range(256))
        commit(
            message(1, body=b"", content=anything, group="g"), message(2, body=anything * 4096, content=b"", group="g")
        )
        for page in (self.scan(store), read(store.group(1, "g", 0, unleased=True, limit=9, bytes_max=PLENTY))):
            first, second = page.rows
            assert (first.content, first.body) == (anything, b"")
            assert (second.content, second.body) == (b"", anything * 4096)

    def test_group_answers_for_one_group(self, store: Store, commit: Any) -> None:
        commit(
            *(message(n, group="ab"[n % 2]) for n in range(1, 7)),
            message(7),
            message(8, group="b", lane=LANE_LATER),
            message(9, group="b", queue=2),
            lease(3, 1),
        )
        assert ids(read(store.group(1, "b", 0, unleased=False, limit=9, bytes_max=PLENTY))) == [1, 3, 5]
        assert ids(read(store.group(1, "b", 1, unleased=True, limit=9, bytes_max=PLENTY))) == [5]

    # ---- leases

    def test_timed_answers_in_the_order_in_which_leases_end(self, store: Store, commit: Any) -> None:
        ends = {1: 300, 2: 100, 3: 200, 4: 200}
        commit(
            *(message(n) for n in range(1, 6)), *(lease(n, at) for n, at in ends.items()), message(6, 2), lease(6, 1, 2)
        )

        def timed(after: tuple[int, int], **given: int) -> Page:
            wanted = {"content_until_ms": 0, "limit": 9, "bytes_max": PLENTY, **given}
            return read(store.timed(1, after, **wanted))

        assert ids(timed((0, 0))) == [2, 3, 4, 1]
        assert ids(timed((200, 3))) == [4, 1]
        assert ids(timed((200, 4))) == [1]
        page = timed((0, 0), limit=2)
        assert (ids(page), page.more) == ([2, 3], True)

    def test_timed_has_content_of_what_ends_in_time(self, store: Store, commit: Any) -> None:
        rows = (message(n, body=b"x" * 100, content=b"") for n in (1, 2, 3))
        commit(*rows, lease(1, 100), lease(2, 200), lease(3, 300))
        page = read(store.timed(1, (0, 0), content_until_ms=200, limit=9, bytes_max=101))
        assert [row.body for row in page.rows] == [b"x" * 100] * 2
        assert page.more
        page = read(store.timed(1, (0, 0), content_until_ms=100, limit=9, bytes_max=101))
        assert [(row.body, row.content) for row in page.rows] == [
            (b"x" * 100, b""),
            (None, None),
            (None, None),
        ]

    def test_in_flight_are_the_received_that_are_hidden(self, store: Store, commit: Any) -> None:
        commit(
            *(message(n) for n in range(1, 7)),
            lease(1, 300),
            lease(2, 200),
            lease(3, 201),
            lease(5, 900),
            lease(4, 250),
        )
        commit(lease(4, 999, receive_count=0))
        page = read(store.in_flight(1, 0, now_ms=200, limit=2))
        assert (ids(page), page.more) == ([1, 3], True)
        page = read(store.in_flight(1, 3, now_ms=200, limit=2))
        assert (ids(page), page.more) == ([5], False)
        assert (page.rows[0].content, page.rows[0].body, page.rows[0].visible_at_ms) == (None, None, 900)

    def test_leases_that_end_in_a_span_of_time_are_counted(self, store: Store, commit: Any) -> None:
        groups = {1: "a", 2: "b", 3: None, 4: "a", 5: "a", 6: None}
        commit(*(message(n, group=group) for n, group in groups.items()))
        commit(*(lease(n, n * 100, receive_count=n % 2) for n in groups), lease(6, 150, receive_count=3))

        def count(after_ms: int, until_ms: int, by_group: bool) -> list[tuple[str | None, int, int]]:
            number, rows = read(store.count_timed(1, after_ms, until_ms, by_group=by_group))
            assert number == 2
            return sorted(rows, key=str)

        assert count(100, 400, False) == [(None, 2, 2)]
        assert count(100, 400, True) == [("a", 0, 1), ("b", 0, 1), (None, 2, 0)]
        assert count(0, 100, True) == [("a", 1, 0)]
        assert count(900, 2**62, False) == [(None, 0, 0)]
        assert count(900, 2**62, True) == []

    def test_a_lease_is_replaced_as_a_whole(self, store: Store, commit: Any) -> None:
        commit(message(1), lease(1, 100, source="arn:first"))
        commit(lease(1, 0, receive_count=7, first_received_at_ms=3))
        (row,) = self.scan(store).rows
        assert row[6:11] == (True, 0, 7, 3, None)

    # ---- other reads

    def test_messages_are_found_wherever_they_are(self, store: Store, commit: Any) -> None:
        commit(message(1), message(2, queue=2), message(3, lane=LANE_LATER), lease(3, 9))
        page = read(store.messages((3, 1, 2, 99), content=True))
        assert (ids(page), page.more) == ([1, 2, 3], False)
        assert [row.body for row in page.rows] == [b"body 1", b"body 2", b"body 3"]
        assert read(store.messages((3,), content=False)).rows[0].body is None
        assert read(store.messages((), content=True)) == Page(1, [], False)

    def test_oldest_is_the_front_of_a_lane(self, store: Store, commit: Any) -> None:
        commit(*(message(n, lane=n % 2) for n in range(1, 9)), lease(2, 5))
        page = read(store.oldest(1, LANE_READY, limit=2))
        assert (ids(page), page.more) == ([2, 4], True)
        assert (page.rows[0].leased, page.rows[0].content, page.rows[0].enqueued_at_ms) == (True, None, 1002)
        assert ids(read(store.oldest(1, LANE_LATER, limit=9))) == [1, 3, 5, 7]

    def test_look_shows_a_queue_by_id_whatever_the_state(self, store: Store, commit: Any) -> None:
        commit(message(1), message(2, lane=LANE_LATER), message(3, order=90), message(4, 2), message(5), lease(5, 9))
        commit(message(6, lane=LANE_LATER, order=99))
        page = read(store.look(1, 0, limit=9, bytes_max=PLENTY))
        assert (ids(page), page.more) == ([1, 2, 3, 5, 6], False)
        assert page.rows[3].leased
        page = read(store.look(1, 1, limit=2, bytes_max=PLENTY))
        assert (ids(page), page.more) == ([2, 3], True)
        assert page.rows[0].body == b"body 2"

    def test_newest_arrivals_are_counted_by_time(self, store: Store, commit: Any) -> None:
        times = [10, 20, 20, 30, 30, 30]
        commit(*(message(n, group="g", enqueued_at_ms=at) for n, at in enumerate(times, 1)), lease(4, 9))
        later, elsewhere = message(7, group="g", lane=LANE_LATER), message(8, 2, group="g")
        commit(*(replace(row, enqueued_at_ms=40) for row in (later, elsewhere)))
        assert read(store.newest_arrivals(1, 0, runs_max=10)) == (2, [(10, 1), (20, 2), (30, 2)])
        assert read(store.newest_arrivals(1, 10, runs_max=10)) == (2, [(20, 2), (30, 2)])
        assert read(store.newest_arrivals(1, 30, runs_max=10)) == (2, [])
        assert read(store.newest_arrivals(99, 0, runs_max=10)) == (2, [])

    def test_arrivals_at_many_times_are_counted_in_few_runs(self, store: Store, commit: Any) -> None:
        commit(*(message(n, group="g", enqueued_at_ms=n) for n in range(1, 101)))
        number, runs = read(store.newest_arrivals(1, 0, runs_max=10))
        assert (number, len(runs)) == (1, 10)
        assert runs == [(at_ms, 10) for at_ms in range(10, 101, 10)]
        assert sum(count for _, count in read(store.newest_arrivals(1, 5, runs_max=10))[1]) == 95

    def test_reads_carry_the_number_of_the_last_batch(self, store: Store, commit: Any) -> None:
        for number in (1, 2, 3):
            commit(message(number))
            assert self.scan(store).batch_number == number
            assert self.scan(store, queue=99).batch_number == number

    def test_a_scan_contains_at_least_the_batch_that_it_names(self, store: Store, commit: Any) -> None:
        for number in (1, 2, 3):
            commit(message(number))
        for number in (0, 1, 2, 3):
            page = self.scan(store, contains=number)
            assert number <= page.batch_number <= 3
            assert ids(page) == list(range(1, page.batch_number + 1))

    def test_reads_run_beside_each_other(self, store: Store, commit: Any) -> None:
        commit(*(message(n) for n in range(1, 50)))

        async def both() -> list[Page]:
            scan = store.scan(1, 0, skip_groups=(), unleased=True, limit=9, bytes_max=PLENTY)
            return await asyncio.gather(scan, *(store.oldest(1, 0, limit=n) for n in range(1, 9)))

        assert [len(page.rows) for page in read(both())] == [9, *range(1, 9)]

    # ---- deduplication

    def test_deduplication_finds_entries_by_digest_age_and_order(self, store: Store, commit: Any) -> None:
        old, other, new = (
            entry(b"a", order=5, sent_at_ms=500),
            entry(b"b", order=6, sent_at_ms=600),
            entry(b"a", order=7, sent_at_ms=700),
        )
        commit(fill=lambda batch: [accept(batch, e) for e in (old, other, new, entry(b"c", queue=2))])
        a, b, c = (digest * 16 for digest in (b"a", b"b", b"c"))

        def find(digests: tuple[bytes, ...], *spans: tuple[int, int], since_ms: int = 0) -> list[DeduplicationRow]:
            return sorted(read(store.deduplication(1, digests, spans, since_ms=since_ms)), key=astuple)

        assert find((c, b, a), (0, 100)) == [old, other, new]
        assert find((c, b, a), (5, 5), (7, 9)) == [old, new]
        assert find((b,), (1, 5), (7, 9)) == []
        assert find((a,), (0, 100), since_ms=500) == [new]
        assert find((a,), (0, 100), since_ms=700) == []
        assert find((), (0, 100)) == find((a,)) == []

    def test_an_entry_is_found_wherever_it_is_among_many(self, store: Store, commit: Any) -> None:
        """Ten transactions of 2,500 entries."""

        def fill(batch: Batch) -> None:
            for order in range(2_500 * batch.number, 2_500 * (batch.number + 1)):
                batch.add_deduplication(1, b"%16d" % order, order, 9_000 + order, f"id-{order}")

        first, last = 2_500 * commit(fill=fill).number, 0
        for _ in range(9):
            last = 2_500 * commit(fill=fill).number + 2_499
        for order in (first, first + 1, first + 1023, first + 1024, first + 2_499, first + 2_500, last - 1, last):
            found = DeduplicationRow(1, order, b"%16d" % order, 9_000 + order, f"id-{order}")
            for span in ((order, order), (first, last), (order - 1, order + 1), (0, order), (order, 1 << 62)):
                assert read(store.deduplication(1, (found.digest,), [span], since_ms=0)) == [found]
            assert read(store.deduplication(1, (found.digest,), [(0, order - 1)], since_ms=0)) == []
            assert read(store.deduplication(1, (found.digest,), [(order + 1, 1 << 62)], since_ms=0)) == []
            assert read(store.deduplication(1, (found.digest,), [(0, 1 << 62)], since_ms=9_000 + order)) == []
        below, digests = 1 << 62, []
        while True:
            page = read(store.accepted(1, below, since_ms=0, limit=4_000))
            assert len(page.digests) // 16 in range(1_000, 6_500)
            digests += [page.digests[at : at + 16] for at in range(0, len(page.digests), 16)]
            if not page.more:
                break
            below = page.first
        assert sorted(digests) == sorted(b"%16d" % order for order in range(first, last + 1))

    def test_accepted_entries_are_read_from_the_newest_to_the_oldest(self, store: Store, commit: Any) -> None:
        digests = [bytes([number]) * 16 for number in range(10)]
        for number, digest in enumerate(digests):
            rows = DeduplicationRow(1, 10 * number, digest, 100 + number, "id"), entry(b"x", queue=2, order=number)
            commit(fill=lambda batch, rows=rows: [accept(batch, row) for row in rows])
            read(store.accepted(1, 0, since_ms=0, limit=1))  # a transaction of its own

        def page(below: int, since_ms: int = 0) -> tuple[set[bytes], AcceptedPage]:
            found = read(store.accepted(1, below, since_ms=since_ms, limit=4))
            return {found.digests[at : at + 16] for at in range(0, len(found.digests), 16)}, found

        newest, first = page(1 << 62)
        assert newest == set(digests[6:])
        assert (first.first, first.last, first.newest_ms, first.more) == (60, 90, 109, True)
        second = page(first.first)
        assert second[0] == set(digests[2:6])
        rest, last = page(second[1].first)
        assert rest == set(digests[:2])
        assert (last.first, last.last, last.newest_ms, last.more) == (0, 10, 101, False)
        young, edge = page(1 << 62, since_ms=107)
        assert young == set(digests[8:])
        assert (edge.first, edge.last, edge.more) == (80, 90, False)
        assert page(1 << 62, since_ms=109)[1].digests == b""
        assert page(0)[1].digests == b""

    def test_what_has_expired_is_cleared_away_and_nothing_else(self, store: Store, commit: Any) -> None:
        digests = [bytes([number]) * 16 for number in range(200)]

        def fill(batch: Batch) -> None:
            for number in range(10 * batch.number - 10, 10 * batch.number):
                batch.add_deduplication(1, digests[number], number, 5, "id")
                batch.add_deduplication(2, digests[number], number, 5, "id")

        for _ in range(20):
            commit(fill=fill)
            read(store.accepted(1, 0, since_ms=0, limit=1))  # a transaction of its own
        commit(fill=lambda batch: batch.forget_deduplication(1, 150))
        commit(fill=lambda batch: batch.forget_deduplication(1, 30))  # never takes it back
        while store.clear_dropped():
            pass
        found = read(store.deduplication(1, tuple(digests), [(0, 999)], since_ms=0))
        assert sorted(row.order for row in found) == list(range(150, 200))  # 150 came with some that have not expired
        assert len(read(store.deduplication(2, tuple(digests), [(0, 999)], since_ms=0))) == 200

    # ---- bulk work

    def test_a_dropped_generation_goes_in_slices_and_its_counters_at_once(
        self, store: Store, directory: Path, commit: Any
    ) -> None:
        numbers = range(1, 2001)
        commit(
            *(message(n) for n in numbers), *(lease(n, n) for n in numbers[:900]), message(5000, 2), lease(5000, 1, 2)
        )
        commit(fill=lambda batch: (batch.set_counters(counters(1)), batch.set_counters(counters(2))))
        commit(fill=lambda batch: batch.drop_generation(1))
        assert set(store.recover().counters) == {2}
        store.clear_dropped()
        store.close()
        again = self.make(directory)
        again.open()
        while again.clear_dropped():
            pass
        left = ids(read(again.messages((*numbers, 5000), content=False))), present(again), present(again, 2)
        leased = ids(read(again.in_flight(1, 0, now_ms=0, limit=9)))
        again.close()
        assert left == ([5000], [], [5000])
        assert leased == []

    def test_nothing_dropped_is_nothing_to_clear(self, store: Store, commit: Any) -> None:
        assert store.clear_dropped() is False
        commit(message(1))
        assert store.clear_dropped() is False
        assert ids(self.scan(store)) == [1]

    def test_a_backup_is_the_store_as_of_one_batch(self, store: Store, directory: Path, commit: Any) -> None:
        commit(message(1), fill=lambda batch: batch.put_resource("queue", "a", b"1"))
        copy = directory.parent / "copy"
        read(store.backup(str(copy)))
        commit(message(2))
        with pytest.raises(StoreError, match="exists"):
            read(store.backup(str(copy)))
        restored = self.restore(copy, directory.parent / "restored")
        recovered = restored.open()
        found = ids(self.scan(restored))
        granted = restored.grant_sequences(1)
        restored.close()
        assert (recovered.batch_number, recovered.resources) == (1, {("queue", "a"): b"1"})
        assert recovered.secret == store.recover().secret
        assert found == [1]
        assert granted.start > 0

    def restore(self, copy: Path, directory: Path) -> Store:
        """An unopened store on `directory` that holds what the backup `copy` holds."""
        raise NotImplementedError

    def test_checkpoint_and_vacuum_change_nothing(self, store: Store, commit: Any) -> None:
        commit(*(message(n) for n in range(1, 100)))
        before = self.scan(store)
        store.checkpoint()
        while store.vacuum():
            pass
        assert self.scan(store) == before

    def test_closing_twice_is_closing_once(self, store: Store) -> None:
        store.close()
        store.close()
