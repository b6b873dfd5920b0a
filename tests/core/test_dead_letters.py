"""Redrive policies and message move tasks. Source: SQS Developer Guide, "Using dead-letter queues" and recorded replies."""

import pytest

from broker.core.absent import Yield
from broker.core.errors import UnsupportedOperation
from broker.core.limits import DEAD_LETTERS_PER_CALL
from broker.core.queue import Queue
from broker.core.settings import QueueName, QueueSettings, Redrive
from broker.errors import ServiceUnavailable
from tests.core.bench import Bench
from tests.core.polls import Poll

ARN = "arn:aws:sqs:us-east-1:000000000000:"


def pair(bench: Bench, suffix: str = "", receives: int = 1) -> tuple[Queue, Queue]:
    """A queue whose messages are dead after that many receives, and its dead-letter queue."""
    fifo = bool(suffix)
    dead = bench.queue(f"dead{suffix}", fifo=fifo)
    redrive = Redrive(QueueName("000000000000", "us-east-1", f"dead{suffix}"), receives)
    return bench.queue(f"work{suffix}", fifo=fifo, redrive=redrive), dead


def kill(bench: Bench, work: Queue, count: int = 10) -> None:
    """Receive once more than allowed."""
    bench.receive(work, count, 0)
    bench.receive(work, count, 0)


@pytest.mark.parametrize("suffix", ["", ".fifo"])
def test_a_message_moves_at_the_receive_beyond_the_maximum(bench: Bench, suffix: str) -> None:
    work, dead = pair(bench, suffix, receives=2)
    (message_id,) = bench.send(work, "a", group="g" if suffix else None)
    for _ in range(2):
        assert len(bench.receive(work, visibility_ms=1_000)) == 1
        bench.advance(1_000)
    assert bench.counts(work) == (1, 0, 0)
    assert bench.receive(work) == []
    assert bench.counts(work) == (0, 0, 0)
    (delivery,) = bench.receive(dead)
    assert delivery.content.message_id == message_id
    assert delivery.receive_count == 3
    assert delivery.source == ARN + f"work{suffix}"


def test_the_next_message_comes_in_the_same_call(bench: Bench) -> None:
    work, dead = pair(bench)
    bench.send(work, "dead")
    bench.receive(work, visibility_ms=0)
    bench.send(work, "alive")
    assert bench.bodies(work) == ["alive"]
    assert bench.counts(dead) == (1, 0, 0)


def test_one_call_moves_a_bounded_number_and_gives_way(bench: Bench) -> None:
    work, dead = pair(bench)
    bench.send(work, *(str(n) for n in range(250)))
    while bench.receive(work, visibility_ms=1_000):
        pass
    bench.advance(1_000)
    with pytest.raises(Yield):
        bench.engine.receive(work, 10, 0)
    moved = bench.counts(dead)[0]
    assert DEAD_LETTERS_PER_CALL <= moved <= DEAD_LETTERS_PER_CALL + 10
    assert bench.receive(work) == []
    assert bench.counts(dead) == (250, 0, 0)


def circle(bench: Bench) -> list[Queue]:
    """Three queues, each the dead-letter queue of the one before."""
    names = [QueueName("000000000000", "us-east-1", n) for n in ("one", "two", "three")]
    return [bench.queue(n.name, redrive=Redrive(names[(i + 1) % 3], 1)) for i, n in enumerate(names)]


def test_in_a_circle_of_dead_letter_queues_a_message_moves_once(bench: Bench) -> None:
    first, second, _ = circle(bench)
    bench.send(first, "a")
    bench.receive(first, visibility_ms=0)
    assert bench.receive(first) == []
    for _ in range(3):
        assert bench.bodies(second, visibility_ms=0) == ["a"]


def test_in_a_circle_of_dead_letter_queues_waiting_receives_come_to_rest(bench: Bench) -> None:
    queues = circle(bench)
    bench.send(queues[0], "a", "b")
    bench.receive(queues[0], visibility_ms=1_000)
    polls = [Poll(bench, queue) for queue in queues for _ in range(2)]
    bench.advance(1_000)
    assert [p.answers for p in polls] == [[None], [], [["a"]], [["b"]], [], []]


def test_a_queue_that_is_its_own_dead_letter_queue_keeps_its_messages(bench: Bench) -> None:
    queue = bench.queue("q", redrive=Redrive(QueueName("000000000000", "us-east-1", "q"), 1))
    bench.send(queue, "a")
    for _ in range(3):
        assert bench.bodies(queue, visibility_ms=0) == ["a"]


@pytest.mark.parametrize("suffix", ["", ".fifo"])
def test_who_waits_for_dead_letters_gets_them_after_the_receive_that_moves_them(bench: Bench, suffix: str) -> None:
    work, dead = pair(bench, suffix)
    group = "g" if suffix else None
    bench.send(work, "dead", group=group)
    bench.receive(work, visibility_ms=0)
    bench.send(work, "alive", group=group)
    poll = Poll(bench, dead)
    assert bench.bodies(work) == ["alive"]
    assert poll.answers == [["dead"]]


def test_dead_letter_queues_that_nobody_reads_leave_memory(bench: Bench) -> None:
    bench.ledger.memory_bytes_max = 100_000
    for n in range(20):
        dead = bench.queue(f"dead{n}")
        work = bench.queue(f"work{n}", redrive=Redrive(dead.name, 1))
        bench.send(work, *("x" * 1_000 for _ in range(10)))
        kill(bench, work)
    assert bench.ledger.memory_bytes <= 100_000


def test_without_its_dead_letter_queue_a_message_stays(bench: Bench) -> None:
    work, dead = pair(bench)
    bench.send(work, "a")
    bench.engine.delete_queue(dead)
    kill(bench, work)
    assert bench.receive(work)[0].receive_count == 3


def test_a_standard_queue_keeps_the_time_of_sending_and_a_fifo_queue_starts_anew(bench: Bench) -> None:
    for suffix in ("", ".fifo"):
        work, dead = pair(bench, suffix)
        sent_at = bench.clock.now_ms()
        bench.send(work, "a", group="g" if suffix else None)
        bench.advance(10_000)
        kill(bench, work)
        assert dead.oldest_ms == (bench.clock.now_ms() if suffix else sent_at)


def test_a_dead_letter_of_a_fifo_queue_goes_behind_what_is_there(bench: Bench) -> None:
    work, dead = pair(bench, ".fifo")
    bench.send(work, "first", group="g")
    bench.send(dead, "second", group="g")
    kill(bench, work)
    assert bench.bodies(dead) == ["second", "first"]


@pytest.mark.parametrize("suffix", ["", ".fifo"])
def test_a_move_task_takes_each_message_back_to_its_own_source(bench: Bench, suffix: str) -> None:
    work, dead = pair(bench, suffix)
    (message_id,) = bench.send(work, "a", group="g" if suffix else None)
    kill(bench, work)
    task = bench.call(bench.engine.moves.start, dead, None, None)
    assert (task.status, task.to_move) == ("RUNNING", 1)
    bench.settle_down()
    assert (task.status, task.moved) == ("COMPLETED", 1)
    (delivery,) = bench.receive(work)
    assert (delivery.content.message_id, delivery.receive_count, delivery.source) == (message_id, 1, None)


def test_a_task_may_have_another_destination(bench: Bench) -> None:
    work, dead = pair(bench)
    other = bench.queue("other")
    bench.send(work, *(str(n) for n in range(25)))
    kill(bench, work, 10)
    while bench.receive(work, visibility_ms=0):
        pass
    bench.call(bench.engine.moves.start, dead, other, None)
    bench.settle_down()
    assert bench.counts(other) == (25, 0, 0)
    assert bench.counts(dead) == (0, 0, 0)


def test_one_task_at_a_time_and_messages_in_flight_stay(bench: Bench) -> None:
    work, dead = pair(bench)
    bench.send(work, "a", "b")
    kill(bench, work)
    bench.receive(dead, 1)
    task = bench.call(bench.engine.moves.start, dead, None, None)
    with pytest.raises(UnsupportedOperation, match="There is already a task running"):
        bench.call(bench.engine.moves.start, dead, None, None)
    bench.settle_down()
    assert task.moved == 1
    assert bench.counts(dead) == (0, 1, 0)


def test_a_rate_is_kept_by_the_clock(bench: Bench) -> None:
    work, dead = pair(bench)
    bench.send(work, *(str(n) for n in range(10)))
    kill(bench, work)
    task = bench.call(bench.engine.moves.start, dead, None, 4)
    bench.settle_down()
    for moved in (4, 8, 10):
        assert task.moved == moved
        bench.advance(1_000)
    assert task.status == "COMPLETED"


def test_a_cancelled_task_stops_and_keeps_what_it_moved(bench: Bench) -> None:
    work, dead = pair(bench)
    bench.send(work, *(str(n) for n in range(10)))
    kill(bench, work)
    task = bench.call(bench.engine.moves.start, dead, None, 3)
    bench.settle_down()
    bench.engine.moves.cancel(task)
    assert task.status == "CANCELLING"
    bench.settle_down()
    bench.advance(10_000)
    assert (task.status, task.moved) == ("CANCELLED", 3)
    assert bench.counts(dead) == (7, 0, 0)


def test_a_message_without_a_source_fails_the_task(bench: Bench) -> None:
    _, dead = pair(bench)
    bench.send(dead, "sent here")
    task = bench.call(bench.engine.moves.start, dead, None, None)
    bench.settle_down()
    assert (task.status, task.failure) == ("FAILED", "CouldNotDetermineMessageSource")
    assert bench.counts(dead) == (1, 0, 0)


def test_a_restart_in_the_middle_neither_loses_nor_repeats(bench: Bench) -> None:
    work, dead = pair(bench)
    bench.send(work, *(str(n) for n in range(10)))
    kill(bench, work)
    started = bench.call(bench.engine.moves.start, dead, None, 3)
    bench.settle_down()
    bench.commit()
    bench.restart()
    task = bench.engine.moves.find(started.id)
    assert task is not None
    assert (task.status, task.moved) == ("RUNNING", 3)
    bench.settle_down()
    bench.advance(5_000)
    assert (task.status, task.moved) == ("COMPLETED", 10)
    assert bench.counts(bench.find("work")) == (10, 0, 0)


def test_of_tasks_that_began_at_the_same_instant_the_last_is_the_newest(bench: Bench) -> None:
    _, dead = pair(bench)
    started = []
    for _ in range(12):
        started.append(bench.call(bench.engine.moves.start, dead, None, None))
        bench.settle_down()
    assert bench.engine.moves.of_source(dead) == started[:1:-1]
    bench.commit()
    bench.restart()
    dead = bench.find("dead")
    assert [t.id for t in bench.engine.moves.of_source(dead)] == [t.id for t in started[:1:-1]]
    last = bench.call(bench.engine.moves.start, dead, None, None)
    assert [t.id for t in bench.engine.moves.of_source(dead)] == [last.id] + [t.id for t in started[:2:-1]]


def test_the_tasks_of_a_queue_go_with_it(bench: Bench) -> None:
    for _ in range(3):
        work, dead = pair(bench)
        bench.send(work, "a")
        kill(bench, work)
        bench.call(bench.engine.moves.start, dead, None, 1)
        bench.engine.delete_queue(dead)
        bench.engine.delete_queue(work)
        bench.settle_down()
    bench.commit()
    assert bench.engine.moves._tasks == {}
    assert not bench.store.resources


def test_a_task_that_lacks_sequence_numbers_moves_nothing(bench: Bench) -> None:
    work, dead = pair(bench, ".fifo")
    for n in range(20):
        bench.send(work, f"{n}", group=f"g{n}")
    for _ in range(2):
        kill(bench, work)
    grave = bench.queue("grave.fifo", fifo=True)
    bench.engine.configure_queue(dead, QueueSettings(fifo=True, redrive=Redrive(grave.name, 1)), {})
    task = bench.call(bench.engine.moves.start, dead, None, 1)
    bench.ledger._end = bench.ledger._next + 10
    bench.ledger._granted.clear()
    with pytest.raises(ServiceUnavailable):
        bench.call(bench.jobs[0])
    assert (task.moved, bench.counts(dead)) == (0, (20, 0, 0))
    bench.ledger.grant(bench.store.grant_sequences(1_000))
    bench.settle_down()
    assert task.moved == 20
    assert bench.counts(work) == (20, 0, 0)


def test_a_move_that_cannot_have_its_sequence_numbers_changes_nothing(bench: Bench) -> None:
    work, _ = pair(bench, ".fifo")
    target = bench.queue("target.fifo", fifo=True)
    for n in range(50):
        bench.send(work, f"{n}", group=f"g{n}")
    for _ in range(5):
        bench.receive(work, 10, 1_000)
    bench.advance(1_000)
    bench.call(bench.engine.moves.start, work, target, 10)
    numbers = bench.ledger
    numbers._next, numbers._granted = numbers._end - 30, []
    with pytest.raises(ServiceUnavailable):
        bench.call(bench.jobs[0])
    assert (bench.counts(work)[0], bench.counts(target)[0]) == (50, 0)
    bench.ledger.grant(bench.store.grant_sequences(1_000))
    bench.settle_down()
    assert (bench.counts(work)[0], bench.counts(target)[0]) == (0, 50)
