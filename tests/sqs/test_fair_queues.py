"""Fair queues: on a standard queue MessageGroupId names a tenant, and a noisy one does not keep the quiet ones waiting.

Noisy is a tenant with more than 10 % of the messages in flight and at least 30 of its own, or with more than 10 % of the
consumers' recent processing time. Source: SQS Developer Guide, How Amazon SQS fair queues work and recorded replies.
"""

import pytest

from tests.conftest import MessageClock
from tests.sqs.queues import Queue, Received, refused


def send(queue: Queue, group: str, count: int) -> None:
    queue.send_many([f"{group}-{number}" for number in range(count)], MessageGroupId=group)


def receive(queue: Queue, count: int) -> list[Received]:
    """Receive `count` messages, ten at a time."""
    messages: list[Received] = []
    while len(messages) < count:
        some = queue.receive(min(10, count - len(messages)), VisibilityTimeout=3_600)
        assert some
        messages += some
    return messages


def tenants(messages: list[Received]) -> list[str]:
    return [message["Body"].rsplit("-", 1)[0] for message in messages]


def test_a_standard_queue_takes_a_group_and_returns_it(queue: Queue) -> None:
    queue.send("a", MessageGroupId="tenant")
    found = queue.receive_one(MessageSystemAttributeNames=["All"])["Attributes"]
    assert found["MessageGroupId"] == "tenant"
    assert not {"SequenceNumber", "MessageDeduplicationId"} & set(found)


def test_a_group_locks_nothing_on_a_standard_queue(queue: Queue) -> None:
    send(queue, "tenant", 3)
    assert len(queue.receive(1)) == len(queue.receive(1)) == len(queue.receive(1)) == 1


@pytest.mark.parametrize("group", ["x" * 129, "a b", "ä"])
def test_a_group_is_checked_on_a_standard_queue_too(queue: Queue, group: str) -> None:
    with refused("InvalidParameterValue"):
        queue.send("a", MessageGroupId=group)


def test_quiet_tenants_come_before_a_noisy_one(queue: Queue) -> None:
    send(queue, "noisy", 60)
    for number in range(5):
        send(queue, f"quiet-{number}", 1)
    assert set(tenants(receive(queue, 30))) == {"noisy"}
    found = tenants(receive(queue, 5))
    assert sorted(found) == [f"quiet-{number}" for number in range(5)]


def test_a_noisy_tenants_messages_are_still_delivered(queue: Queue) -> None:
    send(queue, "noisy", 60)
    send(queue, "quiet", 5)
    receive(queue, 30)
    found = tenants(receive(queue, 35))
    assert found[:5] == ["quiet"] * 5
    assert found[5:] == ["noisy"] * 30
    assert queue.receive() == []


def test_fewer_than_30_in_flight_make_nobody_noisy(queue: Queue) -> None:
    send(queue, "busy", 40)
    send(queue, "quiet", 5)
    assert tenants(receive(queue, 29)) == ["busy"] * 29
    assert tenants(receive(queue, 1)) == ["busy"]


def test_a_tenth_of_all_in_flight_makes_nobody_noisy(queue: Queue) -> None:
    send(queue, "one", 30)
    for number in range(270):
        queue.send(f"ungrouped-{number}")
    messages = receive(queue, 300)
    assert len(messages) == 300
    send(queue, "one", 3)
    send(queue, "quiet", 1)
    assert tenants(receive(queue, 1)) == ["one"]


def test_a_message_without_a_group_is_a_tenant_of_its_own(queue: Queue) -> None:
    queue.send_many([f"ungrouped-{number}" for number in range(60)])
    send(queue, "quiet", 1)
    assert set(tenants(receive(queue, 60))) == {"ungrouped"}


def test_messages_without_a_group_come_before_a_noisy_tenant(queue: Queue) -> None:
    send(queue, "noisy", 60)
    queue.send("ungrouped-0")
    receive(queue, 30)
    assert tenants(receive(queue, 1)) == ["ungrouped"]


def test_a_noisy_tenant_becomes_quiet_when_its_messages_are_done(queue: Queue) -> None:
    send(queue, "noisy", 60)
    messages = receive(queue, 30)
    for message in messages:
        queue.delete(message)
    send(queue, "quiet", 1)
    assert tenants(receive(queue, 1)) == ["noisy"]


def test_a_tenant_that_takes_the_consumers_time_is_noisy(queue: Queue, clock: MessageClock) -> None:
    send(queue, "slow", 5)
    slow = receive(queue, 2)
    clock.advance(600)
    for message in slow:
        queue.delete(message)
    for number in range(12):
        send(queue, f"quick-{number}", 1)
    found = tenants(receive(queue, 12))
    assert "slow" not in found
    assert tenants(receive(queue, 3)) == ["slow"] * 3


def test_nothing_is_lost_or_delivered_twice_among_tenants(queue: Queue) -> None:
    for group, count in (("noisy", 80), ("a", 7), ("b", 5), ("c", 1)):
        send(queue, group, count)
    queue.send_many([f"ungrouped-{number}" for number in range(4)])
    found = [message["Body"] for message in receive(queue, 97)]
    assert len(set(found)) == 97
    assert queue.receive() == []
    assert queue.counts() == (0, 97, 0)
