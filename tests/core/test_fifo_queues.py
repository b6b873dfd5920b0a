"""FIFO queues: order and locks of groups, delays, repeated receives. Source: SQS Developer Guide; recorded replies."""

from typing import Any

import pytest

from broker.core import limits
from broker.core.absent import Absent, Read
from broker.core.arrivals import RUNS_MAX, Arrivals
from broker.core.errors import InvalidParameterValue
from broker.core.fifo import FifoQueue
from broker.core.queue import Queue
from broker.core.settings import QueueSettings, Redrive
from broker.core.window import Group
from tests.core.bench import Bench
from tests.core.polls import Poll


@pytest.fixture
def fifo(bench: Bench) -> Queue:
    return bench.queue("q.fifo", fifo=True)


def test_one_receive_takes_as_many_of_a_group_as_it_may_then_others(bench: Bench, fifo: Queue) -> None:
    for body in ("a1", "b1", "a2", "b2", "a3"):
        bench.send(fifo, body, group=body[0])
    assert bench.bodies(fifo, 4) == ["a1", "a2", "a3", "b1"]


def test_a_group_with_a_message_in_flight_is_locked(bench: Bench, fifo: Queue) -> None:
    bench.send(fifo, "a1", "a2", group="a")
    bench.send(fifo, "b1", group="b")
    (first,) = bench.receive(fifo, 1)
    assert bench.bodies(fifo) == ["b1"]
    bench.delete(fifo, first.receipt_handle)
    assert bench.bodies(fifo) == ["a2"]


def test_messages_behind_an_invisible_one_stay_hidden(bench: Bench, fifo: Queue) -> None:
    bench.send(fifo, "a1", "a2", "a3", group="a")
    first, second = bench.receive(fifo, 2)
    bench.call(bench.engine.change_visibility, fifo, second.receipt_handle, 0)
    assert bench.bodies(fifo) == []
    bench.call(bench.engine.change_visibility, fifo, first.receipt_handle, 0)
    assert bench.bodies(fifo) == ["a1", "a2", "a3"]


def test_messages_that_come_back_keep_their_order(bench: Bench, fifo: Queue) -> None:
    bench.send(fifo, "a1", "a2", "a3", "a4", group="a")
    deliveries = bench.receive(fifo, 3)
    bench.delete(fifo, deliveries[1].receipt_handle)
    bench.advance(30_000)
    assert bench.bodies(fifo) == ["a1", "a3", "a4"]


def test_an_expired_handle_does_not_delete(bench: Bench, fifo: Queue) -> None:
    bench.send(fifo, "a1", group="a")
    (delivery,) = bench.receive(fifo, visibility_ms=1_000)
    bench.advance(1_000)
    with pytest.raises(InvalidParameterValue, match="The receipt handle has expired"):
        bench.delete(fifo, delivery.receipt_handle)
    (again,) = bench.receive(fifo)
    with pytest.raises(InvalidParameterValue, match="The receipt handle has expired"):
        bench.delete(fifo, delivery.receipt_handle)
    bench.delete(fifo, again.receipt_handle)
    bench.delete(fifo, again.receipt_handle)


def test_locks_and_order_survive_a_restart(bench: Bench, fifo: Queue) -> None:
    bench.send(fifo, "a1", "a2", group="a")
    bench.send(fifo, "b1", group="b")
    (first,) = bench.receive(fifo, 1)
    bench.commit()
    bench.restart()
    fifo = bench.find("q.fifo")
    assert bench.bodies(fifo) == ["b1"]
    bench.delete(fifo, first.receipt_handle)
    assert bench.bodies(fifo) == ["a2"]


def test_sequence_numbers_have_20_digits_and_grow(bench: Bench, fifo: Queue) -> None:
    bench.send(fifo, "a1", "a2", group="a")
    numbers = [d.sequence_number or "" for d in bench.receive(fifo)]
    assert all(len(n) == 20 and n.isdigit() for n in numbers)
    assert numbers == sorted(set(numbers))


def test_the_queues_delay_hides_arrivals_and_applies_to_what_is_there(bench: Bench) -> None:
    queue = bench.queue("q.fifo", fifo=True, delay_ms=10_000)
    bench.send(queue, "a1", group="a")
    bench.advance(4_000)
    bench.send(queue, "b1", group="b")
    assert bench.bodies(queue) == []
    assert bench.counts(queue) == (0, 0, 2)
    bench.advance(6_000)
    assert bench.counts(queue) == (1, 0, 1)
    assert bench.bodies(queue) == ["a1"]
    bench.call(bench.engine.configure_queue, queue, QueueSettings(fifo=True), {})
    assert bench.counts(queue) == (1, 1, 0)
    assert bench.bodies(queue) == ["b1"]


def test_a_raised_delay_hides_what_was_never_received(bench: Bench, fifo: Queue) -> None:
    bench.send(fifo, "a1", group="a")
    bench.send(fifo, "b1", group="b")
    (delivery,) = bench.receive(fifo, 1)
    bench.call(bench.engine.configure_queue, fifo, QueueSettings(fifo=True, delay_ms=60_000), {})
    assert bench.counts(fifo) == (0, 1, 1)
    bench.call(bench.engine.change_visibility, fifo, delivery.receipt_handle, 0)
    assert bench.bodies(fifo) == ["a1"]
    bench.advance(60_000)
    assert bench.bodies(fifo) == ["a1", "b1"]


def test_an_attempt_that_is_repeated_gets_the_same_messages_and_handles(bench: Bench, fifo: Queue) -> None:
    bench.send(fifo, "a1", "a2", group="a")
    first = bench.call(bench.engine.receive, fifo, 1, 30_000, "attempt")
    bench.advance(20_000)
    again = bench.call(bench.engine.receive, fifo, 1, 30_000, "attempt")
    assert [d.receipt_handle for d in again] == [d.receipt_handle for d in first]
    assert again[0].receive_count == 1
    bench.advance(29_999)
    assert bench.counts(fifo) == (1, 1, 0)


def test_an_attempt_is_not_repeated_once_a_message_was_changed_or_five_minutes_passed(
    bench: Bench, fifo: Queue
) -> None:
    bench.send(fifo, "a1", "a2", group="a")
    (delivery,) = bench.call(bench.engine.receive, fifo, 1, 30_000, "attempt")
    bench.delete(fifo, delivery.receipt_handle)
    assert [d.body for d in bench.call(bench.engine.receive, fifo, 1, 600_000, "attempt")] == [b"a2"]
    bench.advance(300_000)
    assert bench.call(bench.engine.receive, fifo, 1, 600_000, "attempt") == []


def test_an_attempt_is_remembered_only_while_its_messages_are_in_flight(bench: Bench) -> None:
    queue = bench.queue("q.fifo", fifo=True)
    assert isinstance(queue, FifoQueue)
    for n in range(200):
        bench.send(queue, f"{n}a", f"{n}b", group="g")
        one, two = bench.call(bench.engine.receive, queue, 2, 1_000, f"attempt {n}")
        bench.delete(queue, one.receipt_handle)
        if n % 2:
            bench.delete(queue, two.receipt_handle)
        else:
            bench.advance(1_000)
            (two,) = bench.receive(queue)
            bench.delete(queue, two.receipt_handle)
    assert len(queue.attempts) == 0


def test_an_attempt_id_that_is_used_again_stands_for_the_newer_receive(bench: Bench, fifo: Queue) -> None:
    bench.send(fifo, "a1", "a2", group="a")
    bench.send(fifo, "b1", group="b")
    one, two = bench.call(bench.engine.receive, fifo, 2, 30_000, "attempt")
    bench.delete(fifo, one.receipt_handle)
    (newer,) = bench.call(bench.engine.receive, fifo, 2, 30_000, "attempt")
    bench.delete(fifo, two.receipt_handle)
    (again,) = bench.call(bench.engine.receive, fifo, 2, 30_000, "attempt")
    assert again.receipt_handle == newer.receipt_handle


@pytest.mark.usefixtures("small_windows")
def test_a_locked_group_at_the_front_does_not_hide_the_others(bench: Bench, fifo: Queue) -> None:
    bench.send(fifo, *(f"locked{n}" for n in range(40)), group="locked")
    bench.receive(fifo, 1, 600_000)
    bench.send(fifo, "b1", group="b")
    bench.commit()
    bench.restart()
    assert bench.bodies(bench.find("q.fifo")) == ["b1"]


def test_a_message_that_comes_back_while_the_store_is_read_is_as_it_is_now(bench: Bench, fifo: Queue) -> None:
    bench.send(fifo, "a1", group="a")
    (delivery,) = bench.receive(fifo, visibility_ms=600_000)
    bench.commit()
    bench.restart()
    fifo = bench.find("q.fifo")
    while fifo.waiting.scan is None:
        with pytest.raises(Absent) as absent:
            bench.engine.receive(fifo, 1, 30_000)
        if fifo.waiting.scan is None:
            for read in absent.value.reads:
                bench.fetch(read)
    scan = fifo.waiting.scan
    bench.snapshot(scan)  # the store answers while the message is in flight
    bench.engine.change_visibility(fifo, delivery.receipt_handle, 0)
    with pytest.raises(Absent):
        bench.engine.receive(fifo, 1, 30_000)
    bench.fetch(scan)
    assert bench.counts(fifo) == (1, 0, 0)
    assert [d.receive_count for d in bench.receive(fifo)] == [2]
    assert bench.counts(fifo) == (0, 1, 0)


def test_a_delay_that_changes_while_arrivals_are_read_is_counted_by_the_new_one(bench: Bench) -> None:
    fifo = bench.queue("q.fifo", fifo=True, delay_ms=20_000)
    bench.send(fifo, "a1", group="a")
    bench.commit()
    bench.restart()
    fifo = bench.find("q.fifo")
    assert isinstance(fifo, FifoQueue)
    while fifo._arrivals_read is None:
        for read in reads_for_counts(bench, fifo):
            if read is not fifo._arrivals_read:
                bench.fetch(read)
    read = fifo._arrivals_read
    bench.snapshot(read)
    bench.engine.configure_queue(fifo, QueueSettings(fifo=True, delay_ms=10_000), {})
    bench.send(fifo, "b1", group="b")
    bench.fetch(read)
    assert bench.counts(fifo) == (0, 0, 2)


def test_an_answer_for_the_old_delay_leaves_the_read_for_the_new_one_alone(bench: Bench) -> None:
    fifo = bench.queue("q.fifo", fifo=True, delay_ms=20_000)
    bench.send(fifo, "a1", group="a")
    assert bench.counts(fifo) == (0, 0, 1)
    bench.engine.configure_queue(fifo, QueueSettings(fifo=True, delay_ms=15_000), {})
    (old,) = reads_for_counts(bench, fifo)
    bench.engine.configure_queue(fifo, QueueSettings(fifo=True, delay_ms=10_000), {})
    (new,) = reads_for_counts(bench, fifo)
    bench.snapshot(new)
    bench.fetch(old)
    assert new in reads_for_counts(bench, fifo)
    bench.send(fifo, "b1", group="b")
    bench.fetch(new)
    assert bench.counts(fifo) == (0, 0, 2)


def reads_for_counts(bench: Bench, queue: Queue) -> tuple[Read, ...]:
    """What the store must answer before messages can be counted."""
    with pytest.raises(Absent) as absent:
        bench.engine.counts(queue)
    return absent.value.reads


def test_arrivals_at_many_instants_take_a_bounded_part_of_memory() -> None:
    arrivals = Arrivals(0)
    for at_ms in range(1, 100_001):
        arrivals.add(1, at_ms)
    assert len(arrivals._runs) <= RUNS_MAX
    assert arrivals.after(0) == 100_000
    assert arrivals.after(99_999) == 1


@pytest.mark.interpreted
def test_arrivals_are_read_in_bounded_runs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.core.fifo_reads.RUNS_MAX", 10)
    fifo = bench.queue("q.fifo", fifo=True, delay_ms=20_000)
    for n in range(100):
        bench.send(fifo, str(n), group="a")
        bench.advance(1)
    bench.commit()
    bench.restart()
    fifo = bench.find("q.fifo")
    assert isinstance(fifo, FifoQueue)
    assert bench.counts(fifo) == (0, 0, 100)
    assert len(fifo.arrivals._runs) == 10


class Counted(dict[str | None, Group]):
    """Groups, and how many were looked up."""

    looked_up = 0

    def get(self, *arguments: Any) -> Any:
        self.looked_up += 1
        return super().get(*arguments)


@pytest.mark.interpreted
def test_a_receive_looks_at_few_of_many_groups_that_must_be_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.core.limits.GROUP_MAX", 1)
    monkeypatch.setattr("broker.core.limits.WAITING_MAX", 300)
    fifo = bench.queue("q.fifo", fifo=True)
    assert isinstance(fifo, FifoQueue)
    for n in range(300):
        bench.send(fifo, f"a{n}", group=f"g{n}")
    for n in range(300):
        bench.send(fifo, f"b{n}", group=f"g{n}")
    for _ in range(30):
        for delivery in bench.receive(fifo):
            bench.delete(fifo, delivery.receipt_handle)
    assert len(fifo.hungry) == 300
    groups = fifo.waiting.groups = Counted(fifo.waiting.groups)
    with pytest.raises(Absent) as absent:
        bench.engine.receive(fifo, 10, 30_000)
    assert len(absent.value.reads) == 10
    assert groups.looked_up < 20
    assert sorted(body for _ in range(30) for body in bench.bodies(fifo)) == sorted(f"b{n}" for n in range(300))


@pytest.mark.interpreted
@pytest.mark.usefixtures("small_windows")
@pytest.mark.parametrize("restarted", [False, True])
def test_a_message_that_was_moved_in_is_received_while_those_before_it_are_delayed(
    bench: Bench, restarted: bool
) -> None:
    fifo = bench.queue("q.fifo", fifo=True, delay_ms=60_000)
    work = bench.queue("work.fifo", fifo=True, redrive=Redrive(fifo.name, 1))
    for n in range(40):
        bench.send(fifo, f"delayed-{n}", group=f"g{n}")
    bench.settle_down()
    assert bench.receive(fifo) == []
    for n in range(4):
        bench.send(work, f"dead-{n}", group=f"dead-{n % 2}")
    bench.send(work, "behind a delayed one", group="g39")
    for _ in range(4):
        bench.receive(work, visibility_ms=0)
        bench.settle_down()
    assert bench.counts(fifo) == (5, 0, 40)
    if restarted:
        bench.commit()
        bench.restart()
        fifo = bench.find("q.fifo")
    with pytest.raises(Absent):
        bench.engine.receive(fifo, 10, 30_000)
    found = bench.receive(fifo) + bench.receive(fifo)
    assert sorted(d.body for d in found) == [b"dead-0", b"dead-1", b"dead-2", b"dead-3"]
    assert bench.receive(fifo) == []
    assert bench.engine.receive(fifo, 10, 30_000) == []  # without asking the store again
    bench.advance(60_000)
    assert {d.body for _ in range(20) for d in bench.receive(fifo)} >= {b"delayed-39", b"behind a delayed one"}


def test_messages_that_wait_again_come_before_a_full_group_goes_on_in_the_store(
    bench: Bench, fifo: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GROUP_MAX", 2)
    bench.send(fifo, "a1", "a2", group="a")
    assert bench.bodies(fifo, 2, visibility_ms=0) == ["a1", "a2"]  # all that memory knows of the group is in flight
    assert bench.counts(fifo) == (2, 0, 0)  # and waits again
    bench.send(fifo, "a3", "a4", group="a")  # for which the group has no room
    assert bench.bodies(fifo, 1, visibility_ms=0) == ["a1"]
    assert bench.bodies(fifo, 1, visibility_ms=0) == ["a1"]


@pytest.mark.usefixtures("small_windows")
def test_a_dead_letter_is_received_though_a_delayed_backlog_arrived_before_it(bench: Bench) -> None:
    dead_letters = bench.queue("dead.fifo", fifo=True, delay_ms=60_000)
    source = bench.queue("q.fifo", fifo=True, redrive=Redrive(dead_letters.name, 1))
    for n in range(9):
        bench.send(dead_letters, f"later{n}", group=f"later{n}")
    bench.send(source, "dead", group="d")
    assert bench.bodies(source, visibility_ms=0) == ["dead"]
    assert bench.bodies(dead_letters) == []
    assert bench.bodies(source) == []
    assert bench.bodies(dead_letters) == ["dead"]
    bench.commit()
    bench.restart()
    dead_letters = bench.find("dead.fifo")
    bench.advance(30_000)
    assert bench.bodies(dead_letters) == ["dead"]
    bench.advance(30_000)
    found = [body for _ in range(5) for body in bench.bodies(dead_letters, 3)]
    assert sorted(found) == ["dead", *(f"later{n}" for n in range(9))]


@pytest.mark.usefixtures("small_windows")
def test_a_message_that_waits_again_is_received_though_a_delayed_backlog_arrived_before_it(
    bench: Bench, fifo: Queue
) -> None:
    bench.send(fifo, *(f"a{n}" for n in range(9)), group="a")
    bench.send(fifo, "b1", group="b")
    (first,) = bench.receive(fifo, 1)
    assert bench.bodies(fifo, 1, 1_000) == ["b1"]
    bench.call(bench.engine.configure_queue, fifo, QueueSettings(fifo=True, delay_ms=60_000), {})
    bench.delete(fifo, first.receipt_handle)
    bench.advance(1_000)
    bench.commit()
    bench.restart()
    fifo = bench.find("q.fifo")
    assert bench.bodies(fifo, 1, 1_000) == ["b1"]
    bench.advance(1_000)
    assert bench.bodies(fifo, 1, 1_000) == ["b1"]


@pytest.mark.usefixtures("small_windows")
def test_a_group_that_is_read_further_than_the_others_says_nothing_of_their_delay(bench: Bench) -> None:
    queue = bench.queue("q.fifo", fifo=True, delay_ms=10_000)
    bench.send(queue, *(f"a{n}" for n in range(4)), group="a")
    bench.advance(10_000)
    for n in range(6):
        bench.send(queue, f"b{n}", group=f"b{n}")
    bench.advance(9_000)
    bench.send(queue, "a4", group="a")
    bench.commit()
    bench.restart()
    queue = bench.find("q.fifo")
    while deliveries := bench.receive(queue, 1):
        bench.delete(queue, deliveries[0].receipt_handle)
    bench.advance(1_000)
    found = [body for _ in range(6) for body in bench.bodies(queue, 1)]
    assert found == [f"b{n}" for n in range(6)]


@pytest.mark.usefixtures("small_windows")
def test_a_waiting_receive_wakes_when_the_delay_of_what_only_the_store_holds_ends(bench: Bench) -> None:
    queue = bench.queue("q.fifo", fifo=True, delay_ms=10_000)
    bench.send(queue, "a0", group="a")
    bench.advance(10_000)
    assert bench.bodies(queue, visibility_ms=600_000) == ["a0"]
    bench.send(queue, *(f"a{n}" for n in range(1, 4)), group="a")
    for n in range(3):
        bench.send(queue, f"b{n}", group=f"b{n}")
    bench.commit()
    bench.restart()
    queue = bench.find("q.fifo")
    assert bench.bodies(queue) == []
    poll = Poll(bench, queue)
    bench.advance(10_000)
    assert poll.answers in ([None], [["b0"]])


@pytest.mark.interpreted
def test_few_groups_share_the_window(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each would be read on its own from its hundredth message on."""
    for name, size in {"WAITING_MAX": 90, "WAITING_LOW": 20, "PAGE_ROWS": 30, "GROUP_MAX": 10}.items():
        monkeypatch.setattr(limits, name, size)
    fifo = bench.queue("q.fifo", fifo=True)
    for n in range(40):
        for group in "abc":
            bench.send(fifo, f"{group}{n}", group=group)
    assert {name: len(group.messages) for name, group in fifo.waiting.groups.items()} == {"a": 30, "b": 30, "c": 30}
    bench.commit()
    fifo.unload()
    found: list[str] = []
    while deliveries := bench.receive(fifo):
        found += [delivery.body.decode() for delivery in deliveries]
        bench.settle_down()
        assert not any(group.more for group in fifo.waiting.groups.values())
        for delivery in deliveries:
            bench.delete(fifo, delivery.receipt_handle)
    assert sorted(found) == sorted(f"{group}{n}" for n in range(40) for group in "abc")


def test_what_was_deleted_is_not_there_when_a_group_is_read_again(bench: Bench, fifo: Queue) -> None:
    """Room was made while some of its messages were gone, and others in flight: an earlier state of the store has them all."""
    bench.send(fifo, "a1", "a2", "a3", "a4", group="a")
    bench.commit()
    first, second, third = bench.receive(fifo, 3)
    bench.delete(fifo, second.receipt_handle)
    bench.call(bench.engine.change_visibility, fifo, first.receipt_handle, 0)
    assert bench.receive(fifo) == []
    bench.commit()
    fifo.forget_waiting(fifo.waiting.group("a"))
    assert bench.receive(fifo) == []
    bench.call(bench.engine.change_visibility, fifo, third.receipt_handle, 0)
    assert bench.bodies(fifo) == ["a1", "a3", "a4"]


def test_what_is_deleted_beyond_the_window_is_not_in_the_next_page(bench: Bench) -> None:
    """It was received before a restart, and no page has come so far: an earlier state of the store still has it."""
    fifo = bench.queue("q.fifo", fifo=True)
    bench.send(fifo, "a1", "a2", group="a")
    one, _ = bench.receive(fifo, 2)
    bench.commit()
    bench.restart()
    fifo = bench.find("q.fifo")
    bench.counts(fifo)
    bench.delete(fifo, one.receipt_handle)
    bench.advance(30_000)
    assert bench.bodies(fifo) == ["a2"]


def test_large_messages_of_one_group_stay_within_bounds(bench: Bench) -> None:
    """The group is locked: a receive looks past it for others, and keeps no more of it than there is room for."""
    fifo = bench.queue("q.fifo", fifo=True)
    for n in range(300):
        bench.send(fifo, f"{n:05}" + "x" * 50_000, group="a")
    bench.send(fifo, "b", group="b")
    bench.commit()
    bench.restart()
    fifo = bench.find("q.fifo")
    assert len(bench.receive(fifo, 10)) == 10
    assert bench.bodies(fifo, 10) == ["b"]
    assert fifo.waiting.count <= limits.GROUP_MAX + 1
    bench.advance(30_000)
    found: list[str] = []
    while deliveries := bench.receive(fifo):
        found += [delivery.body.decode()[:5] for delivery in deliveries]
        assert fifo.waiting.count <= limits.GROUP_MAX + 1
        for delivery in deliveries:
            bench.delete(fifo, delivery.receipt_handle)
        bench.settle_down()
    assert sorted(found) == [*(f"{n:05}" for n in range(300)), "b"]


@pytest.mark.interpreted
def test_what_was_deleted_is_not_in_a_page_of_the_queue_after_its_group_was_left_to_the_store(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was read with its group, further than the queue, whose next page may be of an earlier state of the store."""
    for name, size in {"WAITING_MAX": 3, "WAITING_LOW": 0, "PAGE_ROWS": 4, "GROUP_MAX": 3}.items():
        monkeypatch.setattr(limits, name, size)
    fifo = bench.queue("q.fifo", fifo=True)
    bench.send(fifo, "a0", "a1", "a2", "a3", group="a")
    bench.send(fifo, "b0", group="b")
    bench.send(fifo, "a4", "a5", group="a")
    for n in range(20):
        bench.send(fifo, f"c{n}", group=f"c{n}")
    bench.send(fifo, "a6", group="a")
    for n in range(9):
        bench.send(fifo, f"d{n}", group=f"d{n}")
    bench.commit()
    fifo.unload()
    handles: dict[str, str] = {}

    def receive() -> list[str]:
        deliveries = bench.receive(fifo, 10, 600_000)
        handles.update((delivery.body.decode(), delivery.receipt_handle) for delivery in deliveries)
        bench.commit()
        bench.settle_down()
        return [delivery.body.decode() for delivery in deliveries]

    def delete(*bodies: str) -> None:
        for body in bodies:
            bench.delete(fifo, handles.pop(body))
        bench.commit()

    def bring_back(*bodies: str) -> None:
        for body in bodies:
            bench.call(bench.engine.change_visibility, fifo, handles[body], 0)
        bench.commit()

    receive()
    delete("a0", "a1")
    receive()
    while "a6" not in handles:
        delete(*(body for body in handles if body[0] != "a"))
        bring_back(*handles)
        receive()
    delete("a6")
    bring_back("a3", "a4", "a5")
    seen = receive()
    delete(*seen, "a2")
    while bodies := receive():
        seen += bodies
        delete(*bodies)
    assert "a6" not in seen
    assert bench.counts(fifo) == (0, 0, 0)
