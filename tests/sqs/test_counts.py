"""Visible, in flight and delayed are disjoint and add up to the messages that are there. Source: API Reference; A2."""

from tests.conftest import MessageClock
from tests.sqs.conftest import MakeQueue
from tests.sqs.queues import Queue, Sqs


def test_a_messages_life_in_counts(queue: Queue, clock: MessageClock) -> None:
    assert queue.counts() == (0, 0, 0)
    queue.send(DelaySeconds=5)
    assert queue.counts() == (0, 0, 1)
    clock.advance(5)
    assert queue.counts() == (1, 0, 0)
    message = queue.receive_one()
    assert queue.counts() == (0, 1, 0)
    clock.advance(30)
    assert queue.counts() == (1, 0, 0)
    queue.delete(message)
    assert queue.counts() == (0, 0, 0)


def test_counts_add_up_whatever_is_done(queue: Queue, clock: MessageClock) -> None:
    queue.send_many([str(number) for number in range(40)])
    queue.send_many([str(number) for number in range(10)], DelaySeconds=60)
    assert queue.counts() == (40, 0, 10)
    first = queue.receive(10)
    second = queue.receive(10, VisibilityTimeout=120)
    assert queue.counts() == (20, 20, 10)
    for message in first[:5]:
        queue.delete(message)
    assert queue.counts() == (20, 15, 10)
    for message in second[:3]:
        queue.change_visibility(message, 0)
    assert queue.counts() == (23, 12, 10)
    clock.advance(30)
    assert queue.counts() == (28, 7, 10)
    clock.advance(30)
    assert queue.counts() == (38, 7, 0)
    clock.advance(60)
    assert queue.counts() == (45, 0, 0)


def test_a_received_message_that_was_deleted_by_an_old_handle_is_not_counted(queue: Queue) -> None:
    queue.send()
    older = queue.receive_one(VisibilityTimeout=0)
    queue.receive_one()
    assert queue.counts() == (0, 1, 0)
    queue.delete(older)
    assert queue.counts() == (0, 0, 0)


def test_messages_behind_a_locked_group_are_counted_as_visible(fifo: Queue) -> None:
    fifo.send_in_group("g", "a", "b", "c")
    fifo.receive_one()
    assert fifo.counts() == (2, 1, 0)


def test_a_dead_letter_is_counted_where_it_is(queue: Queue, make_queue: MakeQueue) -> None:
    dead = make_queue("dead")
    queue.redrive_to(dead, 1)
    queue.send_many(["a", "b", "c"])
    queue.receive(3, VisibilityTimeout=0)
    assert queue.receive(10) == []
    assert queue.counts() == (0, 0, 0)
    assert dead.counts() == (3, 0, 0)


def test_a_duplicate_is_not_counted(fifo: Queue) -> None:
    fifo.send_in_group("g", "a", "a", "b")
    assert fifo.counts() == (2, 0, 0)


def test_counting_changes_nothing(sqs: Sqs, queue: Queue) -> None:
    queue.send()
    for _ in range(5):
        queue.counts()
    received = queue.receive_one(MessageSystemAttributeNames=["ApproximateReceiveCount"])
    assert received["Attributes"]["ApproximateReceiveCount"] == "1"
