"""The flusher: brings what is in the commit log into the database, on a thread of its own, many batches as one transaction.

What waits is held in memory until then. What is sent and deleted while it waits never reaches the database at all. A flush is
due when enough has gathered, when the oldest has waited long enough, or when somebody asks: a read, which must see what was
committed before it, or the commit log, which needs a segment again. An idle store has nothing to flush, and no timer.

A flush that fails for want of room is tried again until it succeeds; who waits for it is told. After any other failure nothing
can be flushed any more: every later call raises it, and the process must end. Nothing is lost: a start reads the commit log.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from broker.clock import process_time_s
from broker.store.base import CommitFailed, CommitUncertain, Recovered, StoreError
from broker.store.batch import Batch, merged

# What is much. Messages that come to stay go in small pieces, so that a flush does not take a processor for long from what
# answers requests; what is sent and deleted again costs a flush little, however much it is.
FLUSH_BYTES: Final = 4 * 1024 * 1024
FLUSH_ROWS: Final = 8_192
FLUSH_ARRIVALS: Final = 512  # messages sent, less those deleted
WAITING_BYTES_MAX: Final = 2 * FLUSH_BYTES  # beyond it, who commits has to wait
WAITING_ROWS_MAX: Final = 2 * FLUSH_ROWS
_LAG_S: Final = 0.2
_RETRY_S: Final = 1.0


class Flusher:
    """`write` applies a batch in one transaction that need not be durable; `sync` makes durable whatever was written."""

    def __init__(self, batch_number: int, write: Callable[[Batch], None], sync: Callable[[], None]) -> None:
        self._write = write
        self._sync = sync
        self._changed = threading.Condition()
        self._newest = batch_number  # committed
        self._flushed = batch_number  # in the database
        self._durable = batch_number  # there for good
        self._waiting: list[Batch] = []
        self._taken: list[Batch] = []  # being written
        self._bytes = 0  # of what waits, in the database, about
        self._taken_bytes = 0
        self._rows = 0
        self._arrivals = 0
        self._due_at_s = 0.0  # what waits is flushed then, whatever it is
        self._wanted = 0  # somebody waits for this batch
        self._durable_wanted = 0
        self._readers: list[tuple[int, Future[None]]] = []
        self._attempts = 0
        self._refused: CommitFailed | None = None  # how the last attempt ended
        self._broken: CommitUncertain | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="pombo-flusher", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises StoreError while the database takes nothing: then nothing more should be committed."""
        if self._broken is not None:
            raise self._broken
        refused = self._refused  # the thread may let go of it at any moment
        if refused is not None:
            raise CommitFailed(str(refused), disk_full=refused.disk_full)

    @property
    def waiting_bytes(self) -> int:
        """How much waits, as `add` was told."""
        return self._bytes + (self._taken_bytes if self._taken else 0)

    @property
    def keeps_up(self) -> bool:
        """Whether one more batch can be added without a wait."""
        return self._bytes < FLUSH_BYTES and self._rows < FLUSH_ROWS

    def add(self, batch: Batch, size: int) -> None:
        """A batch is in the commit log, and will take about `size` bytes of the database. Waits where that is far behind."""
        with self._changed:
            if not self._waiting:
                self._due_at_s = process_time_s() + _LAG_S
            self._waiting.append(batch)
            self._bytes += size
            self._rows += batch.rows
            self._arrivals += batch.arrivals - len(batch.deleted)
            self._newest = batch.number
            if len(self._waiting) == 1 or self._much():
                self._changed.notify_all()
            while self._too_much() and self._refused is None and self._broken is None:
                self._changed.wait()

    def flush(self, number: int | None = None) -> None:
        """Return when batch `number` (the newest) and all before it are in the database. Blocking. Raises StoreError."""
        with self._changed:
            through = self._newest if number is None else number
            self._wanted = max(self._wanted, through)
            self._wait_until(lambda: self._flushed >= through)

    def want_durable(self, number: int) -> None:
        """Everything up to this batch should be durable in the database soon."""
        with self._changed:
            self._durable_wanted = max(self._durable_wanted, number)
            self._changed.notify_all()

    def make_durable(self, number: int) -> None:
        """Return when it is. Blocking. Raises StoreError."""
        with self._changed:
            self._durable_wanted = max(self._durable_wanted, number)
            self._wait_until(lambda: self._durable >= number)

    def is_durable(self, number: int) -> bool:
        """Whether it is."""
        return self._durable >= number

    def _wait_until(self, done: Callable[[], bool]) -> None:
        attempts = self._attempts
        self._due_at_s = process_time_s()
        self._changed.notify_all()
        while not done():
            if self._broken is not None:
                raise self._broken
            if self._refused is not None and self._attempts > attempts:
                raise self._refused
            self._changed.wait()

    async def until_flushed(self, number: int | None = None) -> None:
        """Return when everything committed by now, or all of it up to a batch, is in the database, for a read to see.

        Raises StoreError.
        """
        wanted = self._newest if number is None else min(number, self._newest)
        if self._flushed >= wanted:
            return
        future: Future[None] = Future()
        with self._changed:
            if self._flushed >= wanted:
                return
            if self._broken is not None:
                raise self._broken
            if self._closing:
                raise StoreError("the store is closed")
            self._wanted = max(self._wanted, wanted)
            self._readers.append((wanted, future))
            self._changed.notify_all()
        await asyncio.wrap_future(future)

    def overlay(self, recovered: Recovered) -> Recovered:
        """What the database says, with what it lacks. The caller keeps `write` from running meanwhile."""
        with self._changed:
            lacking = [*self._taken, *self._waiting]
        return recovered.with_batch(merged(lacking)) if lacking else recovered

    def close(self) -> bool:
        """Flush once more and end the thread; whether the database has everything. Blocking."""
        with self._changed:
            self._closing = True
            self._wanted = self._newest
            self._changed.notify_all()
        self._thread.join()
        return self._flushed == self._newest

    # The thread

    def _run(self) -> None:
        while self._take():
            try:
                if taken := self._taken:
                    batch = merged(taken)
                    self._write(batch)
                    with self._changed:
                        self._flushed_to(batch.number)
                    del taken, batch  # thousands of rows, and not while others wait for the lock
                if self._durable_wanted > self._durable:
                    self._sync()
                    with self._changed:
                        self._durable = self._flushed
                with self._changed:
                    self._ended(None)
            except BaseException as error:  # for whoever waits, and for the next commit
                with self._changed:
                    self._ended(error)

    def _take(self) -> bool:
        """Wait until there is something to do, and take what waits; False when the thread should end."""
        with self._changed:
            while not self._due():
                if self._closing or self._broken is not None:
                    return False
                self._changed.wait(max(0.0, self._due_at_s - process_time_s()) if self._has_work() else None)
            self._taken, self._waiting = self._waiting, []
            self._taken_bytes = self._bytes
            self._bytes = self._rows = self._arrivals = 0
            self._changed.notify_all()
        return True

    def _has_work(self) -> bool:
        return bool(self._waiting) or self._durable_wanted > self._durable

    def _due(self) -> bool:
        if self._broken is not None:
            return False
        if self._wanted > self._flushed:
            return True
        if self._closing and self._refused is not None:
            return False  # one more attempt was enough
        if self._refused is None and (self._durable_wanted > self._durable or self._much()):
            return True
        return self._has_work() and process_time_s() >= self._due_at_s

    def _much(self) -> bool:
        return self._bytes >= FLUSH_BYTES or self._rows >= FLUSH_ROWS or self._arrivals >= FLUSH_ARRIVALS

    def _too_much(self) -> bool:
        return self._bytes >= WAITING_BYTES_MAX or self._rows >= WAITING_ROWS_MAX

    def _flushed_to(self, number: int) -> None:
        """What was taken is in the database: it refuses nothing any more, and who is told of it may commit."""
        self._taken = []
        self._flushed = number
        self._refused = None
        if self._waiting:
            self._due_at_s = process_time_s() + _LAG_S
        served = [reader for at, reader in self._readers if at <= number]
        self._readers = [(at, reader) for at, reader in self._readers if at > number]
        for reader in served:
            if reader.set_running_or_notify_cancel():
                reader.set_result(None)
        self._changed.notify_all()

    def _ended(self, failure: BaseException | None) -> None:
        """An attempt has succeeded, or failed: then keep what was taken, tell who waits, and try again later if that can help."""
        self._attempts += 1
        self._changed.notify_all()
        self._refused = failure if isinstance(failure, CommitFailed) else None
        if failure is None:
            return
        if self._taken:
            self._waiting[:0] = self._taken
            self._bytes += self._taken_bytes
            self._rows += sum(batch.rows for batch in self._taken)
            self._taken = []
        self._wanted = 0
        self._due_at_s = process_time_s() + _RETRY_S
        told = failure
        if not isinstance(failure, CommitFailed):
            told = CommitUncertain(f"what is in the commit log cannot be brought into the database: {failure}")
            told.__cause__ = failure
            self._broken = told
        readers, self._readers = self._readers, []
        for _, reader in readers:
            if reader.set_running_or_notify_cancel():
                reader.set_exception(told)
