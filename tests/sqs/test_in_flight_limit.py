"""At most 120,000 messages of a queue are in flight: a standard queue says so to a short poll; a long poll waits, and a FIFO
queue just hands out no more.

The limit is lowered here, so that a test reaches it. Source: SQS Developer Guide, Quotas and recorded replies.
"""

from contextlib import closing

import pytest

from broker.core import limits
from tests.conftest import MessageClock, RunningBroker
from tests.sqs.queues import Queue, refused
from tests.sqs.wire_clients import JsonClient, read_answer

pytestmark = pytest.mark.interpreted


def test_the_limit_is_awss() -> None:
    assert limits.IN_FLIGHT_MAX == 120_000


@pytest.fixture
def limit_of_five(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IN_FLIGHT_MAX", 5)


@pytest.mark.usefixtures("limit_of_five")
def test_a_standard_queue_refuses_a_receive_over_the_limit(queue: Queue, clock: MessageClock) -> None:
    queue.send_many([str(number) for number in range(8)])
    messages = queue.receive(3) + queue.receive(2)
    with refused("OverLimit") as caught:
        queue.receive()
    assert isinstance(caught.value, queue.sqs.exceptions.OverLimit)
    assert queue.counts() == (3, 5, 0)
    queue.delete(messages[0])
    assert len(queue.receive()) == 1
    with refused("OverLimit"):
        queue.receive()
    clock.advance(30)
    assert len(queue.receive(5)) == 5


@pytest.mark.usefixtures("limit_of_five")
def test_a_standard_queue_hands_out_what_fits(queue: Queue) -> None:
    queue.send_many([str(number) for number in range(8)])
    assert len(queue.receive(10)) == 5


@pytest.mark.usefixtures("limit_of_five")
def test_a_long_poll_over_the_limit_waits_for_room(
    queue: Queue, sqs_json: JsonClient, broker: RunningBroker, clock: MessageClock
) -> None:
    queue.send_many([str(number) for number in range(9)])
    polled = {"QueueUrl": queue.url, "WaitTimeSeconds": 20, "VisibilityTimeout": 60}
    first = queue.receive(5, VisibilityTimeout=10)
    for make_room in (
        lambda: queue.delete(first[0]),
        lambda: queue.change_visibility(first[1], 0),
        lambda: clock.advance(10),
    ):
        with closing(sqs_json.start("ReceiveMessage", polled)) as poll:
            broker.settle()
            make_room()
            answer = read_answer(poll.getresponse())
        assert len(answer.json["Messages"]) == 1


@pytest.mark.usefixtures("limit_of_five")
def test_a_long_poll_that_finds_no_room_ends_empty_and_is_no_error(
    queue: Queue, sqs_json: JsonClient, broker: RunningBroker, clock: MessageClock
) -> None:
    queue.send_many([str(number) for number in range(8)])
    queue.receive(5, VisibilityTimeout=60)
    with closing(sqs_json.start("ReceiveMessage", {"QueueUrl": queue.url, "WaitTimeSeconds": 20})) as poll:
        broker.settle()
        queue.send("more")
        clock.advance(20)
        answer = read_answer(poll.getresponse())
    assert (answer.status, answer.json) == (200, {})


@pytest.mark.usefixtures("limit_of_five")
def test_a_fifo_queue_hands_out_no_more_and_gives_no_error(fifo: Queue) -> None:
    for number in range(8):
        fifo.send_in_group(f"group-{number}", "a")
    first = fifo.receive(10)
    assert len(first) == 5
    assert fifo.receive() == []
    fifo.delete(first[0])
    assert len(fifo.receive(10)) == 1
