"""Receives that wait: they wake by what happens, never by looking again. Source: SQS Developer Guide, long polling."""

import pytest

from broker.core import limits
from broker.core.queue import Queue
from broker.core.settings import Redrive
from tests.core.bench import Bench
from tests.core.polls import Poll


@pytest.fixture
def queue(bench: Bench) -> Queue:
    return bench.queue()


def test_a_send_wakes_the_first_that_came(bench: Bench, queue: Queue) -> None:
    first, second = Poll(bench, queue), Poll(bench, queue)
    bench.send(queue, "a")
    assert (first.answers, second.answers) == ([["a"]], [])
    bench.send(queue, "b")
    assert second.answers == [["b"]]


def test_one_send_of_several_wakes_several(bench: Bench, queue: Queue) -> None:
    polls = [Poll(bench, queue) for _ in range(3)]
    bench.send(queue, "a", "b", "c")
    assert [p.answers for p in polls] == [[["a"]], [["b"]], [["c"]]]


def test_the_end_of_a_delay_wakes(bench: Bench, queue: Queue) -> None:
    bench.send(queue, "a", delay_ms=5_000)
    poll = Poll(bench, queue)
    bench.advance(4_999)
    assert poll.answers == []
    bench.advance(1)
    assert poll.answers == [["a"]]


def test_the_end_of_a_visibility_timeout_wakes(bench: Bench, queue: Queue) -> None:
    bench.send(queue, "a")
    (delivery,) = bench.receive(queue, visibility_ms=10_000)
    poll = Poll(bench, queue)
    bench.advance(5_000)
    bench.call(bench.engine.change_visibility, queue, delivery.receipt_handle, 1_000)
    bench.advance(1_000)
    assert poll.answers == [["a"]]


def test_giving_a_message_back_wakes_at_once(bench: Bench, queue: Queue) -> None:
    bench.send(queue, "a")
    (delivery,) = bench.receive(queue)
    poll = Poll(bench, queue)
    bench.call(bench.engine.change_visibility, queue, delivery.receipt_handle, 0)
    assert poll.answers == [["a"]]


def test_a_group_that_is_unlocked_wakes(bench: Bench) -> None:
    fifo = bench.queue("q.fifo", fifo=True)
    bench.send(fifo, "a1", "a2", group="a")
    (delivery,) = bench.receive(fifo, 1)
    poll = Poll(bench, fifo)
    assert poll.answers == []
    bench.delete(fifo, delivery.receipt_handle)
    assert poll.answers == [["a2"]]


def test_a_dead_letter_wakes_whoever_waits_there(bench: Bench) -> None:
    dead = bench.queue("dead")
    work = bench.queue("work", redrive=Redrive(dead.name, 1))
    bench.send(work, "a")
    bench.receive(work, visibility_ms=0)
    poll = Poll(bench, dead)
    bench.receive(work)
    assert poll.answers == [["a"]]


def test_a_caller_that_has_gone_gets_nothing(bench: Bench, queue: Queue) -> None:
    gone, here = Poll(bench, queue), Poll(bench, queue)
    gone.connected = False
    bench.send(queue, "a")
    assert (gone.answers, here.answers) == ([[]], [["a"]])
    assert bench.counts(queue) == (0, 1, 0)


def test_the_wait_ends_by_message_time(bench: Bench, queue: Queue) -> None:
    poll = Poll(bench, queue, wait_ms=3_000)
    bench.advance(2_999)
    assert poll.answers == []
    bench.advance(1)
    assert poll.answers == [[]]
    bench.send(queue, "a")
    assert poll.answers == [[]]


def test_a_queue_that_is_deleted_sends_its_waiters_away(bench: Bench, queue: Queue) -> None:
    poll = Poll(bench, queue)
    bench.engine.delete_queue(queue)
    assert poll.answers == [None]


def test_absent_rows_send_the_first_back_to_ask_for_them(bench: Bench, queue: Queue) -> None:
    bench.send(queue, "a")
    (delivery,) = bench.receive(queue)
    bench.commit()
    queue.unload()
    first, second = Poll(bench, queue), Poll(bench, queue)
    bench.call(bench.engine.change_visibility, queue, delivery.receipt_handle, 0)
    assert (first.answers, second.answers) == ([None], [])
    assert bench.bodies(queue) == ["a"]


def test_idle_queues_and_polls_set_no_deadline_but_their_own_end(bench: Bench) -> None:
    for number in range(50):
        Poll(bench, bench.queue(f"q{number}"))
    assert bench.deadlines.next_ms() == bench.clock.now_ms() + 20_000


def test_waits_that_ended_early_leave_no_deadline(bench: Bench, queue: Queue) -> None:
    for _ in range(1_000):
        poll = Poll(bench, queue)
        bench.send(queue, "a")
        assert poll.answers == [["a"]]
        gone = Poll(bench, queue)
        bench.engine.stop_waiting(queue, gone.waiter)
    bench.call(bench.engine.purge_queue, queue)
    assert len(bench.deadlines._heap) < 200


def test_a_deleted_queue_leaves_no_deadline(bench: Bench, queue: Queue) -> None:
    bench.send(queue, "a", delay_ms=10_000)
    poll = Poll(bench, queue)
    bench.engine.delete_queue(queue)
    bench.engine.stop_waiting(queue, poll.waiter)
    assert bench.deadlines.next_ms() is None


@pytest.mark.interpreted
def test_beyond_the_limit_in_flight_a_receive_waits_for_room(
    bench: Bench, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "IN_FLIGHT_MAX", 2)
    # Source: SQS Developer Guide, Quotas: OverLimit is for short polling; "if you use long polling, no error messages".
    bench.send(queue, "a", "b", "c")
    first, _ = bench.receive(queue, 2)
    poll = Poll(bench, queue)
    bench.send(queue, "d")
    assert poll.answers == []
    bench.delete(queue, first.receipt_handle)
    assert poll.answers == [["c"]]
