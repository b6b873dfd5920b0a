"""Retention: messages beyond MessageRetentionPeriod are gone, whatever their state, in slices. Source: SQS Developer Guide."""

import pytest

from broker.core.absent import Absent
from broker.core.fifo import FifoQueue
from broker.core.queue import Queue
from broker.core.settings import QueueSettings, Redrive
from tests.core.bench import Bench
from tests.core.polls import Poll

DAY_MS = 86_400_000


@pytest.fixture
def queue(bench: Bench) -> Queue:
    return bench.queue(retention_ms=60_000)


def test_a_message_is_gone_when_its_time_is_over(bench: Bench, queue: Queue) -> None:
    bench.send(queue, "a")
    bench.advance(59_999)
    assert bench.counts(queue) == (1, 0, 0)
    bench.advance(1)
    assert bench.counts(queue) == (0, 0, 0)


@pytest.mark.usefixtures("small_windows")
@pytest.mark.parametrize("unloaded", [False, True])
def test_visible_delayed_and_in_flight_ones_go(bench: Bench, queue: Queue, unloaded: bool) -> None:
    bench.send(queue, *(str(n) for n in range(10)))
    bench.send(queue, "later", delay_ms=120_000)
    bench.receive(queue, 3, 120_000)
    bench.advance(30_000)
    bench.send(queue, "young")
    if unloaded:
        queue.unload()
        bench.prefetched.clear()
    bench.advance(30_000)
    assert bench.counts(queue) == (1, 0, 0)
    assert bench.bodies(queue) == ["young"]


def test_a_deep_queue_is_cleared_in_slices(bench: Bench, queue: Queue) -> None:
    bench.send(queue, *(str(n) for n in range(1_200)))
    bench.clock.move_to(bench.clock.now_ms() + 60_000)
    bench.deadlines.run_due(bench.clock.now_ms())
    (job,) = bench.jobs
    steps = 0
    while bench.call(job):
        steps += 1
    assert steps >= 2
    assert bench.counts(queue) == (0, 0, 0)


def test_a_receive_never_hands_out_what_is_over(bench: Bench, queue: Queue) -> None:
    bench.send(queue, "old")
    bench.clock.move_to(bench.clock.now_ms() + 60_000)  # before the deadline has been run
    assert bench.receive(queue) == []


def test_a_shorter_period_applies_to_what_is_there(bench: Bench) -> None:
    queue = bench.queue()
    bench.send(queue, "a")
    bench.advance(120_000)
    bench.engine.configure_queue(queue, QueueSettings(retention_ms=60_000), {})
    bench.advance(0)
    assert bench.counts(queue) == (0, 0, 0)


def test_in_a_dead_letter_queue_time_goes_on(bench: Bench) -> None:
    dead = bench.queue("dead", retention_ms=60_000)
    work = bench.queue("work", redrive=Redrive(dead.name, 1))
    bench.send(work, "a")
    bench.advance(50_000)
    bench.receive(work, visibility_ms=0)
    bench.receive(work)
    assert bench.counts(dead) == (1, 0, 0)
    bench.advance(10_000)
    assert bench.counts(dead) == (0, 0, 0)


def test_it_goes_on_after_a_restart(bench: Bench, queue: Queue) -> None:
    bench.send(queue, "a")
    bench.commit()
    bench.restart()
    bench.advance(60_000)
    assert bench.counts(bench.find()) == (0, 0, 0)


def test_a_queue_that_was_emptied_expires_what_comes_later(bench: Bench, queue: Queue) -> None:
    for _ in range(3):
        bench.send(queue, "a")
        bench.advance(61_000)
        assert bench.counts(queue) == (0, 0, 0)


@pytest.mark.parametrize("fifo", [False, True])
def test_memory_is_given_back_as_messages_expire(bench: Bench, fifo: bool) -> None:
    queue = bench.queue("q.fifo" if fifo else "q", fifo=fifo, retention_ms=60_000)
    for n in range(20):
        bench.send(queue, f"{n}" * 1_000, group=f"g{n}" if fifo or n % 2 else None)
    bench.advance(60_000)
    assert bench.counts(queue) == (0, 0, 0)
    deduplication_bytes = queue.deduplication.held_bytes if isinstance(queue, FifoQueue) else 0
    assert bench.ledger.memory_bytes == deduplication_bytes
    assert not queue.waiting.groups


@pytest.mark.usefixtures("small_windows")
@pytest.mark.parametrize("fifo", [False, True])
def test_what_stands_behind_expired_messages_of_its_group_is_received(bench: Bench, fifo: bool) -> None:
    queue = bench.queue("q.fifo" if fifo else "q", fifo=fifo, retention_ms=60_000)
    bench.send(queue, "old1", "old2", group="g")
    bench.advance(30_000)
    bench.send(queue, "young1", "young2", group="g")
    bench.advance(30_000)
    assert bench.bodies(queue) == ["young1", "young2"]


def test_a_group_that_expiry_unlocks_wakes_whoever_waits(bench: Bench) -> None:
    fifo = bench.queue("q.fifo", fifo=True, retention_ms=60_000)
    bench.send(fifo, "old", group="g")
    bench.receive(fifo, visibility_ms=600_000)
    bench.advance(50_000)
    bench.send(fifo, "young", group="g")
    poll = Poll(bench, fifo)
    bench.advance(9_999)
    assert poll.answers == []
    bench.advance(1)
    assert poll.answers == [["young"]]


def test_an_old_message_that_is_moved_in_while_others_expire_expires_too(bench: Bench) -> None:
    dead = bench.queue("dead", retention_ms=60_000)
    work = bench.queue("work", redrive=Redrive(dead.name, 1))
    bench.send(dead, "older")
    bench.advance(10_000)
    bench.send(work, "old")
    bench.receive(work, visibility_ms=0)
    bench.advance(20_000)
    bench.send(dead, "young")
    bench.clock.move_to(bench.clock.now_ms() + 30_000)
    bench.deadlines.run_due(bench.clock.now_ms())
    (job,) = bench.jobs
    with pytest.raises(Absent) as absent:
        job()
    for read in absent.value.reads:
        bench.snapshot(read)
    assert bench.receive(work) == []  # "old" is moved, behind the backs of the reads
    for read in absent.value.reads:
        bench.fetch(read)
    bench.settle_down()
    assert bench.counts(dead) == (2, 0, 0)
    bench.advance(10_000)
    assert bench.counts(dead) == (1, 0, 0)
