"""After a crash: what is on disk is what is seen, no more and no less."""

import pytest

from broker.core.errors import PurgeQueueInProgress, QueueDeletedRecently, QueueDoesNotExist
from broker.core.settings import QueueName
from tests.core.bench import Bench


def test_what_was_not_committed_has_not_happened(bench: Bench) -> None:
    queue = bench.queue()
    bench.send(queue, "kept")
    bench.commit()
    bench.send(queue, "lost")
    (delivery,) = bench.receive(queue, 1)
    bench.delete(queue, delivery.receipt_handle)
    bench.restart()
    queue = bench.find()
    assert bench.counts(queue) == (1, 0, 0)
    assert bench.receive(queue)[0].receive_count == 1


def test_queues_with_settings_attributes_and_tags_are_there(bench: Bench) -> None:
    name = QueueName("111122223333", "eu-west-1", "q")
    queue = bench.queue()
    made = bench.engine.create_queue(name, queue.settings, {"DelaySeconds": "3"}, {"team": "shop"})
    bench.commit()
    bench.restart()
    found = bench.engine.find_queue(name)
    assert (found.number, found.attributes, found.tags) == (made.number, {"DelaySeconds": "3"}, {"team": "shop"})
    assert found.created_at_ms == made.created_at_ms


def test_numbers_are_never_given_twice(bench: Bench) -> None:
    queue = bench.queue("q.fifo", fifo=True)
    bench.send(queue, "a", group="g")
    bench.commit()
    first = bench.receive(queue)[0].sequence_number
    bench.restart()
    queue = bench.find("q.fifo")
    bench.send(queue, "b", group="h")
    numbers = [d.sequence_number for d in bench.receive(queue)]
    assert numbers[0] == first
    assert str(numbers[1]) > str(first)


def test_message_time_never_goes_back(bench: Bench) -> None:
    queue = bench.queue()
    bench.advance(1_000_000)
    bench.send(queue, "a")
    bench.commit()
    later = Bench(bench.store, now_ms=bench.clock.now_ms() - 500_000)
    assert later.clock.now_ms() == bench.clock.now_ms()


@pytest.mark.usefixtures("small_windows")
def test_counters_equal_a_recount_of_the_rows(bench: Bench) -> None:
    queue = bench.queue()
    bench.send(queue, *(str(n) for n in range(12)))
    bench.send(queue, "later", delay_ms=50_000)
    for delivery in bench.receive(queue, 4, 20_000)[:2]:
        bench.delete(queue, delivery.receipt_handle)
    bench.receive(queue, 3, 40_000)
    bench.commit()
    bench.restart()
    queue = bench.find()
    for by_ms in (0, 20_000, 20_000, 10_000):
        bench.advance(by_ms)
        now = bench.clock.now_ms()
        leases = [v for v in bench.store.leases.values() if v.visible_at_ms > now]
        in_flight = sum(v.receive_count > 0 for v in leases)
        delayed = len(leases) - in_flight
        assert bench.counts(queue) == (len(bench.store.rows) - in_flight - delayed, in_flight, delayed)


def test_cooldowns_hold_across_a_restart() -> None:
    bench = Bench(cooldowns=True)
    bench.engine.purge_queue(bench.queue("purged"))
    bench.engine.delete_queue(bench.queue("deleted"))
    bench.commit()
    bench.restart()
    with pytest.raises(
        PurgeQueueInProgress, match="Only one PurgeQueue operation on purged is allowed every 60 seconds"
    ):
        bench.engine.purge_queue(bench.find("purged"))
    with pytest.raises(QueueDeletedRecently):
        bench.queue("deleted")
    bench.advance(60_000)
    bench.engine.purge_queue(bench.find("purged"))
    bench.queue("deleted")


def test_queues_are_listed_by_name_prefix_and_page(bench: Bench) -> None:
    for name in ("b2", "a1", "b1", "c1", "b3"):
        bench.queue(name)
    names = bench.engine.queue_names
    assert [n.name for n in names("000000000000", "us-east-1", limit=10)] == ["a1", "b1", "b2", "b3", "c1"]
    assert [n.name for n in names("000000000000", "us-east-1", prefix="b", limit=2)] == ["b1", "b2"]
    assert [n.name for n in names("000000000000", "us-east-1", prefix="b", after="b2", limit=2)] == ["b3"]
    assert names("000000000000", "eu-west-1", limit=10) == []


def test_a_reset_leaves_nothing(bench: Bench) -> None:
    bench.send(bench.queue(), "a")
    bench.queue("q.fifo", fifo=True)
    bench.engine.reset(bench.engine.queues())
    bench.commit()
    bench.store.clear_dropped()
    assert (bench.store.rows, bench.store.resources, bench.store.counters) == ({}, {}, {})
    with pytest.raises(QueueDoesNotExist):
        bench.find()
