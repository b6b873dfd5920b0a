"""What all queues of a broker share: time, numbers, the open batch, and the memory budget."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Protocol

from broker.clock import Chance, Clock
from broker.core.absent import Read
from broker.core.limits import MEMORY_BYTES_MAX
from broker.core.receipt import Receipts
from broker.errors import ServiceUnavailable
from broker.store.batch import Batch
from broker.store.changes import CounterRow

SEQUENCES_LOW = 250_000


class Journal(Protocol):
    """Where Changes go. `newest`: the number of the newest batch that holds a Change; later reads must contain it.

    `room_for_messages`: False while the disk is full. Deletes and purges go on then, so no message may share their batch.
    """

    @property
    def batch(self) -> Batch: ...

    @property
    def newest(self) -> int: ...

    @property
    def room_for_messages(self) -> bool: ...


class Counted:
    """A queue, as far as sealing a batch concerns it. Not a protocol: compiled code finds a class's methods by their places."""

    @abstractmethod
    def counters(self) -> CounterRow:
        """What a batch carries of it."""


class Listing:
    """The place of a share of the memory budget among the others (usage.py). `holder` None: it is gone."""

    __slots__ = ("holder",)

    def __init__(self, holder: "Holder") -> None:
        self.holder: Holder | None = holder


class Holder(Protocol):
    """What has a share of the memory budget (`Ledger.memory_bytes`): a queue, or the deduplication of a topic.

    Both attributes are Usage's own: 0 and None to begin with.
    """

    used_at: int  # which use of anything was its last
    listing: Listing | None

    def unload(self) -> None:
        """Leave everything to the store, and give the bytes back."""
        ...


class Ledger:
    """See the module's text."""

    def __init__(self, clock: Clock, chance: Chance, journal: Journal, secret: bytes) -> None:
        self.now_ms = clock.now_ms
        self.chance = chance
        self.journal = journal
        self.receipts = Receipts(secret)
        self.changed: set[Counted] = set()  # queues whose counters the open batch must carry
        self.memory_bytes = 0  # of messages in memory, all queues together
        self.memory_bytes_max = MEMORY_BYTES_MAX
        self.prefetch: Callable[[Read], None] = lambda _read: None
        self.grant_wanted: Callable[[], None] = lambda: None
        self._next = 0
        self._end = 0
        self._granted: list[range] = []

    @property
    def batch(self) -> Batch:
        return self.journal.batch

    def next_sequence(self) -> int:
        """The next global sequence number. Raises ServiceUnavailable where the store has granted no more."""
        if self._next == self._end:
            self._take_grant()
        number = self._next
        self._next += 1
        return number

    def check_room(self) -> None:
        """Whether messages may be stored. Raises ServiceUnavailable for a moment after the disk was full."""
        if not self.journal.room_for_messages:
            raise ServiceUnavailable(
                "The service is temporarily unavailable: there is no room for messages on the disk."
            )

    def reserve(self, count: int) -> None:
        """Make sure that the next `count` sequence numbers are there: a call asks before it changes anything."""
        if self._end - self._next < SEQUENCES_LOW and not self._granted:
            self.grant_wanted()
        if self._end - self._next + sum(map(len, self._granted)) < count:
            raise ServiceUnavailable("The store has not granted sequence numbers yet.")

    def grant(self, sequences: range) -> None:
        """The store has granted these numbers."""
        self._granted.append(sequences)

    def seal(self, batch: Batch) -> None:
        """The batch is about to be cut: it carries the counters of every queue that it touches."""
        for queue in self.changed:
            batch.set_counters(queue.counters())
        self.changed.clear()

    def _take_grant(self) -> None:
        if not self._granted:
            raise ServiceUnavailable("The store has not granted sequence numbers yet.")
        sequences = self._granted.pop(0)
        self._next, self._end = sequences.start, sequences.stop
