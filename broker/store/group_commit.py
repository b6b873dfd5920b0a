"""Group commit: one commit is under way at a time, the next batch gathers meanwhile, and replies leave when theirs is on disk.

The rule it keeps: nothing that waits here is told of success before the store's `commit` has returned. There is no timer: a
batch is cut as soon as the writer is free. A commit is made on the writer's thread, or here, where that is quicker and nothing is
held up (disk_pace.py). It owns the gathering batch and the writer's thread; it knows no SQL, and nothing of what the Changes in a
batch mean.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from broker.clock import Clock, process_time_s
from broker.errors import ServiceUnavailable
from broker.store.base import CommitFailed, CommitUncertain, Store
from broker.store.batch import Batch
from broker.store.disk_pace import DiskPace
from broker.store.writer_thread import Done, WriterThread

T = TypeVar("T")
Parked = Callable[[BaseException | None], None]

# How many commits go by before an idle moment is used to look for unused pages.
_COMMITS_PER_VACUUM: Final = 4096
# How long messages are kept out after the disk was full, so that the deletes get through.
_FULL_S: Final = 1.0
# How long no commit must have come by for unused pages to be given back: that takes turns with flushes, which reads wait for.
_IDLE_S: Final = 0.02
# How many turns of a busy event loop a batch may be held for further requests.
_TURNS_MAX: Final = 8


class GroupCommit:
    """Made on the event loop that it serves; every method is called there.

    `on_failure` gets the error of a failed commit, after which nothing can be parked until `resume`. `seal` completes a batch
    at the moment in which it is cut.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        batch_number: int,
        on_failure: Callable[[BaseException], None],
        seal: Callable[[Batch], None] = lambda _batch: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_failure = on_failure
        self._seal = seal
        self._loop = asyncio.get_running_loop()
        self._writer = WriterThread(self._loop)
        self._pace = DiskPace()
        self.committed = batch_number
        self._gathering = Batch(batch_number + 1)
        self._parked: list[Parked] = []  # on the gathering batch
        self._under_way: Batch | None = None
        self._under_way_parked: list[Parked] = []
        self._jobs: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._busy = False  # the writer has a call
        self._joined = 0  # replies parked when the gathering batch was last looked at
        self._turns = 0  # of the loop that it has been held for
        self._scheduled = False  # _next will run in this turn of the loop
        self._failed = False
        self._closed: asyncio.Future[None] | None = None
        self._clear_next = True  # what an earlier process left
        self._clear_now = False  # a batch has passed: it is the slice's turn
        self._clear_failed = False
        self._full_until_s = 0.0
        self._vacuum_next = False
        self._committed_s = 0.0  # when the last commit ended
        self._later: asyncio.TimerHandle | None = None
        self._commits_since_vacuum = 0

    @property
    def batch(self) -> Batch:
        """The gathering batch, for Changes to be appended to. A new one after every turn of the event loop, perhaps."""
        return self._gathering

    @property
    def newest(self) -> int:
        """The number of the newest batch that holds a Change."""
        return self._gathering.number if self._gathering else self._gathering.number - 1

    @property
    def room_for_messages(self) -> bool:
        """False for a moment after the disk was full: what would store messages should be refused before it changes anything.

        Else it would share a batch, and fail it, with the deletes that make room.
        """
        return process_time_s() >= self._full_until_s

    def kick(self) -> None:
        """Changes were appended: have them committed as soon as the writer is free, but not before this turn is over."""
        if not self._scheduled and not self._busy:
            self._scheduled = True
            self._loop.call_soon(self._next)

    def touch(self) -> None:
        """Have message time itself committed: it was moved."""
        self._gathering.message_time_ms = self._clock.now_ms()
        self.kick()

    def park(self, callback: Parked) -> bool:
        """Call `callback` when every Change so far is on disk, with an error if it cannot be. False if nothing is pending."""
        if self._failed:
            self._loop.call_soon(callback, _unavailable())
            return True
        if self._gathering:
            self._parked.append(callback)
            self.kick()
            return True
        if self._under_way is not None:
            self._under_way_parked.append(callback)
            return True
        return False

    def durable(self) -> asyncio.Future[None] | None:
        """A future that is done when every Change so far is on disk; None if nothing is pending.

        Each caller gets its own, so that one who cancels it hurts nobody. Fails with ServiceUnavailable.
        """
        if not self._gathering and self._under_way is None and not self._failed:
            return None
        future: asyncio.Future[None] = self._loop.create_future()
        self.park(partial(_settle, future))
        return future

    async def until(self, number: int) -> None:
        """Return when batch `number` is committed. Raises ServiceUnavailable if it cannot be."""
        if number <= self.committed:
            return
        if self._failed:
            raise _unavailable()
        future: asyncio.Future[None] = self._loop.create_future()
        if number == self._gathering.number:
            self._parked.append(partial(_settle, future))
            self.kick()
        else:
            assert self._under_way is not None
            assert number == self._under_way.number, "no such batch yet"
            self._under_way_parked.append(partial(_settle, future))
        await future

    async def on_writer(self, fn: Callable[[], T]) -> T:
        """Make a blocking call of the store on its thread, between two batches."""
        assert self._closed is None, "group commit is closed"
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.append((fn, future))
        self.kick()
        return await future

    def resume(self, batch_number: int) -> None:
        """Go on after a failed commit: memory was rebuilt from the store, whose last batch is `batch_number`."""
        assert self._failed
        assert self._under_way is None
        self._failed = False
        self.committed = batch_number
        self._gathering = Batch(batch_number + 1)
        self._clear_next = True
        self.kick()

    async def close(self) -> None:
        """Commit what has been gathered, and end the writer's thread. The store is the caller's to close."""
        if self._closed is None:
            self._closed = self._loop.create_future()
            self.kick()
        await asyncio.shield(self._closed)

    # What the writer does next, whenever it is free: what somebody waits for first, then what has no hurry.

    def _next(self) -> None:
        self._scheduled = False
        if self._busy:
            return
        if self._jobs:
            function, future = self._jobs.popleft()
            self._start(function, partial(self._finish_job, future))
        elif self._failed:
            self._stop_if_closing()
        elif self._clear_now and self._clear_next and self._closed is None:
            self._clear_now = False
            self._start(self._store.clear_dropped, self._finish_clearing)
        elif self._gathering or self._parked:  # what they wait for may have come to nothing
            self._cut_when_quiet()
        elif self._closed is not None:
            self._stop_if_closing()
        elif self._clear_next:
            self._start(self._store.clear_dropped, self._finish_clearing)
        elif self._vacuum_next:
            self._vacuum_when_idle()

    def _vacuum_when_idle(self) -> None:
        """Give back unused pages, but not between the commits of a busy store, unless its disk was full."""
        left_s = self._committed_s + _IDLE_S - process_time_s()
        if left_s <= 0 or not self.room_for_messages:
            self._start(self._store.vacuum, self._finish_vacuum)
        elif self._later is None:
            self._later = self._loop.call_later(left_s, self._look_again)

    def _look_again(self) -> None:
        self._later = None
        self._next()

    def _start(self, function: Callable[[], Any], then: Done) -> None:
        self._busy = True
        self._writer.call(function, then)

    def _cut_when_quiet(self) -> None:
        """While every turn of the loop brings further requests, let them join: what a commit costs is shared by more.

        A lone request waits for one empty turn, a few microseconds.
        """
        if len(self._parked) > self._joined and self._turns < _TURNS_MAX:
            self._joined = len(self._parked)
            self._turns += 1
            self._after_reading()
        else:
            quiet = self._turns < _TURNS_MAX
            self._joined = self._turns = 0
            self._cut(quiet=quiet)

    def _after_reading(self) -> None:
        """Look again when the loop has read its sockets once."""
        self._scheduled = True
        self._loop.call_soon(self._loop.call_soon, self._next)

    def _cut(self, *, quiet: bool) -> None:
        """Close the gathering batch and have it committed; the next one gathers from here on. `quiet`: the loop is idle."""
        batch = self._gathering
        self._seal(batch)
        batch.message_time_ms = self._clock.now_ms()
        self._under_way, self._under_way_parked = batch, self._parked
        self._gathering, self._parked = Batch(batch.number + 1), []
        if not (quiet and self._pace.quick and self._commit_here(batch)):
            self._start(partial(self._timed, self._store.commit, batch), self._finish_commit)

    def _commit_here(self, batch: Batch) -> bool:
        """Have it committed at once, on this thread; False where that cannot be."""
        self._busy = True
        failure: BaseException | None = None
        try:
            if not self._timed(self._store.commit_at_once, batch):
                return False
        except BaseException as error:  # what it means is the same on either thread
            failure = error
        self._finish_commit(None, failure)
        return True

    def _timed(self, commit: Callable[[Batch], T], batch: Batch) -> T:
        began_s = process_time_s()
        result = commit(batch)
        if result is not False:  # else it was not committed
            self._pace.took(process_time_s() - began_s)
        return result

    def _finish_commit(self, _: None, failure: BaseException | None) -> None:
        self._busy = False
        batch, parked = self._under_way, self._under_way_parked
        assert batch is not None
        self._under_way, self._under_way_parked = None, []
        if failure is not None:
            self._fail(batch, parked, failure)
            return
        self.committed = batch.number
        self._committed_s = process_time_s()
        if batch.dropped or batch.forgotten or self._clear_failed:
            self._clear_next = True
            self._clear_failed = False
        self._clear_now = True
        self._commits_since_vacuum += 1
        if self._commits_since_vacuum >= _COMMITS_PER_VACUUM:
            self._vacuum_next = True
        for callback in parked:
            callback(None)
        self._after_reading()

    def _fail(self, batch: Batch, parked: list[Parked], failure: BaseException) -> None:
        """Nothing of this batch, nor of the one that gathered on top of it, has happened."""
        self._failed = True
        if isinstance(failure, CommitFailed) and failure.disk_full:
            self._full_until_s = process_time_s() + _FULL_S
            self._vacuum_next = True
        parked += self._parked
        self._parked = []
        self._gathering = Batch(batch.number)
        for callback in parked:
            self._loop.call_soon(callback, _unavailable())
        self._on_failure(failure)
        self.kick()

    def _finish_job(self, future: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
        self._busy = False
        if not future.done():
            if failure is None:
                future.set_result(result)
            else:
                future.set_exception(failure)
        if isinstance(failure, CommitUncertain):
            self._fail_idle(failure)
            return
        self._next()

    def _finish_clearing(self, more: bool | None, failure: BaseException | None) -> None:
        self._busy = False
        if failure is None:
            self._clear_next = bool(more)
            self._vacuum_next = self._vacuum_next or not more
        elif isinstance(failure, CommitFailed):
            self._clear_next = False  # no room, perhaps: the next batch that finds some takes it up again
            self._clear_failed = True
        else:
            self._fail_idle(failure)
            return
        self._next()

    def _finish_vacuum(self, more: bool | None, failure: BaseException | None) -> None:
        self._busy = False
        if failure is not None and not isinstance(failure, CommitFailed):
            self._fail_idle(failure)
            return
        self._vacuum_next = bool(more)
        self._commits_since_vacuum = 0
        self._next()

    def _fail_idle(self, failure: BaseException) -> None:
        """The store has failed outside of a batch: what gathers has no ground to stand on either."""
        self._fail(self._gathering, [], failure)

    def _stop_if_closing(self) -> None:
        if self._closed is not None and not self._closed.done():
            if self._later is not None:
                self._later.cancel()
            self._failed = True  # whatever comes after this is told so
            self._writer.stop()
            self._closed.set_result(None)


def _unavailable() -> ServiceUnavailable:
    return ServiceUnavailable("The service is temporarily unavailable: the request could not be made durable.")


def _settle(future: asyncio.Future[None], failure: BaseException | None) -> None:
    if future.done():
        return
    if failure is None:
        future.set_result(None)
    else:
        future.set_exception(failure)
        future.exception()  # a caller that has gone away is no reason for a warning
