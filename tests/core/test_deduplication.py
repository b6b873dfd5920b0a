"""The five-minute window. Source: SQS Developer Guide, "Using the message deduplication ID" and recorded replies."""

from typing import Any

import pytest

from broker.core import acceptance, deduplication
from broker.core.absent import Absent, Read
from broker.core.deduplication import Deduplication, Entry, digest_of
from broker.core.fifo import FifoQueue
from broker.core.message import Admitted, Sent
from broker.core.queue import Queue
from broker.store.batch import Batch
from broker.store.changes import DeduplicationRow
from broker.store.entries import count
from tests.core.bench import Bench

WINDOW_MS = 300_000


@pytest.fixture
def fifo(bench: Bench) -> Queue:
    return bench.queue("q.fifo", fifo=True)


def send(bench: Bench, queue: Queue, deduplication_id: str, group: str = "g") -> tuple[str, str | None]:
    """(message ID, sequence number): what the sender is told."""
    message = Admitted(b"body", "", (), None, group, deduplication_id, "me", None)
    return told(bench.call(bench.engine.send, queue, [message])[0])


def told(sent: Sent) -> tuple[str, str | None]:
    return sent.message_id, sent.sequence_number


def read_for(bench: Bench, queue: Queue, deduplication_id: str) -> Read:
    """What a send asks of the store first."""
    with pytest.raises(Absent) as absent:
        bench.engine.send(queue, [Admitted(b"body", "", (), None, "g", deduplication_id, "me", None)])
    (read,) = absent.value.reads
    return read


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
    assert told(first) == told(second)
    assert bench.counts(fifo) == (1, 0, 0)


def test_memory_forgets_details_but_the_store_knows(bench: Bench, fifo: Queue) -> None:
    first = send(bench, fifo, "first")
    for n in range(1_500):
        send(bench, fifo, str(n))
    assert send(bench, fifo, "first") == first


def test_what_was_looked_up_as_new_and_then_sent_is_a_duplicate(bench: Bench, fifo: Queue) -> None:
    bench.commit()
    bench.restart()
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
    assert told(bench.call(bench.engine.send, fifo, [new, old])[1]) == first


def test_an_answer_that_was_overtaken_by_many_sends_is_not_believed(bench: Bench, fifo: Queue) -> None:
    bench.commit()
    bench.restart()
    fifo = bench.find("q.fifo")
    read = read_for(bench, fifo, "first")
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


def test_what_left_memory_is_known_until_its_window_ends(bench: Bench, fifo: Queue) -> None:
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
    read = read_for(bench, fifo, "first")
    bench.snapshot(read)
    first = send(bench, fifo, "first")
    fifo.unload()
    bench.fetch(read)
    assert send(bench, fifo, "first") == first


def test_an_answer_from_before_what_was_accepted_out_of_memory_is_not_believed(bench: Bench) -> None:
    """A call goes on adding although the window has left memory meanwhile; another call's look-up of the same ID arrives late."""
    other, digest = digest_of(None, "other"), digest_of(None, "digest")
    window = Deduplication(1, bench.ledger, new=True)
    window.add(other, Entry(0, "id-1", 1), Batch(8))
    window.unload()
    window.add(digest, Entry(5, "id-2", 2), Batch(10))
    window._arrived((digest,), 9, [])
    window._loaded = True
    window._accepted.take_in(1, 2, 5, [other, digest])
    with pytest.raises(Absent):
        window.require([digest], 6)


def test_what_was_never_seen_is_surely_new_without_a_look_up(bench: Bench) -> None:
    window = Deduplication(1, bench.ledger, new=True)
    batch = Batch(1)
    for n in range(20_000):
        window.add(digest_of(None, f"known-{n}"), Entry(0, "id", n), batch)
    assert sum(map(count, batch.deduplication.values())) == 20_000
    looked_up = 0
    for n in range(5_000):
        try:
            window.require([digest_of(None, f"new-{n}")], 0)
        except Absent:
            looked_up += 1
    assert looked_up <= 5  # one in 100,000 for each of six filters


def test_an_old_entry_is_looked_up_in_its_own_stretch_alone(bench: Bench, fifo: Queue) -> None:
    assert isinstance(fifo, FifoQueue)
    first = send(bench, fifo, "first")
    for n in range(10_000):
        send(bench, fifo, str(n))
    asked: list[list[tuple[int, int]]] = []
    found = bench.store.deduplication

    async def deduplication(queue: int, digests: Any, spans: Any, *, since_ms: int) -> list[DeduplicationRow]:
        asked.append(spans)
        return await found(queue, digests, spans, since_ms=since_ms)

    bench.store.deduplication = deduplication  # type: ignore[method-assign]
    assert send(bench, fifo, "first") == first
    ((span, since),) = asked
    orders = sorted(e.order for e in bench.store.entries)
    assert span[0] == orders[0]
    assert len([order for order in orders if span[0] <= order <= span[1]]) < 1_000
    assert since[0] == orders[-1] + 1  # and among what is accepted until the store is asked


@pytest.mark.interpreted
@pytest.mark.parametrize("count", [1, 9, 10, 11, 25, 30, 31])
def test_after_a_restart_the_whole_window_is_known_page_by_page(
    bench: Bench, fifo: Queue, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(deduplication, "_PAGE_ENTRIES", 10)
    monkeypatch.setattr(acceptance, "_LAYER_MIN", 4)
    monkeypatch.setattr(acceptance, "_LAYER_MAX", 16)
    sent = [send(bench, fifo, str(n)) for n in range(count)]
    bench.commit()
    bench.restart()
    fifo = bench.find("q.fifo")
    reads = 0
    while True:
        try:
            bench.engine.send(fifo, [Admitted(b"body", "", (), None, "g", "new", "me", None)])
        except Absent as absent:
            reads += 1
            for read in absent.reads:
                bench.fetch(read)
        else:
            break
    assert reads == 1 + count // 10
    assert [send(bench, fifo, str(n)) for n in range(count)] == sent
    assert bench.counts(fifo) == (count + 1, 0, 0)


def test_only_the_window_is_read_after_a_restart(bench: Bench, fifo: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deduplication, "_PAGE_ENTRIES", 10)
    old = [send(bench, fifo, str(n)) for n in range(100)]
    bench.advance(WINDOW_MS)
    young = send(bench, fifo, "young")
    bench.commit()
    bench.restart()
    fifo = bench.find("q.fifo")
    bench.fetch(read_for(bench, fifo, "new"))
    bench.engine.send(fifo, [Admitted(b"body", "", (), None, "g", "new", "me", None)])
    assert send(bench, fifo, "young") == young
    assert send(bench, fifo, "5") != old[5]
    bench.commit()
    assert len(bench.store.entries) == 3  # what has expired is gone from the store too


def test_a_page_that_could_not_be_read_is_asked_for_again(bench: Bench, fifo: Queue) -> None:
    first = send(bench, fifo, "first")
    bench.commit()
    bench.restart()
    fifo = bench.find("q.fifo")
    read = read_for(bench, fifo, "first")
    assert read_for(bench, fifo, "second") is read
    read.fail(read)
    assert send(bench, fifo, "first") == first


def test_what_leaves_memory_while_it_is_read_is_read_anew(bench: Bench, fifo: Queue) -> None:
    first = send(bench, fifo, "first")
    fifo.unload()
    read = read_for(bench, fifo, "first")
    bench.commit()
    fifo.unload()
    bench.fetch(read)
    assert read_for(bench, fifo, "first") is not read
    assert send(bench, fifo, "first") == first


def test_what_expires_while_it_is_not_in_memory_is_cleared_away_too(bench: Bench, fifo: Queue) -> None:
    send(bench, fifo, "1")
    fifo.unload()
    bench.advance(WINDOW_MS)
    send(bench, fifo, "2")
    bench.commit()
    assert [e.sent_at_ms for e in bench.store.entries] == [bench.clock.now_ms()]


def test_a_quiet_queue_forgets_as_time_goes_by(bench: Bench, fifo: Queue) -> None:
    assert isinstance(fifo, FifoQueue)
    for n in range(20):
        send(bench, fifo, str(n))
        bench.advance(59_000)
    bench.commit()
    assert len(bench.store.entries) <= 8
    assert len(fifo.deduplication._accepted._layers) <= 7


def test_what_has_expired_is_cleared_away(bench: Bench, fifo: Queue) -> None:
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
