"""The broker behind the services: the engine, what it waits for, and the jobs that it starts.

This is where the synchronous engine meets asyncio. A call that finds rows absent awaits the page and is made again; a receive
that finds nothing may wait; a job runs in the background, one bounded step at a time. After a failed commit all memory is
dropped and recovered from the store before the next call.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Protocol, TypeVar

from broker.clock import Chance, Clock
from broker.core.absent import Absent, Read, Yield
from broker.core.deadlines import Deadlines
from broker.core.engine import Engine, Job
from broker.core.errors import OverLimit
from broker.core.ledger import Ledger
from broker.core.message import Delivery
from broker.core.queue import Queue
from broker.core.waiting import Waiter
from broker.errors import ServiceUnavailable
from broker.store.base import CommitUncertain, Recovered, Store, StoreError
from broker.store.group_commit import GroupCommit, Parked

T = TypeVar("T")

P = TypeVar("P", bound="Part")

GRANT: Final = 1_000_000
_QUEUES_AT_ONCE: Final = 1_000  # of a reset: about ten milliseconds
_RETRY_S: Final = 1.0  # how long work in the background lets a store be that could not be read
_log = logging.getLogger("pombo.runtime")


class Part(Protocol):
    """What a service keeps in memory beside the engine's queues. It comes and goes with them."""

    def recover(self, recovered: Recovered) -> None:
        """Take over what the store holds. Memory is empty."""
        ...

    def forget(self) -> None:
        """Drop all memory: the store is about to be read again."""
        ...

    def reset(self) -> None:
        """Delete everything, in the call that begins to delete every queue."""
        ...


class Runtime:
    """See the module's text. `fatal` is called when the process must end: what is on disk is uncertain."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        chance: Chance,
        recovered: Recovered,
        *,
        cooldowns: bool,
        fatal: Callable[[BaseException], None],
    ) -> None:
        self.store = store
        self.clock = clock
        self.chance = chance
        self.commits = GroupCommit(
            store, clock, batch_number=recovered.batch_number, on_failure=self._commit_failed, seal=self._seal
        )
        self.deadlines = Deadlines()
        self.ledger = Ledger(clock, chance, self.commits, recovered.secret)
        self.engine = Engine(self.ledger, self.deadlines, cooldowns=cooldowns)
        self._fatal = fatal
        self._fetching: dict[Read, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._jobs = 0
        self._woken: set[object] = set()  # receives whose turn it is: they are making their call again
        self._failures = 0  # commits that failed, and took with them what had been computed
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._ready = asyncio.Event()
        self._granting = False
        self._closing = False
        self.ledger.prefetch = self._prefetch
        self.ledger.grant_wanted = self._grant_wanted
        self.engine.start_job = self.start_job
        self._recovered: Recovered | None = recovered
        self._parts: dict[type, Part] = {}

    def add(self, part: Part) -> None:
        """Let a service keep state here. Before `start`."""
        self._parts[type(part)] = part

    def part(self, kind: type[P]) -> P:
        """The state of that kind."""
        part = self._parts[kind]
        assert isinstance(part, kind)
        return part

    async def start(self) -> None:
        """Grant the first sequence numbers and take over what the store holds."""
        self.ledger.grant(await self.commits.on_writer(lambda: self.store.grant_sequences(GRANT)))
        assert self._recovered is not None, "started twice"
        self._recover(self._recovered)
        self._recovered = None  # every resource there is: not to be kept a second time
        self._ready.set()
        self.commits.kick()

    async def close(self) -> None:
        """Stop jobs and waiting receives, and commit what there is."""
        self._closing = True
        self.dismiss_waiters()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.commits.close()

    # Calls

    async def call(self, operation: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run an engine method, bringing in rows that it finds absent."""
        while True:
            if not self._ready.is_set():
                await self._ready.wait()
            try:
                result = operation(*args, **kwargs)
            except Absent as absent:
                await self._fetch(absent.reads)
            except Yield:
                self.commits.kick()
                await asyncio.sleep(0)
            else:
                self.commits.kick()
                return result

    async def receive(
        self,
        queue: Queue,
        *,
        count: int,
        visibility_ms: int | None,
        wait_ms: int | None,
        attempt_id: str | None,
        connected: Callable[[], bool],
    ) -> Sequence[Delivery]:
        """Receive up to `count` messages, waiting up to wait_ms for the first. None: the queue's own setting.

        The wait ends when either message time or process time has passed it.
        """
        visibility_ms = queue.settings.visibility_ms if visibility_ms is None else visibility_ms
        wait_ms = queue.settings.receive_wait_ms if wait_ms is None else wait_ms
        if wait_ms == 0:
            return await self.call(self._receive, queue, count, visibility_ms, attempt_id, False) if connected() else ()
        until_ms = self.clock.now_ms() + wait_ms
        loop = asyncio.get_running_loop()
        until_s = loop.time() + wait_ms / 1000
        turn = object()
        try:
            while True:
                if not connected():
                    return ()
                deliveries: Sequence[Delivery] | None
                deliveries = await self.call(self._receive, queue, count, visibility_ms, attempt_id, True)
                self._end_turn(turn)
                if deliveries or self._closing or self.clock.now_ms() >= until_ms or loop.time() >= until_s:
                    return deliveries
                queue = self.engine.current(queue)
                waiter = Waiter(count, visibility_ms, attempt_id, until_ms, connected, lambda _: None)
                deliveries = await self._wait(queue, waiter, until_s, turn)
                if deliveries is not None:
                    return deliveries
        finally:
            if turn in self._woken:
                # It was this receive's turn and it did not take it: those behind must not wait for it.
                self._end_turn(turn)
                if self._ready.is_set() and self.engine.has_queue(queue.name):
                    self.engine.serve(self.engine.current(queue))
                    self.commits.kick()

    def _receive(
        self, queue: Queue, count: int, visibility_ms: int, attempt_id: str | None, waits: bool
    ) -> Sequence[Delivery]:
        try:
            return self.engine.receive(self.engine.current(queue), count, visibility_ms, attempt_id)
        except OverLimit:
            if waits:
                return ()  # AWS: the error is for short polls, a long one waits for room
            raise

    async def _wait(self, queue: Queue, waiter: Waiter, until_s: float, turn: object) -> Sequence[Delivery] | None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Sequence[Delivery] | None] = loop.create_future()
        connected = waiter.connected

        def resume(deliveries: Sequence[Delivery] | None) -> None:
            if not future.done():
                future.set_result(deliveries)
                if deliveries is None:
                    self._woken.add(turn)
                    self._quiet.clear()

        # Once its time is up, or its caller has given up, it is served no more, even before this coroutine goes on.
        waiter.connected = lambda: not future.done() and connected()
        waiter.resume = resume
        self.engine.wait(queue, waiter)
        timer = loop.call_at(until_s, resume, ())
        try:
            return await future
        finally:
            timer.cancel()
            self.engine.stop_waiting(queue, waiter)

    def _end_turn(self, turn: object) -> None:
        self._woken.discard(turn)
        self._look_whether_quiet()

    def dismiss_waiters(self) -> None:
        """Answer every waiting receive now, empty-handed: the broker is about to stop."""
        self._closing = True
        for queue in self.engine.queues():
            while queue.waiters:
                queue.waiters.popitem(last=False)[0].resume(())

    def durable(self) -> "asyncio.Future[None] | None":
        """What a reply computed now must wait for; None where everything that it may show is on disk."""
        return self.commits.durable()

    def park(self, callback: Parked) -> bool:
        """Call `callback` when everything that a reply computed now may show is on disk, or with the error of a failed commit.

        False, and no call: it is.
        """
        return self.commits.park(callback)

    async def reset(self) -> None:
        """Delete everything in every account and region. Where queues are many, others are served between them."""
        failures, queues = self._failures, await self.call(self._reset_parts)
        for first in range(0, len(queues), _QUEUES_AT_ONCE):
            if self._failures != failures:
                raise ServiceUnavailable("The service is temporarily unavailable: not everything is deleted.")
            await self.call(self.engine.reset, queues[first : first + _QUEUES_AT_ONCE])
            await asyncio.sleep(0)

    def _reset_parts(self) -> list[Queue]:
        """Which queues are left to delete, in this turn of the event loop as far as may be."""
        for part in self._parts.values():
            part.reset()
        return self.engine.queues()

    # Jobs: what the manual clock waits for

    def start_job(self, job: Job) -> None:
        """Run a job step by step until it has no more to do."""
        self.start_work(self._run_job(job))

    async def _run_job(self, job: Job) -> None:
        failures = self._failures
        while self._failures == failures and await self.insist(job):
            await asyncio.sleep(0)

    async def insist(self, operation: Callable[..., T], *args: Any) -> T | None:
        """Like `call`, but made again while the store cannot be read. None after a failed commit: recovery starts it again."""
        failures = self._failures
        while self._failures == failures:
            try:
                return await self.call(operation, *args)
            except ServiceUnavailable as error:
                _log.warning("work in the background has to wait: %s", error)
                await asyncio.sleep(_RETRY_S if self._failures == failures else 0)
        return None

    def start_work(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the requests. It counts as under way from here on."""
        self._jobs += 1
        self._quiet.clear()
        # A task that is cancelled before its first step never comes to what it was given.
        self._spawn(self._do(work)).add_done_callback(lambda _task: work.close())

    async def _do(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except ServiceUnavailable as error:
            # The store refused; recovery starts it again.
            _log.warning("work in the background was interrupted: %s", error)
        finally:
            self._jobs -= 1
            self._look_whether_quiet()

    def _look_whether_quiet(self) -> None:
        if not self._jobs and not self._woken:
            self._quiet.set()

    async def quiet(self) -> None:
        """Until no job runs, whoever was woken has looked, and everything is committed."""
        while not self._quiet.is_set() or self.commits.committed < self.commits.newest:
            await self._quiet.wait()
            await self.commits.until(self.commits.newest)

    # Reads

    async def _fetch(self, reads: Sequence[Read]) -> None:
        for task in [self._start_fetch(read) for read in reads]:
            await asyncio.shield(task)

    def _start_fetch(self, read: Read) -> "asyncio.Task[None]":
        task = self._fetching.get(read)
        if task is None:
            task = self._fetching[read] = self._spawn(self._run_fetch(read))
        return task

    async def _run_fetch(self, read: Read) -> None:
        try:
            await self.commits.until(read.needs_batch)
            try:
                result = await read.fetch(self.store)
            except StoreError as error:
                _log.error("a read failed: %s", error)
                read.fail(read)
                if isinstance(error, CommitUncertain):
                    self._fatal(error)
                raise ServiceUnavailable("The service is temporarily unavailable: a read failed.") from error
            if self._ready.is_set():
                read.arrive(read, result)
                self.commits.kick()
        finally:
            del self._fetching[read]

    def _prefetch(self, read: Read) -> None:
        if read not in self._fetching:
            self._start_fetch(read)

    def _grant_wanted(self) -> None:
        if not self._granting:
            self._granting = True
            self._spawn(self._grant())

    async def _grant(self) -> None:
        try:
            self.ledger.grant(await self.commits.on_writer(lambda: self.store.grant_sequences(GRANT)))
        finally:
            self._granting = False

    def _spawn(self, coroutine: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None or isinstance(error, ServiceUnavailable):
            return
        _log.error("a background task failed", exc_info=error)
        if isinstance(error, AssertionError):
            self._fatal(error)

    # Failure

    def _seal(self, batch: Any) -> None:
        self.ledger.seal(batch)

    def _commit_failed(self, error: BaseException) -> None:
        if isinstance(error, CommitUncertain):
            self._fatal(error)
            return
        _log.error("a commit failed; rebuilding memory from the store: %s", error)
        self._failures += 1
        self._ready.clear()
        self.engine.forget()
        for part in self._parts.values():
            part.forget()
        self._jobs += 1  # what was under way is begun again: a moved clock waits for that
        self._quiet.clear()
        self._spawn(self._rebuild()).add_done_callback(self._rebuilt)

    async def _rebuild(self) -> None:
        recovered = await self.commits.on_writer(self.store.recover)
        self._recover(recovered)
        self.commits.resume(recovered.batch_number)
        self._ready.set()

    def _rebuilt(self, task: "asyncio.Task[None]") -> None:
        """A store that cannot be read either leaves nothing to answer from: requests must not wait for ever."""
        self._jobs -= 1
        self._look_whether_quiet()
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fatal(error)

    def _recover(self, recovered: Recovered) -> None:
        self.engine.recover(recovered)
        for part in self._parts.values():
            part.recover(recovered)
