"""Delays: a message's own, the queue's, and what a delayed message counts as. Source: SQS Developer Guide, Delay queues."""

from tests.conftest import MessageClock
from tests.sqs.conftest import MakeQueue
from tests.sqs.queues import Queue, refused


def test_a_delayed_message_is_hidden_until_its_delay_ends(queue: Queue, clock: MessageClock) -> None:
    queue.send("a", DelaySeconds=10)
    assert queue.receive() == []
    clock.advance(9.999)
    assert queue.receive() == []
    clock.advance(0.001)
    assert queue.receive_bodies() == ["a"]


def test_the_longest_delay_is_15_minutes(queue: Queue, clock: MessageClock) -> None:
    queue.send("a", DelaySeconds=900)
    clock.advance(899)
    assert queue.receive() == []
    clock.advance(1)
    assert queue.receive_bodies() == ["a"]


def test_the_queues_delay_applies(make_queue: MakeQueue, clock: MessageClock) -> None:
    queue = make_queue(DelaySeconds="10")
    queue.send("a")
    assert queue.receive() == []
    clock.advance(10)
    assert queue.receive_bodies() == ["a"]


def test_the_messages_own_delay_comes_first(make_queue: MakeQueue, clock: MessageClock) -> None:
    queue = make_queue(DelaySeconds="10")
    queue.send("at once", DelaySeconds=0)
    queue.send("late", DelaySeconds=20)
    assert queue.receive_bodies() == ["at once"]
    clock.advance(10)
    assert queue.receive() == []
    clock.advance(10)
    assert queue.receive_bodies() == ["late"]


def test_delayed_messages_become_available_in_the_order_of_their_ends(queue: Queue, clock: MessageClock) -> None:
    queue.send("third", DelaySeconds=30)
    queue.send("first", DelaySeconds=10)
    queue.send("second", DelaySeconds=20)
    clock.advance(60)
    assert queue.receive_bodies() == ["first", "second", "third"]


def test_a_delayed_message_is_neither_visible_nor_in_flight(queue: Queue, clock: MessageClock) -> None:
    queue.send(DelaySeconds=10)
    assert queue.counts() == (0, 0, 1)
    clock.advance(10)
    assert queue.counts() == (1, 0, 0)


def test_a_delay_does_not_count_as_a_receive(queue: Queue, clock: MessageClock) -> None:
    queue.send(DelaySeconds=10)
    clock.advance(10)
    found = queue.receive_one(MessageSystemAttributeNames=["All"])["Attributes"]
    assert found["ApproximateReceiveCount"] == "1"
    assert int(found["ApproximateFirstReceiveTimestamp"]) == int(found["SentTimestamp"]) + 10_000


def test_the_delay_applies_once(make_queue: MakeQueue, clock: MessageClock) -> None:
    queue = make_queue(DelaySeconds="10", VisibilityTimeout="1")
    queue.send("a")
    clock.advance(10)
    queue.receive_one()
    clock.advance(1)
    assert queue.receive_bodies() == ["a"]


def test_a_fifo_message_cannot_have_a_delay_of_its_own(fifo: Queue) -> None:
    text = (
        "Value 2 for parameter DelaySeconds is invalid. "
        "Reason: The request include parameter that is not valid for this queue type."
    )
    with refused("InvalidParameterValue", text=text):
        fifo.send("a", MessageGroupId="g", MessageDeduplicationId="a", DelaySeconds=2)
    assert fifo.counts() == (0, 0, 0)


def test_a_fifo_message_may_say_zero_and_the_queues_delay_applies(make_queue: MakeQueue, clock: MessageClock) -> None:
    fifo = make_queue(FifoQueue="true", DelaySeconds="10")
    fifo.send("a", MessageGroupId="g", MessageDeduplicationId="a", DelaySeconds=0)
    assert fifo.receive() == []
    assert fifo.counts() == (0, 0, 1)
    clock.advance(10)
    assert fifo.receive_bodies() == ["a"]


def test_a_delayed_message_does_not_lock_its_group(make_queue: MakeQueue, clock: MessageClock) -> None:
    fifo = make_queue(FifoQueue="true", DelaySeconds="10")
    fifo.send_in_group("g", "a")
    clock.advance(10)
    fifo.send_in_group("g", "b")
    assert fifo.receive_bodies() == ["a"]


def test_delayed_fifo_messages_keep_their_order(make_queue: MakeQueue, clock: MessageClock) -> None:
    fifo = make_queue(FifoQueue="true", DelaySeconds="10")
    fifo.send_in_group("g", "a")
    clock.advance(5)
    fifo.send_in_group("g", "b")
    clock.advance(5)
    (first,) = fifo.receive(10)
    assert first["Body"] == "a"
    clock.advance(5)
    assert fifo.receive() == []
    fifo.delete(first)
    assert fifo.receive_bodies() == ["b"]
