"""ReceiveRequestAttemptId: a receive whose reply was lost can be asked again. Source: SQS API Reference, ReceiveMessage."""

import pytest

from tests.conftest import MessageClock
from tests.sqs.queues import Queue, Received, refused


def shape(messages: list[Received]) -> list[tuple[str, str]]:
    return [(message["MessageId"], message["ReceiptHandle"]) for message in messages]


def attempt(queue: Queue, id: str, count: int = 10) -> list[Received]:
    return queue.receive(count, ReceiveRequestAttemptId=id)


def test_the_same_attempt_returns_the_same_messages_and_handles(fifo: Queue) -> None:
    fifo.send_in_group("g", "a", "b", "c")
    first = attempt(fifo, "one", 2)
    assert len(first) == 2
    assert shape(attempt(fifo, "one", 2)) == shape(first)
    assert fifo.counts() == (1, 2, 0)


def test_another_attempt_finds_the_group_locked(fifo: Queue) -> None:
    fifo.send_in_group("g", "a", "b")
    attempt(fifo, "one", 1)
    assert attempt(fifo, "two") == []
    assert fifo.receive() == []


def test_a_repeated_attempt_resets_the_visibility_timeout(fifo: Queue, clock: MessageClock) -> None:
    fifo.send_in_group("g", "a")
    attempt(fifo, "one")
    clock.advance(20)
    assert len(attempt(fifo, "one")) == 1
    clock.advance(29)
    assert fifo.receive() == []
    clock.advance(1)
    assert fifo.receive_bodies() == ["a"]


def test_the_handles_of_a_repeated_attempt_delete(fifo: Queue) -> None:
    fifo.send_in_group("g", "a")
    attempt(fifo, "one")
    (message,) = attempt(fifo, "one")
    fifo.delete(message)
    assert fifo.counts() == (0, 0, 0)


def test_an_attempt_is_forgotten_when_one_of_its_messages_was_deleted(fifo: Queue) -> None:
    fifo.send_in_group("g", "a", "b", "c")
    a, _ = attempt(fifo, "one", 2)
    fifo.delete(a)
    assert a["MessageId"] not in [message["MessageId"] for message in attempt(fifo, "one", 2)]


def test_an_attempt_is_forgotten_when_a_visibility_timeout_was_changed(fifo: Queue, clock: MessageClock) -> None:
    fifo.send_in_group("g", "a")
    (message,) = attempt(fifo, "one")
    fifo.change_visibility(message, 100)
    assert attempt(fifo, "one") == []
    clock.advance(100)
    assert fifo.receive_bodies() == ["a"]


def test_an_attempt_is_forgotten_after_five_minutes(fifo: Queue, clock: MessageClock) -> None:
    fifo.send_in_group("g", "a")
    fifo.receive(10, ReceiveRequestAttemptId="one", VisibilityTimeout=1_000)
    clock.advance(301)
    assert attempt(fifo, "one") == []


@pytest.mark.parametrize("id_", ["x" * 129, "a b", "ä"])
def test_an_attempt_id_has_up_to_128_letters_digits_and_punctuation(fifo: Queue, id_: str) -> None:
    with refused("InvalidParameterValue"):
        attempt(fifo, id_)
