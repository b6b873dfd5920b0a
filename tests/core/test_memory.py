"""What memory holds of a queue: exact prefixes, within limits, and nothing that is not given back."""

import pytest
from msgspec.structs import replace

from broker.core import limits
from broker.core.absent import Absent
from broker.core.errors import OverLimit
from broker.core.fifo import FifoQueue
from broker.core.message import Admitted
from broker.errors import ServiceUnavailable
from tests.core.bench import Bench
from tests.core.polls import Poll


def test_memory_is_given_back_when_messages_go(bench: Bench) -> None:
    for name, fifo in (("q", False), ("q.fifo", True)):
        queue = bench.queue(name, fifo=fifo)
        for n in range(60):
            bench.send(queue, f"{n}", group=f"g{n % 7}" if fifo or n % 2 else None)
        for n in range(5 if not fifo else 0):
            bench.send(queue, f"later-{n}", delay_ms=1_000)
        assert bench.ledger.memory_bytes > 0
        bench.advance(1_000)
        bench.settle_down()
        while deliveries := bench.receive(queue):
            for delivery in deliveries:
                bench.delete(queue, delivery.receipt_handle)
        assert queue.messages == 0
        deduplication_bytes = queue.deduplication.held_bytes if isinstance(queue, FifoQueue) else 0
        assert bench.ledger.memory_bytes == deduplication_bytes
        assert not queue.waiting.groups


@pytest.mark.parametrize("taken", [0, 1, 2, 7])
def test_what_a_page_brings_is_given_back_however_little_of_it_was_looked_at(bench: Bench, taken: int) -> None:
    queue = bench.queue()
    bench.send(queue, *(f"{n}" * n for n in range(9)))
    bench.commit()
    queue.unload()
    assert bench.ledger.memory_bytes == 0
    handles = [bench.receive(queue, 1)[0].receipt_handle for _ in range(taken + 1)]
    assert queue.held_bytes == bench.ledger.memory_bytes > 0
    for handle in handles:
        bench.delete(queue, handle)
    bench.send(queue, "behind them")
    bench.advance(queue.settings.retention_ms)
    bench.settle_down()
    assert bench.bodies(queue) == []
    assert (queue.messages, queue.waiting.count) == (0, 0)
    queue.unload()
    assert bench.ledger.memory_bytes == 0


def test_what_waits_behind_a_message_that_expires_is_received(bench: Bench) -> None:
    queue = bench.queue()
    bench.send(queue, "a", "b")
    bench.advance(1_000)
    bench.send(queue, "c", "d", "e")
    bench.commit()
    queue.unload()
    assert bench.bodies(queue, 1) == ["a"]
    bench.advance(queue.settings.retention_ms - 1_000)
    bench.settle_down()
    assert bench.bodies(queue) == ["c", "d", "e"]


def damage(bench: Bench, *places: int, content: bytes = b"damaged") -> None:
    """What was sent of messages at these places is not readable."""
    for rows in (bench.store.rows, *(rows for rows, _ in bench.store.past.values())):
        for number in [number for place, number in enumerate(list(rows)) if place in places]:
            rows[number] = replace(rows[number], content=content)


@pytest.mark.parametrize("content", [b"damaged", b"\x97\xa1\xff\x00\xa0\xa0\x90\xc0\xc0"])
def test_messages_behind_damaged_ones_are_neither_lost_nor_counted_twice(bench: Bench, content: bytes) -> None:
    queue = bench.queue()
    bench.send(queue, *"abcdefg")
    bench.commit()
    whole = dict(bench.store.rows)
    damage(bench, 4, 5, content=content)
    queue.unload()
    assert bench.bodies(queue, 2) == ["a", "b"]
    for _ in range(2):
        with pytest.raises(ServiceUnavailable, match="is damaged"):
            bench.receive(queue, 9)
    bench.send(queue, "h")
    assert (queue.messages, queue.held_bytes) == (8, bench.ledger.memory_bytes)
    bench.commit()
    bench.restart()
    bench.store.rows.update(whole)
    bench.store.past.clear()
    queue = bench.find()
    assert [*bench.bodies(queue), *bench.bodies(queue)] == [*"cdefgh"]


@pytest.mark.parametrize("fifo", [False, True])
def test_a_page_with_a_damaged_message_of_a_group_is_taken_in_whole_or_not_at_all(bench: Bench, fifo: bool) -> None:
    queue = bench.queue("q.fifo" if fifo else "q", fifo=fifo)
    bench.send(queue, *"abcdefg", group="g")
    bench.commit()
    whole = dict(bench.store.rows)
    damage(bench, 4)
    queue.unload()
    found: list[str] = []

    def receive_all() -> None:
        while deliveries := bench.receive(queue, 1):
            found.extend(delivery.body.decode() for delivery in deliveries)
            bench.delete(queue, deliveries[0].receipt_handle)

    with pytest.raises(ServiceUnavailable, match="is damaged"):
        receive_all()
    deduplication_bytes = queue.deduplication.held_bytes if isinstance(queue, FifoQueue) else 0
    assert queue.held_bytes == bench.ledger.memory_bytes - deduplication_bytes >= 0
    left = {number: row for number, row in whole.items() if row.body.decode() not in found}
    bench.store.rows.update(left)
    bench.store.past.clear()
    receive_all()
    assert found == [*"abcdefg"]


def test_damaged_messages_expire(bench: Bench) -> None:
    queue = bench.queue()
    bench.send(queue, *"abcdefg")
    bench.commit()
    damage(bench, 3, 4, 5)
    queue.unload()
    assert bench.bodies(queue, 1) == ["a"]
    bench.advance(queue.settings.retention_ms)
    bench.settle_down()
    assert (queue.messages, bench.ledger.memory_bytes) == (0, 0)


@pytest.mark.interpreted
def test_a_deep_queue_keeps_a_bounded_part_in_memory(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WAITING_MAX", 50)
    queue = bench.queue()
    for n in range(20):
        bench.send(queue, *(f"{n}-{m}" for m in range(10)))
    assert queue.waiting.count == 50
    found = []
    while bodies := bench.bodies(queue):
        found += bodies
        bench.settle_down()
    assert found == [f"{n}-{m}" for n in range(20) for m in range(10)]


def test_a_call_that_finds_rows_absent_changes_nothing(bench: Bench) -> None:
    queue = bench.queue()
    bench.send(queue, "a")
    bench.commit()
    queue.unload()
    before = queue.counters()
    with pytest.raises(Absent):
        bench.engine.receive(queue, 1, 30_000)
    assert queue.counters() == before
    assert not bench.journal.batch


def test_above_the_budget_the_queues_not_used_lately_leave_memory(bench: Bench) -> None:
    bench.ledger.memory_bytes_max = 100_000
    queues = [bench.queue(f"q{n}") for n in range(20)]
    for queue in queues:
        bench.send(queue, *("x" * 1_000 for _ in range(10)))
    assert bench.ledger.memory_bytes <= 120_000
    assert queues[0].waiting.count == 0
    assert queues[-1].waiting.count == 10
    for queue in queues:
        assert len(bench.receive(queue)) == 10


def test_bodies_of_any_size_stay_within_bounds(bench: Bench) -> None:
    queue = bench.queue()
    for n in range(12):
        bench.send(queue, f"{n}" * 1_000_000)
    assert queue.held_bytes < limits.WAITING_BYTES_MAX + 2_000_000
    found = []
    while bodies := bench.bodies(queue, 3):
        found += [body[: len(body) // 1_000_000] for body in bodies]
    assert found == [str(n) for n in range(12)]


def test_a_page_asks_for_few_more_than_the_bytes_of_the_last_one_had_room_for(bench: Bench) -> None:
    queue = bench.queue()
    for _ in range(12):
        bench.send(queue, "x" * 500_000)
    bench.commit()
    queue.unload()
    fitting = -(-limits.PAGE_BYTES // 500_000)  # the last of them fills the page
    asked = [queue.waiting.page_rows]
    while bench.receive(queue, 1):
        asked.append(queue.waiting.page_rows)
    assert (asked[0], set(asked[1:])) == (limits.PAGE_ROWS, {2 * fitting})


@pytest.mark.parametrize("fifo", [False, True])
def test_reading_ahead_takes_no_more_than_half_of_the_memory(bench: Bench, fifo: bool) -> None:
    queue = bench.queue("q.fifo" if fifo else "q", fifo=fifo)
    for n in range(100):
        group, deduplication_id = (f"g{n % 50}", str(n)) if fifo else (None, None)
        message = Admitted(b"%04d" % n * 25_000, "", (), None, group, deduplication_id, "me", None)
        bench.call(bench.engine.send, queue, [message])
    bench.commit()
    queue.unload()
    bench.ledger.memory_bytes_max = 4_000_000
    found = []
    while deliveries := bench.receive(queue, 1):
        bench.settle_down()
        assert bench.ledger.memory_bytes < 2_000_000 + limits.PAGE_BYTES + 200_000
        found += [delivery.body[:4].decode() for delivery in deliveries]
        bench.delete(queue, deliveries[0].receipt_handle)
    assert found == [f"{n:04}" for n in range(100)]


@pytest.mark.interpreted
def test_a_standard_queue_has_a_limit_in_flight(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IN_FLIGHT_MAX", 5)
    queue = bench.queue()
    bench.send(queue, *(str(n) for n in range(10)))
    assert len(bench.receive(queue)) == 5
    with pytest.raises(OverLimit):
        bench.receive(queue)
    bench.advance(30_000)
    assert len(bench.receive(queue)) == 5


@pytest.mark.interpreted
def test_a_fifo_queue_hands_out_no_more_and_says_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IN_FLIGHT_MAX", 2)
    queue = bench.queue("q.fifo", fifo=True)
    bench.send(queue, "a", "b", "c", group="g")
    bench.send(queue, "d", group="h")
    assert bench.bodies(queue) == ["a", "b"]
    assert bench.bodies(queue) == []


@pytest.mark.usefixtures("small_windows")
def test_a_lease_beyond_the_timed_window_is_deleted_without_asking_the_store(bench: Bench) -> None:
    queue = bench.queue()
    bench.send(queue, *(str(n) for n in range(20)), delay_ms=1_000)
    bench.advance(1_000)
    deliveries = bench.receive(queue, 2, 600_000)
    bench.commit()
    bench.engine.delete(queue, deliveries[0].receipt_handle)
    assert bench.counts(queue) == (18, 1, 0)


def test_stale_entries_among_ready_groups_do_not_pile_up(bench: Bench) -> None:
    queue = bench.queue("q.fifo", fifo=True)
    for n in range(2_000):
        bench.send(queue, str(n), group=f"g{n % 5}")
        for delivery in bench.receive(queue):
            bench.delete(queue, delivery.receipt_handle)
    assert len(queue.waiting._ready) < 100
    assert len(bench.deadlines._heap) < 100


def test_reads_that_nobody_waits_for_any_more_do_not_stay(bench: Bench) -> None:
    bench.ledger.memory_bytes_max = 1_000
    queue = bench.queue("q.fifo", fifo=True)
    bench.send(queue, "a", group="g")
    for _ in range(3):
        bench.receive(queue, visibility_ms=1_000)
        bench.commit()
        poll = Poll(bench, queue)
        bench.advance(1_000)
        assert poll.answers == [None]  # its body has left memory; and its caller has gone away meanwhile
        assert not queue.reads
