"""What a queue is before any message moves in it: its identity, its counters, its reads, and its share of memory.

The counters are exact functions of the rows, at every moment: a leased message whose visible_at_ms lies beyond `settled_at_ms`
is counted as in flight (received) or delayed (never received), every other one as visible. Settling moves `settled_at_ms`
forward to now.
"""

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from broker.core import limits
from broker.core.absent import Read
from broker.core.deadlines import Deadline
from broker.core.ledger import Counted, Ledger, Listing
from broker.core.message import Message
from broker.core.settings import QueueName, QueueSettings
from broker.core.waiting import Waiter
from broker.errors import ServiceUnavailable
from broker.store.base import Store
from broker.store.changes import CounterRow


class Counts(NamedTuple):
    """AWS's approximate numbers: disjoint, and together every unexpired message."""

    visible: int
    in_flight: int
    delayed: int


class QueueState(Counted):
    """See the module's text."""

    def __init__(
        self,
        ledger: Ledger,
        siblings: "Mapping[QueueName, QueueState]",
        number: int,
        generation: int,
        name: QueueName,
        settings: QueueSettings,
        *,
        attributes: dict[str, str],
        tags: dict[str, str],
        created_at_ms: int,
    ) -> None:
        # In memory, an object's attributes lie in the order of these lines. What few calls look at comes first.
        self.siblings = siblings
        self.name = name
        self.attributes = attributes
        self.tags = tags
        self.created_at_ms = created_at_ms
        self.modified_at_ms = created_at_ms
        self.purged_at_ms = 0
        self.serving = False  # a call is giving waiting receives what is available
        self.wake_due: Deadline | None = None  # when they are looked at again
        # What every call looks at. What there seldom is any of is None meanwhile: with thousands of queues, each look at one more
        # object is a wait for memory.
        self.ledger = ledger
        self.number = number
        self.generation = generation
        self.settings = settings
        self.deleted = False
        self.used_at = 0  # see usage.py
        self.listing: Listing | None = None
        self.waiters: OrderedDict[Waiter, None] | None = None  # receives that wait, the first that came first
        self.retention_due: Deadline | None = None  # when expired messages are looked for
        self.held_bytes = 0  # of messages in memory
        self.reads: list[Read] | None = None  # those that are under way
        # lane -> (its oldest message's time, more to expire), while they are looked for
        self._swept: dict[int, tuple[int | None, bool]] | None = None
        self.messages = 0
        self.in_flight = 0
        self.delayed = 0
        self.settled_at_ms = created_at_ms
        self.scan_from = 0
        self.oldest_ms = created_at_ms
        self.grouped = False

    @abstractmethod
    def reset_windows(self, *, empty: bool) -> None:
        """Forget all messages in memory. `empty`: the queue has none; else the store has them."""

    @abstractmethod
    def settle(self, now_ms: int) -> None:
        """Make the counters true for now. Raises Absent."""

    @abstractmethod
    def _first_waiting(self) -> int:
        """The order below which no message waits without a lease."""

    # Counters

    def counters(self) -> CounterRow:
        """What a batch carries of this queue."""
        self.scan_from = self._first_waiting()
        return CounterRow(
            self.generation,
            self.messages,
            self.in_flight,
            self.delayed,
            self.settled_at_ms,
            self.scan_from,
            self.oldest_ms,
            self.grouped,
        )

    def restore_counters(self, row: CounterRow) -> None:
        """After a restart: the messages are in the store."""
        self.messages = row.messages
        self.in_flight = row.in_flight
        self.delayed = row.delayed
        self.settled_at_ms = row.settled_at_ms
        self.scan_from = row.scan_from
        self.oldest_ms = row.oldest_ms
        self.grouped = row.grouped
        self.reset_windows(empty=row.messages == 0)

    def counts(self, now_ms: int) -> Counts:
        """AWS's approximate numbers, exact here. Raises Absent."""
        self.settle(now_ms)
        return Counts(self.messages - self.in_flight - self.delayed, self.in_flight, self.delayed)

    def purge(self, generation: int) -> None:
        """Drop every message: the queue goes on as a new generation."""
        self.ledger.batch.drop_generation(self.generation)
        self.generation = generation
        self.messages = self.in_flight = self.delayed = 0
        self.settled_at_ms = self.oldest_ms = self.ledger.now_ms()
        self.invalidate_reads()
        self.reset_windows(empty=True)
        self.touch()

    def touch(self) -> None:
        """The open batch must carry this queue's counters."""
        self.ledger.changed.add(self)

    def _uncount(self, message: Message) -> None:
        if message.leased and message.visible_at_ms > self.settled_at_ms:
            self._count(message, -1)

    def _count(self, message: Message, change: int) -> None:
        if message.receive_count:
            self.in_flight += change
        else:
            self.delayed += change

    # Reads

    def read(
        self,
        fetch: Callable[[Store], Awaitable[Any]],
        arrive: Callable[[Read, Any], None],
        needs_batch: int | None = None,
    ) -> Read:
        """Ask for rows of this queue, as of a batch (the newest); Changes made meanwhile are kept beside the read."""
        read = Read(
            self.ledger.journal.newest if needs_batch is None else needs_batch,
            fetch,
            lambda r, result: self._arrive(r, result, arrive),
            self._read_failed,
        )
        if self.reads is None:
            self.reads = [read]
        else:
            self.reads.append(read)
        return read

    def _read_failed(self, read: Read) -> None:
        """Nobody may ask for it again, and all that happens to the queue would be kept beside it: begin anew."""
        if read.valid:
            self.forget_windows()

    def _arrive(self, read: Read, result: Any, arrive: Callable[[Read, Any], None]) -> None:
        if read.valid and self.reads is not None:
            read.valid = False
            self.reads.remove(read)
            if not self.reads:
                self.reads = None
            try:
                arrive(read, result)
            except ServiceUnavailable:  # what was read is damaged: nothing may be left half changed
                self.forget_windows()
                raise

    def invalidate_reads(self) -> None:
        """What is being read is out of date as a whole."""
        for read in self.reads or ():
            read.valid = False
        self.reads = self._swept = None

    def unload(self) -> None:
        """Forget what memory holds; the store has it all."""
        self.forget_windows()

    def forget_windows(self) -> None:
        """Forget the messages in memory, and what is being read of them."""
        self.invalidate_reads()
        self.reset_windows(empty=False)

    # Memory

    def _has_room(self) -> bool:
        return self.held_bytes < limits.WAITING_BYTES_MAX and self.ledger.memory_bytes < self.ledger.memory_bytes_max

    def _hold(self, message: Message) -> None:
        self._hold_bytes(message.memory_bytes)

    def _hold_bytes(self, memory_bytes: int) -> None:
        self.held_bytes += memory_bytes
        self.ledger.memory_bytes += memory_bytes

    def _release(self, message: Message) -> None:
        self.held_bytes -= message.memory_bytes
        self.ledger.memory_bytes -= message.memory_bytes

    def _release_all(self) -> None:
        self.ledger.memory_bytes -= self.held_bytes
        self.held_bytes = 0

    def _note(self, message_id: int, message: Message | None) -> None:
        if self.reads is not None:
            for read in self.reads:
                read.overlay[message_id] = message
