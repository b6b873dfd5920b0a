"""Retention: a message's age counts from its sending, whatever else happens to it. Source: SQS API Reference; A2."""

from tests.conftest import MessageClock
from tests.sqs.conftest import MakeQueue
from tests.sqs.queues import Queue

DAY = 86_400


def test_a_message_is_kept_for_four_days(queue: Queue, clock: MessageClock) -> None:
    queue.send("a")
    clock.advance(4 * DAY - 1)
    assert queue.receive_bodies(VisibilityTimeout=0) == ["a"]
    clock.advance(1)
    assert queue.receive() == []
    assert queue.counts() == (0, 0, 0)


def test_the_queues_own_period_applies(make_queue: MakeQueue, clock: MessageClock) -> None:
    queue = make_queue(MessageRetentionPeriod="60")
    queue.send("older")
    clock.advance(30)
    queue.send("younger")
    clock.advance(30)
    assert queue.receive_bodies(VisibilityTimeout=0) == ["younger"]
    clock.advance(30)
    assert queue.receive() == []


def test_fourteen_days_is_the_longest(make_queue: MakeQueue, clock: MessageClock) -> None:
    queue = make_queue(MessageRetentionPeriod=str(14 * DAY))
    queue.send("a")
    clock.advance(14 * DAY - 1)
    assert queue.receive_bodies(VisibilityTimeout=0) == ["a"]
    clock.advance(1)
    assert queue.receive() == []


def test_a_message_in_flight_expires_too(make_queue: MakeQueue, clock: MessageClock) -> None:
    queue = make_queue(MessageRetentionPeriod="60")
    queue.send("a")
    queue.receive_one(VisibilityTimeout=100)
    assert queue.counts() == (0, 1, 0)
    clock.advance(60)
    assert queue.counts() == (0, 0, 0)
    clock.advance(100)
    assert queue.receive() == []


def test_a_delayed_message_expires_too(make_queue: MakeQueue, clock: MessageClock) -> None:
    queue = make_queue(MessageRetentionPeriod="60")
    queue.send("a", DelaySeconds=90)
    assert queue.counts() == (0, 0, 1)
    clock.advance(60)
    assert queue.counts() == (0, 0, 0)


def test_a_receive_does_not_renew_it(make_queue: MakeQueue, clock: MessageClock) -> None:
    queue = make_queue(MessageRetentionPeriod="60")
    queue.send("a")
    clock.advance(50)
    queue.receive_one(VisibilityTimeout=0)
    clock.advance(10)
    assert queue.receive() == []


def test_a_shorter_period_applies_to_messages_that_are_there(queue: Queue, clock: MessageClock) -> None:
    queue.send("a")
    clock.advance(100)
    queue.set(MessageRetentionPeriod="60")
    assert queue.receive() == []
    assert queue.counts() == (0, 0, 0)


def test_a_longer_period_applies_to_messages_that_are_there(make_queue: MakeQueue, clock: MessageClock) -> None:
    queue = make_queue(MessageRetentionPeriod="60")
    queue.send("a")
    queue.set(MessageRetentionPeriod="600")
    clock.advance(599)
    assert queue.receive_bodies(VisibilityTimeout=0) == ["a"]
    clock.advance(1)
    assert queue.receive() == []


def test_an_expired_message_unlocks_its_group(make_queue: MakeQueue, clock: MessageClock) -> None:
    fifo = make_queue(FifoQueue="true", MessageRetentionPeriod="60")
    fifo.send_in_group("g", "a")
    fifo.receive_one(VisibilityTimeout=1_000)
    clock.advance(30)
    fifo.send_in_group("g", "b")
    assert fifo.receive() == []
    clock.advance(30)
    assert fifo.receive_bodies() == ["b"]


def test_age_is_kept_when_a_message_moves_to_a_standard_dead_letter_queue(
    make_queue: MakeQueue, clock: MessageClock
) -> None:
    queue, dead = make_queue("source"), make_queue("dead", MessageRetentionPeriod="100")
    queue.redrive_to(dead, 1)
    queue.send("a")
    clock.advance(60)
    queue.receive_one(VisibilityTimeout=0)
    assert queue.receive() == []
    clock.advance(39)
    assert dead.receive_bodies(VisibilityTimeout=0) == ["a"]
    clock.advance(1)
    assert dead.receive() == []


def test_age_counts_anew_when_a_message_moves_to_a_fifo_dead_letter_queue(
    make_queue: MakeQueue, clock: MessageClock
) -> None:
    queue, dead = (
        make_queue("source", FifoQueue="true"),
        make_queue("dead", FifoQueue="true", MessageRetentionPeriod="100"),
    )
    queue.redrive_to(dead, 1)
    queue.send_in_group("g", "a")
    clock.advance(60)
    queue.receive_one(VisibilityTimeout=0)
    assert queue.receive() == []
    clock.advance(99)
    assert dead.receive_bodies(VisibilityTimeout=0) == ["a"]
    clock.advance(1)
    assert dead.receive() == []
