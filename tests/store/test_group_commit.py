"""Group commit: what is told of success is on disk, one commit is under way at a time, and a failure reaches everyone it must."""

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any

import pytest

from broker.clock import ManualClock
from broker.errors import ServiceUnavailable
from broker.store import group_commit
from broker.store.base import CommitFailed, CommitUncertain
from broker.store.batch import Batch
from broker.store.disk_pace import DiskPace
from broker.store.group_commit import GroupCommit
from broker.store.sqlite import SqliteStore
from tests.store.conformance import ids, message

TIMEOUT_S = 10


class GatedStore:
    """A store whose calls wait until the test lets each of them go on, perhaps with an error."""

    def __init__(self) -> None:
        self.calls: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self.batches: list[Batch] = []
        self.slices_left = 0
        self.slices_done = 0

    def commit(self, batch: Batch) -> None:
        self.batches.append(batch)
        self.calls.put(f"commit {batch.number}")
        failure = self.answers.get(timeout=TIMEOUT_S)
        if failure is not None:
            raise failure

    def commit_at_once(self, _batch: Batch) -> bool:
        return False

    def clear_dropped(self) -> bool:
        if self.slices_left == 0:
            return False
        self.calls.put("clear")
        self.answers.get(timeout=TIMEOUT_S)
        self.slices_left -= 1
        self.slices_done += 1
        return self.slices_left > 0

    def vacuum(self) -> bool:
        return False

    async def next_call(self) -> str:
        return await asyncio.to_thread(self.calls.get, timeout=TIMEOUT_S)

    def go_on(self, failure: BaseException | None = None) -> None:
        self.answers.put(failure)


class Bench:
    """A group commit on a gated store, and what its owner was told."""

    def __init__(self, store: GatedStore | None = None, *, slices: int = 0) -> None:
        self.store = store or GatedStore()
        self.store.slices_left = slices
        self.clock = ManualClock(1000)
        self.failures: list[BaseException] = []
        self.told: list[tuple[str, BaseException | None]] = []
        gated: Any = self.store
        self.commits = GroupCommit(gated, self.clock, batch_number=0, on_failure=self.failures.append)

    def change(self, number: int) -> None:
        self.commits.batch.add_message(message(number))
        self.commits.kick()

    def park(self, name: str) -> bool:
        return self.commits.park(lambda failure: self.told.append((name, failure)))


@asynccontextmanager
async def bench(*, slices: int = 0) -> AsyncIterator[Bench]:
    bench = Bench(slices=slices)
    yield bench
    for _ in range(10):
        bench.store.go_on()
    await asyncio.wait_for(bench.commits.close(), TIMEOUT_S)


def on_a_loop(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        async def limited() -> None:
            async with asyncio.timeout(TIMEOUT_S):
                await test()

        asyncio.run(limited())

    del run.__wrapped__  # or pytest takes it for a coroutine
    return run


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@on_a_loop
async def test_a_reply_leaves_after_the_commit_has_returned() -> None:
    async with bench() as b:
        b.change(1)
        assert b.park("send")
        assert await b.store.next_call() == "commit 1"
        await turns()
        assert b.told == []
        assert b.commits.committed == 0
        b.store.go_on()
        await b.commits.until(1)
        await turns()
        assert b.told == [("send", None)]
        assert b.commits.committed == 1


@on_a_loop
async def test_with_nothing_pending_nobody_waits() -> None:
    async with bench() as b:
        assert b.commits.durable() is None
        assert not b.park("read")
        await b.commits.until(0)
        await turns()
        assert b.told == []
        assert b.commits.newest == 0


@on_a_loop
async def test_who_waits_for_changes_that_came_to_nothing_is_told_too() -> None:
    async with bench() as b:
        b.change(1)
        assert b.park("send")
        b.commits.batch.delete_message(1, 1)  # expired before it reached the disk
        await b.store.next_call()
        b.store.go_on()
        await turns(20)
        await b.commits.until(1)
        assert b.told == [("send", None)]


@on_a_loop
async def test_the_next_batch_gathers_while_one_is_under_way_and_is_cut_at_once() -> None:
    async with bench() as b:
        b.change(1)
        b.park("first")
        assert await b.store.next_call() == "commit 1"
        for number in (2, 3, 4):
            b.change(number)
            b.park(f"send {number}")
        assert b.commits.newest == 2
        b.store.go_on()
        assert await b.store.next_call() == "commit 2"
        await turns()
        assert b.told == [("first", None)]
        b.store.go_on()
        await b.commits.until(2)
        await turns()
        assert [name for name, _ in b.told] == ["first", "send 2", "send 3", "send 4"]
        assert [sorted(batch.messages) for batch in b.store.batches] == [[1], [2, 3, 4]]


@on_a_loop
async def test_all_changes_of_one_turn_are_one_batch() -> None:
    async with bench() as b:
        b.change(1)
        b.change(2)
        await b.store.next_call()
        b.store.go_on()
        await b.commits.until(1)
        assert sorted(b.store.batches[0].messages) == [1, 2]


@on_a_loop
async def test_a_read_waits_for_the_commit_that_is_under_way() -> None:
    async with bench() as b:
        b.change(1)
        await b.store.next_call()
        assert b.commits.newest == 1
        waiting = b.commits.durable()
        assert waiting is not None
        await turns()
        assert not waiting.done()
        b.store.go_on()
        await waiting
        assert b.commits.durable() is None


@on_a_loop
async def test_who_gives_up_waiting_hurts_nobody() -> None:
    async with bench() as b:
        b.change(1)
        first, second = b.commits.durable(), b.commits.durable()
        assert first is not None
        assert second is not None
        first.cancel()
        await b.store.next_call()
        b.store.go_on()
        await second
        assert first.cancelled()


@on_a_loop
async def test_a_failed_commit_fails_its_batch_and_the_one_behind_it() -> None:
    async with bench() as b:
        b.change(1)
        b.park("under way")
        await b.store.next_call()
        b.change(2)
        b.park("gathering")
        waiting = b.commits.durable()
        assert waiting is not None
        failure = CommitFailed("disk full")
        b.store.go_on(failure)
        with pytest.raises(ServiceUnavailable):
            await waiting
        assert [name for name, _ in b.told] == ["under way", "gathering"]
        assert all(isinstance(told, ServiceUnavailable) for _, told in b.told)
        assert b.failures == [failure]
        assert b.commits.committed == 0
        assert not b.commits.batch
        assert [batch.number for batch in b.store.batches] == [1]


@on_a_loop
async def test_after_a_failure_nothing_is_committed_until_memory_is_rebuilt() -> None:
    async with bench() as b:
        b.change(1)
        await b.store.next_call()
        b.store.go_on(CommitFailed("disk full"))
        await b.commits.on_writer(lambda: None)
        assert len(b.failures) == 1
        b.change(2)
        assert b.park("too early")
        for wait in (b.commits.durable(), b.commits.until(1)):
            assert wait is not None
            with pytest.raises(ServiceUnavailable):
                await wait
        assert isinstance(b.told[0][1], ServiceUnavailable)
        assert await b.commits.on_writer(lambda: "recovered") == "recovered"
        b.commits.resume(0)
        assert not b.commits.batch
        b.change(3)
        b.park("later")
        assert await b.store.next_call() == "commit 1"
        b.store.go_on()
        await b.commits.until(1)
        await turns()
        assert b.told[-1] == ("later", None)
        assert sorted(b.store.batches[-1].messages) == [3]


@on_a_loop
async def test_a_commit_in_doubt_is_handed_on() -> None:
    async with bench() as b:
        b.change(1)
        waiting = b.commits.durable()
        assert waiting is not None
        await b.store.next_call()
        b.store.go_on(CommitUncertain("fsync"))
        with pytest.raises(ServiceUnavailable):
            await waiting
        assert [type(failure) for failure in b.failures] == [CommitUncertain]


@on_a_loop
async def test_after_a_full_disk_messages_are_kept_out_for_a_moment() -> None:
    async with bench() as b:
        assert b.commits.room_for_messages
        b.change(1)
        await b.store.next_call()
        b.store.go_on(CommitFailed("disk full", disk_full=True))
        await b.commits.on_writer(lambda: None)
        b.commits.resume(0)
        assert not b.commits.room_for_messages


@on_a_loop
async def test_until_waits_for_its_batch_alone() -> None:
    async with bench() as b:
        b.change(1)
        await b.store.next_call()
        b.change(2)
        first, second = asyncio.ensure_future(b.commits.until(1)), asyncio.ensure_future(b.commits.until(2))
        await turns()
        b.store.go_on()
        await first
        assert not second.done()
        b.store.go_on()
        await second


@on_a_loop
async def test_calls_of_the_store_run_between_batches() -> None:
    async with bench() as b:
        b.change(1)
        await b.store.next_call()
        b.change(2)
        granted = asyncio.ensure_future(b.commits.on_writer(lambda: len(b.store.batches)))
        await turns()
        assert not granted.done()
        b.store.go_on()
        assert await granted == 1
        assert b.commits.committed == 1

        def fail() -> None:
            raise KeyError("no")

        b.store.go_on()
        with pytest.raises(KeyError):
            await b.commits.on_writer(fail)
        await b.commits.until(2)
        assert b.failures == []


@on_a_loop
async def test_slices_and_batches_take_turns() -> None:
    async with bench(slices=3) as b:
        b.change(1)
        seen = []
        for number in (2, 3, 4, 5):
            seen.append(await b.store.next_call())
            b.change(number)
            b.store.go_on()
        assert seen == ["commit 1", "clear", "commit 2", "clear"]
        assert await b.store.next_call() == "commit 3"


@on_a_loop
async def test_an_idle_writer_clears_until_nothing_is_left() -> None:
    async with bench(slices=4) as b:
        for _ in range(4):
            b.store.go_on()
        b.commits.kick()
        for _ in range(4):
            assert await b.store.next_call() == "clear"
        await b.commits.on_writer(lambda: None)
        assert b.store.slices_done == 4


@on_a_loop
async def test_a_batch_carries_the_message_time_of_its_cut() -> None:
    async with bench() as b:
        b.clock.move_to(2000)
        b.change(1)
        await b.store.next_call()
        b.clock.move_to(3000)
        assert b.store.batches[0].message_time_ms == 2000


@on_a_loop
async def test_closing_commits_what_has_been_gathered() -> None:
    async with bench() as b:
        b.change(1)
        await b.store.next_call()
        b.change(2)
        b.park("last")
        closing = asyncio.ensure_future(b.commits.close())
        b.store.go_on()
        b.store.go_on()
        await closing
        await turns()
        assert b.told == [("last", None)]
        assert b.commits.committed == 2
        assert b.park("too late")
        await turns()
        assert isinstance(b.told[-1][1], ServiceUnavailable)


@on_a_loop
async def test_on_sqlite_a_thousand_sends_share_few_commits() -> None:
    store = SqliteStore(":memory:")
    recovered = store.open()
    failures: list[BaseException] = []
    commits = GroupCommit(store, ManualClock(1000), batch_number=recovered.batch_number, on_failure=failures.append)

    async def send(number: int) -> None:
        commits.batch.add_message(message(number))
        commits.kick()
        waiting = commits.durable()
        assert waiting is not None
        await waiting

    numbers = await commits.on_writer(lambda: store.grant_sequences(1000))
    await asyncio.gather(*(send(number) for number in numbers))
    page = await store.look(1, 0, limit=2000, bytes_max=1 << 40)
    await commits.close()
    store.close()
    assert ids(page) == [*numbers]
    assert commits.committed < 20
    assert failures == []


class PromptStore(GatedStore):
    """A store that commits at once, and remembers on which thread."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[int] = []
        self.at_once = True
        self.failure: BaseException | None = None

    def commit_at_once(self, batch: Batch) -> bool:
        if self.at_once:
            self.commit(batch)
        return self.at_once

    def commit(self, batch: Batch) -> None:
        self.threads.append(threading.get_ident())
        if self.failure is not None:
            raise self.failure
        self.batches.append(batch)

    def vacuum(self) -> bool:
        self.calls.put("vacuum")
        return False


@pytest.fixture
async def prompt(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """A bench whose disk has been quick for long."""
    monkeypatch.setattr(DiskPace, "quick", True)
    prompt = Bench(PromptStore())
    yield prompt
    await asyncio.wait_for(prompt.commits.close(), TIMEOUT_S)


def threads_of(bench: Bench) -> list[int]:
    assert isinstance(bench.store, PromptStore)
    return bench.store.threads


async def test_on_a_quick_disk_a_commit_of_an_idle_loop_needs_no_thread(prompt: Bench) -> None:
    for number in (1, 2):
        prompt.change(number)
        prompt.park(f"reply {number}")
        await prompt.commits.until(number)
    assert threads_of(prompt) == [threading.get_ident()] * 2
    assert prompt.told == [("reply 1", None), ("reply 2", None)]


async def test_a_reply_is_told_after_the_commit_and_never_within_the_call_that_parks_it(prompt: Bench) -> None:
    prompt.change(1)
    prompt.park("reply")
    assert (threads_of(prompt), prompt.told) == ([], [])
    await prompt.commits.until(1)
    assert prompt.told == [("reply", None)]


async def test_what_the_store_cannot_do_at_once_goes_to_the_thread(prompt: Bench) -> None:
    assert isinstance(prompt.store, PromptStore)
    prompt.store.at_once = False
    prompt.change(1)
    await prompt.commits.until(1)
    assert threads_of(prompt) != [threading.get_ident()]


async def test_what_was_refused_says_nothing_of_the_disk(prompt: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(prompt.store, PromptStore)
    told: list[float] = []
    monkeypatch.setattr(DiskPace, "took", lambda _pace, seconds: told.append(seconds))
    prompt.store.at_once = False
    prompt.change(1)
    await prompt.commits.until(1)
    assert len(told) == 1  # the commit that followed on the thread


async def test_on_a_slow_disk_every_commit_goes_to_the_thread(prompt: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DiskPace, "quick", False)
    prompt.change(1)
    await prompt.commits.until(1)
    assert threads_of(prompt) != [threading.get_ident()]


async def test_while_requests_keep_coming_a_commit_goes_to_the_thread(prompt: Bench) -> None:
    for number in range(1, 100):
        prompt.change(number)
        prompt.park("reply")
        await asyncio.sleep(0)
        if threads_of(prompt):
            break
    await prompt.commits.until(1)
    assert threads_of(prompt)[0] != threading.get_ident()


async def test_a_failure_on_the_loops_thread_reaches_everyone_too(prompt: Bench) -> None:
    assert isinstance(prompt.store, PromptStore)
    prompt.store.failure = CommitFailed("no room", disk_full=True)
    prompt.change(1)
    prompt.park("reply")
    with pytest.raises(ServiceUnavailable):
        await prompt.commits.until(1)
    await asyncio.sleep(0)
    assert [type(failure) for _, failure in prompt.told] == [ServiceUnavailable]
    assert prompt.failures == [prompt.store.failure]
    assert not prompt.commits.room_for_messages
    prompt.store.failure = None
    prompt.commits.resume(0)


async def test_unused_space_is_given_back_when_no_commit_comes_by(
    prompt: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "_IDLE_S", 0.0)
    prompt.change(1)
    assert await prompt.store.next_call() == "vacuum"


@pytest.mark.interpreted
async def test_unused_space_waits_while_commits_come_by(prompt: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = asyncio.Event()
    vacuum_when_idle = GroupCommit._vacuum_when_idle

    def look(commits: GroupCommit) -> None:
        vacuum_when_idle(commits)
        looked.set()

    monkeypatch.setattr(group_commit, "_IDLE_S", 3600.0)
    monkeypatch.setattr(GroupCommit, "_vacuum_when_idle", look)
    prompt.change(1)
    await asyncio.wait_for(looked.wait(), TIMEOUT_S)
    await prompt.commits.on_writer(lambda: None)
    assert prompt.store.calls.empty()
