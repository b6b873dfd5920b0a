"""An engine on a test bench: a manual clock, a DictStore, and no event loop.

Commits happen when a test says so (or before a read that needs them), so that the interleavings of reads, Changes and commits
which a real broker meets by chance can be put together by hand. A restart throws the engine away and recovers from the store.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from broker.clock import Chance, ManualClock
from broker.core.absent import Absent, Read, Yield
from broker.core.deadlines import Deadlines
from broker.core.engine import Engine, Job
from broker.core.ledger import Ledger
from broker.core.message import Admitted, Delivery
from broker.core.queue import Queue
from broker.core.settings import QueueName, QueueSettings
from broker.store.batch import Batch
from tests.core.dict_store import DictStore, run

T = TypeVar("T")
START_MS = 1_700_000_000_000


class _Journal:
    room_for_messages = True

    def __init__(self, number: int) -> None:
        self.batch = Batch(number)

    @property
    def newest(self) -> int:
        return self.batch.number if self.batch else self.batch.number - 1


class Bench:
    """See the module's text."""

    def __init__(self, store: DictStore | None = None, now_ms: int = START_MS, *, cooldowns: bool = False) -> None:
        self.store = store or DictStore()
        self.clock = ManualClock(now_ms)
        self.cooldowns = cooldowns
        self.on_commit: Callable[[], None] = lambda: None
        self.start()

    def start(self) -> None:
        recovered = self.store.recover()
        self.clock.resume(recovered.message_time_ms)
        self.journal = _Journal(recovered.batch_number + 1)
        self.deadlines = Deadlines()
        self.ledger = Ledger(self.clock, Chance(), self.journal, recovered.secret)
        self.ledger.grant(self.store.grant_sequences(1_000_000))
        self.jobs: list[Job] = []
        self.prefetched: list[Read] = []
        self.snapshots: dict[Read, Any] = {}
        self.ledger.prefetch = self.prefetched.append
        self.engine = Engine(self.ledger, self.deadlines, cooldowns=self.cooldowns)
        self.engine.start_job = self.jobs.append
        self.engine.recover(recovered)

    def restart(self) -> None:
        """Kill and start again: what is not committed is lost."""
        self.start()

    def commit(self) -> None:
        batch = self.journal.batch
        if batch:
            self.ledger.seal(batch)
            batch.message_time_ms = self.clock.now_ms()
            self.store.commit(batch)
            self.journal.batch = Batch(batch.number + 1)
            self.on_commit()

    def call(self, operation: Callable[..., T], *args: Any) -> T:
        """An engine call, with the reads that it needs."""
        for _ in range(100_000):
            try:
                return operation(*args)
            except Absent as absent:
                for read in absent.reads:
                    self.fetch(read)
            except Yield:
                continue
        raise AssertionError("the call never came to an end")

    def fetch(self, read: Read) -> None:
        if read in self.prefetched:
            self.prefetched.remove(read)
        if read not in self.snapshots:
            self.snapshot(read)
        read.arrive(read, self.snapshots.pop(read))

    def snapshot(self, read: Read) -> None:
        """Let the store answer now; the answer arrives when the read is fetched, out of date by then."""
        if self.journal.batch.number <= read.needs_batch:
            self.commit()
        self.snapshots[read] = run(read.fetch(self.store))

    def settle_down(self) -> None:
        """Run the jobs and prefetches that have been started, to their end."""
        while self.jobs or self.prefetched:
            if self.prefetched:
                self.fetch(self.prefetched[0])
            elif not self.call(self.jobs[0]):
                self.jobs.pop(0)

    def advance(self, by_ms: int) -> None:
        """Move message time, deadline by deadline."""
        target = self.clock.now_ms() + by_ms
        while (at_ms := self.deadlines.next_ms()) is not None and at_ms <= target:
            self.clock.move_to(max(at_ms, self.clock.now_ms()))
            self.deadlines.run_due(self.clock.now_ms())
            self.settle_down()
        self.clock.move_to(target)

    # Short forms

    def queue(self, name: str = "q", **settings: Any) -> Queue:
        full = QueueName("000000000000", "us-east-1", name)
        return self.engine.create_queue(full, QueueSettings(**settings), {}, {})

    def find(self, name: str = "q") -> Queue:
        return self.engine.find_queue(QueueName("000000000000", "us-east-1", name))

    def send(self, queue: Queue, *bodies: str, group: str | None = None, delay_ms: int | None = None) -> list[str]:
        """The ids of the messages sent."""
        messages = [
            Admitted(b.encode(), "", (), delay_ms, group, b if queue.settings.fifo else None, "me", None)
            for b in bodies
        ]
        return [s.message_id for s in self.call(self.engine.send, queue, messages)]

    def receive(self, queue: Queue, count: int = 10, visibility_ms: int = 30_000) -> list[Delivery]:
        return self.call(self.engine.receive, queue, count, visibility_ms)

    def bodies(self, queue: Queue, count: int = 10, visibility_ms: int = 30_000) -> list[str]:
        return [d.body.decode() for d in self.receive(queue, count, visibility_ms)]

    def delete(self, queue: Queue, handle: str) -> None:
        self.call(self.engine.delete, queue, handle)

    def counts(self, queue: Queue) -> tuple[int, int, int]:
        return tuple(self.call(self.engine.counts, queue))
