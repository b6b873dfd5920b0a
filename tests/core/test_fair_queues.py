"""Fair queues. Source: SQS Developer Guide, "Amazon SQS fair queues" and recorded replies."""

import pytest

from broker.core import limits
from broker.core.absent import Absent
from broker.core.fair import Fairness
from broker.core.message import Message
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


def test_what_has_no_group_is_there_after_a_restart_when_the_groups_are_done(bench: Bench, queue: Queue) -> None:
    send(bench, queue, "g", 1)
    (delivery,) = bench.receive(queue)
    bench.delete(queue, delivery.receipt_handle)
    bench.send(queue, "a", "b")
    bench.commit()
    bench.restart()
    assert bench.bodies(bench.engine.find_queue(queue.name)) == ["a", "b"]


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


def test_a_million_groups_take_a_bounded_part_of_memory() -> None:
    fairness = Fairness()
    for n in range(20_000):
        for group, spent_ms in ((f"g{n}", 100), ("slow", 20)):
            message = Message(n, n, 0, group, 0)
            message.first_received_at_ms = 1
            fairness.processed(message, 1 + spent_ms)
        assert len(fairness._recent) <= 2_000
    assert fairness.noisy("slow", 0, 101)
    assert not fairness.noisy("g19999", 0, 101)
    assert not fairness.noisy("g0", 0, 101)


def test_a_receive_looks_at_few_of_many_groups_that_must_be_read(
    bench: Bench, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.core.limits.GROUP_MAX", 2)
    for n in range(300):
        send(bench, queue, f"g{n}", 3)
    bench.commit()
    for group in queue.waiting.groups.values():
        queue.forget_waiting(group)
    asked: list[str | None] = []
    noisy = Fairness.noisy
    monkeypatch.setattr(Fairness, "noisy", lambda f, group, *rest: asked.append(group) or noisy(f, group, *rest))
    with pytest.raises(Absent) as absent:
        bench.engine.receive(queue, 1, 30_000)
    assert len(absent.value.reads) == 10
    assert len(asked) < 20
    assert len(bench.receive(queue, 1)) == 1


@pytest.mark.interpreted
def test_a_noisy_group_that_is_being_read_when_room_is_made_is_received_later(
    bench: Bench, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, size in {"WAITING_MAX": 4, "WAITING_LOW": 0, "GROUP_MAX": 2, "FAIR_IN_FLIGHT_MIN": 1}.items():
        monkeypatch.setattr(limits, name, size)
    send(bench, queue, "h", 8)
    bench.commit()
    assert groups(bench, queue, 1) == ["h"]  # and its next page is asked for
    send(bench, queue, "g", 1)
    assert groups(bench, queue, 1) == ["g"]
    send(bench, queue, "g", 1)
    send(bench, queue, "quiet", 1)
    assert queue.waiting.count == 4
    found = groups(bench, queue)
    while more := groups(bench, queue):
        found += more
    assert sorted(map(str, found)) == ["g"] + ["h"] * 7 + ["quiet"]
