"""Long polling: a receive waits for a message and wakes for each reason that makes one available.

A poll is a request on a connection of its own whose reply is read later, so no test needs a thread or a sleep.
Source: SQS Developer Guide, Short and long polling and recorded replies.
"""

import select
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from tests.conftest import MessageClock, RunningBroker
from tests.sqs.conftest import MakeQueue
from tests.sqs.queues import Queue, Sqs
from tests.sqs.wire_clients import JsonClient, QueryClient, RawConnection, credential, raw_request, read_answer


class Poll:
    """A ReceiveMessage whose reply is awaited by the test."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    @property
    def answered(self) -> bool:
        return bool(select.select([self.connection.sock], [], [], 0)[0])

    def bodies(self) -> list[str]:
        """The bodies of the reply, which must come now."""
        answer = read_answer(self.connection.getresponse())
        assert answer.status == 200, answer.body
        return [message["Body"] for message in answer.json.get("Messages", [])]

    def status(self) -> int:
        return read_answer(self.connection.getresponse()).status


StartPoll = Callable[..., Poll]


@pytest.fixture
def start_poll(sqs_json: JsonClient, broker: RunningBroker) -> Iterator[StartPoll]:
    """Starts a poll and returns when the broker holds it."""
    with ExitStack() as stack:

        def start(queue: Queue, **parameters: Any) -> Poll:
            payload = {"QueueUrl": queue.url, "WaitTimeSeconds": 20, "MaxNumberOfMessages": 10} | parameters
            payload = {name: value for name, value in payload.items() if value is not None}
            poll = Poll(stack.enter_context(closing(sqs_json.start("ReceiveMessage", payload))))
            broker.settle()
            return poll

        yield start


def test_a_poll_returns_at_once_when_there_is_a_message(queue: Queue, start_poll: StartPoll) -> None:
    queue.send("a")
    assert start_poll(queue).bodies() == ["a"]


def test_a_poll_wakes_when_a_message_is_sent(queue: Queue, start_poll: StartPoll) -> None:
    poll = start_poll(queue)
    assert not poll.answered
    queue.send("a")
    assert poll.bodies() == ["a"]


def test_a_poll_wakes_when_a_batch_is_sent(queue: Queue, start_poll: StartPoll) -> None:
    poll = start_poll(queue)
    queue.send_many(["a", "b"])
    first = poll.bodies()
    assert first
    assert set(first + queue.receive_bodies()) == {"a", "b"}


def test_a_poll_wakes_when_a_delay_ends(queue: Queue, start_poll: StartPoll, clock: MessageClock) -> None:
    queue.send("a", DelaySeconds=10)
    poll = start_poll(queue)
    clock.advance(9)
    assert not poll.answered
    clock.advance(1)
    assert poll.bodies() == ["a"]


def test_a_poll_wakes_when_a_visibility_timeout_ends(queue: Queue, start_poll: StartPoll, clock: MessageClock) -> None:
    queue.send("a")
    queue.receive_one(VisibilityTimeout=10)
    poll = start_poll(queue)
    clock.advance(9)
    assert not poll.answered
    clock.advance(1)
    assert poll.bodies() == ["a"]


def test_a_poll_wakes_when_a_visibility_timeout_is_changed_to_zero(queue: Queue, start_poll: StartPoll) -> None:
    queue.send("a")
    message = queue.receive_one()
    poll = start_poll(queue)
    queue.change_visibility(message, 0)
    assert poll.bodies() == ["a"]


def test_a_poll_wakes_when_a_group_unlocks(fifo: Queue, start_poll: StartPoll) -> None:
    fifo.send_in_group("g", "a", "b")
    first = fifo.receive_one()
    poll = start_poll(fifo)
    assert not poll.answered
    fifo.delete(first)
    assert poll.bodies() == ["b"]


def test_a_poll_wakes_when_a_dead_letter_arrives(queue: Queue, make_queue: MakeQueue, start_poll: StartPoll) -> None:
    dead = make_queue("dead")
    queue.redrive_to(dead, 1)
    queue.send("a")
    queue.receive_one(VisibilityTimeout=0)
    poll = start_poll(dead)
    assert queue.receive() == []
    assert poll.bodies() == ["a"]


def test_a_poll_ends_empty_after_its_time(queue: Queue, start_poll: StartPoll, clock: MessageClock) -> None:
    poll = start_poll(queue)
    clock.advance(19)
    assert not poll.answered
    clock.advance(1)
    assert poll.bodies() == []


def test_a_poll_of_one_second_ends_after_one(queue: Queue, start_poll: StartPoll, clock: MessageClock) -> None:
    poll = start_poll(queue, WaitTimeSeconds=1)
    clock.advance(1)
    assert poll.bodies() == []


def test_the_queues_own_wait_applies(make_queue: MakeQueue, start_poll: StartPoll, clock: MessageClock) -> None:
    queue = make_queue(ReceiveMessageWaitTimeSeconds="5")
    poll = start_poll(queue, WaitTimeSeconds=None)
    clock.advance(4)
    assert not poll.answered
    clock.advance(1)
    assert poll.bodies() == []


def test_the_receives_own_wait_comes_first(make_queue: MakeQueue) -> None:
    queue = make_queue(ReceiveMessageWaitTimeSeconds="20")
    before = time.monotonic()
    assert queue.receive(WaitTimeSeconds=0) == []
    assert time.monotonic() - before < 10


def test_an_empty_poll_through_the_query_protocol(
    queue: Queue, sqs_query: QueryClient, broker: RunningBroker, clock: MessageClock
) -> None:
    body = f"Action=ReceiveMessage&Version=2012-11-05&WaitTimeSeconds=20&QueueUrl={queue.url}".encode()
    headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Authorization", credential(sqs_query.account)),
    ]
    with RawConnection(broker.address) as connection:
        connection.send(raw_request("POST", "/", headers, body))
        broker.settle()
        clock.advance(20)
        answer = connection.answer()
    assert answer.status == 200
    assert answer.texts("ReceiveMessageResult/Message") == []


def test_one_message_goes_to_one_poll(queue: Queue, start_poll: StartPoll) -> None:
    polls = [start_poll(queue) for _ in range(3)]
    for body in ("a", "b", "c"):
        queue.send(body)
    assert sorted(body for poll in polls for body in poll.bodies()) == ["a", "b", "c"]
    assert queue.counts() == (0, 3, 0)


def test_a_poll_on_another_queue_is_not_woken(
    queue: Queue, make_queue: MakeQueue, start_poll: StartPoll, clock: MessageClock
) -> None:
    poll = start_poll(make_queue("other"))
    queue.send("a")
    assert not poll.answered
    clock.advance(20)
    assert poll.bodies() == []


def test_a_polled_message_is_hidden_from_when_it_was_handed_out(
    queue: Queue, start_poll: StartPoll, clock: MessageClock
) -> None:
    poll = start_poll(queue)
    clock.advance(15)
    queue.send("a")
    assert poll.bodies() == ["a"]
    clock.advance(29)
    assert queue.receive() == []
    clock.advance(1)
    assert queue.receive_bodies() == ["a"]


def test_a_poll_ends_when_its_queue_is_deleted(sqs: Sqs, queue: Queue, start_poll: StartPoll) -> None:
    poll = start_poll(queue)
    sqs.delete_queue(QueueUrl=queue.url)
    assert poll.status() in (200, 400)


def test_a_poll_on_a_deleted_queue_does_not_see_its_successor(sqs: Sqs, queue: Queue, start_poll: StartPoll) -> None:
    start_poll(queue)
    sqs.delete_queue(QueueUrl=queue.url)
    sqs.create_queue(QueueName=queue.name)
    queue.send("a")
    assert queue.receive_bodies() == ["a"]


def test_a_poll_survives_a_purge(sqs: Sqs, queue: Queue, start_poll: StartPoll) -> None:
    poll = start_poll(queue)
    sqs.purge_queue(QueueUrl=queue.url)
    queue.send("a")
    assert poll.bodies() == ["a"]


def test_a_client_that_disconnects_is_given_no_message(
    queue: Queue, start_poll: StartPoll, broker: RunningBroker
) -> None:
    poll = start_poll(queue)
    poll.connection.close()
    broker.settle()
    queue.send("a")
    received = queue.receive_one(MessageSystemAttributeNames=["ApproximateReceiveCount"])
    assert received["Body"] == "a"
    assert received["Attributes"]["ApproximateReceiveCount"] == "1"


def test_the_next_poll_is_served_when_the_first_client_has_gone(
    queue: Queue, start_poll: StartPoll, broker: RunningBroker
) -> None:
    gone, waiting = start_poll(queue), start_poll(queue)
    gone.connection.close()
    broker.settle()
    queue.send("a")
    assert waiting.bodies() == ["a"]


def test_other_requests_are_served_while_polls_wait(queue: Queue, start_poll: StartPoll) -> None:
    polls = [start_poll(queue) for _ in range(20)]
    assert queue.counts() == (0, 0, 0)
    queue.send_many([str(number) for number in range(20)])
    found = [body for poll in polls if poll.answered for body in poll.bodies()]
    assert sorted(found + queue.receive_bodies()) == sorted(str(number) for number in range(20))
