"""Where the engine meets asyncio: replies wait for the disk; a failed commit is as if nothing had been asked."""

import asyncio
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from broker.clock import Chance, ManualClock
from broker.core import limits
from broker.core.errors import OverLimit
from broker.core.message import Admitted, Delivery
from broker.core.queue import Queue
from broker.core.settings import QueueName, QueueSettings
from broker.errors import ServiceUnavailable
from broker.services.context import Call
from broker.services.courier import Courier
from broker.services.runtime import Runtime
from broker.services.sqs.delete import delete_message_batch
from broker.services.sqs.message_shapes import DeleteMessageBatchRequest, DeleteMessageBatchRequestEntry
from broker.services.timekeeper import Timekeeper
from broker.store.base import CommitFailed, CommitUncertain, Recovered, StoreError
from broker.store.batch import Batch
from broker.store.sqlite import SqliteStore

NAME = QueueName("000000000000", "us-east-1", "q")
MESSAGE = Admitted(b"body", "", (), None, None, None, "me", None)
LATER = Admitted(b"body", "", (), 5_000, None, None, "me", None)


class Faulty(SqliteStore):
    """A store whose next commit can be made to fail, or to wait."""

    failure: BaseException | None = None
    unreadable: BaseException | None = None
    before: Callable[[], None] = staticmethod(lambda: None)
    before_recovery: Callable[[], object] = staticmethod(lambda: None)

    def commit(self, batch: Batch) -> None:
        self.before()
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        super().commit(batch)

    def recover(self) -> Recovered:
        self.before_recovery()
        if self.unreadable is not None:
            raise self.unreadable
        return super().recover()


class Harness:
    """A runtime with one queue."""

    def __init__(self, store: Faulty, runtime: Runtime, ended: list[BaseException], over: asyncio.Event) -> None:
        self.store, self.runtime, self.ended, self.over = store, runtime, ended, over

    @property
    def queue(self) -> Queue:
        return self.runtime.engine.find_queue(NAME)

    async def call(self, operation: Callable[..., Any], *arguments: Any) -> Any:
        """A call, and the wait that its reply would have."""
        result = await self.runtime.call(operation, *arguments)
        future = self.runtime.durable()
        if future is not None:
            await future
        return result

    async def send(self) -> None:
        await self.call(lambda: self.runtime.engine.send(self.queue, [MESSAGE]))

    async def counts(self) -> tuple[int, int, int]:
        return tuple(await self.runtime.call(lambda: self.runtime.engine.counts(self.queue)))


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    store = Faulty(":memory:")
    recovered = store.open()
    ended: list[BaseException] = []
    over = asyncio.Event()

    def end(error: BaseException) -> None:
        ended.append(error)
        over.set()

    runtime = Runtime(store, ManualClock(), Chance(), recovered, cooldowns=False, fatal=end)
    await runtime.start()
    made = Harness(store, runtime, ended, over)
    await made.call(runtime.engine.create_queue, NAME, QueueSettings(), {}, {})
    yield made
    await runtime.close()
    store.close()


async def test_a_reply_waits_for_the_commit_and_a_second_delete_does_too(harness: Harness) -> None:
    await harness.send()
    (delivery,) = await harness.call(harness.runtime.engine.receive, harness.queue, 1, 30_000)
    for _ in range(2):
        await harness.runtime.call(harness.runtime.engine.delete, harness.queue, delivery.receipt_handle)
        assert harness.runtime.durable() is not None, "the first delete is not on disk yet"
    future = harness.runtime.durable()
    assert future is not None
    await future
    assert harness.runtime.durable() is None


async def test_a_failed_commit_fails_its_replies_and_nothing_has_happened(harness: Harness) -> None:
    await harness.send()
    harness.store.failure = CommitFailed("the disk is full")
    failed = await asyncio.gather(*(harness.send() for _ in range(5)), return_exceptions=True)
    assert all(isinstance(f, ServiceUnavailable) for f in failed)
    assert await harness.counts() == (1, 0, 0)
    await harness.send()
    assert await harness.counts() == (2, 0, 0)
    assert not harness.ended


async def test_what_gathers_behind_a_failing_batch_fails_with_it(harness: Harness) -> None:
    loop = asyncio.get_running_loop()
    under_way, gathered = asyncio.Event(), threading.Event()

    def hold() -> None:
        loop.call_soon_threadsafe(under_way.set)
        gathered.wait(10)

    harness.store.before = hold
    harness.store.failure = CommitFailed("an I/O error")
    first = asyncio.create_task(harness.send())
    await under_way.wait()
    second = asyncio.create_task(harness.send())
    while not harness.runtime.commits.batch:
        await asyncio.sleep(0)
    gathered.set()
    failed = await asyncio.gather(first, second, return_exceptions=True)
    assert all(isinstance(f, ServiceUnavailable) for f in failed)
    assert await harness.counts() == (0, 0, 0)


async def test_a_waiting_receive_outlives_a_failed_commit(harness: Harness) -> None:
    poll = asyncio.create_task(
        harness.runtime.receive(
            harness.queue, count=1, visibility_ms=None, wait_ms=20_000, attempt_id=None, connected=lambda: True
        )
    )
    await asyncio.sleep(0)
    harness.store.failure = CommitFailed("the disk is full")
    with pytest.raises(ServiceUnavailable):
        await harness.call(harness.runtime.engine.create_queue, NAME._replace(name="other"), QueueSettings(), {}, {})
    await harness.send()
    assert [d.body for d in await asyncio.wait_for(poll, 10)] == [b"body"]


async def test_an_uncertain_commit_ends_the_process(harness: Harness) -> None:
    harness.store.failure = CommitUncertain("fsync failed")
    with pytest.raises(ServiceUnavailable):
        await harness.send()
    assert [type(e) for e in harness.ended] == [CommitUncertain]


async def test_a_store_that_cannot_be_read_after_a_failed_commit_ends_the_process(harness: Harness) -> None:
    harness.store.failure = CommitFailed("an I/O error")
    harness.store.unreadable = StoreError("an I/O error again")
    with pytest.raises(ServiceUnavailable):
        await harness.send()
    await asyncio.wait_for(harness.over.wait(), 10)
    assert harness.ended == [harness.store.unreadable]


async def test_a_moved_clock_is_on_disk_with_all_that_fell_due(harness: Harness) -> None:
    timekeeper = Timekeeper(harness.runtime, harness.runtime.clock)
    timekeeper.start()
    poll = asyncio.create_task(
        harness.runtime.receive(
            harness.queue, count=1, visibility_ms=None, wait_ms=20_000, attempt_id=None, connected=lambda: True
        )
    )
    await asyncio.sleep(0)
    await harness.call(lambda: harness.runtime.engine.send(harness.queue, [LATER]))
    before_ms = harness.runtime.clock.now_ms()
    assert await timekeeper.advance(900_000) == before_ms + 900_000
    assert [d.first_received_at_ms for d in await poll] == [before_ms + 5_000]
    assert harness.store.recover().message_time_ms == before_ms + 900_000
    timekeeper.stop()


class Resources(dict[tuple[str, str], bytes]):
    """What a weak reference can point to."""


async def test_what_was_recovered_is_not_kept_a_second_time() -> None:
    store = Faulty(":memory:")
    recovered = replace(store.open(), resources=Resources())
    kept = weakref.ref(recovered.resources)
    runtime = Runtime(store, ManualClock(), Chance(), recovered, cooldowns=False, fatal=lambda _error: None)
    del recovered
    await runtime.start()
    assert kept() is None
    await runtime.close()
    store.close()


def poll(harness: Harness, connected: Callable[[], bool] = lambda: True, wait_ms: int = 20_000) -> "asyncio.Task[Any]":
    """A receive that waits."""
    return asyncio.create_task(
        harness.runtime.receive(
            harness.queue, count=1, visibility_ms=None, wait_ms=wait_ms, attempt_id=None, connected=connected
        )
    )


async def test_a_receive_that_goes_away_in_its_turn_lets_the_next_have_it(harness: Harness) -> None:
    here = {"first": True}
    first = poll(harness, lambda: here["first"])
    await asyncio.sleep(0)
    second = poll(harness)
    await asyncio.sleep(0)
    harness.queue.unload()
    harness.runtime.engine.send(harness.queue, [MESSAGE])  # in the store alone: the first is sent to ask for it
    here["first"] = False
    harness.runtime.commits.kick()
    assert await first == ()
    assert [d.body for d in await asyncio.wait_for(second, 10)] == [b"body"]


async def test_a_receive_that_has_given_up_is_handed_nothing(harness: Harness) -> None:
    waiting = poll(harness)
    await asyncio.sleep(0)
    waiting.cancel()
    harness.runtime.engine.send(harness.queue, [MESSAGE])  # before the receive has noticed
    assert await harness.counts() == (1, 0, 0)
    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.interpreted
async def test_a_receive_that_waits_is_no_error_at_the_limit_in_flight(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "IN_FLIGHT_MAX", 1)
    await harness.send()
    await harness.send()
    (delivery,) = await harness.call(harness.runtime.engine.receive, harness.queue, 1, 30_000)
    with pytest.raises(OverLimit):
        await poll(harness, wait_ms=0)
    waiting = poll(harness)
    await asyncio.sleep(0)
    await harness.call(harness.runtime.engine.delete, harness.queue, delivery.receipt_handle)
    assert [d.body for d in await asyncio.wait_for(waiting, 10)] == [b"body"]


async def test_a_moved_clock_lets_those_that_it_wakes_read_from_the_store(harness: Harness) -> None:
    timekeeper = Timekeeper(harness.runtime, harness.runtime.clock)
    waiting = poll(harness)
    await asyncio.sleep(0)
    await harness.call(lambda: harness.runtime.engine.send(harness.queue, [LATER]))
    harness.queue.unload()
    before_ms = harness.runtime.clock.now_ms()
    await timekeeper.advance(900_000)
    assert [d.first_received_at_ms for d in await waiting] == [before_ms + 5_000]


async def test_a_moved_clock_waits_for_what_a_failed_commit_has_begun_again(harness: Harness) -> None:
    """While memory is rebuilt nothing is under way, but only because nothing is known."""
    timekeeper = Timekeeper(harness.runtime, harness.runtime.clock)
    release = threading.Event()
    harness.store.before_recovery = lambda: release.wait(10)
    harness.store.failure = CommitFailed("an injected failure")
    with pytest.raises(ServiceUnavailable):
        await harness.send()
    moved = asyncio.create_task(timekeeper.advance(1_000))
    try:
        for _ in range(10):
            await asyncio.sleep(0)
        assert not moved.done()
    finally:
        release.set()
    await asyncio.wait_for(moved, 10)


async def test_a_job_goes_on_when_the_store_can_be_read_again(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.services.runtime._RETRY_S", 0)
    await harness.send()
    failures = [StoreError("an I/O error"), StoreError("an I/O error")]
    oldest = harness.store.oldest

    async def failing(*arguments: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return await oldest(*arguments, **options)

    monkeypatch.setattr(harness.store, "oldest", failing)
    await Timekeeper(harness.runtime, harness.runtime.clock).advance(harness.queue.settings.retention_ms)
    assert not failures
    assert await harness.counts() == (0, 0, 0)


async def test_a_store_that_cannot_be_recovered_ends_the_process(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Any:
        raise StoreError("an I/O error")

    monkeypatch.setattr(harness.store, "recover", fail)
    harness.store.failure = CommitFailed("the disk is full")
    with pytest.raises(ServiceUnavailable):
        await harness.send()
    while not harness.ended:
        await asyncio.sleep(0)
    assert [type(e) for e in harness.ended] == [StoreError]


async def test_a_batch_whose_first_delete_was_undone_does_not_succeed(harness: Harness) -> None:
    engine = harness.runtime.engine
    await harness.send()
    await harness.send()
    deliveries = await harness.call(engine.receive, harness.queue, 10, 30_000)
    first, second = (d.receipt_handle for d in deliveries)
    harness.queue.unload()
    await harness.call(engine.change_visibility, harness.queue, first, 30_000)  # brings it into memory
    harness.store.failure = CommitFailed("an I/O error")
    call = Call(
        harness.runtime, "json", NAME.account, NAME.region, False, "me", "http://host", "/", "", None, lambda: True
    )
    entries = [DeleteMessageBatchRequestEntry(id=i, receipt_handle=h) for i, h in (("1", first), ("2", second))]
    with pytest.raises(ServiceUnavailable):
        await delete_message_batch(call, DeleteMessageBatchRequest(queue_url=f"/{NAME.account}/q", entries=entries))
    assert sum(await harness.counts()) == 2


class Carrying(Courier):
    """Empties the harness's queue."""

    def __init__(self, harness: Harness) -> None:
        super().__init__(harness.runtime)
        self.carried: list[Delivery] = []

    def find(self) -> Queue | None:
        return self.runtime.engine.queues_by_name.get(NAME)

    def room(self) -> int:
        return 10

    def visibility_ms(self, queue: Queue) -> int:
        return 30_000

    def carry(self, leased: Sequence[Delivery]) -> None:
        self.carried += leased


async def test_a_courier_goes_on_when_the_store_can_be_read_again(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.services.runtime._RETRY_S", 0)
    await harness.send()
    harness.queue.unload()
    failures = fail_reads(harness, monkeypatch, "scan", 2)
    courier = Carrying(harness)
    courier.go_on()
    await asyncio.wait_for(harness.runtime.quiet(), 10)
    assert not failures
    assert len(courier.carried) == 1
    await harness.send()
    assert len(courier.carried) == 2


def fail_reads(harness: Harness, monkeypatch: pytest.MonkeyPatch, name: str, times: int) -> list[StoreError]:
    """Let that many reads of one kind fail; those that are still to come."""
    failures = [StoreError("an I/O error")] * times
    read = getattr(harness.store, name)

    async def failing(*arguments: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return await read(*arguments, **options)

    monkeypatch.setattr(harness.store, name, failing)
    return failures


async def test_a_read_that_failed_leaves_nothing_behind(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    await harness.send()
    (delivery,) = await harness.call(harness.runtime.engine.receive, harness.queue, 1, 30_000)
    harness.queue.unload()
    fail_reads(harness, monkeypatch, "messages", 3)
    for _ in range(3):
        with pytest.raises(ServiceUnavailable):
            await harness.call(harness.runtime.engine.delete, harness.queue, delivery.receipt_handle)
    assert not harness.queue.reads
    await harness.send()
    await harness.call(harness.runtime.engine.delete, harness.queue, delivery.receipt_handle)
    assert await harness.counts() == (1, 0, 0)
    assert len(await harness.call(harness.runtime.engine.receive, harness.queue, 10, 30_000)) == 1
    assert await harness.counts() == (0, 1, 0)


async def test_a_reset_of_many_queues_lets_others_go_on(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.services.runtime._QUEUES_AT_ONCE", 10)
    engine = harness.runtime.engine
    for n in range(35):
        await harness.call(engine.create_queue, NAME._replace(name=f"q{n}"), QueueSettings(), {}, {})
    reset = asyncio.create_task(harness.runtime.reset())
    left = []
    while not reset.done():
        left.append(len(engine.queues()))
        await asyncio.sleep(0)
        if len(left) == 2:
            engine.create_queue(NAME._replace(name="new"), QueueSettings(), {}, {})
    await reset
    assert max(before - after for before, after in pairwise(left)) <= 10
    assert [queue.name.name for queue in engine.queues()] == ["new"]


async def test_a_reset_that_a_failed_commit_undid_does_not_succeed(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.services.runtime._QUEUES_AT_ONCE", 1)
    engine = harness.runtime.engine
    for n in range(2_000):
        engine.create_queue(NAME._replace(name=f"q{n}"), QueueSettings(), {}, {})
    await harness.send()
    harness.store.failure = CommitFailed("the disk is full")
    with pytest.raises(ServiceUnavailable):
        await harness.runtime.reset()
    assert await harness.counts() == (1, 0, 0)
    assert len(engine.queues()) > 1
