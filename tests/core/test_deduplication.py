"""The five-minute window. Source: SQS Developer Guide, "Using the message deduplication ID" and recorded replies."""

import pytest

from broker.core.absent import Absent
from broker.core.deduplication import Deduplication, Entry, digest_of
from broker.core.fifo import FifoQueue
from broker.core.message import Admitted, Sent
from broker.core.queue import Queue
from broker.store.changes import Batch
from tests.core.bench import Bench

WINDOW_MS = 300_000


@pytest.fixture
def fifo(bench: Bench) -> Queue:
    return bench.queue("q.fifo", fifo=True)


def send(bench: Bench, queue: Queue, deduplication_id: str, group: str = "g") -> Sent:
    message = Admitted(b"body", "", (), None, group, deduplication_id, "me", None)
    return bench.call(bench.engine.send, queue, [message])[0]


def test_a_duplicate_is_answered_like_its_original_and_not_delivered(bench: Bench, fifo: Queue) -> None:
    first = send(bench, fifo, "1")
    bench.advance(WINDOW_MS - 1)
    assert send(bench, fifo, "1") == first
    assert bench.counts(fifo) == (1, 0, 0)


def test_the_window_counts_from_the_original(bench: Bench, fifo: Queue) -> None:
    first = send(bench, fifo, "1")
    bench.advance(WINDOW_MS - 1)
    send(bench, fifo, "1")
    bench.advance(1)
    assert send(bench, fifo, "1") != first
    assert bench.counts(fifo) == (2, 0, 0)


def test_it_outlives_receive_delete_and_purge(bench: Bench, fifo: Queue) -> None:
    first = send(bench, fifo, "1")
    bench.delete(fifo, bench.receive(fifo)[0].receipt_handle)
    assert send(bench, fifo, "1") == first
    bench.engine.purge_queue(fifo)
    assert send(bench, fifo, "1") == first


def test_it_outlives_a_restart(bench: Bench, fifo: Queue) -> None:
    first = send(bench, fifo, "1")
    bench.commit()
    bench.restart()
    fifo = bench.find("q.fifo")
    assert send(bench, fifo, "1") == first
    assert send(bench, fifo, "2") != first
    bench.advance(WINDOW_MS)
    assert send(bench, fifo, "1") != first


def test_the_scope_is_the_queue_or_the_group(bench: Bench, fifo: Queue) -> None:
    assert send(bench, fifo, "1", "a") == send(bench, fifo, "1", "b")
    by_group = bench.queue("g.fifo", fifo=True, deduplicate_by_group=True)
    assert send(bench, by_group, "1", "a") != send(bench, by_group, "1", "b")


def test_within_one_call_the_second_of_two_is_the_duplicate(bench: Bench, fifo: Queue) -> None:
    message = Admitted(b"body", "", (), None, "g", "1", "me", None)
    first, second = bench.call(bench.engine.send, fifo, [message, message])
    assert first == second
    assert bench.counts(fifo) == (1, 0, 0)


def test_memory_forgets_details_but_the_store_knows(bench: Bench, fifo: Queue) -> None:
    first = send(bench, fifo, "first")
    for n in range(1_500):
        send(bench, fifo, str(n))
    assert send(bench, fifo, "first") == first


def test_what_was_looked_up_as_new_and_then_sent_is_a_duplicate(bench: Bench, fifo: Queue) -> None:
    bench.commit()
    bench.restart()  # from now on every ID is looked up
    fifo = bench.find("q.fifo")
    first = send(bench, fifo, "first")
    for n in range(1_500):
        send(bench, fifo, str(n))
    assert send(bench, fifo, "first") == first


def test_a_call_that_adds_entries_still_knows_the_oldest(bench: Bench, fifo: Queue) -> None:
    first = send(bench, fifo, "first")
    for n in range(999):
        send(bench, fifo, str(n))
    new, old = (Admitted(b"body", "", (), None, "g", i, "me", None) for i in ("new", "first"))
    assert bench.call(bench.engine.send, fifo, [new, old])[1] == first


def test_an_answer_that_was_overtaken_by_many_sends_is_not_believed(bench: Bench, fifo: Queue) -> None:
    bench.commit()
    bench.restart()
    fifo = bench.find("q.fifo")
    with pytest.raises(Absent) as absent:
        bench.engine.send(fifo, [Admitted(b"body", "", (), None, "g", "first", "me", None)])
    (read,) = absent.value.reads
    bench.snapshot(read)
    first = send(bench, fifo, "first")
    for n in range(1_500):
        send(bench, fifo, str(n))
    bench.fetch(read)
    assert send(bench, fifo, "first") == first


def test_answers_of_the_store_do_not_pile_up(bench: Bench, fifo: Queue) -> None:
    first = send(bench, fifo, "0")
    bench.commit()
    bench.restart()
    fifo = bench.find("q.fifo")
    for n in range(100):
        send(bench, fifo, str(n))
    assert send(bench, fifo, "0") == first
    assert isinstance(fifo, FifoQueue)
    assert not fifo.deduplication._looked_up


def test_it_is_in_the_memory_budget_and_holds_when_it_leaves_memory(bench: Bench) -> None:
    bench.ledger.memory_bytes_max = 100_000
    queues = [bench.queue(f"q{n}.fifo", fifo=True) for n in range(20)]
    firsts = []
    for queue in queues:
        firsts.append(send(bench, queue, "first"))
        for n in range(100):
            send(bench, queue, str(n))
        bench.engine.purge_queue(queue)
    assert bench.ledger.memory_bytes <= 100_000
    assert [send(bench, queue, "first") for queue in queues] == firsts
    for queue in queues:
        bench.engine.delete_queue(queue)
    assert bench.ledger.memory_bytes == 0


def test_an_entry_that_leaves_memory_before_it_is_on_disk_is_not_forgotten(bench: Bench, fifo: Queue) -> None:
    first = send(bench, fifo, "first")
    fifo.unload()
    assert bench.journal.batch  # not committed yet
    assert send(bench, fifo, "first") == first
    assert send(bench, fifo, "second") != first
    assert bench.counts(fifo) == (2, 0, 0)


def test_what_left_memory_is_looked_up_until_its_window_ends(bench: Bench, fifo: Queue) -> None:
    first = send(bench, fifo, "first")
    bench.advance(60_000)
    fifo.unload()
    bench.advance(WINDOW_MS - 60_001)
    assert send(bench, fifo, "first") == first
    fifo.unload()
    bench.commit()
    bench.restart()
    fifo = bench.find("q.fifo")
    assert send(bench, fifo, "first") == first
    fifo.unload()
    bench.advance(1)
    assert send(bench, fifo, "first") != first


def test_an_answer_about_what_was_sent_and_left_memory_meanwhile_is_not_believed(bench: Bench, fifo: Queue) -> None:
    bench.commit()
    bench.restart()
    fifo = bench.find("q.fifo")
    with pytest.raises(Absent) as absent:
        bench.engine.send(fifo, [Admitted(b"body", "", (), None, "g", "first", "me", None)])
    (read,) = absent.value.reads
    bench.snapshot(read)
    first = send(bench, fifo, "first")
    fifo.unload()
    bench.fetch(read)
    assert send(bench, fifo, "first") == first


def test_what_was_never_seen_is_surely_new_without_a_look_up(bench: Bench) -> None:
    deduplication = Deduplication(1, 0, bench.ledger)
    batch = Batch(1)
    known = [digest_of(None, f"known-{n}") for n in range(20_000)]
    for digest in known:
        deduplication.add(digest, Entry(0, "id", 1), batch)
    new = [digest_of(None, f"new-{n}") for n in range(2_000)]
    looked_up = sum(not deduplication._known(digest, 0) for digest in new)
    assert looked_up < len(new) / 100
    assert len(batch.deduplication) == len(known)


def test_expired_buckets_are_forgotten_as_a_whole(bench: Bench, fifo: Queue) -> None:
    send(bench, fifo, "1")
    bench.commit()
    assert bench.store.entries
    bench.advance(2 * WINDOW_MS)
    send(bench, fifo, "2")
    bench.commit()
    assert [e.sent_at_ms for e in bench.store.entries] == [bench.clock.now_ms()]


def test_what_left_memory_holds_for_its_five_minutes_across_a_restart(bench: Bench, fifo: Queue) -> None:
    first = send(bench, fifo, "first")
    fifo.unload()
    send(bench, fifo, "second")
    bench.commit()
    bench.restart()
    fifo = bench.find("q.fifo")
    bench.advance(WINDOW_MS - 1)
    assert send(bench, fifo, "first") == first
    bench.advance(1)
    assert send(bench, fifo, "first") != first


def test_look_ups_end_five_minutes_after_it_left_memory(bench: Bench, fifo: Queue) -> None:
    send(bench, fifo, "first")
    bench.advance(1_000)
    fifo.unload()
    bench.advance(WINDOW_MS - 1)
    new = [Admitted(b"body", "", (), None, "g", str(n), "me", None) for n in range(2)]
    with pytest.raises(Absent):
        bench.engine.send(fifo, new[:1])
    bench.advance(1)
    bench.engine.send(fifo, new[1:])


def test_a_call_that_is_repeated_does_not_ask_the_store_again(bench: Bench) -> None:
    bench.queue("a.fifo", fifo=True)
    bench.queue("b.fifo", fifo=True)
    bench.commit()
    bench.restart()
    a, b = bench.find("a.fifo"), bench.find("b.fifo")
    message = Admitted(b"body", "", (), None, "g", "1", "me", None)
    with pytest.raises(Absent) as absent:
        bench.engine.fan_out([(a, [message])])
    for read in absent.value.reads:
        bench.fetch(read)
    assert isinstance(a, FifoQueue)
    assert a.deduplication.entry(digest_of(None, "1"), bench.clock.now_ms()) is None
    with pytest.raises(Absent) as absent:
        bench.engine.fan_out([(a, [message]), (b, [message])])
    assert len(absent.value.reads) == 1
