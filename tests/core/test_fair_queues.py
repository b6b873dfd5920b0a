"""Fair queues. Source: SQS Developer Guide, "Amazon SQS fair queues" and recorded replies."""

import pytest

from broker.core.queue import Queue
from tests.core.bench import Bench


@pytest.fixture
def queue(bench: Bench) -> Queue:
    return bench.queue()


def groups(bench: Bench, queue: Queue, count: int = 10) -> list[str | None]:
    return [d.group for d in bench.receive(queue, count, 600_000)]


def send(bench: Bench, queue: Queue, group: str | None, count: int) -> None:
    bench.send(queue, *(f"{group}-{n}" for n in range(count)), group=group)


def test_groups_come_in_order_while_none_is_noisy(bench: Bench, queue: Queue) -> None:
    send(bench, queue, "a", 2)
    send(bench, queue, "b", 1)
    send(bench, queue, None, 1)
    assert groups(bench, queue) == ["a", "a", "b", None]


def test_thirty_in_flight_and_a_tenth_of_all_make_a_group_noisy(bench: Bench, queue: Queue) -> None:
    send(bench, queue, "noisy", 50)
    send(bench, queue, "quiet", 2)
    send(bench, queue, None, 1)
    for _ in range(3):
        assert groups(bench, queue) == ["noisy"] * 10
    assert groups(bench, queue) == ["quiet", "quiet", None, *["noisy"] * 7]


def test_a_group_that_is_done_is_quiet_again(bench: Bench, queue: Queue) -> None:
    send(bench, queue, "noisy", 40)
    deliveries = [d for _ in range(3) for d in bench.receive(queue)]
    for delivery in deliveries:
        bench.delete(queue, delivery.receipt_handle)
    send(bench, queue, "quiet", 1)
    assert groups(bench, queue, 1) == ["noisy"]


def test_a_group_that_takes_the_consumers_time_is_noisy(bench: Bench, queue: Queue) -> None:
    send(bench, queue, "slow", 3)
    (delivery,) = bench.receive(queue, 1)
    bench.advance(20_000)
    bench.delete(queue, delivery.receipt_handle)
    send(bench, queue, "quick", 1)
    assert groups(bench, queue) == ["quick", "slow", "slow"]


def test_that_is_forgotten_after_a_while(bench: Bench, queue: Queue) -> None:
    send(bench, queue, "slow", 3)
    (delivery,) = bench.receive(queue, 1)
    bench.advance(20_000)
    bench.delete(queue, delivery.receipt_handle)
    bench.advance(300_000)
    send(bench, queue, "quick", 1)
    assert groups(bench, queue) == ["slow", "slow", "quick"]


@pytest.mark.usefixtures("small_windows")
def test_quiet_messages_are_found_behind_a_deep_noisy_backlog(bench: Bench, queue: Queue) -> None:
    send(bench, queue, "noisy", 120)
    send(bench, queue, "quiet", 1)
    received: list[str | None] = []
    while len(received) < 31:
        received += groups(bench, queue, 1)
    assert "quiet" in received


@pytest.mark.usefixtures("small_windows")
def test_shares_are_known_after_a_restart(bench: Bench, queue: Queue) -> None:
    send(bench, queue, "noisy", 60)
    while queue.in_flight < 30:
        groups(bench, queue, 2)
    bench.commit()
    bench.restart()
    queue = bench.find()
    assert groups(bench, queue, 1) == ["noisy"]
    send(bench, queue, "quiet", 1)
    assert groups(bench, queue, 1) == ["quiet"]
